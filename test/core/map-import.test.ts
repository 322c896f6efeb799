import { describe, expect, it } from '@jest/globals';
import {
  carryDigest,
  type Imported,
  importKustomization,
  importLines,
} from '../../src/core/map-import.ts';
import { digestOf } from '../support/digests.ts';

const [A, B] = [digestOf('a'), digestOf('b')];

/** `code path` of every fault. */
function faultsOf({ faults }: Imported): string[] {
  return faults.map(({ code, path }) => `${code} ${path}`);
}

describe('importLines', () => {
  it.each([
    ['one line', 'a:1=r.example/a:1', ['a:1 -> r.example/a:1']],
    [
      'two lines',
      'a:1=r.example/a:1\nb=r.example/b\n',
      ['a:1 -> r.example/a:1', 'b -> r.example/b'],
    ],
    [
      'line ends of Windows',
      'a=r.example/a\r\nb=r.example/b\r\n',
      ['a -> r.example/a', 'b -> r.example/b'],
    ],
    ['blanks around the ends', '  a = r.example/a\t', ['a -> r.example/a']],
    [
      'digests, as oc-mirror has them',
      `q.example/a@${A}=r.example/a:1`,
      [`q.example/a@${A} -> r.example/a:1`],
    ],
    ['a prefix', 'docker.io/atlanhq/=r.example/atlan/', ['docker.io/atlanhq/ -> r.example/atlan/']],
    [
      'the same line twice',
      'a=r.example/a\na=r.example/a',
      ['a -> r.example/a', 'a -> r.example/a'],
    ],
    ['blank lines and remarks', '\n# a=b\n   \n  # c\na=r.example/a', ['a -> r.example/a']],
    ['nothing', '', []],
  ])('reads %s', (_title, text, expected) => {
    const imported = importLines(text);
    expect(imported.lines.map(({ source, target }) => `${source} -> ${target}`)).toEqual(expected);
    expect(imported).toMatchObject({ faults: [], notes: [] });
  });

  it.each([
    ['no equals sign', 'a:1 r.example/a:1'],
    ['no source', '=r.example/a'],
    ['no target', 'a='],
    ['two equals signs', 'a=b=c'],
    ['an equals sign alone', '='],
  ])('refuses a line with %s, and names it', (_title, line) => {
    expect(faultsOf(importLines(`# first\n\n${line}\nb=r.example/b`))).toEqual([
      'MAP_IMPORT_INVALID line 3',
    ]);
  });

  it('names every bad line, and quotes no more than the beginning of a long one', () => {
    const imported = importLines(`bad\na=r.example/a\n${'x'.repeat(100_000)}`);
    expect(faultsOf(imported)).toEqual(['MAP_IMPORT_INVALID line 1', 'MAP_IMPORT_INVALID line 3']);
    expect(imported.faults[1]?.message.length).toBeLessThan(300);
  });
});

describe('importKustomization', () => {
  it.each([
    [
      'a new name and tag',
      { name: 'a', newName: 'r.example/a', newTag: '1' },
      'a:1 -> r.example/a:1',
    ],
    ['a new name', { name: 'a', newName: 'r.example/a' }, 'a -> r.example/a'],
    [
      'a new name, tag and digest',
      { name: 'a', newName: 'r.example/a', newTag: '1', digest: A },
      `a:1 -> r.example/a:1@${A}`,
    ],
    ['a new tag', { name: 'a', newTag: '1' }, 'a:1 -> a:1'],
  ])('reads %s', (_title, image, expected) => {
    const { lines, faults } = importKustomization({ images: [image] });
    expect(faults).toEqual([]);
    expect(lines.map(({ source, target }) => `${source} -> ${target}`)).toEqual([expected]);
  });

  it('says which source tags it assumed', () => {
    const { notes } = importKustomization({
      images: [
        { name: 'a', newName: 'r.example/a' },
        { name: 'b', newName: 'r.example/b', newTag: '1.4' },
      ],
    });
    expect(notes).toEqual([expect.stringMatching(/^\$\.images\[1\]: .*1\.4$/)]);
  });

  it.each([
    ['without a name', { newName: 'r.example/a' }],
    ['with a name that is no text', { name: 1, newName: 'r.example/a' }],
    // The digest of a target is no rule for every tag of its source.
    ['with a digest but no tag', { name: 'a', newName: 'r.example/a', digest: A }],
    // YAML reads 1.10 as 1.1, so a number is not what was written.
    ['with a tag that YAML made a number', { name: 'a', newTag: 1.1 }],
    ['that is a text', 'a'],
    ['that is null', null],
    ['that is a list', ['a']],
  ])('refuses an entry %s, and names it', (_title, image) => {
    const good = { name: 'b', newName: 'r.example/b' };
    expect(faultsOf(importKustomization({ images: [good, image] }))).toEqual([
      'MAP_IMPORT_INVALID $.images[1]',
    ]);
  });

  it.each([[undefined], [null], ['images'], [[]], [{}], [{ images: {} }], [{ images: null }]])(
    'refuses %j, which has no list of images',
    (document) => {
      expect(faultsOf(importKustomization(document))).toEqual(['MAP_IMPORT_INVALID $.images']);
    },
  );
});

describe('carryDigest', () => {
  it.each([
    ['a source by digest', `q.example/a@${A}`, 'r.example/a', `r.example/a@${A}`],
    ['a source by tag and digest', `q.example/a:1@${A}`, 'r.example/a:1', `r.example/a:1@${A}`],
    ['a target that has one', `q.example/a@${A}`, `r.example/a@${B}`, `r.example/a@${B}`],
    ['a source by tag', 'q.example/a:1', 'r.example/a:1', 'r.example/a:1'],
    ['a prefix', 'q.example/team/', 'r.example/team/', 'r.example/team/'],
    ['a source that does not parse', 'A b', 'r.example/a', 'r.example/a'],
  ])('of %s gives the target its digest, or leaves it', (_title, source, target, expected) => {
    expect(carryDigest({ source, target })).toEqual({ source, target: expected });
  });
});
