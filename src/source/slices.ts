import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { Steps } from '../core/steps.ts';

/** How long work goes on, in milliseconds, and what comes before it goes on again. */
export interface Pace {
  readonly slice: number;
  readonly rest: () => Promise<unknown>;
}

/**
 * While there are reviews to answer: half a millisecond, then a millisecond for them. With a turn of the
 * event loop alone, the thread would never sleep; on a single processor the kernel would then let V8's
 * background thread take turns with it, for 4 ms each, and reviews would wait for that.
 */
export const BESIDE_REVIEWS: Pace = { slice: 0.5, rest: () => sleep(1) };
/** While there are none yet: as long as a probe may have to wait. */
export const BEFORE_REVIEWS: Pace = { slice: 20, rest: () => turn() };

/**
 * Runs steps in slices, between which reviews are answered. A worker thread would add 20 MB, and in a
 * container with a limit of one processor the kernel would stop both threads whenever the two had used
 * it up.
 */
export async function runInSlices<Result>(
  steps: Steps<Result>,
  { slice, rest }: Pace,
): Promise<Result> {
  for (;;) {
    const end = performance.now() + slice;
    do {
      const step = steps.next();
      if (step.done === true) {
        return step.value;
      }
    } while (performance.now() < end);
    await rest();
  }
}
