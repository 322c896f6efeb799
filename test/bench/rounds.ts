/**
 * Measures every item once a round, so that what disturbs the machine for a while disturbs all alike.
 * Returns the results of each item.
 */
export async function inRounds<Item, Result>(
  rounds: number,
  items: readonly Item[],
  measure: (item: Item) => Promise<Result>,
): Promise<{ readonly item: Item; readonly results: readonly Result[] }[]> {
  const table = items.map((item) => ({ item, results: [] as Result[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const { item, results } of table) {
      results.push(await measure(item));
    }
  }
  return table;
}
