import { setTimeout as sleep } from 'node:timers/promises';
import { Contender } from './contender.ts';
import { CONNECTION_COUNTS, type LoadResult } from './load.ts';
import { type Plan, TURNS_PER_ROUND } from './plan.ts';
import type { ConnectionRow, HalfLoadRow, Latency, Report, ThroughputRow } from './report.ts';
import { inRoundsOfProcesses, type ProcessRounds } from './rounds.ts';
import { highest, median, medianRatio, percentile, sum } from './statistics.ts';
import { ALL_SUBJECTS, isProgram, type Subject } from './subjects.ts';
import type { Testbed } from './testbed.ts';

/** The order of the turns: what is compared stands side by side. */
const TURNS: readonly Subject[] = ['fastify', 'floor', 'map-10k', 'prefix', 'map-100k'];
const HALF_LOAD_SUBJECTS: readonly Subject[] = ['floor', 'prefix', 'map-100k'];
const HANDSHAKE_SUBJECTS: readonly Subject[] = ['floor', 'fastify', 'prefix'];
const HANDSHAKES_AT_ONCE = 8;
/** For what the start left behind to be over. */
const SETTLE = 10_000;

type UnderLoad = Pick<Report, 'throughput' | 'halfLoad' | 'memory' | 'connections' | 'audit'>;

/** Puts all subjects under load in turns. They run side by side; those that wait for their turn take no time. */
export async function measureUnderLoad(
  testbed: Testbed,
  plan: Plan,
  say: (what: string) => void,
): Promise<UnderLoad> {
  const contenders: Contender[] = [];
  try {
    for (const subject of ALL_SUBJECTS) {
      contenders.push(await Contender.start(testbed, subject, plan.processes));
    }
    await sleep(SETTLE);
    const idle = contenders.map((contender) => contender.memory().now);

    say('load until what is used most is compiled');
    for (const contender of contenders) {
      await contender.warmUp(plan);
    }
    const throughput: ThroughputRow[] = [];
    for (const connections of CONNECTION_COUNTS) {
      say(`full load, ${connections} connections`);
      throughput.push(...(await measureThroughput(contenders, connections, plan)));
    }
    say('half of the full load');
    const halfLoad = await measureHalfLoad(contenders, throughput, plan);
    const memory = contenders.map((contender, index) => ({
      subject: contender.subject,
      idle: idle[index] ?? NaN,
      peak: contender.memory().peak,
    }));
    say('new connections');
    const connections = await measureConnections(contenders, plan);
    const programs = contenders.filter(({ subject }) => isProgram(subject));
    const audit = await Promise.all(programs.map((contender) => contender.audit()));
    return { throughput, halfLoad, memory, connections, audit };
  } finally {
    await Promise.all(contenders.map((contender) => contender[Symbol.asyncDispose]()));
  }
}

async function measureThroughput(
  contenders: readonly Contender[],
  connections: number,
  plan: Plan,
): Promise<ThroughputRow[]> {
  const turns = contenders.toSorted(
    (one, other) => TURNS.indexOf(one.subject) - TURNS.indexOf(other.subject),
  );
  const measured = await inRoundsOfProcesses(inTurns(plan), turns, (contender, process) =>
    contender.full(process, connections, plan.seconds / TURNS_PER_ROUND),
  );
  const table = measured.toSorted(
    (one, other) => contenders.indexOf(one.item) - contenders.indexOf(other.item),
  );
  const over = (results: readonly LoadResult[], other: Subject): number => {
    const yardstick = table.find(({ item }) => item.subject === other)?.results ?? [];
    return medianRatio(results.map(perCpuSecond), yardstick.map(perCpuSecond));
  };
  return table.map(({ item: { subject }, unsettled, results }) => ({
    subject,
    connections,
    ...rates(results),
    errors: errors([...unsettled, ...results]),
    overFloor: over(results, 'floor'),
    overFastify: over(results, 'fastify'),
    overPrefix: over(results, 'prefix'),
    // A turn has too few answers for the slowest one in a thousand.
    ...latency([{ latencies: results.flatMap(({ latencies }) => latencies) }]),
  }));
}

function inTurns({ processes, rounds, settling }: Plan): ProcessRounds {
  return {
    processes,
    rounds: rounds * TURNS_PER_ROUND,
    settling: settling * TURNS_PER_ROUND,
  };
}

async function measureHalfLoad(
  contenders: readonly Contender[],
  throughput: readonly ThroughputRow[],
  plan: Plan,
): Promise<HalfLoadRow[]> {
  const half = (subject: Subject): number => {
    const rows = throughput.filter((row) => row.subject === subject);
    return Math.round(highest(rows.map(({ perSecond }) => perSecond)) / 2);
  };
  const measured = contenders.filter(({ subject }) => HALF_LOAD_SUBJECTS.includes(subject));
  const table = await inRoundsOfProcesses(plan, measured, (contender, process) => ({
    measure: () => contender.paced(process, half(contender.subject), plan),
  }));
  return table.map(({ item: { subject }, unsettled, results }) => ({
    subject,
    perSecond: half(subject),
    errors: errors([...unsettled, ...results]),
    ...latency(results),
  }));
}

async function measureConnections(
  contenders: readonly Contender[],
  plan: Plan,
): Promise<ConnectionRow[]> {
  const measured = contenders.filter(({ subject }) => HANDSHAKE_SUBJECTS.includes(subject));
  const turns = { ...plan, rounds: plan.sideRounds };
  const table = await inRoundsOfProcesses(turns, measured, (contender, process) => ({
    measure: () => contender.connecting(process, HANDSHAKES_AT_ONCE, plan),
  }));
  return table.map(({ item: { subject }, unsettled, results }) => {
    const { perSecond, perCpuSecond } = rates(results);
    return { subject, perSecond, perCpuSecond, errors: errors([...unsettled, ...results]) };
  });
}

function perCpuSecond({ answers, cpuSeconds }: LoadResult): number {
  return answers / cpuSeconds;
}

function rates(
  results: readonly LoadResult[],
): Pick<ThroughputRow, 'perSecond' | 'perCpuSecond' | 'busy'> {
  return {
    perSecond: median(results.map(({ answers, seconds }) => answers / seconds)),
    perCpuSecond: median(results.map(perCpuSecond)),
    busy: median(results.map(({ cpuSeconds, seconds }) => cpuSeconds / seconds)),
  };
}

function errors(results: readonly { readonly errors: number }[]): number {
  return sum(results.map((result) => result.errors));
}

function latency(results: readonly { readonly latencies: readonly number[] }[]): Latency {
  const at = (share: number): number =>
    median(results.map(({ latencies }) => percentile(latencies, share)));
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}
