import { describe, expect, it } from '@jest/globals';
import { inRounds, inRoundsOfProcesses } from './rounds.ts';

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

describe('rounds of processes', () => {
  const turns = async (rounds: number, processes: number, settling: number) => {
    const order: string[] = [];
    const table = await inRoundsOfProcesses(
      { rounds, processes, settling },
      ['a', 'b'],
      (item, process) => ({
        measure: () => {
          order.push(`${item}${process}`);
          return Promise.resolve(order.length);
        },
        close: () => order.push(`-${item}${process}`),
      }),
    );
    return { order, table };
  };

  it('give each process its share in a row, after some that do not count, and close it then', async () => {
    const { order, table } = await turns(3, 2, 1);
    expect(order.join(' ')).toBe('a0 b0 b0 a0 a0 b0 -a0 -b0 a1 b1 b1 a1 -a1 -b1');
    expect(table).toEqual([
      { item: 'a', unsettled: [1, 9], results: [4, 5, 12] },
      { item: 'b', unsettled: [2, 10], results: [3, 6, 11] },
    ]);
  });

  it('leave processes out where there are fewer rounds', async () => {
    const { order } = await turns(1, 3, 2);
    expect(order.join(' ')).toBe('a0 b0 b0 a0 a0 b0 -a0 -b0');
  });
});
