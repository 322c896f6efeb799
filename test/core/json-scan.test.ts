import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  JsonContainer,
  JsonDepthError,
  type JsonOutline,
  listElements,
  objectMembers,
  outlineJson,
} from '../../src/core/json-scan.ts';
import { runSteps } from '../../src/core/steps.ts';
import { bytesOf, bytesOfText } from '../support/maps.ts';

const LIMIT = 100;

function outlineOf(bytes: Uint8Array, wanted: readonly string[] = [], limit = LIMIT): JsonOutline {
  return runSteps(outlineJson(bytes, wanted, limit, 0));
}

function findDuplicateKeys(text: string, limit: number): readonly string[] {
  return outlineOf(bytesOfText(text), [], limit).duplicates;
}

/** What is wrong with a text; undefined where nothing is. */
function faultIn(text: string | Uint8Array): string | undefined {
  try {
    outlineOf(typeof text === 'string' ? bytesOfText(text) : text);
    return undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return error.message;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Stands for what is left unread: its kind alone. */
function shown(value: unknown): unknown {
  return value instanceof JsonContainer ? { unread: value.kind } : value;
}

function unread(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return { unread: Array.isArray(value) ? 'list' : 'object' };
}

describe('keys that stand twice', () => {
  it.each([
    ['{}'],
    ['[]'],
    ['"a"'],
    ['null'],
    ['{"a":1,"b":1}'],
    ['{"a":{"a":{"a":1}}}'],
    ['[{"a":1},{"a":1}]'],
    ['{"a":"a","b":"a"}'],
    ['{"a":["a","a"],"b":["a"]}'],
    ['{"a":"\\"a\\":1,\\"a\\":2"}'],
    ['{"a\\\\":1,"a":2}'],
    ['{"a":"{","b":"}","c":"[,:"}'],
    ['{"A":1,"a":1}'],
    ['{"":1," ":1}'],
  ])('finds none in %s', (text) => {
    expect(JSON.parse(text)).toBeDefined();
    expect(findDuplicateKeys(text, LIMIT)).toEqual([]);
  });

  it.each([
    ['{"a":1,"a":2}', ['$.a']],
    ['{"a":1,"a":1}', ['$.a']],
    ['{ "a" : 1 , "a" : 2 }', ['$.a']],
    ['{"a":1,"a":2,"a":3}', ['$.a', '$.a']],
    ['{"a":1,"\\u0061":2}', ['$.a']],
    ['{"/":1,"\\/":2}', ['$["/"]']],
    ['{"":1,"":2}', ['$[""]']],
    ['{"\\"":1,"\\"":2}', ['$["\\""]']],
    ['{"images":[{"source":1},{"source":1,"source":2}]}', ['$.images[1].source']],
    ['[[],[{"x":{"y":1,"y":2}}]]', ['$[1][0].x.y']],
    ['{"a":{"b":1,"b":2},"a":3}', ['$.a.b', '$.a']],
    ['{"a":{"b":1},"b":{"c":[1,2]},"b":0}', ['$.b']],
    [
      '{"docker.io/atlanhq/app:1":"x","docker.io/atlanhq/app:1":"y"}',
      ['$["docker.io/atlanhq/app:1"]'],
    ],
    ['{"__proto__":1,"__proto__":2}', ['$.__proto__']],
    ['{"constructor":1,"constructor":2}', ['$.constructor']],
  ])('finds those of %s', (text, paths) => {
    expect(JSON.parse(text)).toBeDefined();
    expect(findDuplicateKeys(text, LIMIT)).toEqual(paths);
  });

  it('stops at the limit', () => {
    const text = `{${Array.from({ length: 50 }, () => '"a":1').join(',')}}`;
    expect(findDuplicateKeys(text, 3)).toHaveLength(3);
  });

  it('are found as deep as a text may be nested', () => {
    const nested = (depth: number): string =>
      `${'['.repeat(depth - 1)}{"a":1,"a":2}${']'.repeat(depth - 1)}`;
    expect(findDuplicateKeys(nested(30), LIMIT)).toEqual([`$${'[0]'.repeat(29)}.a`]);
    expect(() => findDuplicateKeys(nested(31), LIMIT)).toThrow(JsonDepthError);
  });

  it('have no longer paths than one can read', () => {
    const key = JSON.stringify('k'.repeat(100_000));
    const [path = ''] = findDuplicateKeys(`{${key}:{"a":1,"a":2}}`, LIMIT);
    expect(path.length).toBeLessThan(2000);
  });
});

describe('keys that stand twice in a big object', () => {
  it('are found wherever they stand, and no others', () => {
    const keys = Array.from({ length: 500 }, (_, index) => `key-${index}`);
    const members = [...keys, 'key-2', 'key-499'].map((key) => `${JSON.stringify(key)}:1`);
    expect(findDuplicateKeys(`{${members.join(',')}}`, LIMIT)).toEqual([
      '$["key-2"]',
      '$["key-499"]',
    ]);
  });

  it('are those that a set finds', () => {
    const keys = fc.array(fc.string({ maxLength: 2 }), { maxLength: 60 });
    fc.assert(
      fc.property(keys, (texts) => {
        const text = `{${texts.map((key) => `${JSON.stringify(key)}:0`).join(',')}}`;
        expect(findDuplicateKeys(text, LIMIT)).toHaveLength(texts.length - new Set(texts).size);
      }),
    );
  });
});

describe('outlineJson', () => {
  it.each([
    ['', 'expected a value in line 1, column 1, found the end of the text'],
    ['{"a":1,}', 'expected a key in double quotes in line 1, column 8, found "}"'],
    ['{"a":1 "b":2}', 'expected "," or "}" in line 1, column 8, found "\\""'],
    ['[1\n,2\n 3]', 'expected "," or "]" in line 3, column 2, found "3"'],
    ['{"a" 1}', 'expected ":" in line 1, column 6, found "1"'],
    ['{} x', 'expected nothing more in line 1, column 4, found "x"'],
    [
      '["é',
      'expected the double quote that ends a string in line 1, column 4, found the end of the text',
    ],
    ['[“a”]', 'expected a value in line 1, column 2, found "“"'],
    ['[tru]', 'expected a value in line 1, column 2, found "t"'],
    ['[-]', 'expected a digit in line 1, column 3, found "]"'],
    ['["\\x"]', 'expected one of "\\/bfnrtu after a backslash in line 1, column 4, found "x"'],
    ['["\\u12g4"]', 'expected four hex digits after \\u in line 1, column 7, found "g"'],
  ])('says of %j: %s', (text, message) => {
    expect(isJson(text)).toBe(false);
    expect(faultIn(text)).toBe(message);
  });

  it.each([
    ['in a string', [0x22, 0x80, 0x22]],
    ['outside of a string', [0xff, 0xfe, 0x7b, 0x00]],
  ])('calls a text in another encoding just that, %s', (_where, bytes) => {
    expect(faultIn(Uint8Array.from(bytes))).toBe('the text is not UTF-8');
  });

  it('takes what JSON.parse takes, behind a byte order mark or not, and nothing else', () => {
    const piece = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '\\',
        'u',
        '0041',
        'd800',
        'a',
        '1',
        '0',
        '-',
        '+',
        '.',
      ],
      ...[
        'e',
        'E',
        'true',
        'null',
        'fals',
        ' ',
        '\n',
        '\t',
        '\u0001',
        '\u00a0',
        'é',
        '\ufeff',
        '"a"',
        '"a":',
      ],
    );
    const broken = fc
      .tuple(fc.json(), fc.nat(), fc.nat(3), fc.array(piece, { maxLength: 3 }))
      .map(([text, at, cut, pieces]) => {
        const start = at % (text.length + 1);
        return text.slice(0, start) + pieces.join('') + text.slice(start + cut);
      })
      // A lone surrogate cannot be encoded.
      .filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(
        fc.oneof(
          broken,
          fc.array(piece, { maxLength: 8 }).map((all) => all.join('')),
        ),
        (text) => {
          expect(faultIn(text) === undefined).toBe(isJson(text.replace(/^\ufeff/, '')));
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('gives the members that were asked for, and others up to the limit', () => {
    const text = '{"b":1,"c":[2],"d":{"a":3},"a":{"a":4},"e":"f"}';
    const { root, members } = outlineOf(bytesOfText(text), ['a', 'e'], 2);
    expect(shown(root)).toEqual({ unread: 'object' });
    expect([...members].map(([key, value]) => [key, shown(value)])).toEqual([
      ['b', 1],
      ['c', { unread: 'list' }],
      ['a', { unread: 'object' }],
      ['e', 'f'],
    ]);
  });

  it('rests in a long list inside of an object as well', () => {
    const aliases = Array.from({ length: 20_000 }, () => 'text');
    const steps = outlineJson(bytesOf([{ aliases }]), [], LIMIT, 0);
    expect([...steps].length).toBeGreaterThan(10);
  });

  it.each([
    ['[{"a":"1","b":"2"},{"a":"1","a":"2"}]', ['$[1].a']],
    ['[{"a":"1"},{"b":["x"],"a":"1","b":["y"]}]', ['$[1].b']],
    ['[{"a":"1"},{"\\u0061":"1","a":"2"}]', ['$[1].a']],
    ['[{"a":"1"},{"ä":"1","ä":"2"}]', ['$[1]["ä"]']],
    ['[{"aa":"1","a":"2","aaa":"3"}]', []],
    [
      '[{"a":"1","b":"1","c":"1","d":"1","e":"1","f":"1","g":"1","h":"1","i":"1","a":"2"}]',
      ['$[0].a'],
    ],
  ])('finds names that stand twice among plain objects: %s', (text, paths) => {
    expect(findDuplicateKeys(text, LIMIT)).toEqual(paths);
  });

  it.each(['[{"a":"1"},{"a":"1",}]', '[{"a":"1"}{"b":"2"}]', '[{"a":"1"},]', '[{"a":["1",]}]'])(
    'refuses what is no JSON among plain objects: %s',
    (text) => {
      expect(() => outlineOf(bytesOfText(text))).toThrow(SyntaxError);
    },
  );

  it('rests many times in a long text', () => {
    const steps = outlineJson(bytesOf(Array.from({ length: 20_000 }, () => 'text')), [], LIMIT, 0);
    expect([...steps].length).toBeGreaterThan(10);
  });
});

describe('listElements and objectMembers', () => {
  // -0 is written as 0.
  const values = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown);
  const jsonLists = fc.array(values, { maxLength: 6 });
  const jsonObjects = fc.dictionary(fc.string(), values, { maxKeys: 6 });
  const spaces = fc.constantFrom(undefined, 1, '\t');

  function containerIn(bytes: Uint8Array): JsonContainer {
    return containerOf(outlineOf(bytes));
  }

  function containerOf({ root }: JsonOutline): JsonContainer {
    if (!(root instanceof JsonContainer)) throw new Error('the root is a scalar');
    return root;
  }

  function elementsOf(bytes: Uint8Array): unknown[] {
    const outline = outlineOf(bytes);
    return [...listElements(bytes, containerOf(outline), outline.runs)];
  }

  it('read what JSON.parse reads, and leave what lies deeper to others', () => {
    fc.assert(
      fc.property(jsonLists, jsonObjects, spaces, (list, object, space) => {
        const listBytes = bytesOfText(JSON.stringify(list, null, space));
        expect(elementsOf(listBytes).map(shown)).toEqual(
          list.map((each) => (Array.isArray(each) ? unread(each) : each)),
        );
        const objectBytes = bytesOfText(JSON.stringify(object, null, space));
        const members = [...objectMembers(objectBytes, containerIn(objectBytes))];
        expect(new Map(members.map(([key, value]) => [key, shown(value)]))).toEqual(
          new Map(Object.entries(object).map(([key, value]) => [key, unread(value)])),
        );
      }),
    );
  });

  it('read objects of texts, which come many at once, and what stands among them', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 5 });
    const plain = fc.dictionary(text, fc.oneof(text, fc.array(text)), { maxKeys: 9 });
    const elements = fc.array(fc.oneof({ weight: 5, arbitrary: plain }, values));
    fc.assert(
      fc.property(elements, spaces, (list, space) => {
        const parsed = JSON.parse(JSON.stringify(list)) as unknown[];
        expect(elementsOf(bytesOfText(JSON.stringify(list, null, space))).map(shown)).toEqual(
          parsed.map((each) => (Array.isArray(each) ? unread(each) : each)),
        );
      }),
    );
  });

  it('read a list that is longer than what comes at once', () => {
    const list = Array.from({ length: 5000 }, (_, index) => ({
      source: `a:${index}`,
      target: 'b',
    }));
    expect(elementsOf(bytesOf(list))).toEqual(list);
  });

  it('keep a byte order mark inside of a string', () => {
    const bytes = bytesOf(['\ufeffa']);
    expect(elementsOf(bytes)).toEqual(['\ufeffa']);
  });
});
