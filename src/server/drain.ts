import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog } from '../log.ts';

export interface DrainOptions {
  /** Milliseconds for requests in flight after the ports have closed. */
  readonly deadline: number;
  readonly log: EventLog;
  /** Closes the HTTPS port and resolves when every request was answered. */
  readonly closeWebhook: () => Promise<unknown>;
  readonly closeOps: () => Promise<unknown>;
}

/** Turns a process that serves into one that may end, without losing a request. */
export class Drain {
  readonly #options: DrainOptions;
  #isDraining = false;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /**
   * Resolves when all is answered and closed. Serves on for `serveOn` milliseconds, while endpoints and
   * connections move to other replicas; only then are the ports closed.
   */
  async run(signal: string, serveOn: number): Promise<void> {
    const { deadline, log, closeWebhook, closeOps } = this.#options;
    this.#isDraining = true;
    log.write('info', 'server.draining', { signal });
    await sleep(serveOn);
    await Promise.race([closeWebhook(), sleep(deadline, undefined, { ref: false })]);
    await closeOps();
    log.write('info', 'server.stopped', { signal });
  }
}
