import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { RewriterError } from '../core/errors.ts';
import { readBody } from './read-body.ts';
import { type MapSource, SIGNATURE_LIMIT, SIGNATURE_SUFFIX } from './source.ts';
import { watchFiles } from './watch-file.ts';

/** A map in a local file, such as a mounted ConfigMap. Its etag is the SHA-256 of its bytes. */
export function createFileSource(path: string): MapSource {
  return {
    location: `file://${path}`,
    async read({ etag, maxBytes, signal, signed }) {
      const bytes = await readBounded(path, maxBytes, signal);
      const digest = sha256(bytes);
      if (digest === etag) {
        return { kind: 'unchanged' };
      }
      const signature = signed ? await readSignature(path + SIGNATURE_SUFFIX, signal) : undefined;
      return { kind: 'changed', bytes, etag: digest, signature };
    },
    watch: (onChange) => watchFiles([path, path + SIGNATURE_SUFFIX], onChange),
  };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Reads a file of at most `maxBytes`. Throws `MAP_UNREADABLE` or `MAP_TOO_LARGE`. */
async function readBounded(
  path: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    if (size > maxBytes) {
      throw new RewriterError(
        'MAP_TOO_LARGE',
        `${path} has ${size} bytes; ${maxBytes} are the limit (imageMap.maxBytes, or that of a signature)`,
      );
    }
    const location = `file://${path}`;
    const body = file.createReadStream({ autoClose: false });
    return await readBody(body, { location, maxBytes, announced: undefined, signal });
  } catch (error) {
    if (error instanceof RewriterError) {
      throw error;
    }
    const { message } = error as Error;
    throw new RewriterError('MAP_UNREADABLE', `cannot read the image map: ${message}`, {
      cause: error,
    });
  }
}

async function readSignature(path: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  try {
    return await readBounded(path, SIGNATURE_LIMIT, signal);
  } catch (error) {
    const isMissing = error instanceof RewriterError && isNotFound(error.cause);
    if (isMissing) {
      return undefined;
    }
    throw error;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
