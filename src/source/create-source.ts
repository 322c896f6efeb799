import { fileURLToPath } from 'node:url';
import type { ImageMapConfig } from '../config.ts';
import { RewriterError } from '../core/errors.ts';
import { createFileSource } from './file.ts';
import { createHttpsSource } from './https.ts';
import { createS3Source } from './s3.ts';
import type { MapSource } from './source.ts';
import { createUrlFileSource } from './url-file.ts';

/** The source that the configuration names; `env` is where proxy variables are looked up. */
export function createSource(settings: ImageMapConfig, env: NodeJS.ProcessEnv): MapSource {
  const { url, urlFile } = settings;
  return urlFile === ''
    ? openUrl(url, settings, env)
    : createUrlFileSource(urlFile, (text) => openUrl(text, settings, env));
}

/** Throws `MAP_UNREADABLE` for a scheme that no source has; the URL may be a secret. */
function openUrl(url: string, settings: ImageMapConfig, env: NodeJS.ProcessEnv): MapSource {
  const { headersFile, s3 } = settings;
  const { protocol } = new URL(url);
  switch (protocol) {
    case 'file:':
      return createFileSource(fileURLToPath(url));
    case 's3:':
      return createS3Source(url, { ...s3, env });
    case 'https:':
      return createHttpsSource(url, { caFile: s3.caFile, headersFile, env });
    default:
      throw new RewriterError(
        'MAP_UNREADABLE',
        `an image map cannot be read over ${protocol}//; use s3://, https:// or file://`,
      );
  }
}
