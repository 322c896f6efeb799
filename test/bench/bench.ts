// Measures the built program beside a bare HTTPS server and a bare Fastify, all in one run: on a machine
// that others use as well only the ratios mean anything. Linux only, for the figures in /proc.
import { writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { measureAllocation } from './allocation.ts';
import { measureDecisions } from './decisions.ts';
import { FULL, type Plan, QUICK } from './plan.ts';
import { claimProcessors, type Processors } from './processors.ts';
import { renderText } from './render.ts';
import type { Report } from './report.ts';
import { measureScaling } from './scaling.ts';
import { measureStarts } from './starts.ts';
import { measureSwaps } from './swaps.ts';
import { Testbed } from './testbed.ts';
import { measureUnderLoad } from './under-load.ts';

const { values } = parseArgs({
  options: {
    /** Three minutes in place of twenty. */
    quick: { type: 'boolean', default: false },
    /** Of one measurement under load. */
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    /** How often all of it is done; the tables are those of the last run. */
    runs: { type: 'string' },
    /** Prints the measurements in place of tables. */
    json: { type: 'boolean', default: false },
    /** Writes the measurements into a file as well, as `--json` prints them. */
    write: { type: 'string' },
  },
});

if (process.platform !== 'linux') {
  throw new Error(
    `the benchmark reads the figures of processes in /proc, which ${process.platform} has not`,
  );
}
const chosen = values.quick ? QUICK : FULL;
const plan: Plan = {
  ...chosen,
  seconds: positive('--seconds', values.seconds, chosen.seconds),
  rounds: positive('--rounds', values.rounds, chosen.rounds),
};
const processors = claimProcessors();
const runs = positive('--runs', values.runs, 1);
const reports: Report[] = [];
while (reports.length < runs) {
  reports.push(await run(plan, processors));
}
const json = `${JSON.stringify(reports, null, 2)}\n`;
if (values.write !== undefined) {
  writeFileSync(values.write, json);
}
process.stdout.write(values.json ? json : renderText(reports));

async function run(within: Plan, on: Processors | undefined): Promise<Report> {
  const begun = performance.now();
  const say = (what: string): void => {
    const seconds = Math.round((performance.now() - begun) / 1000);
    process.stderr.write(`${String(seconds).padStart(4)} s  ${what}\n`);
  };
  using testbed = await Testbed.create(on === undefined ? [] : [on.server]);
  const underLoad = await measureUnderLoad(testbed, within, say);
  const swaps = await measureSwaps(testbed, within, say);
  say('reviews of many containers, and of many bytes');
  const scaling = await measureScaling(testbed, within);
  say(`${within.starts} starts`);
  const starts = await measureStarts(testbed, within);
  say('decisions');
  const decisions = await measureDecisions(testbed);
  say('allocation');
  const allocation = await measureAllocation(testbed, within);
  say('done');
  return {
    date: new Date().toISOString(),
    machine: describeMachine(on !== undefined),
    plan: within,
    ...underLoad,
    ...swaps,
    starts,
    ...scaling,
    decisions,
    allocation,
  };
}

function describeMachine(isPinned: boolean): Report['machine'] {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown processor',
    processors: cpus().length,
    isPinned,
    memoryGibibytes: totalmem() / 2 ** 30,
    kernel: release(),
    node: process.version,
  };
}

function positive(option: string, text: string | undefined, standard: number): number {
  const value = text === undefined ? standard : Number(text);
  if (!(value > 0)) {
    throw new Error(`${option} is ${JSON.stringify(text)}; it must be a number above 0`);
  }
  return value;
}
