import type { CoverageReport } from './report.ts';
import type { CoverageRow } from './row.ts';

/** What `coverage --fail-on` can be told to take as a fault. */
export const FAILURES = {
  unmapped: 'an image is `unmapped`',
  invalid: 'an image is `invalid`',
  unseen: 'an image is `unseen`, or `unmapped` where no webhook would be asked either',
  audited: 'an image is `audited`',
  pending: 'an image is `pending`',
  stale: 'an image is `stale`',
  moving: 'what an image names may change under the same name',
  incomplete: 'something that may have images could not be read',
} as const;
export type Failure = keyof typeof FAILURES;

export function isFailure(name: string): name is Failure {
  return Object.hasOwn(FAILURES, name);
}

/** Whether a report has one of the faults. */
export function hasFailure(report: CoverageReport, failures: readonly Failure[]): boolean {
  return failures.some((failure) => {
    switch (failure) {
      case 'incomplete':
        return !report.isComplete;
      case 'moving':
        return report.rows.some(({ moving }) => moving !== null);
      case 'unseen':
        return report.rows.some(isUnseen);
      case 'unmapped':
      case 'invalid':
      case 'audited':
      case 'pending':
      case 'stale':
        return report.rows.some(({ state }) => state === failure);
    }
  });
}

function isUnseen({ state, webhook }: CoverageRow): boolean {
  return state === 'unseen' || (state === 'unmapped' && webhook === 'none');
}
