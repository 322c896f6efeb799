import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compareMaps, countChanges, findEntry } from '../../src/core/map-diff.ts';
import { runSteps } from '../../src/core/steps.ts';
import { soundMapSections } from '../support/arbitraries.ts';
import { digestOf } from '../support/digests.ts';
import { mapDocument, mapOf } from '../support/maps.ts';

/** Keys by what became of them. */
function diffOf(from: unknown, to: unknown) {
  const diff = compareMaps(from === undefined ? undefined : mapOf(from), mapOf(to));
  return {
    added: diff.added.map(({ key }) => key),
    removed: diff.removed.map(({ key }) => key),
    changed: diff.changed.map(({ from, to }) => `${from.key}: ${from.target} -> ${to.target}`),
  };
}

const NOTHING = { added: [], removed: [], changed: [] };

describe('compareMaps', () => {
  it('counts everything as added where there was no map', () => {
    expect(diffOf(undefined, { 'a:1': 'r.example/a:1', 'atlanhq/': 'r.example/atlan' })).toEqual({
      ...NOTHING,
      added: ['docker.io/library/a:1', 'docker.io/atlanhq'],
    });
  });

  it('finds nothing between a map and itself', () => {
    const document = { 'a:1': 'r.example/a:1', b: 'r.example/b', 'atlanhq/': 'r.example/atlan' };
    expect(diffOf(document, document)).toEqual(NOTHING);
  });

  it('finds nothing where only form and order differ', () => {
    const flat = { 'a:1': 'r.example/a:1', b: 'r.example/b', 'atlanhq/': 'r.example/atlan' };
    const structured = mapDocument({
      serial: 3,
      prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/atlan' }],
      repositories: [{ source: 'docker.io/library/b', target: 'r.example/b' }],
      images: [{ source: 'docker.io/library/a:1', target: 'r.example/a:1' }],
    });
    expect(diffOf(flat, structured)).toEqual(NOTHING);
  });

  it('tells added, removed and changed sources apart', () => {
    const from = { 'a:1': 'r.example/a:1', 'b:1': 'r.example/b:1', 'c:1': 'r.example/c:1' };
    const to = { 'b:1': 'r.example/b:2', 'c:1': 'r.example/c:1', 'd:1': 'r.example/d:1' };
    expect(diffOf(from, to)).toEqual({
      added: ['docker.io/library/d:1'],
      removed: ['docker.io/library/a:1'],
      changed: ['docker.io/library/b:1: r.example/b:1 -> r.example/b:2'],
    });
  });

  it('counts an alias as a source of its own', () => {
    const image = { source: 'a:1', target: 'r.example/a:1' };
    const from = mapDocument({ images: [{ ...image, aliases: ['b:1'] }] });
    const to = mapDocument({ images: [{ ...image, aliases: ['c:1'] }] });
    expect(diffOf(from, to)).toEqual({
      added: ['docker.io/library/c:1'],
      removed: ['docker.io/library/b:1'],
      changed: [],
    });
  });

  it('counts another source digest as a change', () => {
    const image = { source: 'a:1', target: 'r.example/a:1' };
    const from = mapDocument({ images: [{ ...image, sourceDigest: digestOf('a') }] });
    for (const to of [{ ...image, sourceDigest: digestOf('b') }, image]) {
      expect(diffOf(from, mapDocument({ images: [to] })).changed).toHaveLength(1);
    }
  });

  it('counts a repository that becomes a prefix as removed and added', () => {
    expect(diffOf({ 'atlanhq/a': 'r.example/a' }, { 'atlanhq/a/': 'r.example/a' })).toEqual({
      added: ['docker.io/atlanhq/a'],
      removed: ['docker.io/atlanhq/a'],
      changed: [],
    });
  });
});

describe('countChanges', () => {
  it('counts what compareMaps lists', () => {
    const maps = soundMapSections.map((sections) => mapOf(mapDocument(sections)));
    fc.assert(
      fc.property(fc.option(maps, { nil: undefined }), maps, (from, to) => {
        const { added, removed, changed } = compareMaps(from, to);
        expect(runSteps(countChanges(from, to))).toEqual({
          added: added.length,
          removed: removed.length,
          changed: changed.length,
        });
      }),
      { numRuns: 1000 },
    );
  });
});

describe('findEntry', () => {
  const [a, b] = [digestOf('a'), digestOf('b')];
  const map = mapOf({
    'atlanhq/a:1': 'r.example/a:1',
    [`atlanhq/b:1@${a}`]: `r.example/b:1@${b}`,
    [`@${b}`]: `r.example/c@${b}`,
    'atlanhq/d': 'r.example/d',
    'ghcr.io/atlanhq/': 'r.example/ghcr',
  });

  it.each(map.entries.map((entry) => ({ entry })))('finds $entry.key again', ({ entry }) => {
    expect(findEntry(map, entry)).toBe(entry);
    expect(findEntry(mapOf({}), entry)).toBeUndefined();
  });

  it('does not take what an entry implies for an entry of its own', () => {
    const other = mapOf({
      [`atlanhq/b@${a}`]: `r.example/b:1@${b}`,
      [`@${a}`]: `r.example/b@${b}`,
    });
    for (const entry of other.entries) {
      expect(findEntry(map, entry)).toBeUndefined();
    }
  });

  it('tells a repository from a prefix and an image of the same name', () => {
    const other = mapOf({ 'atlanhq/d/': 'r.example/d', 'atlanhq/d:latest': 's.example/d:1' });
    for (const entry of other.entries) {
      expect(findEntry(map, entry)).toBeUndefined();
    }
  });
});
