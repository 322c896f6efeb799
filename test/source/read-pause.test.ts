import { describe, expect, it } from '@jest/globals';
import { pauseBetweenReads, type ReadHistory } from '../../src/source/read-pause.ts';

const [SECOND, MINUTE] = [1000, 60_000];
/** In the middle of the jitter. */
const FRESH: ReadHistory = { refreshInterval: MINUTE, hasMap: true, failures: 0, random: 0.5 };

/** The pauses after no failure, after the first, the second and so on. */
function pauses(history: Partial<ReadHistory>, count: number): number[] {
  return Array.from({ length: count }, (_, failures) =>
    pauseBetweenReads({ ...FRESH, ...history, failures }),
  );
}

describe('the pause between two reads of a map', () => {
  it.each<[string, Partial<ReadHistory>, number, readonly number[]]>([
    ['grows to five times an interval of a minute', {}, MINUTE, [1, 2, 4, 5, 5, 5]],
    [
      'is never over 5 minutes where five times the interval would be more',
      { refreshInterval: 2 * MINUTE },
      MINUTE,
      [2, 4, 5, 5],
    ],
    [
      'stays the interval where that is over 5 minutes itself',
      { refreshInterval: 10 * MINUTE },
      MINUTE,
      [10, 10, 10],
    ],
    [
      'grows from an interval of 10 seconds on',
      { refreshInterval: 10 * SECOND },
      SECOND,
      [10, 20, 40, 50, 50],
    ],
    ['stays an interval under 10 seconds', { refreshInterval: 9 * SECOND }, SECOND, [9, 9, 9, 9]],
    [
      'grows from 2 to 10 seconds while there is no map',
      { hasMap: false },
      SECOND,
      [2, 4, 8, 10, 10],
    ],
    [
      'stays 2 seconds while there is no map and the interval is under 10 seconds',
      { hasMap: false, refreshInterval: 5 * SECOND },
      SECOND,
      [2, 2, 2],
    ],
    [
      'is an interval under 2 seconds whether there is a map or not',
      { hasMap: false, refreshInterval: SECOND },
      SECOND,
      [1, 1, 1],
    ],
  ])('%s', (_rule, history, unit, expected) => {
    expect(pauses(history, expected.length)).toEqual(expected.map((each) => each * unit));
  });

  it('stays at its limit after any number of failures', () => {
    expect(pauseBetweenReads({ ...FRESH, failures: 1_000_000 })).toBe(5 * MINUTE);
  });

  it.each([
    ['a fifth shorter', 0, 0.8],
    ['as it is', 0.5, 1],
    ['a fifth longer', 1, 1.2],
  ])('is at the utmost %s for the jitter, also at its limit', (_rule, random, share) => {
    expect(pauseBetweenReads({ ...FRESH, random })).toBeCloseTo(share * MINUTE);
    expect(pauseBetweenReads({ ...FRESH, random, failures: 9 })).toBeCloseTo(share * 5 * MINUTE);
  });
});
