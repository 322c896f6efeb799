import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { endOfValue } from '../../src/core/json-end.ts';
import { isRecord } from '../../src/core/json-value.ts';
import { inParts, items, members, parseSelected, WHOLE } from '../../src/core/selected-json.ts';

const PERSON = members({ name: WHOLE, tags: items(members({ key: WHOLE })) });

function parse(text: string | Uint8Array): unknown {
  const bytes = Buffer.from(text);
  return parseSelected(bytes.toString('utf8'), bytes, PERSON);
}

/** What `PERSON` selects, in the plainest way. */
function project(value: unknown): unknown {
  if (!isRecord(value)) {
    return value;
  }
  const { name, tags } = value;
  const keys = (tag: unknown): unknown =>
    isRecord(tag) ? ('key' in tag ? { key: tag.key } : {}) : tag;
  return {
    ...('name' in value && { name }),
    ...('tags' in value && { tags: Array.isArray(tags) ? tags.map(keys) : tags }),
  };
}

function outcomeOf(run: () => unknown): unknown {
  try {
    return { value: run() };
  } catch (error) {
    return { name: (error as Error).name, message: (error as Error).message };
  }
}

/** Of an unusual text everything may be there; what is selected of it is the same. */
function expectAgreement(text: Uint8Array): void {
  const whole = Buffer.from(text).toString('utf8');
  expect(outcomeOf(() => project(parse(text)))).toEqual(
    outcomeOf(() => project(JSON.parse(whole) as unknown)),
  );
}

/** JSON texts as others write them: keys that meet the selection, twice in an object, odd spaces. */
const keys = fc.constantFrom('name', 'tags', 'key', 'x', '__proto__', 'na"me', 'n\u00e4me', '');
const scalars = fc.oneof(
  fc.constantFrom('0', '-0', '12', '-1.50', '1e5', '2E-3', '0.1e+9', 'true', 'false', 'null'),
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
  fc.constantFrom('"\\u0041\\/"', '"\\ud800"', '"a\\\\"', '"\u2028"'),
);
const spaces = fc.constantFrom('', '', '', ' ', '\n\t', '\r');
const { text: jsonTexts } = fc.letrec<{ text: string; pair: string }>((tie) => ({
  pair: fc
    .tuple(keys, spaces, tie('text'))
    .map(([key, space, value]) => `${space}${JSON.stringify(key)}${space}:${value}`),
  text: fc
    .tuple(
      spaces,
      fc.oneof(
        { depthSize: 'medium', withCrossShrink: true },
        scalars,
        fc.array(tie('text'), { maxLength: 3 }).map((all) => `[${all.join(',')}]`),
        fc.array(tie('pair'), { maxLength: 4 }).map((all) => `{${all.join(',')}}`),
      ),
      spaces,
    )
    .map((parts) => parts.join('')),
}));

/** One edit of a text: a piece is gone, another piece is in its place. */
const edits = fc.record({
  at: fc.nat(),
  gone: fc.nat({ max: 3 }),
  put: fc.oneof(
    fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\\', '0', '-', '.', 'e', 'E', 't', 'n'),
    fc.constantFrom(' ', '\u0000', '\n', '//', '\ufeff', '01', '\\u12', '\\x', 'NaN'),
    fc.string({ maxLength: 2 }),
  ),
});

describe('parseSelected', () => {
  it.each([
    ['{"name":"a","age":1}', { name: 'a' }],
    ['{"age":1,"name":"a"}', { name: 'a' }],
    ['{"age":1,"name":"a","x":[{"name":2}]}', { name: 'a' }],
    ['{"age":1}', {}],
    ['{}', {}],
    [
      '{"tags":[{"key":1,"value":2},{"value":3},"text",[]]}',
      { tags: [{ key: 1 }, {}, 'text', []] },
    ],
    ['{"tags":{"key":1}}', { tags: { key: 1 } }],
    ['{"name":{"first":"a","last":"b"}}', { name: { first: 'a', last: 'b' } }],
    [' { "name" : "a" , "age" : 1 } \n', { name: 'a' }],
    ['{"name":"a","name":"b"}', { name: 'b' }],
    ['{"tags":[{"key":1}],"tags":null}', { tags: null }],
    ['{"names":"a","nam":"b"}', {}],
    ['"text"', 'text'],
    ['[{"name":"a"}]', [{ name: 'a' }]],
    ['{"name":"a\\"b\\u0041"}', { name: 'a"bA' }],
  ])('makes of %s what is selected', (text, value) => {
    expect(parse(text)).toEqual(value);
  });

  it.each([
    ['an escape in a name', '{"n\\u0061me":"a","x":1}', { name: 'a', x: 1 }],
    ['characters past ASCII', '{"name":"ä","x":1}', { name: 'ä', x: 1 }],
  ])('makes all of a text with %s', (_title, text, value) => {
    expect(parse(text)).toEqual(value);
  });

  it('asks about the parts of what it leaves out, and keeps nothing of them', () => {
    const text = '{"name":"a","log":[{"at":1,"what":{"a":{"b":2},"c":[3]}}],"d":{}}';
    const selection = members({ name: WHOLE, log: inParts(items(members({ what: members({}) }))) });
    const asked: string[] = [];
    const value = parseSelected(text, Buffer.from(text), selection, (bytes, start) => {
      const end = endOfValue(bytes, start);
      asked.push(text.slice(start, end));
      return end;
    });
    expect(value).toEqual({ name: 'a' });
    expect(asked).toEqual(['1', '{"b":2}', '[3]', '{}']);
  });

  it('reads invalid UTF-8 as JSON.parse of the decoded text does', () => {
    const bytes = Buffer.from('{"x":"?","name":"a?b"}').map((byte) =>
      byte === 0x3f ? 0xff : byte,
    );
    expect(parse(bytes)).toEqual({ name: 'a\ufffdb' });
  });

  it('takes a name of __proto__ in what is kept whole for an ordinary one', () => {
    const value = parse('{"name":{"__proto__":"a"}}');
    expect(JSON.stringify(value)).toBe('{"name":{"__proto__":"a"}}');
  });

  it.each(['[', '{"x":', '{"name":'])('leaves deep nesting of %s to JSON.parse', (opening) => {
    const depth = 100_000;
    const closing = opening === '[' ? ']' : '}';
    const text = `{"x":${opening.repeat(depth)}1${closing.repeat(depth)},"name":"a"}`;
    expect(project(parse(text))).toEqual({ name: 'a' });
    expect(() => parse(opening.repeat(depth))).toThrow(SyntaxError);
  });

  it('agrees with JSON.parse about every JSON text', () => {
    fc.assert(
      fc.property(jsonTexts, (text) => {
        expectAgreement(Buffer.from(text));
      }),
      { numRuns: 3000 },
    );
  });

  it('agrees with JSON.parse about every text that is nearly JSON', () => {
    fc.assert(
      fc.property(jsonTexts, fc.array(edits, { minLength: 1, maxLength: 2 }), (text, changes) => {
        let edited = text;
        for (const { at, gone, put } of changes) {
          const start = at % (edited.length + 1);
          edited = edited.slice(0, start) + put + edited.slice(start + gone);
        }
        expectAgreement(Buffer.from(edited));
      }),
      { numRuns: 10_000 },
    );
  });

  it('agrees with JSON.parse about bytes of any kind inside a text', () => {
    fc.assert(
      fc.property(jsonTexts, fc.nat(), fc.uint8Array({ maxLength: 3 }), (text, place, bytes) => {
        const around = Buffer.from(text);
        const at = place % (around.length + 1);
        expectAgreement(Buffer.concat([around.subarray(0, at), bytes, around.subarray(at)]));
      }),
      { numRuns: 3000 },
    );
  });
});
