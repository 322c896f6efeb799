/**
 * Turns that a round of full load is cut into: what the machine does beside it changes within a second, and
 * harms two servers alike only where their turns come right after each other.
 */
export const TURNS_PER_ROUND = 4;

/** How long and how often things are measured. */
export interface Plan {
  readonly name: 'full' | 'quick';
  /** Seconds of one round under load. */
  readonly seconds: number;
  /** Seconds of load at an even pace before each of them. */
  readonly warmUp: number;
  /** Seconds of load on each process before the first of them, in which V8 compiles what is used most. */
  readonly compiling: number;
  /** How many rounds each process has before those that count, whenever its turn comes. */
  readonly settling: number;
  /** How many processes of each subject take turns: two of the same program differ by some percent. */
  readonly processes: number;
  /** How many rounds there are, at full load and at half of it. */
  readonly rounds: number;
  /** The same for new connections, and for reviews of several sizes. */
  readonly sideRounds: number;
  readonly starts: number;
  readonly swaps: number;
}

export const FULL: Plan = {
  name: 'full',
  seconds: 0.6,
  warmUp: 0.15,
  compiling: 5,
  settling: 2,
  processes: 12,
  rounds: 36,
  sideRounds: 6,
  starts: 11,
  swaps: 7,
};

/** Says whether everything works, and roughly how fast. */
export const QUICK: Plan = {
  name: 'quick',
  seconds: 0.8,
  warmUp: 0.2,
  compiling: 3,
  settling: 1,
  processes: 1,
  rounds: 3,
  sideRounds: 2,
  starts: 5,
  swaps: 3,
};
