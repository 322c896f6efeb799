import { describe, expect, it } from '@jest/globals';
import { digestOf } from '../support/digests.ts';
import {
  bytesOfText,
  faultsOf,
  faultsOfBytes,
  faultsOfText,
  mapDocument,
  mapOf,
} from '../support/maps.ts';

const [A, B, C] = [digestOf('a'), digestOf('b'), digestOf('c')];

describe('parseImageMap', () => {
  it('makes one entry of each source, alias, repository and prefix', () => {
    const map = mapOf(
      mapDocument({
        serial: 42,
        generatedAt: '2026-11-23T08:00:00Z',
        images: [
          {
            source: 'atlanhq/mysql:1',
            aliases: ['ghcr.io/atlanhq/mysql:1', 'ghcr.io/atlanhq/mysql'],
            sourceDigest: A,
            target: `r.example/mysql:1@${B}`,
          },
        ],
        repositories: [{ source: 'atlanhq/oracle', target: 'r.example/oracle' }],
        prefixes: [{ source: 'index.docker.io/atlanhq/', target: 'r.example/atlan/' }],
      }),
    );
    expect(map.entries.map(({ kind, key, target }) => `${kind} ${key} ${target}`)).toEqual([
      `image docker.io/atlanhq/mysql:1 r.example/mysql:1@${B}`,
      `image ghcr.io/atlanhq/mysql:1 r.example/mysql:1@${B}`,
      `image ghcr.io/atlanhq/mysql:latest r.example/mysql:1@${B}`,
      'repository docker.io/atlanhq/oracle r.example/oracle',
      'prefix docker.io/atlanhq r.example/atlan',
    ]);
    expect(map).toMatchObject({ serial: 42, generatedAt: '2026-11-23T08:00:00Z' });
  });

  it('knows an entry by every key that its text allows', () => {
    const map = mapOf({
      'atlanhq/a:1': `r.example/a:1@${B}`,
      [`atlanhq/b:1@${A}`]: `r.example/b:1@${B}`,
      [`atlanhq/c@${B}`]: 'r.example/c:1',
      [`@${C}`]: `r.example/d@${C}`,
    });
    expect(map.entries.map(({ key }) => key)).toEqual([
      'docker.io/atlanhq/a:1',
      `docker.io/atlanhq/b:1@${A}`,
      `docker.io/atlanhq/c@${B}`,
      `@${C}`,
    ]);
    expect(map.tags.get('docker.io/atlanhq/a:1')).toMatchObject({ pinned: true });
    expect(map.digests.get(`docker.io/atlanhq/c@${B}`)).toMatchObject({ pinned: false });
    expect(map.digests.get(`@${C}`)?.target).toBe(`r.example/d@${C}`);
  });

  it('takes __proto__ and constructor for ordinary strings', () => {
    const map = mapOf({ constructor: 'r.example/constructor' });
    expect(map.repositories.get('docker.io/library/constructor')?.target).toBe(
      'r.example/constructor',
    );
    expect(map.tags.get('constructor')).toBeUndefined();
    expect(map.tags.get('__proto__')).toBeUndefined();
    expect(faultsOfText('{"__proto__":"r.example/a"}')).toEqual([
      'MAP_REFERENCE_INVALID $.__proto__',
    ]);
  });

  it('does not let __proto__ stand in for the fields of an entry', () => {
    const text =
      '{"apiVersion":"sdr-image-map/v1","images":[{"__proto__":{"source":"a:1","target":"b:1"}}]}';
    expect(faultsOfText(text)).toEqual([
      'MAP_SHAPE_INVALID $.images[0].source',
      'MAP_SHAPE_INVALID $.images[0].target',
    ]);
  });

  it('lets sources agree that normalise to one', () => {
    const map = mapOf({
      'atlanhq/a:1': 'r.example/a:1',
      'docker.io/atlanhq/a:1': 'r.example/a:1',
      'index.docker.io/atlanhq/a:1': 'r.example/a:1',
    });
    expect(map.ruleCount).toBe(1);
  });

  it('lets several sources have one target', () => {
    expect(faultsOf({ 'atlanhq/a:1': 'r.example/a:1', 'atlanhq/a:2': 'r.example/a:1' })).toEqual(
      [],
    );
  });

  it('passes on what is wrong with the bytes', () => {
    expect(faultsOfBytes(bytesOfText('{} {}'))).toEqual(['MAP_NOT_JSON $']);
    expect(faultsOfBytes(Uint8Array.of(0xff))).toEqual(['MAP_NOT_JSON $']);
    expect(faultsOfBytes(bytesOfText('{}'), 1)).toEqual(['MAP_TOO_LARGE $']);
    expect(faultsOfText('{"a:1":"b.example/a:1","a:1":"b.example/a:1"}')).toEqual([
      'MAP_KEY_DUPLICATE $["a:1"]',
    ]);
  });
});

describe('a reference that does not parse', () => {
  it.each([
    ['a source', { 'Atlanhq//a:1': 'r.example/a:1' }, '$["Atlanhq//a:1"]'],
    ['an empty source', { '': 'r.example/a:1' }, '$[""]'],
    ['a target', { 'atlanhq/a:1': 'r.example/A:1' }, '$["atlanhq/a:1"]'],
    ['an empty target', { 'atlanhq/a:1': '' }, '$["atlanhq/a:1"]'],
    ['a URL as target', { 'atlanhq/a:1': 'https://r.example/a:1' }, '$["atlanhq/a:1"]'],
    ['a bare digest', { '@sha256:abc': 'r.example/a:1' }, '$["@sha256:abc"]'],
    ['a bare digest as target', { 'atlanhq/a:1': `@${A}` }, '$["atlanhq/a:1"]'],
    ['a wildcard', { 'atlanhq/*': 'r.example/*' }, '$["atlanhq/*"]'],
    ['a prefix with a tag', { 'atlanhq/a:1/': 'r.example/a' }, '$["atlanhq/a:1/"]'],
    ['a prefix to a tag', { 'atlanhq/': 'r.example/a:1' }, '$["atlanhq/"]'],
    ['a prefix to nowhere', { 'atlanhq/': '' }, '$["atlanhq/"]'],
  ])('is refused with its path: %s', (_title, document, path) => {
    expect(new Set(faultsOf(document))).toEqual(new Set([`MAP_REFERENCE_INVALID ${path}`]));
  });

  it('is refused as alias, repository and prefix', () => {
    const document = mapDocument({
      images: [{ source: 'atlanhq/a:1', aliases: ['b:1', ':1'], target: 'r.example/a:1' }],
      repositories: [
        { source: 'atlanhq/b:1', target: 'r.example/b' },
        { source: 'atlanhq/c', target: `r.example/c@${A}` },
        { source: `@${A}`, target: 'r.example/d' },
      ],
      prefixes: [{ source: 'atlanhq/', target: 'https://r.example' }],
    });
    expect(faultsOf(document)).toEqual([
      'MAP_REFERENCE_INVALID $.images[0].aliases[1]',
      'MAP_REFERENCE_INVALID $.repositories[0].source',
      'MAP_REFERENCE_INVALID $.repositories[1].target',
      'MAP_REFERENCE_INVALID $.repositories[2].source',
      'MAP_REFERENCE_INVALID $.prefixes[0].target',
    ]);
  });
});

describe('sources that normalise to one', () => {
  it.each([
    ['atlanhq/a:1', 'docker.io/atlanhq/a:1'],
    ['docker.io/atlanhq/a:1', 'index.docker.io/atlanhq/a:1'],
    ['a:1', 'docker.io/library/a:1'],
    [`atlanhq/a@${A}`, `docker.io/atlanhq/a@${A}`],
    [`atlanhq/a:1@${A}`, `docker.io/atlanhq/a:1@${A}`],
    ['atlanhq/a', 'docker.io/atlanhq/a'],
    ['atlanhq/', 'docker.io/atlanhq/'],
  ])('are refused with different targets: %s and %s', (one, other) => {
    const target = (name: string): string => (one.includes(':') ? `${name}@${C}` : name);
    const document = { [one]: target('r.example/a'), [other]: target('r.example/b') };
    expect(faultsOf(document)).toEqual([`MAP_SOURCE_CONFLICT $["${other}"]`]);
  });

  it('are refused where a missing tag means latest', () => {
    const images = [
      { source: 'atlanhq/a', target: 'r.example/a:1' },
      { source: 'atlanhq/a:latest', target: 'r.example/a:2' },
    ];
    expect(faultsOf(mapDocument({ images }))).toEqual(['MAP_SOURCE_CONFLICT $.images[1].source']);
  });

  it('are refused as aliases', () => {
    const images = [
      { source: 'atlanhq/a:1', aliases: ['ghcr.io/atlanhq/a:1'], target: 'r.example/a:1' },
      { source: 'ghcr.io/atlanhq/a:1', target: 'r.example/b:1' },
    ];
    expect(faultsOf(mapDocument({ images }))).toEqual(['MAP_SOURCE_CONFLICT $.images[1].source']);
  });

  it('are refused with different source digests', () => {
    const images = [
      { source: 'atlanhq/a:1', sourceDigest: A, target: 'r.example/a:1' },
      { source: 'docker.io/atlanhq/a:1', sourceDigest: B, target: 'r.example/a:1' },
    ];
    expect(faultsOf(mapDocument({ images }))).toEqual(['MAP_SOURCE_CONFLICT $.images[1].source']);
  });

  it('are refused with different source digests even where one without stands between', () => {
    const target = 'r.example/a:1';
    const images = [
      { source: 'atlanhq/a:1', sourceDigest: A, target },
      { source: 'atlanhq/a:1', target },
      { source: 'atlanhq/a:1', sourceDigest: B, target },
    ];
    expect(faultsOf(mapDocument({ images }))).toEqual(['MAP_SOURCE_CONFLICT $.images[2].source']);
  });

  it('are refused where a source contradicts its own source digest', () => {
    const images = [{ source: `atlanhq/a:1@${A}`, sourceDigest: B, target: 'r.example/a:1' }];
    expect(faultsOf(mapDocument({ images }))).toEqual(['MAP_SOURCE_CONFLICT $.images[0].source']);
  });

  it('are refused in either order', () => {
    const one = { source: 'atlanhq/a:1', target: 'r.example/a:1' };
    const other = { source: 'docker.io/atlanhq/a:1', target: 'r.example/b:1' };
    expect(faultsOf(mapDocument({ images: [one, other] }))).toHaveLength(1);
    expect(faultsOf(mapDocument({ images: [other, one] }))).toHaveLength(1);
  });
});

describe('a target that is itself a source', () => {
  it.each([
    ['an image onto itself', { 'atlanhq/a:1': 'docker.io/atlanhq/a:1' }],
    ['a chain of images', { 'atlanhq/a:1': 'r.example/a:1', 'r.example/a:1': 'r.example/b:1' }],
    ['a cycle of images', { 'a:1': 'b:1', 'b:1': 'a:1' }],
    ['a chain through :latest', { 'a:1': 'r.example/a', 'r.example/a:latest': 's.example/a:1' }],
    [
      'a chain through a digest',
      { 'a:1': `r.example/a:1@${A}`, [`r.example/a@${A}`]: `s.example/a@${A}` },
    ],
    [
      'a chain through tag and digest',
      { 'a:1': `r.example/a:1@${A}`, [`r.example/a:1@${A}`]: `s.example/a@${A}` },
    ],
    [
      'a chain through a digest under any name',
      { 'a:1': `r.example/a@${A}`, [`@${A}`]: `r.example/b@${B}` },
    ],
    [
      'a chain within one registry through a digest under any name',
      { 'a:1': `docker.io/atlanhq/a@${A}`, [`@${A}`]: `r.example/a@${B}` },
    ],
    ['a cycle of digests', { [`@${A}`]: `r.example/b@${B}`, [`@${B}`]: `s.example/a@${A}` }],
    ['a pinned target that a tag moves on', { 'a:1': `b:1@${A}`, 'b:1': `r.example/b:1@${B}` }],
    ['an image into a repository', { 'a:1': 'r.example/a:1', 'r.example/a': 's.example/a' }],
    ['an image below a prefix', { 'a:1': 'r.example/a:1', 'r.example/': 's.example/' }],
    [
      'an image beside its own repository',
      { 'atlanhq/a:1': 'atlanhq/a:2', 'atlanhq/a': 'r.example/a' },
    ],
    ['a repository onto itself', { 'atlanhq/a': 'docker.io/atlanhq/a' }],
    ['a chain of repositories', { 'atlanhq/a': 'r.example/a', 'r.example/a': 's.example/a' }],
    [
      'a repository onto an image',
      { 'atlanhq/a': 'r.example/a', 'r.example/a:1': 's.example/a:1' },
    ],
    ['a repository below a prefix', { 'atlanhq/a': 'r.example/a', 'r.example/': 's.example/' }],
    ['a cycle of prefixes', { 'a.example/': 'b.example/', 'b.example/': 'a.example/' }],
    ['a chain of prefixes', { 'atlanhq/': 'r.example/a/', 'r.example/': 's.example/' }],
    ['a prefix above another', { 'atlanhq/': 'r.example/', 'r.example/a/': 's.example/' }],
    ['a prefix above an image', { 'atlanhq/': 'r.example/', 'r.example/a:1': 's.example/a:1' }],
    ['a prefix above a repository', { 'atlanhq/': 'r.example/', 'r.example/b/a': 's.example/a' }],
    ['a prefix onto what lies above it', { 'docker.io/atlanhq/': 'docker.io/' }],
  ])('is refused: %s', (_title, document) => {
    const faults = faultsOf(document);
    expect(faults).not.toEqual([]);
    for (const fault of faults) {
      expect(fault).toMatch(/^MAP_TARGET_IS_SOURCE /);
    }
  });

  it('is refused as a prefix onto itself', () => {
    expect(faultsOf({ 'atlanhq/': 'docker.io/atlanhq/' })).toEqual([
      'MAP_TARGET_IS_SOURCE $["atlanhq/"]',
    ]);
  });

  it('is refused through an alias', () => {
    const images = [
      { source: 'atlanhq/a:1', aliases: ['r.example/b:1'], target: 'r.example/a:1' },
      { source: 'atlanhq/b:1', target: 'r.example/b:1' },
    ];
    expect(faultsOf(mapDocument({ images }))).toEqual(['MAP_TARGET_IS_SOURCE $.images[1].target']);
  });

  it.each([
    ['a prefix into a part of itself', { 'docker.io/atlanhq/': 'docker.io/atlanhq/mirror/' }],
    ['a repository that a path boundary keeps apart', { 'a.io/x': 'b.io/x', 'b.io/x2': 'c.io/x' }],
    ['a prefix that a path boundary keeps apart', { 'a.io/x/': 'b.io/x/', 'b.io/x2/': 'c.io/x/' }],
    [
      'an image with another tag',
      { 'atlanhq/a:1': 'atlanhq/a:1-r1', 'atlanhq/a:2': 'r.example/a' },
    ],
    [
      'a mirror that begins with the host of the source',
      { 'ghcr.io/a/': 'ghcr.io.corp.example/a/' },
    ],
    [
      'the same content under another name',
      { 'a:1': `r.example/a:1@${A}`, [`@${A}`]: `r.example/b@${A}` },
    ],
    ['the digest of the source', { 'a:1': `r.example/a:1@${A}`, [`@${A}`]: `r.example/a:1@${A}` }],
  ])('is not %s', (_title, document) => {
    expect(faultsOf(document)).toEqual([]);
  });
});

describe('the faults of a map', () => {
  it('are told all at once, each with its path', () => {
    const document = mapDocument({
      serial: -1,
      images: [
        { source: 'atlanhq/A:1', target: 'r.example/a:1' },
        { source: 'atlanhq/b:1', target: 'r.example/b:' },
        { source: 'atlanhq/c:1', target: 'r.example/c:1' },
        { source: 'docker.io/atlanhq/c:1', target: 'r.example/c:2' },
        { source: 'atlanhq/d:1' },
      ],
      repositories: [{ source: 'atlanhq/e:1', target: 'r.example/e' }],
      prefixes: [{ source: 'atlanhq', target: 'x'.repeat(4097) }],
    });
    expect(faultsOf(document).toSorted()).toEqual([
      'MAP_REFERENCE_INVALID $.images[0].source',
      'MAP_REFERENCE_INVALID $.images[1].target',
      'MAP_REFERENCE_INVALID $.repositories[0].source',
      'MAP_SHAPE_INVALID $.images[4].target',
      'MAP_SHAPE_INVALID $.serial',
      'MAP_SOURCE_CONFLICT $.images[3].source',
      'MAP_STRING_TOO_LONG $.prefixes[0].target',
    ]);
  });

  it('are none where an entry pins a tag in its place', () => {
    const pinned = `docker.io/atlanhq/a:1@${digestOf('a')}`;
    expect(faultsOf({ 'docker.io/atlanhq/a:1': pinned })).toEqual([]);
    // But an entry that takes what another gives is a link of a chain.
    expect(faultsOf({ 'b:1': pinned, 'docker.io/atlanhq/a:1': 'r.example/a:1' })).toEqual([
      'MAP_TARGET_IS_SOURCE $["b:1"]',
    ]);
  });

  it('name every link of a chain', () => {
    const document = { 'a:1': 'b:1', 'b:1': 'c:1', 'c:1': 'r.example/c:1' };
    expect(faultsOf(document)).toEqual([
      'MAP_TARGET_IS_SOURCE $["a:1"]',
      'MAP_TARGET_IS_SOURCE $["b:1"]',
    ]);
  });
});
