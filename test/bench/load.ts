import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Connection, type Target } from './connection.ts';

/** What one load did to a server, from the end of its warm-up to its own end. */
export interface LoadResult {
  readonly answers: number;
  /** Answers that were wrong, by status or by patch; in the warm-up as well. */
  readonly errors: number;
  readonly seconds: number;
  /** Processor time of the server. */
  readonly cpuSeconds: number;
  /** Milliseconds, in the order of the answers. */
  readonly latencies: readonly number[];
  /** All answers, those of the warm-up included. */
  readonly total: number;
}

export interface LoadOptions {
  readonly connections: number;
  /** Measured time. */
  readonly seconds: number;
  /** Seconds of load before that. */
  readonly warmUp: number;
  /** Processor time of the server so far, in seconds. */
  readonly cpu: () => number;
}

/** Sends the next review on each connection as soon as the last one was answered: all that the server can do. */
export async function fullLoad(target: Target, options: LoadOptions): Promise<LoadResult> {
  return withConnections(target, options.connections, (connections) =>
    record(options, connections, (connection) => connection.ask()),
  );
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
    const options = { connections, seconds: SPELL, warmUp: 0, cpu: () => NaN };
    const { total, errors } = await fullLoad(target, options);
    if (errors > 0) throw new Error(`${errors} of ${total} answers were wrong in a warm-up`);
    answers += total;
  }
  return answers;
}

/** Opens a connection for each review, so many at a time. Latency counts from before the handshake. */
export async function connectionLoad(target: Target, options: LoadOptions): Promise<LoadResult> {
  return record(options, Array.from({ length: options.connections }), () =>
    withConnections(target, 1, async ([connection]) => connection?.ask()),
  );
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
  await withConnections(target, count, async (connections) => {
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
    const end = during().finally(() => (isOver = true));
    await Promise.all([end, ...connections.map(run)]);
  });
}

/** Opens connections, hands them over and closes them. */
async function withConnections<Result>(
  target: Target,
  count: number,
  use: (connections: readonly Connection[]) => Promise<Result>,
): Promise<Result> {
  const connections = await Promise.all(
    Array.from({ length: count }, () => Connection.open(target)),
  );
  try {
    return await use(connections);
  } finally {
    for (const connection of connections) {
      connection.close();
    }
  }
}

/** Asks in as many endless loops as there are askers, and measures the time after the warm-up. */
async function record<Asker>(
  { warmUp, seconds, cpu }: LoadOptions,
  askers: readonly Asker[],
  ask: (asker: Asker) => Promise<string | undefined>,
): Promise<LoadResult> {
  const latencies: number[] = [];
  let [errors, total] = [0, 0];
  let phase: 'warm-up' | 'measured' | 'over' = 'warm-up';
  const run = async (asker: Asker): Promise<void> => {
    while (phase !== 'over') {
      const begun = performance.now();
      const answer = await ask(asker);
      if (phase === 'measured') latencies.push(performance.now() - begun);
      total += 1;
      if (answer === undefined) errors += 1;
    }
  };
  const measure = async (): Promise<{ seconds: number; cpuSeconds: number }> => {
    await sleep(warmUp * 1000);
    const [begun, cpuBefore] = [performance.now(), cpu()];
    phase = 'measured';
    await sleep(seconds * 1000);
    phase = 'over';
    return { seconds: (performance.now() - begun) / 1000, cpuSeconds: cpu() - cpuBefore };
  };
  const [measured] = await Promise.all([measure(), ...askers.map(run)]);
  return { ...measured, answers: latencies.length, errors, total, latencies };
}
