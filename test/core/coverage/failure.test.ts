import { describe, expect, it } from '@jest/globals';
import type { CoverageReport } from '../../../src/core/coverage/report.ts';
import { type Failure, FAILURES, hasFailure } from '../../../src/core/coverage/failure.ts';
import type { CoverageRow } from '../../../src/core/coverage/row.ts';
import { type State, STATES } from '../../../src/core/coverage/state.ts';

const ALL = Object.keys(FAILURES) as Failure[];

function failuresOf(row: Partial<CoverageRow>, isComplete = true): Failure[] {
  const rows = [{ state: 'mirrored', moving: null, webhook: 'enforce', ...row } as CoverageRow];
  const report: CoverageReport = { rows, namespaces: [], notes: [], isComplete };
  return ALL.filter((failure) => hasFailure(report, [failure]));
}

describe('hasFailure', () => {
  it.each(Object.keys(STATES) as State[])('finds the state %s under its own name only', (state) => {
    expect(failuresOf({ state })).toEqual(Object.hasOwn(FAILURES, state) ? [state] : []);
  });

  it('finds an image without a rule that no webhook sees under both', () => {
    expect(failuresOf({ state: 'unmapped', webhook: 'none' })).toEqual(['unmapped', 'unseen']);
    expect(failuresOf({ state: 'unmapped', webhook: null })).toEqual(['unmapped']);
    expect(failuresOf({ state: 'mirrored', webhook: 'none' })).toEqual([]);
  });

  it('finds tags that move and what could not be read', () => {
    expect(failuresOf({ moving: 'moved' })).toEqual(['moving']);
    expect(failuresOf({}, false)).toEqual(['incomplete']);
  });

  it('finds nothing where nothing is asked for, and any of several', () => {
    const rows = [{ state: 'unmapped' } as CoverageRow];
    const report: CoverageReport = { rows, namespaces: [], notes: [], isComplete: true };
    expect(hasFailure(report, [])).toBe(false);
    expect(hasFailure(report, ['stale', 'unmapped'])).toBe(true);
  });
});
