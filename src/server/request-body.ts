import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream/promises';
import { RewriterError } from '../core/errors.ts';
import { freeMemory } from '../core/free-memory.ts';
import { enlarge } from '../enlarge.ts';
import type { BodyMemory } from './body-memory.ts';

/** A review holds object and oldObject, of 3 MiB each at most. */
export const BODY_LIMIT = 7 * 1024 * 1024;

const NO_BODY = Buffer.alloc(0);

export interface BodyTaker {
  /** The whole body. It counts as held until `release` is called, and must not be read after that. */
  readonly take: (body: Buffer, release: () => void) => void;
  /** Nothing of the body was kept. The rest is still to come; see `bodyEnd`. */
  readonly refuse: (fault: RewriterError) => void;
}

/** Hands over the complete body, or why there is none; neither, where the caller goes away before. */
export function receiveBody(
  request: IncomingMessage,
  memory: BodyMemory,
  { take, refuse }: BodyTaker,
): void {
  let bytes: Buffer = NO_BODY;
  let size = 0;
  let isOver = false;

  const release = (): void => {
    memory.giveBack(bytes.length);
    freeMemory(bytes);
    bytes = NO_BODY;
  };
  const add = (piece: Buffer): RewriterError | undefined => {
    const needed = size + piece.length;
    if (needed > BODY_LIMIT) {
      return reviewTooLarge();
    }
    const length = needed > bytes.length ? nextLength(request, size, needed) : bytes.length;
    if (!memory.take(length - bytes.length)) {
      return noRoom(memory);
    }
    if (size === 0) {
      // The usual review is a single piece, and is not copied.
      bytes = piece;
    } else {
      bytes = length > bytes.length ? enlarge(bytes, length) : bytes;
      bytes.set(piece, size);
      freeMemory(piece);
    }
    size = needed;
    return undefined;
  };

  request.on('data', (piece: Buffer) => {
    const fault = isOver ? undefined : add(piece);
    if (fault !== undefined) {
      isOver = true;
      release();
      refuse(fault);
    }
    if (isOver) {
      freeMemory(piece);
    }
  });
  request.on('end', () => {
    if (!isOver) {
      isOver = true;
      take(bytes.length > size ? bytes.subarray(0, size) : bytes, release);
    }
  });
  request.on('close', () => {
    if (!isOver) {
      isOver = true;
      release();
    }
  });
}

/**
 * Reads what is left of a refused body. A socket that is closed over unread bytes is reset, and the
 * caller would see that in place of the answer. The request timeout bounds the wait.
 */
export async function bodyEnd(body: IncomingMessage): Promise<void> {
  body.resume();
  await finished(body, { writable: false }).catch(() => undefined);
}

export function reviewTooLarge(): RewriterError {
  return new RewriterError('REVIEW_TOO_LARGE', `the body is over ${BODY_LIMIT} bytes`);
}

function noRoom({ limit }: BodyMemory): RewriterError {
  const message = `the bodies that arrive at this time are over ${limit} bytes together; ask again`;
  return new RewriterError('SERVER_BUSY', message);
}

/** Doubles, so that little is copied; a length that is only announced takes no memory. */
function nextLength({ headers }: IncomingMessage, size: number, needed: number): number {
  const announced = Number(headers['content-length'] ?? BODY_LIMIT);
  return Math.max(needed, Math.min(2 * size, announced));
}
