import type { Plan } from './plan.ts';

/**
 * Measures every item once a round, so that what disturbs the machine for a while disturbs all alike;
 * every other round goes back, so that none of them is always the later one. Returns the results of each item.
 */
export async function inRounds<Item, Result>(
  rounds: number,
  items: readonly Item[],
  measure: (item: Item) => Promise<Result>,
): Promise<{ readonly item: Item; readonly results: readonly Result[] }[]> {
  const table = items.map((item) => ({ item, results: [] as Result[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const { item, results } of round % 2 === 0 ? table : table.toReversed()) {
      results.push(await measure(item));
    }
  }
  return table;
}

/** How many rounds there are, for how many processes, and how many each of them has before those that count. */
export type ProcessRounds = Pick<Plan, 'rounds' | 'processes' | 'settling'>;

/** What a process is measured with, again and again; it is closed when another process has its turn. */
export interface Turns<Result> {
  readonly measure: () => Promise<Result>;
  readonly close?: () => void;
}

/**
 * The same where several processes of each item take turns, by their index. Each has its share of the
 * rounds in a row, after some that do not count: V8 drops what it compiled for a process that idles for
 * long, and compiles it once more under the next load.
 */
export async function inRoundsOfProcesses<Item, Result>(
  { rounds, processes, settling }: ProcessRounds,
  items: readonly Item[],
  open: (item: Item, process: number) => Turns<Result> | Promise<Turns<Result>>,
): Promise<
  {
    readonly item: Item;
    readonly unsettled: readonly Result[];
    readonly results: readonly Result[];
  }[]
> {
  const table = items.map((item) => ({
    item,
    unsettled: [] as Result[],
    results: [] as Result[],
  }));
  const roundsBefore = (process: number): number => Math.ceil((rounds * process) / processes);
  for (let process = 0; process < processes; process += 1) {
    const share = roundsBefore(process + 1) - roundsBefore(process);
    if (share === 0) continue;
    const opened = await Promise.all(
      table.map(async (row) => ({ row, turns: await open(row.item, process) })),
    );
    try {
      const measured = await inRounds(settling + share, opened, ({ turns }) => turns.measure());
      for (const { item, results } of measured) {
        item.row.unsettled.push(...results.slice(0, settling));
        item.row.results.push(...results.slice(settling));
      }
    } finally {
      for (const { turns } of opened) turns.close?.();
    }
  }
  return table;
}
