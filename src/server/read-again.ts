import type { Clock } from '../clock.ts';

const FIRST_PAUSE = 2000;
const LONGEST_PAUSE = 60_000;

/**
 * Calls for another read after one that failed, after a pause that doubles up to a minute. Too many open files or a
 * network disk that is away pass without any change of the file, which is all that a watch could tell of.
 */
export class ReadAgain {
  readonly #read: () => void;
  readonly #clock: Clock;
  #failures = 0;
  #cancel: (() => void) | undefined;

  constructor(read: () => void, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  failed(): void {
    this.#cancel?.();
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE);
    this.#failures += 1;
    this.#cancel = this.#clock.after(pause, this.#read);
  }

  /** The latest read succeeded, or nobody wants another one. */
  stop(): void {
    this.#cancel?.();
    this.#failures = 0;
  }
}
