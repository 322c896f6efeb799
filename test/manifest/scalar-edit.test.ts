import { describe, expect, it } from '@jest/globals';
import { readDocument } from '../../src/manifest/document.ts';
import { replaceScalar } from '../../src/manifest/scalar-edit.ts';
import { applyEdits } from '../../src/manifest/text.ts';

const TARGET = 'r.example/m/app:1';

/** The source with the text at `a` replaced, or its alias where it is one. */
function replaced(source: string, target: string): string {
  const document = readDocument(source);
  const found = 'fault' in document ? undefined : document.find(['a']);
  if (found === undefined) {
    throw new Error(`no text at a: ${source}`);
  }
  return applyEdits(source, [replaceScalar(source, found.alias ?? found.scalar, target)]);
}

describe('replaceScalar', () => {
  it.each([
    ['plain', 'a: x/y # x/y\n', `a: ${TARGET} # x/y\n`],
    ['single quotes', "a: 'x/y'\n", `a: '${TARGET}'\n`],
    ['double quotes', 'a: "x\\/y"\n', `a: "${TARGET}"\n`],
    ['quotes over two lines', 'a: "x/\\\n  y"\nb: c\n', `a: "${TARGET}"\nb: c\n`],
    ['flow style', '{ "a":"x/y", b: c }', `{ "a":"${TARGET}", b: c }`],
    ['flow style, plain', '{a: x/y,b: c}', `{a: ${TARGET},b: c}`],
    ['folded', 'a: >- # x/y\n  x/y\nb: c\n', `a: >- # x/y\n  ${TARGET}\nb: c\n`],
    ['literal', 'a: |2-\n  x/y\n', `a: |2-\n  ${TARGET}\n`],
    ['literal, CR LF', 'a: |-\r\n  x/y\r\n', `a: |-\r\n  ${TARGET}\r\n`],
    ['a tag and an anchor', 'a: !!str &b x/y\n', `a: !!str &b ${TARGET}\n`],
    ['an alias', 'b: &b x/y\na: *b # c\n', `b: &b x/y\na: ${TARGET} # c\n`],
    ['the next line', 'a:\n  # x/y\n  x/y\n', `a:\n  # x/y\n  ${TARGET}\n`],
  ])('keeps the style: %s', (_title, source, expected) => {
    expect(replaced(source, TARGET)).toBe(expected);
  });

  it.each(['[::1]:5000/app', 'app', '1/2:3', '-x/y'])(
    'writes %s so that it is read as a text',
    (target) => {
      for (const source of ['a: x/y', '{a: x/y}', 'b: &b x/y\na: *b']) {
        const document = readDocument(replaced(source, target));
        expect('fault' in document ? document.fault : document.value).toMatchObject({ a: target });
      }
    },
  );
});
