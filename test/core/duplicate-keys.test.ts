import { describe, expect, it } from '@jest/globals';
import { findDuplicateKeys } from '../../src/core/duplicate-keys.ts';

const LIMIT = 100;

describe('findDuplicateKeys', () => {
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

  it('reads nesting that is deeper than any call stack', () => {
    const depth = 100_000;
    const text = `${'['.repeat(depth)}{"a":1,"a":2}${']'.repeat(depth)}`;
    expect(findDuplicateKeys(text, LIMIT)).toHaveLength(1);
  });
});
