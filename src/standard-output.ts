import { setTimeout as sleep } from 'node:timers/promises';
import { type DestinationStream, pino } from 'pino';

/** Lines wait for so many characters, or so many milliseconds, whichever comes first. */
const WRITE_LENGTH = 16_384;
const WRITE_INTERVAL = 50;
/**
 * Bytes that hand-overs are put together up to, where somebody reads slowly. A pipe holds no more: what is
 * longer would wait in its thread for the reader.
 */
const LONGEST_WRITE = 65_536;
/**
 * Bytes that wait for somebody to read them. What comes then is dropped: without an end to it the process
 * would be killed for its memory, and all that waits would be lost.
 */
const BACKLOG = 32 * 1024 * 1024;
const NEWLINE = 0x0a;

/** What `pino.destination` gives for `contentMode: 'buffer'`; its types know only of strings. */
interface ByteDestination {
  write(bytes: Buffer): boolean;
  /** Calls back when no write is in flight; lines that came in the meantime may still wait. */
  flush(callback?: () => void): void;
  flushSync: () => void;
  on(event: 'drop', listener: (bytes: Buffer) => void): void;
  on(event: 'drain' | 'error' | 'write', listener: () => void): void;
}

interface LossListeners {
  readonly onLost: ((lines: number) => void) | undefined;
  /** All that waited is written, and so many lines were dropped before. */
  readonly onReadAgain: (lines: number) => void;
}

export interface StandardOutput extends DestinationStream {
  /** Whether every line is written within so many milliseconds; what is not by then is given up. */
  flush(deadline: number): Promise<boolean>;
}

/**
 * One write for many lines: under load a buffer and a write for each would take as long as all else about
 * a line.
 */
export function createStandardOutput({ onLost, onReadAgain }: LossListeners): StandardOutput {
  const output = pino.destination({
    dest: 1,
    sync: false,
    // Of strings it would count the bytes of all that wait again with each write.
    contentMode: 'buffer',
    // Writes at once what it is given; with 0, its flush would not wait for a write in flight.
    minLength: 1,
    maxWrite: LONGEST_WRITE,
    maxLength: BACKLOG,
  }) as unknown as ByteDestination;
  let lost = 0;
  output.on('drop', (bytes) => {
    const lines = bytes.filter((byte) => byte === NEWLINE).length;
    lost += lines;
    onLost?.(lines);
  });
  output.on('drain', () => {
    if (lost > 0) {
      onReadAgain(lost);
      lost = 0;
    }
  });
  // What could not be written, as on a full disk, is written with what comes next.
  const { flushSync } = output;
  output.on('error', () => {
    // The library would try for ever.
    output.flushSync = () => undefined;
  });
  output.on('write', () => {
    output.flushSync = flushSync;
  });
  let waiting: string[] = [];
  let length = 0;
  let timer: NodeJS.Timeout | undefined;
  const handOver = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (length > 0) {
      output.write(Buffer.from(waiting.join('')));
      waiting = [];
      length = 0;
    }
  };
  process.once('exit', () => {
    handOver();
    output.flushSync();
  });
  return {
    write(line) {
      waiting.push(line);
      length += line.length;
      if (length >= WRITE_LENGTH) {
        handOver();
      } else {
        timer ??= setTimeout(handOver, WRITE_INTERVAL);
      }
    },
    async flush(deadline) {
      handOver();
      // Two writes at once would mix their lines.
      const isIdle = new Promise<true>((resolve) => {
        output.flush(() => resolve(true));
      });
      if (await Promise.race([isIdle, sleep(deadline, false, { ref: false })])) {
        output.flushSync();
        return true;
      }
      // Nobody reads: a write that waits for that would be one more.
      output.flushSync = () => undefined;
      return false;
    },
  };
}
