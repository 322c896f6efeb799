import type { Report } from './report.ts';
import { growthOverLinear, highest, sum } from './statistics.ts';
import type { Subject } from './subjects.ts';

/** What a run must reach. All but times and memory are ratios within the run. */
export interface TargetResult {
  readonly title: string;
  readonly measured: number;
  readonly bound: 'at least' | 'at most';
  readonly limit: number;
  readonly unit: '×' | 'ms' | 'MiB' | '';
  /** What a profile shows to stand in the way, in sentences. */
  readonly obstacle?: string | undefined;
}

const MAP_OBSTACLE =
  'Most of what a map of 100,000 entries costs, one of 10,000 costs as well (see full load): answers, annotations and log lines name the map and the digests of its targets, and are longer for that (see audit log and metrics). Processes of the same program differ by more than that: some with a map are as fast as with a prefix rule, others are not.';
const PAUSE_OBSTACLE =
  'While a map is taken into use, the thread that answers works on it for half a millisecond at a time. What makes the slowest review wait is, most of all, that this thread is ready to run and its processor is taken (see another map, waiting): a profile with the switches of the kernel’s scheduler (perf record -e cpu-clock -e sched:sched_switch) shows two kinds of threads there, now more of the one, now of the other, which are let go on to the end of a time slice of 4 ms, or of two: the background thread of V8, which compiles the code that reads a map (TurboFan), more of it with each of the first maps of a process, and threads of the machine’s own kernel (kdamond, rcu_preempt). With garbage collected by the answering thread alone (--single-threaded-gc), with one compiler less (--no-maglev) or with compilation put off (--invocation-count-for-turbofan) the wait is as long. Then come garbage collections. The floor makes a review wait about as long as a server with a map that is not replaced (see floor).';
const LATENCY_OBSTACLE =
  'At half of the full load a review comes alone, costs more than one of many that come together, and keeps the processor busy most of the time. Whenever V8 compiles anew, in a thread of the background on the same processor, reviews queue until it is done; a trace of V8 (--trace-opt --trace-deopt) shows that where an answer is slow.';
const START_OBSTACLE =
  'Node.js takes its time before it runs the first line of a program, and most of what follows is the loading of code, of its own modules as well (see start).';
const IDLE_OBSTACLE =
  'Most of the idle memory is that of Node.js itself, as the floor has it (see memory).';

/** Steps in size measure their noise too; a cost that grows with the square of the size is far above. */
const GROWTH_TOLERANCE = 1.2;

export function judge(report: Report): TargetResult[] {
  const { throughput, halfLoad, memory, swaps, starts, containers, bodies, audit } = report;

  /** A ratio of reviews per CPU second, at the number of connections that is worse. */
  const speed = (of: Subject, over: 'overFloor' | 'overFastify' | 'overPrefix'): number => {
    const rows = throughput.filter(({ subject }) => subject === of);
    return -highest(rows.map((row) => -row[over]));
  };
  const p99 = (of: Subject): number => halfLoad.find(({ subject }) => subject === of)?.p99 ?? NaN;
  const peak = (of: Subject): number => memory.find(({ subject }) => subject === of)?.peak ?? NaN;
  const idle = (of: Subject): number => memory.find(({ subject }) => subject === of)?.idle ?? NaN;
  const pause = (of: Subject): number => swaps.find(({ subject }) => subject === of)?.pause ?? NaN;
  const start = (of: string): number => starts.find(({ name }) => name === of)?.median ?? NaN;
  const wrong = sum(
    [throughput, halfLoad, report.connections, swaps, containers, bodies].flatMap((rows) =>
      rows.map(({ errors }) => errors),
    ),
  );
  const unaudited = sum(
    audit.map(
      ({ answers, lines, counted }) => Math.abs(answers - lines) + Math.abs(answers - counted),
    ),
  );

  return [
    atLeast(
      'reviews per CPU second, prefix rule, over the floor',
      speed('prefix', 'overFloor'),
      0.33,
    ),
    atLeast(
      'reviews per CPU second, prefix rule, over Fastify',
      speed('prefix', 'overFastify'),
      1.1,
    ),
    atLeast(
      'reviews per CPU second, map of 100,000 entries, over prefix rule',
      speed('map-100k', 'overPrefix'),
      0.95,
      MAP_OBSTACLE,
    ),
    atMost(
      'p99 at half load, prefix rule, over the floor',
      p99('prefix') / p99('floor'),
      3,
      '×',
      LATENCY_OBSTACLE,
    ),
    atMost(
      'longest pause while 10,000 entries are swapped in',
      pause('map-10k'),
      5,
      'ms',
      PAUSE_OBSTACLE,
    ),
    atMost(
      'longest pause while 100,000 entries are swapped in',
      pause('map-100k'),
      25,
      'ms',
      PAUSE_OBSTACLE,
    ),
    atMost('exec to ready, prefix rule', start('prefix'), 350, 'ms', START_OBSTACLE),
    atMost(
      'exec to ready with 10,000 entries from the cache file, above prefix rule',
      start('cached-map') - start('prefix'),
      100,
      'ms',
    ),
    atMost('idle memory, prefix rule', idle('prefix'), 70, 'MiB', IDLE_OBSTACLE),
    atMost('peak memory, prefix rule, above the floor', peak('prefix') - peak('floor'), 25, 'MiB'),
    atMost(
      'peak memory, map of 100,000 entries, above the floor',
      peak('map-100k') - peak('floor'),
      90,
      'MiB',
    ),
    atMost(
      'growth of the cost with the containers, over linear',
      growthOverLinear(containers.map(({ containers: size, cpu: cost }) => ({ size, cost }))),
      GROWTH_TOLERANCE,
      '×',
    ),
    atMost(
      'growth of the cost with the bytes, over linear',
      growthOverLinear(bodies.map(({ bytes: size, cpu: cost }) => ({ size, cost }))),
      GROWTH_TOLERANCE,
      '×',
    ),
    atMost('wrong answers', wrong, 0, ''),
    atMost('answers without a line in the audit log, or not counted', unaudited, 0, ''),
  ];
}

/** What several runs reached. */
export interface RunsResult extends TargetResult {
  /** The worst of the runs. */
  readonly measured: number;
  /** Those of each run. */
  readonly ofRuns: readonly number[];
}

export function judgeRuns(reports: readonly Report[]): RunsResult[] {
  const runs = reports.map(judge);
  const [first = []] = runs;
  return first.map((target, index) => {
    const ofRuns = runs.map((targets) => targets[index]?.measured ?? NaN);
    const measured =
      target.bound === 'at most' ? highest(ofRuns) : -highest(ofRuns.map((figure) => -figure));
    return { ...target, measured, ofRuns };
  });
}

export function isMet({ measured, bound, limit }: TargetResult): boolean {
  return bound === 'at least' ? measured >= limit : measured <= limit;
}

function atLeast(title: string, measured: number, limit: number, obstacle?: string): TargetResult {
  return { title, measured, bound: 'at least', limit, unit: '×', obstacle };
}

function atMost(
  title: string,
  measured: number,
  limit: number,
  unit: TargetResult['unit'],
  obstacle?: string,
): TargetResult {
  return { title, measured, bound: 'at most', limit, unit, obstacle };
}
