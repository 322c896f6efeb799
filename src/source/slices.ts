import { setImmediate as turn } from 'node:timers/promises';
import type { Steps } from '../core/steps.ts';

/** Milliseconds that reviews may have to wait for. */
const SLICE = 0.5;
/** Milliseconds that a probe may have to wait for, while there are no reviews to answer yet. */
export const LONG_SLICE = 20;

/**
 * Runs steps for half a millisecond at a time, with a turn of the event loop in between in which reviews
 * are answered. A worker thread would add 20 MB, and in a container with a limit of one processor the
 * kernel would stop both threads whenever the two had used it up.
 */
export async function runInSlices<Result>(steps: Steps<Result>, slice = SLICE): Promise<Result> {
  for (;;) {
    const end = performance.now() + slice;
    do {
      const step = steps.next();
      if (step.done === true) {
        return step.value;
      }
    } while (performance.now() < end);
    await turn();
  }
}
