import { describe, expect, it } from '@jest/globals';
import { LINT_WARNINGS, lintImageMap } from '../../src/core/map-lint.ts';
import { digestOf } from '../support/digests.ts';
import { mapDocument, mapOf } from '../support/maps.ts';
import { SOURCES } from '../support/policies.ts';
import { prefixOf } from '../support/references.ts';

const [A, B, C] = [digestOf('a'), digestOf('b'), digestOf('c')];

function warningsOf(document: unknown, sources: readonly string[] = SOURCES): string[] {
  return lintImageMap(mapOf(document), sources.map(prefixOf)).map(
    ({ code, path }) => `${code} ${path}`,
  );
}

describe('lintImageMap', () => {
  it('finds nothing in a map of pinned images, repositories and prefixes in scope', () => {
    const document = mapDocument({
      images: [
        {
          source: 'atlanhq/a:1',
          aliases: ['ghcr.io/atlanhq/a:1', `registry.atlan.com/a@${A}`],
          sourceDigest: A,
          target: `localhost:5000/a:1@${B}`,
        },
        { source: `@${C}`, target: `r.example/c@${C}` },
      ],
      repositories: [{ source: 'registry.atlan.com/public/base', target: 'r.example/base' }],
      prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/atlan' }],
    });
    expect(warningsOf(document)).toEqual([]);
  });

  it('warns of a map without entries', () => {
    expect(warningsOf({})).toEqual(['MAP_EMPTY $']);
  });

  it('warns of keys that have no effect', () => {
    const images = [{ source: 'atlanhq/a:1', target: `r.example/a@${A}`, digest: B }];
    expect(warningsOf(mapDocument({ images, note: 'x' }))).toEqual([
      'MAP_KEY_UNKNOWN $.note',
      'MAP_KEY_UNKNOWN $.images[0].digest',
    ]);
  });

  it.each([
    ['an image', 'atlanhq2/a:1', `r.example/a@${A}`],
    ['an image by digest', `docker.io/library/a@${B}`, `r.example/a@${A}`],
    ['an image of a registry with a port', 'localhost:5000/a:1', `r.example/a@${A}`],
    ['a repository', 'docker.io/library/a', 'r.example/a'],
    ['a prefix', 'docker.io/atlan/', 'r.example/a'],
  ])('warns of %s out of scope', (_title, source, target) => {
    expect(warningsOf({ [source]: target })).toEqual([`MAP_ENTRY_UNREACHABLE $["${source}"]`]);
  });

  it('reads the port of a registry as such', () => {
    expect(warningsOf({ 'localhost:5000/a:1': `r.example/a@${A}` }, ['localhost:5000'])).toEqual(
      [],
    );
    expect(
      warningsOf({ [`localhost:5000/a@${B}`]: `r.example/a@${A}` }, ['localhost:5000']),
    ).toEqual([]);
  });

  it('takes a prefix above the scope for reachable, but not a repository', () => {
    expect(warningsOf({ 'docker.io/': 'r.example/hub' })).toEqual([]);
    expect(warningsOf({ 'docker.io/a': 'r.example/a' }, ['docker.io/library/a/b'])).toEqual([
      'MAP_ENTRY_UNREACHABLE $["docker.io/a"]',
    ]);
  });

  it('warns of a target that can change without the map', () => {
    expect(warningsOf({ 'atlanhq/a:1': 'r.example/a:1' })).toEqual([
      'MAP_TARGET_MUTABLE $["atlanhq/a:1"]',
    ]);
  });

  it.each([`atlanhq/a@${A}`, `atlanhq/a:1@${A}`, `@${A}`])(
    'warns that %s never applies while its target has no digest',
    (source) => {
      expect(warningsOf({ [source]: 'r.example/a:1' })).toEqual([
        `MAP_TARGET_UNPINNED $["${source}"]`,
      ]);
    },
  );

  it.each([
    ['images', `corp/a:1@${A}`],
    ['images', `registry.example@${A}`],
    ['images', `registry.example:5000@${A}`],
    ['repositories', 'corp/a'],
    ['repositories', 'registry.example'],
    ['prefixes', 'corp'],
  ])('warns of a target in %s that names no registry: %s', (section, target) => {
    const document = mapDocument({ [section]: [{ source: 'docker.io/atlanhq/a', target }] });
    expect(warningsOf(document)).toEqual([`MAP_TARGET_WITHOUT_REGISTRY $.${section}[0].target`]);
  });

  it.each([
    ['images', `localhost/a@${A}`],
    ['repositories', 'docker.io/corp/a'],
    ['prefixes', 'registry.example:5000/'],
    ['prefixes', 'registry.example'],
  ])('finds the registry of a target in %s: %s', (section, target) => {
    const document = mapDocument({ [section]: [{ source: 'docker.io/atlanhq/a', target }] });
    expect(warningsOf(document)).toEqual([]);
  });

  it('warns of one source digest with different targets', () => {
    const images = [
      { source: 'atlanhq/a:1', sourceDigest: A, target: `r.example/a:1@${B}` },
      { source: 'atlanhq/a:2', sourceDigest: A, target: `r.example/a:2@${C}` },
      { source: 'atlanhq/a:3', sourceDigest: A, target: `s.example/a:3@${B}` },
    ];
    expect(warningsOf(mapDocument({ images }))).toEqual([
      'MAP_DIGEST_AMBIGUOUS $.images[1].source',
    ]);
  });

  it.each(Object.entries(LINT_WARNINGS))('explains %s', (_code, { meaning, remedy }) => {
    expect(meaning).toMatch(/\.$/);
    expect(remedy).toMatch(/\.$/);
  });
});
