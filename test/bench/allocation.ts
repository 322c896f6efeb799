import { fullLoad, warmUpLoad } from './load.ts';
import type { Plan } from './plan.ts';
import type { AllocationRow } from './report.ts';
import type { Subject } from './subjects.ts';
import type { Testbed } from './testbed.ts';

const SUBJECTS: readonly Subject[] = ['floor', 'fastify', 'prefix', 'map-100k'];
const CONNECTIONS = 8;
const PROBE = ['--import', './test/bench/heap-probe.ts'];

/** Bytes that a review takes on the heap: each of them has to be collected again. */
export async function measureAllocation(testbed: Testbed, plan: Plan): Promise<AllocationRow[]> {
  const rows: AllocationRow[] = [];
  for (const subject of SUBJECTS) {
    rows.push(await measureSubject(testbed, subject, plan));
  }
  return rows;
}

async function measureSubject(
  testbed: Testbed,
  subject: Subject,
  { seconds, compiling }: Plan,
): Promise<AllocationRow> {
  await using running = await testbed.start(subject, { flags: PROBE, hasChannel: true });
  const { cpu } = running.process;
  await warmUpLoad(running.target(), compiling);
  await running.process.ask('begin');
  const load = { connections: CONNECTIONS, seconds, cpu };
  const { answers, cpuSeconds } = await fullLoad(running.target(), load);
  const { allocated, collections } = (await running.process.ask('end')) as {
    allocated: number;
    collections: number;
  };
  return {
    subject,
    bytes: allocated / answers,
    collectionsPerSecond: collections / cpuSeconds,
  };
}
