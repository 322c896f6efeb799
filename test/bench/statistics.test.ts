import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { growthOverLinear, highest, median, medianRatio, percentile } from './statistics.ts';

const figures = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 });

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  it.each([
    [0, 1],
    [0.01, 1],
    [0.5, 50],
    [0.99, 99],
    [0.999, 100],
    [1, 100],
  ])('at %d of the numbers from 1 to 100 is %d', (share, expected) => {
    expect(percentile(hundred, share)).toBe(expected);
  });

  it('is NaN of no values', () => {
    expect(percentile([], 0.99)).toBeNaN();
  });

  it('is the smallest value that so large a share does not exceed', () => {
    fc.assert(
      fc.property(figures, fc.double({ min: 0, max: 1, noNaN: true }), (values, share) => {
        const found = percentile(values, share);
        expect(values).toContain(found);
        expect(values.filter((value) => value <= found).length).toBeGreaterThanOrEqual(
          values.length * share,
        );
        expect(values.filter((value) => value < found).length).toBeLessThanOrEqual(
          values.length * share,
        );
      }),
    );
  });
});

describe('the median of ratios', () => {
  it('compares values of the same round, so that a slow round of both counts for neither', () => {
    expect(medianRatio([95, 9.5, 190], [100, 10, 200])).toBe(0.95);
  });

  it('is NaN of no values', () => {
    expect(medianRatio([], [])).toBeNaN();
  });
});

describe('median', () => {
  it.each([
    [[3], 3],
    [[9, 1, 3], 3],
    [[4, 1, 9, 2], 3],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it('is NaN of no values', () => {
    expect(median([])).toBeNaN();
  });

  it('lies between the lowest and the highest, in whatever order they come', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        expect(median(values)).toBe(median(values.toReversed()));
        expect(median(values)).toBeLessThanOrEqual(highest(values));
        expect(median(values)).toBeGreaterThanOrEqual(-highest(values.map((value) => -value)));
      }),
    );
  });
});

describe('growthOverLinear', () => {
  it('is 1 where the cost is in proportion to the size', () => {
    const steps = [1, 10, 100].map((size) => ({ size, cost: 7 * size }));
    expect(growthOverLinear(steps)).toBeCloseTo(1);
  });

  it('is below 1 where every review has a cost of its own besides', () => {
    const steps = [1, 10, 100].map((size) => ({ size, cost: 50 + 7 * size }));
    expect(growthOverLinear(steps)).toBeLessThan(1);
  });

  it('shows the worst step of a cost that grows with the square of the size', () => {
    const steps = [1, 10, 20].map((size) => ({ size, cost: size * size }));
    expect(growthOverLinear(steps)).toBeCloseTo(10);
  });
});
