import { TURNS_PER_ROUND } from './plan.ts';
import type { Report } from './report.ts';
import { SUBJECTS } from './subjects.ts';
import { isMet, judgeRuns, type RunsResult } from './targets.ts';

/** A part of the report: what it shows, and a table. The first column is text, the others are figures. */
export interface Section {
  readonly title: string;
  readonly text: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What the runs come to, and all that the last one of them measured. */
export function describeReports(reports: readonly Report[]): Section[] {
  const report = lastOf(reports);
  return [
    targetSection(judgeRuns(reports)),
    throughputSection(report),
    halfLoadSection(report),
    memorySection(report),
    swapSection(report),
    startSection(report),
    connectionSection(report),
    containerSection(report),
    bodySection(report),
    decisionSection(report),
    allocationSection(report),
    auditSection(report),
  ];
}

function lastOf(reports: readonly Report[]): Report {
  const last = reports.at(-1);
  if (last === undefined) throw new Error('there is no run to report on');
  return last;
}

/** The machine and the settings of the last run, as sentences. */
export function describeRuns(reports: readonly Report[]): string {
  const { date, machine, plan } = lastOf(reports);
  const pinned = machine.isPinned
    ? 'Server and load had a processor of their own each (taskset).'
    : 'Server and load were not pinned to processors: there is no taskset here, or only one processor.';
  const processes =
    plan.processes === 1
      ? ''
      : `; ${plan.processes} processes of each server had theirs one after the other, each after ${plan.settling} more that do not count`;
  const several =
    reports.length === 1
      ? []
      : [
          `${reports.length} runs in a row; all tables but the first are those of the last of them.`,
        ];
  return [
    `${machine.processor}, ${machine.processors} processors, ${fixed(machine.memoryGibibytes, 0)} GiB, Linux ${machine.kernel}, Node.js ${machine.node}, ${date.slice(0, 10)}.`,
    pinned,
    `A ${plan.name} run: ${plan.rounds} rounds of ${plan.seconds} s, those of full load in ${TURNS_PER_ROUND} turns each${processes}. Figures, and ratios (×), are medians, and latencies at full load those of all answers together.`,
    ...several,
  ].join(' ');
}

function targetSection(targets: readonly RunsResult[]): Section {
  const figure = (value: number, unit: string): string => {
    const digits = unit === '×' ? 2 : unit === '' ? 0 : 1;
    return `${fixed(value, digits)} ${unit}`.trim();
  };
  return {
    title: 'Targets',
    text: [
      'What this project wants to reach, and how far the worst run is from it.',
      ...obstaclesOf(targets),
    ].join('\n\n'),
    head: ['target', ...measuredHead(targets), 'wanted', 'met'],
    rows: targets.map((target) => {
      const { title, ofRuns, bound, limit, unit } = target;
      return [
        title,
        ...ofRuns.map((measured) => figure(measured, unit)),
        `${bound} ${figure(limit, unit)}`,
        isMet(target) ? `yes${share(target)}` : `no${share(target)}`,
      ];
    }),
  };
}

function measuredHead([target]: readonly RunsResult[]): string[] {
  const runs = target?.ofRuns ?? [];
  return runs.length === 1 ? ['measured'] : runs.map((_, index) => `run ${index + 1}`);
}

/** What stands in the way of the targets that were missed. */
function obstaclesOf(targets: readonly RunsResult[]): string[] {
  const texts = targets.flatMap((target) => (isMet(target) ? [] : (target.obstacle ?? [])));
  return [...new Set(texts)];
}

/** How far a figure is from its limit, in percent of the limit. */
function share({ measured, limit }: RunsResult): string {
  if (limit === 0 || !Number.isFinite(measured)) {
    return '';
  }
  const percent = Math.round(100 * (measured / limit - 1));
  return ` (${percent > 0 ? '+' : ''}${percent} %)`;
}

function throughputSection({ throughput }: Report): Section {
  return {
    title: 'Full load',
    text: 'The review of a pod of a Deployment, as a kube-apiserver sent it, for sixteen pods of four templates in turn, over TLS with keep-alive, the next one as soon as the last was answered. The program runs as in its image, with audit log and metrics on. Latencies in milliseconds.',
    head: [
      'server',
      'connections',
      'reviews/s',
      'reviews/CPU s',
      '× floor',
      '× Fastify',
      '× prefix rule',
      'p50',
      'p99',
      'p99.9',
      'CPU',
      'errors',
    ],
    rows: throughput.map(({ subject, connections, ...row }) => [
      SUBJECTS[subject],
      whole(connections),
      whole(row.perSecond),
      whole(row.perCpuSecond),
      fixed(row.overFloor, 3),
      fixed(row.overFastify, 2),
      fixed(row.overPrefix, 2),
      fixed(row.p50, 2),
      fixed(row.p99, 2),
      fixed(row.p999, 2),
      `${whole(100 * row.busy)} %`,
      whole(row.errors),
    ]),
  };
}

function halfLoadSection({ halfLoad }: Report): Section {
  const floor = halfLoad.find(({ subject }) => subject === 'floor')?.p99 ?? NaN;
  return {
    title: 'Half of the full load',
    text: 'Reviews at an even pace, half as many as the server managed at full load. Latencies in milliseconds, from when a review was due.',
    head: ['server', 'reviews/s', 'p50', 'p99', 'p99.9', 'p99 × floor', 'errors'],
    rows: halfLoad.map(({ subject, perSecond, p50, p99, p999, errors }) => [
      SUBJECTS[subject],
      whole(perSecond),
      fixed(p50, 2),
      fixed(p99, 2),
      fixed(p999, 2),
      fixed(p99 / floor, 2),
      whole(errors),
    ]),
  };
}

function memorySection({ memory }: Report): Section {
  const floor = memory.find(({ subject }) => subject === 'floor')?.peak ?? NaN;
  return {
    title: 'Memory',
    text: 'Resident memory in MiB: when it idles, ten seconds or more after the start, and at its highest from the start to the end of all that load.',
    head: ['server', 'idle', 'peak', 'above floor'],
    rows: memory.map(({ subject, idle, peak }) => [
      SUBJECTS[subject],
      fixed(idle, 1),
      fixed(peak, 1),
      fixed(peak - floor, 1),
    ]),
  };
}

function swapSection({ swaps, floorPause, plan }: Report): Section {
  return {
    title: 'Another map',
    text: `A changed map is taken into use, ${plan.swaps} times, while 1,000 reviews a second come, by a server that was under full load before. Milliseconds: from the signal to refresh to the first answer by the new map; the slowest answer around that (median and worst of the swaps); of its time, how long the thread that answers was ready to run and waited for its processor, stopped for garbage collections, and how long the load itself stood still (medians; the rest is work); the slowest answer in as much time without a swap, as often, and that of the floor, which has no map; what threads of the background took around a swap, which compile and collect garbage; what the server itself saw (\`nodejs_eventloop_lag_max_seconds\`, which counts its own timer of about 10 ms).`,
    head: [
      'map',
      'MiB',
      'load',
      'pause',
      'worst pause',
      'waiting',
      'collecting',
      'load stood still',
      'without a swap',
      'floor',
      'background',
      'event loop lag',
      'peak memory in MiB',
      'errors',
    ],
    rows: swaps.map(({ entries, ...row }) => [
      `${thousands(entries)} entries`,
      fixed(row.mebibytes, 1),
      whole(row.load),
      fixed(row.pause, 1),
      fixed(row.worstPause, 1),
      fixed(row.waiting, 1),
      fixed(row.collecting, 1),
      fixed(row.unloaded, 1),
      fixed(row.quietPause, 1),
      fixed(floorPause, 1),
      fixed(row.background, 1),
      fixed(row.eventLoopLag, 1),
      fixed(row.peak, 1),
      whole(row.errors),
    ]),
  };
}

const STARTS: Record<Report['starts'][number]['name'], string> = {
  node: 'Node.js with an empty program, to its end',
  code: 'the program with a configuration that is not there, to its end',
  prefix: 'prefix rule',
  'cached-map': 'map of 10,000 entries from the cache file, S3 out of reach',
  'new-map': 'map of 10,000 entries that was not there before, from a file',
};

function startSection({ starts, plan }: Report): Section {
  return {
    title: 'Start',
    text: `From exec until \`/readyz\` says yes, in milliseconds, of ${plan.starts} starts; and what threads of the background took of the processor meanwhile, median: they compile what is used for the first time.`,
    head: ['configuration', 'median', 'slowest', 'background'],
    rows: starts.map(({ name, ...row }) => [
      STARTS[name],
      whole(row.median),
      whole(row.slowest),
      whole(row.background),
    ]),
  };
}

function connectionSection({ connections }: Report): Section {
  return {
    title: 'New connections',
    text: 'Full TLS handshakes without resumption, with one review each, 8 at a time.',
    head: ['server', 'connections/s', 'connections/CPU s', 'errors'],
    rows: connections.map(({ subject, perSecond, perCpuSecond, errors }) => [
      SUBJECTS[subject],
      whole(perSecond),
      whole(perCpuSecond),
      whole(errors),
    ]),
  };
}

function containerSection({ containers }: Report): Section {
  return {
    title: 'By containers',
    text: 'Every container has an image that is rewritten, by a prefix rule.',
    head: ['containers', 'bytes', 'CPU µs', 'µs per container', 'µs per KB'],
    rows: containers.map(({ containers: count, bytes, cpu }) => [
      whole(count),
      thousands(bytes),
      fixed(cpu, 0),
      fixed(cpu / count, 1),
      fixed((1000 * cpu) / bytes, 2),
    ]),
  };
}

function bodySection({ bodies }: Report): Section {
  return {
    title: 'By size',
    text: 'One container with more and more environment variables; the API server accepts pods of up to 3 MiB.',
    head: ['bytes', 'CPU µs', 'µs per KB'],
    rows: bodies.map(({ bytes, cpu }) => [
      thousands(bytes),
      fixed(cpu, 0),
      fixed((1000 * cpu) / bytes, 2),
    ]),
  };
}

function decisionSection({ decisions }: Report): Section {
  return {
    title: 'One decision',
    text: 'What becomes of one image, without a server: median of ten times 100,000 decisions about 5,000 images in turn.',
    head: ['rules', 'ns'],
    rows: decisions.map(({ subject, nanoseconds }) => [SUBJECTS[subject], whole(nanoseconds)]),
  };
}

function allocationSection({ allocation }: Report): Section {
  return {
    title: 'Allocation',
    text: 'Bytes on the heap of V8 for one review, and garbage collections in a second of CPU time, at full load over 8 connections.',
    head: ['server', 'bytes per review', 'collections/CPU s'],
    rows: allocation.map(({ subject, bytes, collectionsPerSecond }) => [
      SUBJECTS[subject],
      thousands(bytes),
      fixed(collectionsPerSecond, 1),
    ]),
  };
}

function auditSection({ audit }: Report): Section {
  return {
    title: 'Audit log and metrics',
    text: 'What was answered under load, and what the log and `sdr_image_rewriter_requests_total` say of it; bytes of the body of an answer, and of a line in the log.',
    head: [
      'server',
      'answers',
      'lines in the log',
      'counted',
      'bytes of an answer',
      'bytes of a line',
    ],
    rows: audit.map(({ subject, answers, lines, counted, answerBytes, lineBytes }) => [
      SUBJECTS[subject],
      whole(answers),
      whole(lines),
      whole(counted),
      whole(answerBytes),
      whole(lineBytes),
    ]),
  };
}

/** A figure that could not be had is a dash. */
function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

function whole(value: number): string {
  return fixed(value, 0);
}

function thousands(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '–';
}
