import type { Clock } from '../clock.ts';
import { RewriterError } from '../core/errors.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { ReadAgain } from './read-again.ts';

export interface CertificateReloadOptions {
  /** Reads the files and takes what is in them into use. */
  readonly load: () => Promise<void>;
  readonly onRefusal: (error: unknown) => void;
  readonly clock: Clock;
}

/** Loads what a certificate is made of when asked to, and by itself as long as a file cannot be read. */
export class CertificateReload {
  readonly #options: CertificateReloadOptions;
  readonly #again: ReadAgain;
  #isAsked = false;
  #isUnreadable = false;

  constructor(options: CertificateReloadOptions) {
    this.#options = options;
    this.#again = new ReadAgain(() => void this.#run(), options.clock);
  }

  ask(): void {
    this.#isAsked = true;
    void this.#run();
  }

  stop(): void {
    this.#again.stop();
  }

  readonly #run = oneAtATime(async () => {
    const { load, onRefusal } = this.#options;
    const isAsked = this.#isAsked;
    const wasUnreadable = this.#isUnreadable;
    this.#isAsked = false;
    try {
      await load();
      this.#isUnreadable = false;
    } catch (error) {
      this.#isUnreadable = error instanceof RewriterError && error.code === 'TLS_UNREADABLE';
      // Whoever reads again by itself has told why.
      if (isAsked || !(wasUnreadable && this.#isUnreadable)) onRefusal(error);
    }
    if (this.#isUnreadable) this.#again.failed();
    else this.#again.stop();
  });
}
