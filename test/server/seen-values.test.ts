import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { endOfValue, FAULT } from '../../src/core/json-end.ts';
import { SeenValues } from '../../src/server/seen-values.ts';

/** So often that a value is kept even if others that are not there take turns with it. */
const OFTEN = 20;

const NAME = '{"name":';
const LONG = JSON.stringify({ list: Array.from({ length: 20 }, (_, index) => `item ${index}`) });

/** A text in which `value` is one, and the place of that. */
function textAround(value: string): { readonly text: Buffer; readonly start: number } {
  return { text: Buffer.from(`${NAME}${value},"next":1}`), start: NAME.length };
}

/** What has been asked about a value so often that it is there. */
function seenOften(value: string): SeenValues {
  const seen = new SeenValues();
  const { text, start } = textAround(value);
  for (let time = 0; time < OFTEN; time += 1) {
    seen.tellEnd(text, start);
  }
  return seen;
}

describe('SeenValues', () => {
  it.each([
    ['an object', LONG],
    ['a list', `[${LONG},${LONG}]`],
    ['a short object', '{"a":1}'],
    ['a string', '"text"'],
    ['a number', '12'],
    ['a long one with an escape and characters past ASCII', `["\\u0041ä",${LONG}]`],
  ])('ends %s where it ends, the first time and when it was seen', (_title, value) => {
    const seen = new SeenValues();
    const { text, start } = textAround(value);
    for (let time = 0; time < OFTEN; time += 1) {
      expect(seen.tellEnd(text, start)).toBe(start + Buffer.byteLength(value));
    }
  });

  it.each([
    ['is no JSON any more', LONG.replace('item 19', 'item\n19')],
    ['has lost its last bracket', LONG.slice(0, -1)],
    ['is cut off', LONG.slice(0, -40)],
    ['goes on', LONG.replace(']}', ',1]}')],
    ['differs in its middle', LONG.replace('item 9', 'item 8')],
  ])('looks again at a value that was seen and now %s', (_title, changed) => {
    const { text, start } = textAround(changed);
    expect(seenOften(LONG).tellEnd(text, start)).toBe(endOfValue(text, start));
  });

  it('finds no end behind the end of a text that stops within a value that was seen', () => {
    const { text, start } = textAround(LONG);
    const seen = seenOften(LONG);
    for (let length = start; length < start + LONG.length; length += 1) {
      expect(seen.tellEnd(text.subarray(0, length), start)).toBe(FAULT);
    }
  });

  it('keeps its own copy of a value', () => {
    const { text, start } = textAround(LONG);
    const seen = new SeenValues();
    for (let time = 0; time < OFTEN; time += 1) {
      seen.tellEnd(text, start);
    }
    text.fill(0x20, start);
    expect(seen.tellEnd(text, start)).toBe(FAULT);
  });

  it('ends every value of captured reviews where it ends, whatever was seen before', () => {
    const folder = 'test/fixtures/admission-reviews';
    const review = readFileSync(`${folder}/create-deployment-pod.json`);
    const starts = [...review.keys()].filter((at) => review[at] === 0x7b || review[at] === 0x5b);
    const seen = new SeenValues();
    fc.assert(
      fc.property(
        fc.constantFrom(...starts),
        fc.nat({ max: review.length - 1 }),
        fc.constantFrom('', '"', '}', 'x'),
        (start, at, put) => {
          const text = Buffer.from(review);
          text.write(put, at, 'latin1');
          expect(seen.tellEnd(text, start)).toBe(endOfValue(text, start));
        },
      ),
      { numRuns: 5000 },
    );
  });
});
