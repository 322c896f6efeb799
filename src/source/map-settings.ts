import type { Config } from '../config/schema.ts';
import { createCacheFile } from './cache-file.ts';
import type { CachedMapSettings } from './cached-map.ts';
import { readPublicKeys } from './signature.ts';

/** What the cached map takes from the configuration. */
export function mapSettings({ imageMap, allowedTargets }: Config): CachedMapSettings {
  const { refreshInterval, timeout, maxBytes, allowRollback, maxShrink } = imageMap;
  const { publicKeyFile, cacheFile } = imageMap;
  return {
    refreshInterval,
    timeout,
    maxBytes,
    allowRollback,
    maxShrink,
    allowedTargets,
    readKeys: publicKeyFile === '' ? undefined : () => readPublicKeys(publicKeyFile),
    cache: cacheFile === '' ? undefined : createCacheFile(cacheFile),
  };
}
