import type { Plan } from './plan.ts';
import type { StartRow } from './report.ts';
import { inRounds } from './rounds.ts';
import { highest, median } from './statistics.ts';
import type { Running, Testbed } from './testbed.ts';

/** Time from exec to ready, as a readiness probe sees it; beside it a Node.js that begins and ends. */
export async function measureStarts(testbed: Testbed, plan: Plan): Promise<StartRow[]> {
  const kinds: Record<StartRow['name'], () => Promise<number>> = {
    node: async () => {
      const begun = performance.now();
      await testbed.run(['--eval', '0']);
      return performance.now() - begun;
    },
    prefix: () => readyTime(testbed.start('prefix')),
    'cached-map': () => readyTime(testbed.startFromCache()),
  };
  const names = Object.keys(kinds) as StartRow['name'][];
  const table = await inRounds(plan.starts, names, (name) => kinds[name]());
  return table.map(({ item: name, results }) => ({
    name,
    median: median(results),
    slowest: highest(results),
  }));
}

async function readyTime(starting: Promise<Running>): Promise<number> {
  await using running = await starting;
  return running.process.readyAfter;
}
