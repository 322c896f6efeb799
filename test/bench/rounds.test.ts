import { describe, expect, it } from '@jest/globals';
import { inRounds } from './rounds.ts';

describe('rounds', () => {
  it('measure every item once, there and back in turns, and keep the results of each by round', async () => {
    const order: string[] = [];
    const table = await inRounds(3, ['a', 'b'], (item) => {
      order.push(item);
      return Promise.resolve(`${item}${order.length}`);
    });
    expect(order).toEqual(['a', 'b', 'b', 'a', 'a', 'b']);
    expect(table).toEqual([
      { item: 'a', results: ['a1', 'a4', 'a5'] },
      { item: 'b', results: ['b2', 'b3', 'b6'] },
    ]);
  });
});
