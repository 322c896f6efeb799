import type { Clock } from '../clock.ts';
import { quote, RewriterError } from '../core/errors.ts';
import { type CachedBytes, cacheError, type MapCache } from './cache-file.ts';
import { isSigned, type KeyReader } from './signed-read.ts';
import { type MapSource, placeOf } from './source.ts';
import { untilAborted } from './until-aborted.ts';

/** Milliseconds until the source is read without the cache: the folder that it is in may hang for ever. */
const PATIENCE = 10_000;

export interface CacheSettings {
  readonly cache?: MapCache | undefined;
  readonly readKeys?: KeyReader;
}

/** A signature is one of the bytes, and says nothing about what was made of them. */
export function keepsTables({ readKeys }: CacheSettings): boolean {
  return readKeys === undefined;
}

/**
 * What the cache holds, if it is of the source and signed where it must be; undefined where there is none.
 * Throws a `RewriterError` where there is one that cannot be used, or none that can be read in time.
 */
export async function readCache(
  source: MapSource,
  settings: CacheSettings,
  clock: Clock,
): Promise<CachedBytes | undefined> {
  const end = new AbortController();
  const cancel = clock.after(PATIENCE, () => end.abort());
  try {
    return await untilAborted(loadFor(source, settings), end.signal, () =>
      cacheError(`it could not be read within ${PATIENCE / 1000} s`),
    );
  } finally {
    cancel();
  }
}

async function loadFor(
  source: MapSource,
  { cache, readKeys }: CacheSettings,
): Promise<CachedBytes | undefined> {
  await source.prepare?.().catch(() => undefined);
  const cached = await cache?.load();
  if (cached === undefined) {
    return undefined;
  }
  const place = placeOf(source);
  if (cached.place !== place) {
    throw new RewriterError(
      'MAP_CACHE_ELSEWHERE',
      `imageMap.cacheFile holds the map of ${quote(cached.place)}, not that of ${quote(place)}; it is written over when that one is read`,
    );
  }
  if (!(await isSigned(cached, readKeys))) {
    throw new RewriterError(
      'MAP_SIGNATURE_INVALID',
      'the map in imageMap.cacheFile has no signature that fits it and a key of imageMap.publicKeyFile; it is written over when a signed one is read',
    );
  }
  return cached;
}
