import type { ServerProcess } from './server-process.ts';

/** A piece of time, in milliseconds of `performance.now()`. */
export interface Interval {
  readonly begun: number;
  readonly ended: number;
}

/** In milliseconds. */
export function lengthOf({ begun, ended }: Interval): number {
  return ended - begun;
}

/** What the time of one review was spent on, in milliseconds; the rest is work on reviews and on the map. */
export interface PauseParts {
  /** The thread that answers was ready to run and waited for its processor. */
  readonly waiting: number;
  /** It stopped for garbage collections. */
  readonly collecting: number;
  /** The load itself stood still, and could neither send a review nor take an answer. */
  readonly unloaded: number;
}

/** Takes the time of `review` apart. What is of two kinds at once counts as the first of them. */
export function partsOf(
  review: Interval,
  { waits, collections, stops }: Record<'waits' | 'collections' | 'stops', readonly Interval[]>,
): PauseParts {
  const waiting = covered(review, waits);
  const waitingOrCollecting = covered(review, [...waits, ...collections]);
  const all = covered(review, [...waits, ...collections, ...stops]);
  return {
    waiting,
    collecting: waitingOrCollecting - waiting,
    unloaded: all - waitingOrCollecting,
  };
}

/** How much of an interval others cover together. */
function covered({ begun, ended }: Interval, others: readonly Interval[]): number {
  let [sum, until] = [0, begun];
  for (const other of others.toSorted((one, two) => one.begun - two.begun)) {
    const from = Math.max(other.begun, until);
    const to = Math.min(other.ended, ended);
    sum += Math.max(0, to - from);
    until = Math.max(until, to);
  }
  return sum;
}

/** Looks once a millisecond how long the thread that answers was kept from its processor. */
export class WaitProbe implements Disposable {
  readonly waits: Interval[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(process: ServerProcess) {
    let before = process.waiting();
    this.#timer = setInterval(() => {
      const now = process.waiting();
      // The kernel counts a wait when it ends.
      const ended = performance.now();
      if (now > before) this.waits.push({ begun: ended - (now - before), ended });
      before = now;
    }, 1);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** From which on a turn of the event loop is a stop, in milliseconds. */
const STOP = 0.3;

/** Notes when this process, which is the load, stands still. */
export class StopProbe implements Disposable {
  readonly stops: Interval[] = [];
  #turn: NodeJS.Immediate;

  constructor() {
    let begun = performance.now();
    const look = (): void => {
      const ended = performance.now();
      if (ended - begun > STOP) this.stops.push({ begun, ended });
      begun = ended;
      this.#turn = setImmediate(look);
    };
    this.#turn = setImmediate(look);
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#turn);
  }
}
