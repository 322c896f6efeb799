import type { Readable } from 'node:stream';
import { RewriterError } from '../core/errors.ts';

export interface BodyLimits {
  readonly location: string;
  readonly maxBytes: number;
  /** From the headers, where they say it. */
  readonly announced: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Reads a response body whole. The stream is destroyed on every way out but a complete read, since a
 * body that nobody reads keeps its socket. Throws `MAP_TOO_LARGE`, `MAP_TIMEOUT` or `MAP_CUT_SHORT`.
 */
export async function readBody(body: Readable, limits: BodyLimits): Promise<Uint8Array> {
  const { location, maxBytes, announced, signal } = limits;
  const abort = (): void => void body.destroy(timeoutError(location));
  signal.addEventListener('abort', abort);
  try {
    if (signal.aborted) {
      throw timeoutError(location);
    }
    if (announced !== undefined && announced > maxBytes) {
      throw tooLarge(location, announced, maxBytes);
    }
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) {
        throw tooLarge(location, size, maxBytes);
      }
      chunks.push(chunk);
    }
    if (announced !== undefined && size !== announced) {
      throw new RewriterError(
        'MAP_CUT_SHORT',
        `${location} announced ${announced} bytes and sent ${size}; it is read again at the next refresh`,
      );
    }
    return Buffer.concat(chunks);
  } finally {
    signal.removeEventListener('abort', abort);
    body.destroy();
  }
}

export function timeoutError(location: string): RewriterError {
  return new RewriterError(
    'MAP_TIMEOUT',
    `reading ${location} took longer than imageMap.timeout; check the network and the store, or raise it`,
  );
}

function tooLarge(location: string, bytes: number, maxBytes: number): RewriterError {
  return new RewriterError(
    'MAP_TOO_LARGE',
    `${location} has at least ${bytes} bytes; ${maxBytes} are the limit (imageMap.maxBytes, or that of a signature)`,
  );
}
