import type { Readable } from 'node:stream';
import { RewriterError } from '../core/errors.ts';
import { enlarge } from '../enlarge.ts';

/** Bytes; for a body of unknown length. */
const FIRST_CAPACITY = 65_536;

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
    // Filled as the chunks come: to join megabytes of them at the end would make reviews wait.
    let bytes: Buffer = Buffer.allocUnsafeSlow(announced ?? Math.min(FIRST_CAPACITY, maxBytes));
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const end = size + chunk.length;
      if (end > maxBytes) {
        throw tooLarge(location, end, maxBytes);
      }
      if (end > bytes.length) {
        bytes = enlarge(bytes, Math.min(Math.max(2 * bytes.length, end), maxBytes));
      }
      chunk.copy(bytes, size);
      size = end;
    }
    if (announced !== undefined && size !== announced) {
      throw new RewriterError(
        'MAP_CUT_SHORT',
        `${location} announced ${announced} bytes and sent ${size}; it is read again by a running server`,
      );
    }
    return bytes.subarray(0, size);
  } finally {
    signal.removeEventListener('abort', abort);
    body.destroy();
  }
}

export function timeoutError(location: string): RewriterError {
  return new RewriterError(
    'MAP_TIMEOUT',
    `reading ${location} took longer than imageMap.timeout; check the network, the store and, for s3://, where credentials come from, or raise it`,
  );
}

/** Of a place that is not asked, since a read of it that was given up holds on to a thread of Node.js. */
export function stillReadError(location: string): RewriterError {
  return new RewriterError(
    'MAP_TIMEOUT',
    `an earlier read of ${location} took longer than imageMap.timeout and has not ended yet; it is read again after that, so check the disk or the mount that it hangs on`,
  );
}

/** Of a "not modified" to a question that named no version: to take it as one would keep a map for ever. */
export function unaskedError(location: string): RewriterError {
  return new RewriterError(
    'MAP_SOURCE_FAILED',
    `${location} says that nothing changed, but gave nothing before; a proxy may answer in its place`,
  );
}

export function tooLarge(location: string, bytes: number, maxBytes: number): RewriterError {
  return new RewriterError(
    'MAP_TOO_LARGE',
    `${location} has at least ${bytes} bytes; ${maxBytes} are the limit (imageMap.maxBytes, or that of a signature)`,
  );
}
