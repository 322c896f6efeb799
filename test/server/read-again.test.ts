import { describe, expect, it } from '@jest/globals';
import { ReadAgain } from '../../src/server/read-again.ts';

describe('a read that failed', () => {
  const pauses: number[] = [];
  const again = new ReadAgain(() => undefined, {
    now: () => 0,
    after(pause) {
      pauses.push(pause);
      return () => pauses.pop();
    },
  });
  const failures = (count: number): number[] =>
    Array.from({ length: count }, () => {
      again.failed();
      return pauses.at(-1) ?? 0;
    });

  it('is followed by another one after a pause that doubles up to a minute', () => {
    expect(failures(7)).toEqual([2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('is one of its own again after one that succeeded, and followed by no two at once', () => {
    again.stop();
    expect(pauses).toEqual([]);
    expect(failures(2)).toEqual([2000, 4000]);
    expect(pauses).toEqual([4000]);
  });
});
