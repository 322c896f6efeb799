import { fileURLToPath } from 'node:url';
import type { ImageMapConfig } from '../config/schema.ts';
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

/** Throws `MAP_UNREADABLE` for what no source can be made of; the URL may be a secret. */
function openUrl(url: string, settings: ImageMapConfig, env: NodeJS.ProcessEnv): MapSource {
  const { headersFile, s3 } = settings;
  if (!URL.canParse(url)) {
    throw new RewriterError(
      'MAP_UNREADABLE',
      'the place of the image map is not a URL that can be read; write s3://bucket/key, https://host/path or file:///path, without blanks',
    );
  }
  const { protocol } = new URL(url);
  switch (protocol) {
    case 'file:':
      return createFileSource(pathOf(url));
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

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    const { message } = error as Error;
    throw new RewriterError(
      'MAP_UNREADABLE',
      `the file:// URL of the image map names no file here (${message}); write file:///path, or just the path on a command line`,
      { cause: error },
    );
  }
}
