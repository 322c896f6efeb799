import { describe, expect, it } from '@jest/globals';
import { isRecord } from '../../src/core/json-value.ts';

describe('isRecord', () => {
  it.each([[{}], [{ a: 1 }], [Object.create(null)]])('says yes to the object %p', (value) => {
    expect(isRecord(value)).toBe(true);
  });

  it.each([[null], [undefined], [[]], ['text'], [1], [true]])('says no to %p', (value) => {
    expect(isRecord(value)).toBe(false);
  });
});
