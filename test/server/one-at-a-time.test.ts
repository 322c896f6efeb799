import { describe, expect, it } from '@jest/globals';
import { oneAtATime } from '../../src/server/one-at-a-time.ts';

describe('oneAtATime', () => {
  it('runs at once where nothing runs, and each time anew', async () => {
    let runs = 0;
    const run = oneAtATime(() => Promise.resolve((runs += 1)));
    expect([await run(), await run()]).toEqual([1, 2]);
  });

  it('runs once more for all who ask while it runs, and not before it is over', async () => {
    const gates: PromiseWithResolvers<number>[] = [];
    const run = oneAtATime(() => {
      const gate = Promise.withResolvers<number>();
      gates.push(gate);
      return gate.promise;
    });
    const asked = [run(), run(), run()];
    expect(gates).toHaveLength(1);
    gates[0]?.resolve(1);
    expect(await asked[0]).toBe(1);
    expect(gates).toHaveLength(2);
    gates[1]?.resolve(2);
    expect(await Promise.all(asked)).toEqual([1, 2, 2]);
  });

  it('runs on after a failure, which only those learn of who asked for it', async () => {
    let runs = 0;
    const run = oneAtATime(() => {
      runs += 1;
      return runs === 1 ? Promise.reject(new Error('first')) : Promise.resolve(runs);
    });
    const results = await Promise.allSettled([run(), run()]);
    expect(results).toMatchObject([
      { status: 'rejected', reason: { message: 'first' } },
      { status: 'fulfilled', value: 2 },
    ]);
  });
});
