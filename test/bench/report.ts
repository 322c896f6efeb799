import type { Plan } from './plan.ts';
import type { MapSubject, Subject } from './subjects.ts';

/** Reads what `--json` printed, a report for each run. JSON has no NaN, which a figure is that could not be had. */
export function parseReports(text: string): Report[] {
  return JSON.parse(text, (_key, value: unknown) => (value === null ? NaN : value)) as Report[];
}

/** Everything that one run of the benchmark measured. Figures of several rounds are medians. */
export interface Report {
  /** ISO 8601. */
  readonly date: string;
  readonly machine: {
    readonly processor: string;
    readonly processors: number;
    /** Whether server and load each had a processor of their own. */
    readonly isPinned: boolean;
    readonly memoryGibibytes: number;
    readonly kernel: string;
    readonly node: string;
  };
  readonly plan: Plan;
  readonly throughput: readonly ThroughputRow[];
  readonly halfLoad: readonly HalfLoadRow[];
  readonly memory: readonly MemoryRow[];
  readonly connections: readonly ConnectionRow[];
  readonly swaps: readonly SwapRow[];
  /** The slowest answer of the floor under the load of the swaps, in as much time as `quietPause`; median. */
  readonly floorPause: number;
  readonly starts: readonly StartRow[];
  readonly containers: readonly ScalingRow[];
  readonly bodies: readonly ScalingRow[];
  readonly decisions: readonly DecisionRow[];
  readonly allocation: readonly AllocationRow[];
  readonly audit: readonly AuditRow[];
}

/** Milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface ThroughputRow extends Latency {
  readonly subject: Subject;
  readonly connections: number;
  readonly perSecond: number;
  readonly perCpuSecond: number;
  /** Reviews per CPU second over those of others at as many connections: medians of the ratios of each round. */
  readonly overFloor: number;
  readonly overFastify: number;
  readonly overPrefix: number;
  /** Share of one processor that the server had, 0 to 1. */
  readonly busy: number;
  readonly errors: number;
}

/** Reviews at an even pace, at half of what the subject managed. */
export interface HalfLoadRow extends Latency {
  readonly subject: Subject;
  readonly perSecond: number;
  readonly errors: number;
}

/** MiB. */
export interface MemoryRow {
  readonly subject: Subject;
  /** Started, and not asked yet. */
  readonly idle: number;
  /** From the start to the end of the load. */
  readonly peak: number;
}

/** Connections with a handshake and one review each. */
export interface ConnectionRow {
  readonly subject: Subject;
  readonly perSecond: number;
  readonly perCpuSecond: number;
  readonly errors: number;
}

/** What reviews notice of a map that is taken into use under a light load. Milliseconds. */
export interface SwapRow {
  readonly subject: MapSubject;
  readonly entries: number;
  readonly mebibytes: number;
  /** From the signal to refresh to the first answer by the new map. */
  readonly load: number;
  /** The slowest answer around a swap: median of the swaps, and worst of all. */
  readonly pause: number;
  readonly worstPause: number;
  /** The slowest answer in as much time without a swap, median of as many: what the machine does by itself. */
  readonly quietPause: number;
  /**
   * What the slowest answer around a swap spent on each: the answering thread was ready to run and waited for its
   * processor, or stopped for garbage collections, or the load itself stood still; medians.
   */
  readonly waiting: number;
  readonly collecting: number;
  readonly unloaded: number;
  /** What threads of the background took around a swap, median. */
  readonly background: number;
  /** What the server itself saw: `nodejs_eventloop_lag_max_seconds`, median of the swaps. */
  readonly eventLoopLag: number;
  /** Resident memory at its highest, in MiB. */
  readonly peak: number;
  readonly errors: number;
}

/** From exec to ready, in milliseconds. */
export interface StartRow {
  readonly name: 'node' | 'code' | 'prefix' | 'cached-map' | 'new-map';
  readonly median: number;
  readonly slowest: number;
  /** Median of what threads of the background took of that; NaN where it is not known. */
  readonly background: number;
}

export interface ScalingRow {
  /** Containers in the pod, all of them rewritten. */
  readonly containers: number;
  readonly bytes: number;
  /** Microseconds of processor time. */
  readonly cpu: number;
  readonly errors: number;
}

export interface DecisionRow {
  readonly subject: Subject;
  readonly nanoseconds: number;
}

export interface AllocationRow {
  readonly subject: Subject;
  /** On the heap of V8, for one review. */
  readonly bytes: number;
  /** Garbage collections in a second of processor time. */
  readonly collectionsPerSecond: number;
}

/** Whether the audit log and the metrics were really on, and how much was written. */
export interface AuditRow {
  readonly subject: Subject;
  readonly answers: number;
  readonly lines: number;
  readonly counted: number;
  /** Of the body of an answer, and of a line in the log, in bytes. */
  readonly answerBytes: number;
  readonly lineBytes: number;
}
