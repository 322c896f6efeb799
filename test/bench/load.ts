import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Connection, type Target } from './connection.ts';
import type { Turns } from './rounds.ts';

/** What one load did to a server. */
export interface LoadResult {
  readonly answers: number;
  /** Answers that were wrong, by status or by patch. */
  readonly errors: number;
  readonly seconds: number;
  /** Processor time of the server. */
  readonly cpuSeconds: number;
  /** Milliseconds, in the order of the answers. */
  readonly latencies: readonly number[];
}

export interface LoadOptions {
  readonly connections: number;
  /** Of one turn. */
  readonly seconds: number;
  /** Processor time of the server so far, in seconds. */
  readonly cpu: () => number;
}

/** For a server that has answered to come to rest, in milliseconds: only then its processor time is exact. */
const REST = 5;

/**
 * Sends the next review on each connection as soon as the last one was answered: all that the server can
 * do. It comes in turns, between which the connections stay open.
 */
export async function openFullLoad(
  target: Target,
  { connections: count, ...options }: LoadOptions,
): Promise<Required<Turns<LoadResult>>> {
  const connections = await openConnections(target, count);
  return {
    measure: () => record(options, connections, (connection) => connection.ask()),
    close: () => closeAll(connections),
  };
}

/** A full load of one turn. */
export async function fullLoad(target: Target, options: LoadOptions): Promise<LoadResult> {
  const load = await openFullLoad(target, options);
  try {
    return await load.measure();
  } finally {
    load.close();
  }
}

/** How many connections full load is measured over; a warm-up has them in turn. */
export const CONNECTION_COUNTS: readonly number[] = [8, 64];
/** Seconds of each load of a warm-up. */
const SPELL = 0.5;

/**
 * Full load until V8 has compiled what is used most. It comes in spells with connections of their own: the
 * first connections that end make V8 drop much of what it had compiled, and compile it once more. Returns
 * how many reviews were answered; rejects if one was answered wrong.
 */
export async function warmUpLoad(target: Target, seconds: number): Promise<number> {
  let answers = 0;
  for (let spell = 0; spell * SPELL < seconds; spell += 1) {
    const connections = CONNECTION_COUNTS[spell % CONNECTION_COUNTS.length] ?? NaN;
    const spent = await fullLoad(target, { connections, seconds: SPELL, cpu: () => NaN });
    if (spent.errors > 0) {
      throw new Error(`${spent.errors} of ${spent.answers} answers were wrong in a warm-up`);
    }
    answers += spent.answers;
  }
  return answers;
}

/** Opens a connection for each review, so many at a time. Latency counts from before the handshake. */
export async function connectionLoad(target: Target, options: LoadOptions): Promise<LoadResult> {
  return record(options, Array.from({ length: options.connections }), async () => {
    const connection = await Connection.open(target);
    try {
      return await connection.ask();
    } finally {
      connection.close();
    }
  });
}

/** An answer to a paced load. */
export interface Sample {
  /** When the review was due and when its answer came, in milliseconds of `performance.now()`. */
  readonly due: number;
  readonly answered: number;
  /** What it said; undefined where it was wrong. */
  readonly answer: string | undefined;
}

export interface PacedOptions {
  readonly connections: number;
  readonly perSecond: number;
  readonly onSample: (sample: Sample) => void;
}

/**
 * Sends reviews at an even pace while `during` runs, whether the server keeps up or not: a server that
 * pauses pays for every review that it makes wait.
 */
export async function pacedLoad(
  target: Target,
  { connections: count, perSecond, onSample }: PacedOptions,
  during: () => Promise<void>,
): Promise<void> {
  const interval = 1000 / perSecond;
  const connections = await openConnections(target, count);
  let isOver = false;
  let next = performance.now();
  const run = async (connection: Connection): Promise<void> => {
    for (;;) {
      const due = next;
      next += interval;
      // A timer would be late by up to a millisecond.
      while (performance.now() < due && !isOver) await turn();
      if (isOver) return;
      const answer = await connection.ask();
      onSample({ due, answered: performance.now(), answer });
    }
  };
  try {
    const end = during().finally(() => (isOver = true));
    await Promise.all([end, ...connections.map(run)]);
  } finally {
    closeAll(connections);
  }
}

function openConnections(target: Target, count: number): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, () => Connection.open(target)));
}

function closeAll(connections: readonly Connection[]): void {
  for (const connection of connections) {
    connection.close();
  }
}

/** Asks in as many loops as there are askers, until the time is over and all have their answers. */
async function record<Asker>(
  { seconds, cpu }: Omit<LoadOptions, 'connections'>,
  askers: readonly Asker[],
  ask: (asker: Asker) => Promise<string | undefined>,
): Promise<LoadResult> {
  const latencies: number[] = [];
  let errors = 0;
  const [begun, cpuBefore] = [performance.now(), cpu()];
  const end = begun + seconds * 1000;
  const run = async (asker: Asker): Promise<void> => {
    for (let sent = performance.now(); sent < end; sent = performance.now()) {
      const answer = await ask(asker);
      latencies.push(performance.now() - sent);
      if (answer === undefined) errors += 1;
    }
  };
  await Promise.all(askers.map(run));
  const spent = (performance.now() - begun) / 1000;
  await sleep(REST);
  return {
    answers: latencies.length,
    errors,
    seconds: spent,
    cpuSeconds: cpu() - cpuBefore,
    latencies,
  };
}
