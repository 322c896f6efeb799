import type { DecisionRow } from './report.ts';
import { ALL_SUBJECTS, isProgram } from './subjects.ts';
import type { Testbed } from './testbed.ts';

/** What one decision about one image takes, in a process that does nothing else. */
export async function measureDecisions(testbed: Testbed): Promise<DecisionRow[]> {
  const rows: DecisionRow[] = [];
  for (const subject of ALL_SUBJECTS.filter(isProgram)) {
    const nanoseconds = Number(await testbed.run(['test/bench/decide.ts', subject]));
    rows.push({ subject, nanoseconds });
  }
  return rows;
}
