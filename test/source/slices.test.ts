import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { Steps } from '../../src/core/steps.ts';
import { BEFORE_REVIEWS, BESIDE_REVIEWS, runInSlices } from '../../src/source/slices.ts';

/** Steps that take so many milliseconds each. */
function* workFor(count: number, milliseconds: number): Steps<string> {
  for (let step = 0; step < count; step += 1) {
    const end = performance.now() + milliseconds;
    while (performance.now() < end);
    yield;
  }
  return 'done';
}

describe('runInSlices', () => {
  it('gives the result of the last step', async () => {
    expect(await runInSlices(workFor(0, 0), BESIDE_REVIEWS)).toBe('done');
  });

  it.each([
    ['beside reviews', BESIDE_REVIEWS],
    ['before there are any', BEFORE_REVIEWS],
  ])('lets others run while there is much to do, %s', async (_when, pace) => {
    const work = runInSlices(workFor(20, pace.slice / 2), pace);
    let turns = 0;
    while ((await Promise.race([work, turn('others')])) !== 'done') {
      turns += 1;
    }
    expect(turns).toBeGreaterThan(3);
  });

  it('fails where a step fails', async () => {
    // eslint-disable-next-line require-yield -- it fails before there is anything to yield
    function* failing(): Steps<never> {
      throw new RangeError('too far');
    }
    await expect(runInSlices(failing(), BEFORE_REVIEWS)).rejects.toThrow('too far');
  });
});
