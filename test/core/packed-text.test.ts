import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TextIndex, TextStore } from '../../src/core/packed-text.ts';

const asciiTexts = fc.string({ unit: 'binary-ascii', maxLength: 300 });

describe('TextStore', () => {
  it('gives each text back at its address', () => {
    fc.assert(
      fc.property(fc.array(asciiTexts), (texts) => {
        const store = new TextStore();
        const addresses = texts.map((text) => store.add(text));
        expect(addresses.map((address) => store.read(address))).toEqual(texts);
        expect(addresses.map((address) => store.length(address))).toEqual(
          texts.map(({ length }) => length),
        );
        expect(addresses).not.toContain(0);
      }),
    );
  });

  it('holds more than fits into one piece of memory', () => {
    const store = new TextStore();
    const texts = Array.from({ length: 3000 }, (_, index) => `${index}`.padEnd(60 + (index % 50)));
    const addresses = texts.map((text) => store.add(text));
    expect(addresses.at(-1)).toBeGreaterThan(2 * 65_536);
    expect(addresses.map((address) => store.read(address))).toEqual(texts);
  });

  it('says what a stored text equals and begins with, as strings do', () => {
    const alike = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 6 });
    fc.assert(
      fc.property(alike, alike, fc.nat(6), (stored, text, start) => {
        const store = new TextStore();
        store.add('before');
        const address = store.add(stored);
        store.add('after');
        expect(store.equals(address, text)).toBe(stored === text);
        const from = Math.min(start, text.length);
        const rest = text.slice(from);
        if (rest.length <= stored.length) {
          expect(store.begins(address, text, from, text.length)).toBe(stored.startsWith(rest));
        }
      }),
    );
  });

  it('refuses what it could not give back', () => {
    expect(() => new TextStore().add('é')).toThrow(RangeError);
    expect(() => new TextStore().add('a'.repeat(65_536))).toThrow(RangeError);
    expect(new TextStore().add('a'.repeat(8192))).toBeGreaterThan(0);
  });
});

describe('TextIndex', () => {
  function indexOf(seed: number): { readonly index: TextIndex; readonly texts: string[] } {
    const texts: string[] = [];
    return { index: new TextIndex(seed, (number, text) => texts[number] === text), texts };
  }

  it('finds what a Map finds, whatever its seed', () => {
    const keys = fc.array(fc.oneof(asciiTexts, fc.nat(40).map(String)), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), keys, keys, (seed, added, asked) => {
        const { index, texts } = indexOf(seed);
        const oracle = new Map<string, number>();
        for (const text of added) {
          const number = texts.push(text) - 1;
          index.set(text, number);
          oracle.set(text, number);
        }
        expect(index.size).toBe(oracle.size);
        for (const text of [...added, ...asked]) {
          expect(index.get(text)).toBe(oracle.get(text));
          expect(index.has(text)).toBe(oracle.has(text));
        }
      }),
    );
  });

  it('keeps the present number where the new one must not replace it', () => {
    const { index, texts } = indexOf(0);
    texts.push('a', 'a', 'b');
    index.set('a', 0, () => false);
    index.set('a', 1, (present) => present !== 0);
    expect(index.get('a')).toBe(0);
    index.set('a', 1, (present) => present === 0);
    expect([index.get('a'), index.size]).toEqual([1, 1]);
  });

  it('spreads texts that are alike', () => {
    let comparisons = 0;
    const texts = Array.from({ length: 50_000 }, (_, index) => `docker.io/atlanhq/app:${index}`);
    const index = new TextIndex(7, (number, text) => {
      comparisons += 1;
      return texts[number] === text;
    });
    texts.forEach((text, number) => index.set(text, number));
    comparisons = 0;
    for (const text of texts) index.get(text);
    expect(comparisons).toBeLessThan(texts.length * 1.01);
  });
});
