import { fileURLToPath } from 'node:url';

/** What `isMapUrl` takes. */
export const MAP_URL_FORMS = 's3://bucket/key, https://host/path or file:///path';

/** Whether a source of maps can be made of it. */
export function isMapUrl(text: string): boolean {
  const isUrl =
    /^(?:s3:\/\/[^/]+\/.+|https:\/\/[^/]+\/.*|file:\/\/\/.+)$/.test(text) && URL.canParse(text);
  return isUrl && (!text.startsWith('file:') || isFileUrl(text));
}

/** Whether it names a file: an encoded slash, a NUL character or a stray % has no place in a path. */
function isFileUrl(text: string): boolean {
  try {
    return !fileURLToPath(text).includes('\0');
  } catch {
    return false;
  }
}
