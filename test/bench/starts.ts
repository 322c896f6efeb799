import type { Plan } from './plan.ts';
import type { StartRow } from './report.ts';
import { inRounds } from './rounds.ts';
import { highest, median } from './statistics.ts';
import type { Running, Testbed } from './testbed.ts';

/** Time from exec to ready, as a readiness probe sees it; beside it runs that end at once. */
export async function measureStarts(testbed: Testbed, plan: Plan): Promise<StartRow[]> {
  const kinds: Record<StartRow['name'], () => Promise<Start>> = {
    node: () => timeOf(testbed.run(['--eval', '0'])),
    code: () => timeOf(testbed.runWithoutConfig()),
    prefix: () => startOf(testbed.start('prefix')),
    'cached-map': () => startOf(testbed.startFromCache()),
    'new-map': () => startOf(testbed.start('map-10k')),
  };
  const names = Object.keys(kinds) as StartRow['name'][];
  const table = await inRounds(plan.starts, names, (name) => kinds[name]());
  return table.map(({ item: name, results }) => {
    const ready = results.map((start) => start.ready);
    const background = median(results.map((start) => start.background));
    return { name, median: median(ready), slowest: highest(ready), background };
  });
}

/** Milliseconds. */
interface Start {
  readonly ready: number;
  readonly background: number;
}

async function timeOf(run: Promise<unknown>): Promise<Start> {
  const begun = performance.now();
  await run;
  return { ready: performance.now() - begun, background: NaN };
}

async function startOf(starting: Promise<Running>): Promise<Start> {
  await using running = await starting;
  const { readyAfter, backgroundUntilReady } = running.process;
  return { ready: readyAfter, background: backgroundUntilReady };
}
