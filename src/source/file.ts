import type { FileHandle } from 'node:fs/promises';
import { RewriterError } from '../core/errors.ts';
import { freeMemory } from '../core/free-memory.ts';
import { enlarge } from '../enlarge.ts';
import { sha256Steps } from './digest.ts';
import { timeoutError, tooLarge } from './read-body.ts';
import { BESIDE_REVIEWS, runInSlices } from './slices.ts';
import { type MapSource, SIGNATURE_LIMIT, SIGNATURE_SUFFIX } from './source.ts';
import { withRegularFile } from '../files/regular-file.ts';
import { fileFaultText, isNotFound } from '../files/text-file.ts';
import { watchFiles } from '../files/watch-file.ts';

/** Bytes that are read at once. */
const READ_SIZE = 1_048_576;

/** A map in a local file, such as a mounted ConfigMap. Its etag is the SHA-256 of its bytes. */
export function createFileSource(path: string): MapSource {
  return {
    location: `file://${path}`,
    async read({ etag, maxBytes, signal, signed }) {
      const bytes = await readBounded(path, maxBytes, signal);
      const digest = await runInSlices(sha256Steps(bytes), BESIDE_REVIEWS);
      if (digest === etag) {
        freeMemory(bytes);
        return { kind: 'unchanged' };
      }
      const signature = signed ? await readSignature(path + SIGNATURE_SUFFIX, signal) : undefined;
      return { kind: 'changed', bytes, etag: digest, signature, sha256: digest };
    },
    watch: (onChange) => watchFiles([path, path + SIGNATURE_SUFFIX], onChange),
  };
}

/** Reads a file of at most `maxBytes`. Throws `MAP_UNREADABLE`, `MAP_TOO_LARGE` or `MAP_TIMEOUT`. */
async function readBounded(
  path: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  try {
    return await withRegularFile(path, (file, size) => {
      if (size > maxBytes) {
        throw new RewriterError(
          'MAP_TOO_LARGE',
          `${path} has ${size} bytes; ${maxBytes} are the limit (imageMap.maxBytes, or that of a signature)`,
        );
      }
      return readToEnd(file, { location: `file://${path}`, size, maxBytes, signal });
    });
  } catch (error) {
    if (error instanceof RewriterError) {
      throw error;
    }
    const message = `cannot read the image map: ${fileFaultText(path, error)}`;
    throw new RewriterError('MAP_UNREADABLE', message, { cause: error });
  }
}

interface FileLimits {
  readonly location: string;
  /** Bytes when it was opened; a file that the kernel makes up has none. */
  readonly size: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

async function readToEnd(file: FileHandle, limits: FileLimits): Promise<Uint8Array> {
  const { location, size, maxBytes, signal } = limits;
  // As large as the map, so that nothing else is in it when it is freed.
  let bytes: Buffer = Buffer.allocUnsafeSlow(size === 0 ? READ_SIZE : size);
  const next = Buffer.alloc(1);
  let filled = 0;
  for (;;) {
    if (signal.aborted) {
      throw timeoutError(location);
    }
    const isFull = filled === bytes.length;
    const { bytesRead } = isFull
      ? await file.read(next, 0, 1)
      : await file.read(bytes, filled, Math.min(READ_SIZE, bytes.length - filled));
    if (bytesRead === 0) {
      return bytes.subarray(0, filled);
    }
    if (filled + bytesRead > maxBytes) {
      throw tooLarge(location, filled + bytesRead, maxBytes);
    }
    if (isFull) {
      bytes = enlarge(bytes, 2 * filled);
      next.copy(bytes, filled);
    }
    filled += bytesRead;
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
