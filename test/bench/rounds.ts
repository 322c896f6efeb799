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

/**
 * The same where several processes of each item take turns, by their index. Each has its share of the
 * rounds in a row, after some that do not count: V8 drops what it compiled for a process that idles for
 * long, and compiles it once more under the next load.
 */
export async function inRoundsOfProcesses<Item, Result>(
  { rounds, processes, settling }: Pick<Plan, 'rounds' | 'processes' | 'settling'>,
  items: readonly Item[],
  measure: (item: Item, process: number) => Promise<Result>,
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
    const turns = await inRounds(settling + share, table, ({ item }) => measure(item, process));
    for (const { item: row, results } of turns) {
      row.unsettled.push(...results.slice(0, settling));
      row.results.push(...results.slice(settling));
    }
  }
  return table;
}
