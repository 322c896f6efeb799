import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { Steps } from '../../src/core/steps.ts';
import { runInSlices } from '../../src/source/slices.ts';

/** Milliseconds of work in small steps. */
function* workFor(milliseconds: number): Steps<string> {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    yield;
  }
  return 'done';
}

describe('runInSlices', () => {
  it('gives the result of the last step', async () => {
    expect(await runInSlices(workFor(0))).toBe('done');
  });

  it('lets others run while there is much to do', async () => {
    const work = runInSlices(workFor(50));
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
    await expect(runInSlices(failing())).rejects.toThrow('too far');
  });
});
