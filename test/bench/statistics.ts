/** The smallest value that at least this share (0 to 1) of the values do not exceed; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/** The middle value, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  return Number.isInteger(middle)
    ? ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
    : (sorted[Math.floor(middle)] ?? NaN);
}

/** The highest value; NaN of none. Takes any number of them, unlike `Math.max(...values)`. */
export function highest(values: readonly number[]): number {
  return values.length === 0 ? NaN : values.reduce((one, other) => Math.max(one, other));
}

export function sum(values: readonly number[]): number {
  return values.reduce((one, other) => one + other, 0);
}

/** The median of the ratios of values of the same index; NaN of none. */
export function medianRatio(of: readonly number[], to: readonly number[]): number {
  return median(of.map((value, index) => value / (to[index] ?? NaN)));
}

/**
 * How much more than in proportion a cost grows: the highest growth of the cost from one step to the
 * next, over that of the size. 1 is linear.
 */
export function growthOverLinear(
  steps: readonly { readonly size: number; readonly cost: number }[],
): number {
  const growths = steps.slice(1).map(({ size, cost }, index) => {
    const before = steps[index] ?? { size: NaN, cost: NaN };
    return cost / before.cost / (size / before.size);
  });
  return highest(growths);
}
