import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EntryTable } from '../../src/core/entry-table.ts';
import type { MapEntry } from '../../src/core/map-entry.ts';
import { digestOf } from '../support/digests.ts';

const repositories = fc.constantFrom(
  'docker.io/atlanhq/a',
  'ghcr.io/atlanhq/b',
  'localhost:5000/c',
);
const targets = fc.constantFrom('r.example/a:1', 'r.example/b:2', 'mirror/c:3');
const digests = fc.constantFrom(digestOf('a'), digestOf('b'));

const entries: fc.Arbitrary<MapEntry> = fc.oneof(
  fc.record({
    kind: fc.constant('image' as const),
    key: repositories.map((repository) => `${repository}:1`),
    target: targets,
    canonicalTarget: targets,
    pinned: fc.boolean(),
    sourceDigest: fc.option(digests, { nil: undefined }),
    path: fc.nat(99).map((index) => `$.images[${index}].source`),
  }),
  fc.record({
    kind: fc.constantFrom('repository' as const, 'prefix' as const),
    key: repositories,
    target: targets,
    canonicalTarget: targets,
    path: fc.nat(99).map((index) => `$.prefixes[${index}].source`),
  }),
);

function repositoryOf({ kind, key }: MapEntry): string {
  return kind === 'image' ? key.slice(0, key.lastIndexOf(':')) : key;
}

describe('EntryTable', () => {
  it('gives back what was added, one by one and all at once', () => {
    fc.assert(
      fc.property(fc.array(entries, { maxLength: 40 }), (list) => {
        const table = new EntryTable();
        const numbers = list.map((entry) => table.add(entry, repositoryOf(entry).length));
        expect(numbers.map((number) => table.entry(number))).toEqual(list);
        expect(table.entries).toEqual(list);
        expect(table.size).toBe(list.length);
        expect(numbers.every((number) => table.entry(number) === table.entries[number])).toBe(true);
        expect(numbers.map((number) => table.repository(number))).toEqual(list.map(repositoryOf));
      }),
    );
  });

  it('tells texts of an entry from others', () => {
    fc.assert(
      fc.property(entries, entries, (entry, other) => {
        const table = new EntryTable();
        const number = table.add(entry, repositoryOf(entry).length);
        const digest = entry.kind === 'image' ? entry.sourceDigest : undefined;
        const otherDigest = other.kind === 'image' ? other.sourceDigest : undefined;
        expect(table.hasKey(number, other.key)).toBe(entry.key === other.key);
        expect(table.hasCanonicalTarget(number, other.canonicalTarget)).toBe(
          entry.canonicalTarget === other.canonicalTarget,
        );
        if (otherDigest !== undefined) {
          const isSame = digest === otherDigest;
          const name = repositoryOf(other);
          expect(table.hasDigest(number, `@${otherDigest}`)).toBe(isSame);
          expect(table.hasRepositoryAndDigest(number, `${name}@${otherDigest}`)).toBe(
            isSame && repositoryOf(entry) === name,
          );
        }
        const second = new EntryTable();
        second.add(other, repositoryOf(other).length);
        expect(table.agrees(number, second, 0)).toBe(
          entry.canonicalTarget === other.canonicalTarget && digest === otherDigest,
        );
      }),
    );
  });
});
