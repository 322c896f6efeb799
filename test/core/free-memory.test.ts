import { describe, expect, it } from '@jest/globals';
import { freeMemory } from '../../src/core/free-memory.ts';

describe('Memory that is freed', () => {
  it('is empty for whoever reads it after that', () => {
    const bytes = new Uint8Array(100_000).fill(1);
    const numbers = new Uint32Array(100_000).fill(1);
    freeMemory(bytes);
    freeMemory(numbers);
    expect([bytes.length, bytes[0], numbers.length, numbers[0]]).toEqual([
      0,
      undefined,
      0,
      undefined,
    ]);
  });

  it('stays as it is where others read some of it', () => {
    const whole = new Uint8Array(100_000).fill(1);
    freeMemory(whole.subarray(0, 99_999));
    freeMemory(whole.subarray(1));
    freeMemory(Buffer.from('a few bytes, which Node.js keeps side by side'));
    expect([whole.length, whole[0]]).toEqual([100_000, 1]);
  });

  it('stays as it is where it is shared with other threads, which cannot be freed', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(100_000));
    freeMemory(shared);
    expect(shared).toHaveLength(100_000);
  });

  it('is not worth a call where it is little', () => {
    const little = new Uint8Array(100);
    freeMemory(little);
    expect(little).toHaveLength(100);
  });
});
