import { readFile } from 'node:fs/promises';
import { RewriterError } from '../core/errors.ts';

/** The PEM text of `imageMap.s3.caFile`; undefined for the empty path. Throws `MAP_TLS_FAILED`. */
export async function readCa(path: string): Promise<string | undefined> {
  if (path === '') {
    return undefined;
  }
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { message } = error as Error;
    throw new RewriterError('MAP_TLS_FAILED', `cannot read imageMap.s3.caFile: ${message}`, {
      cause: error,
    });
  }
}
