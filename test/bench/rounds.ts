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
