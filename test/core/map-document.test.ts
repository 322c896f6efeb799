import { describe, expect, it } from '@jest/globals';
import { FAULT_LIMIT } from '../../src/core/fault-list.ts';
import {
  MAP_ENTRY_LIMIT,
  MAP_STRING_LIMIT,
  type MapDocument,
  readMapDocument,
} from '../../src/core/map-document.ts';
import { digestOf } from '../support/digests.ts';
import { bytesOf, bytesOfText, mapDocument, MAX_BYTES } from '../support/maps.ts';

function read(document: unknown): MapDocument {
  return readMapDocument(bytesOf(document), MAX_BYTES);
}

function faultsIn(document: MapDocument): string[] {
  return document.faults.map(({ code, path }) => `${code} ${path}`);
}

/** `kind source -> target` of every line. */
function linesOf(document: unknown): string[] {
  const { lines, faults } = read(document);
  expect(faults).toEqual([]);
  return lines.map(({ kind, source, target }) => `${kind} ${source} -> ${target}`);
}

describe('the structured form', () => {
  it('has serial, date, images with aliases and digests, repositories and prefixes', () => {
    const document = read(
      mapDocument({
        serial: 42,
        generatedAt: '2026-11-23T08:00:00Z',
        images: [
          {
            source: 'docker.io/atlanhq/mysql:1',
            aliases: ['ghcr.io/atlanhq/mysql:1'],
            sourceDigest: digestOf('a'),
            target: 'r.example/mysql:1-r1',
            platforms: ['linux/amd64', 'linux/arm64'],
          },
        ],
        repositories: [{ source: 'docker.io/atlanhq/oracle', target: 'r.example/oracle' }],
        prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/atlan' }],
      }),
    );
    expect(document).toEqual({
      serial: 42,
      generatedAt: '2026-11-23T08:00:00Z',
      faults: [],
      unknownKeys: [],
      lines: [
        {
          kind: 'image',
          source: 'docker.io/atlanhq/mysql:1',
          path: '$.images[0].source',
          target: 'r.example/mysql:1-r1',
          targetPath: '$.images[0].target',
          sourceDigest: digestOf('a'),
        },
        {
          kind: 'image',
          source: 'ghcr.io/atlanhq/mysql:1',
          path: '$.images[0].aliases[0]',
          target: 'r.example/mysql:1-r1',
          targetPath: '$.images[0].target',
          sourceDigest: digestOf('a'),
        },
        {
          kind: 'repository',
          source: 'docker.io/atlanhq/oracle',
          path: '$.repositories[0].source',
          target: 'r.example/oracle',
          targetPath: '$.repositories[0].target',
          sourceDigest: undefined,
        },
        {
          kind: 'prefix',
          source: 'docker.io/atlanhq',
          path: '$.prefixes[0].source',
          target: 'r.example/atlan',
          targetPath: '$.prefixes[0].target',
          sourceDigest: undefined,
        },
      ],
    });
  });

  it('may have no section at all', () => {
    expect(read(mapDocument({}))).toMatchObject({ lines: [], faults: [], serial: undefined });
  });

  it('may have its images as an object', () => {
    expect(linesOf(mapDocument({ images: { 'atlanhq/a:1': 'r.example/a:1' } }))).toEqual([
      'image atlanhq/a:1 -> r.example/a:1',
    ]);
  });

  it('takes the serial 0 for a serial', () => {
    expect(read(mapDocument({ serial: 0 })).serial).toBe(0);
  });

  it('lists the keys that it does not know', () => {
    const { unknownKeys, faults } = read(
      mapDocument({
        version: 1,
        constructor: {},
        images: [{ source: 'atlanhq/a:1', target: 'r.example/a:1', sourcedigest: 'x' }],
        prefixes: [{ source: 'atlanhq', target: 'r.example', 'my note': 'x' }],
      }),
    );
    expect(faults).toEqual([]);
    expect(unknownKeys).toEqual([
      '$.version',
      '$.constructor',
      '$.images[0].sourcedigest',
      '$.prefixes[0]["my note"]',
    ]);
  });
});

describe('the flat forms', () => {
  const digest = digestOf('a');

  it.each([
    ['an image where the source has a tag', 'atlanhq/a:1', 'r.example/a', 'image'],
    ['an image where the target has a tag', 'atlanhq/a', 'r.example/a:1', 'image'],
    ['an image where the source has a digest', `atlanhq/a@${digest}`, 'r.example/a', 'image'],
    ['an image where the target has a digest', 'atlanhq/a', `r.example/a@${digest}`, 'image'],
    ['an image where the source is a digest alone', `@${digest}`, `r.example/a@${digest}`, 'image'],
    ['a repository where neither has one', 'atlanhq/a', 'r.example/a', 'repository'],
    ['a repository where a port is no tag', 'localhost:5000/a', 'r.example:5000/a', 'repository'],
    ['a prefix where the source ends in a slash', 'atlanhq/', 'r.example/atlan', 'prefix'],
    ['a prefix where both end in a slash', 'docker.io/', 'r.example/', 'prefix'],
  ])('have %s', (_title, source, target, kind) => {
    const line = `${kind} ${source} -> ${target}`;
    expect(linesOf({ [source]: target })).toEqual([line]);
    expect(linesOf({ images: { [source]: target } })).toEqual([line]);
    expect(linesOf([{ source, target }])).toEqual([line]);
    expect(linesOf([{ from: source, to: target }])).toEqual([line]);
    expect(linesOf([{ sourceImage: source, destinationImage: target }])).toEqual([line]);
  });

  it('may mix the names of the two ends from entry to entry', () => {
    expect(
      linesOf([
        { source: 'a:1', target: 'r.example/a:1' },
        { from: 'b:1', to: 'r.example/b:1' },
        { sourceImage: 'c:1', destinationImage: 'r.example/c:1' },
      ]),
    ).toHaveLength(3);
  });

  it('may have source digests and aliases in a list', () => {
    const entry = {
      source: 'a:1',
      target: 'r.example/a:1',
      sourceDigest: digest,
      aliases: ['b:1'],
    };
    expect(read([entry]).lines).toMatchObject([
      { source: 'a:1', sourceDigest: digest, path: '$[0].source' },
      { source: 'b:1', sourceDigest: digest, path: '$[0].aliases[0]' },
    ]);
  });

  it('may have a serial and a date beside an object of images', () => {
    const document = { serial: 7, generatedAt: '2026-11-23', images: { 'a:1': 'r.example/a:1' } };
    expect(read(document)).toMatchObject({ serial: 7, generatedAt: '2026-11-23', faults: [] });
  });

  it('take a source that is named like a section for an image', () => {
    expect(linesOf({ images: 'r.example/images' })).toEqual([
      'repository images -> r.example/images',
    ]);
  });

  it.each([[{}], [[]], [{ images: {} }]])('may be empty: %j', (document) => {
    expect(linesOf(document)).toEqual([]);
  });

  it.each([
    { status: 'starting' },
    { error: 'unauthorized' },
    { token: 'abc.def' },
    { message: 'forbidden', code: 'e403' },
  ])('are not what something else says in the place of the store: %j', (answer) => {
    expect(faultsIn(read(answer))).toEqual(
      Object.keys(answer).map((key) => `MAP_REFERENCE_INVALID $.${key}`),
    );
  });

  it('take a key such as constructor for an ordinary name', () => {
    expect(
      linesOf({ constructor: 'r.example/constructor', 'tostring:1': 'r.example/t:1' }),
    ).toEqual([
      'repository constructor -> r.example/constructor',
      'image tostring:1 -> r.example/t:1',
    ]);
    expect(linesOf(JSON.parse('{"__proto__":"r.example/proto"}'))).toEqual([
      'image __proto__ -> r.example/proto',
    ]);
  });

  it('list the keys that they do not know', () => {
    const list = [{ source: 'a:1', target: 'r.example/a:1', sourcedigest: digest }];
    expect(read(list).unknownKeys).toEqual(['$[0].sourcedigest']);
  });
});

describe('the bytes', () => {
  const text = '{"atlanhq/a:1":"r.example/a:1"}';

  it('may begin with a byte order mark', () => {
    const { lines, faults } = readMapDocument(bytesOfText(`\uFEFF${text}`), MAX_BYTES);
    expect(faults).toEqual([]);
    expect(lines).toHaveLength(1);
  });

  it('may have white space around the document', () => {
    expect(readMapDocument(bytesOfText(`\r\n ${text}\n\n`), MAX_BYTES).faults).toEqual([]);
  });

  it.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['prose', 'not found'],
    ['an HTML page', '<!doctype html><title>Sign in</title>'],
    ['a document that breaks off', text.slice(0, -1)],
    ['trailing text', `${text} x`],
    ['a second document', `${text}\n${text}`],
    ['a comment', `${text} // mirror`],
    ['a trailing comma', '{"atlanhq/a:1":"r.example/a:1",}'],
    ['single quotes', "{'atlanhq/a:1':'r.example/a:1'}"],
    ['YAML', 'atlanhq/a:1: r.example/a:1'],
    ['NaN', '[NaN]'],
  ])('are refused where they are %s', (_title, bad) => {
    const document = readMapDocument(bytesOfText(bad), MAX_BYTES);
    expect(faultsIn(document)).toEqual(['MAP_NOT_JSON $']);
    expect(document.lines).toEqual([]);
  });

  it.each([
    ['a stray continuation byte', [0x22, 0x80, 0x22]],
    ['an overlong encoding', [0x22, 0xc0, 0xaf, 0x22]],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('are refused where they have %s', (_title, bytes) => {
    const document = readMapDocument(Uint8Array.from(bytes), MAX_BYTES);
    expect(faultsIn(document)).toEqual(['MAP_NOT_JSON $']);
  });

  it('may be as many as the limit and not one more', () => {
    const bytes = bytesOfText(text);
    expect(readMapDocument(bytes, bytes.length).faults).toEqual([]);
    expect(faultsIn(readMapDocument(bytes, bytes.length - 1))).toEqual(['MAP_TOO_LARGE $']);
  });

  it('are counted as bytes, not characters', () => {
    const bytes = bytesOfText('{"version":"€€€€"}');
    expect(faultsIn(readMapDocument(bytes, 20))).toEqual(['MAP_TOO_LARGE $']);
  });

  it('may nest thirty deep and not one more', () => {
    const nested = (depth: number): MapDocument =>
      readMapDocument(bytesOfText(`${'['.repeat(depth)}${']'.repeat(depth)}`), MAX_BYTES);
    expect(faultsIn(nested(30))).toEqual(['MAP_SHAPE_INVALID $[0]']);
    expect(nested(31).faults).toEqual([
      {
        code: 'MAP_TOO_LARGE',
        path: '$',
        message:
          'the map is nested too deeply: over 30 lists and objects are inside of one another in line 1, column 31',
      },
    ]);
    expect(faultsIn(nested(100_000))).toEqual(['MAP_TOO_LARGE $']);
  });
});

describe('a value of the wrong shape', () => {
  it.each([
    ['null', null, 'MAP_SHAPE_INVALID $'],
    ['a string', 'text', 'MAP_SHAPE_INVALID $'],
    ['a number', 1, 'MAP_SHAPE_INVALID $'],
    ['a target that is no string', { 'a:1': 1 }, 'MAP_SHAPE_INVALID $["a:1"]'],
    ['a target that is null', { 'a:1': null }, 'MAP_SHAPE_INVALID $["a:1"]'],
    ['a target that is an object', { 'a:1': {} }, 'MAP_SHAPE_INVALID $["a:1"]'],
    ['an element that is no object', ['a:1'], 'MAP_SHAPE_INVALID $[0]'],
    ['an element that is null', [null], 'MAP_SHAPE_INVALID $[0]'],
    ['an element that is a list', [['a', 'b']], 'MAP_SHAPE_INVALID $[0]'],
    ['an element without keys', [{}], 'MAP_SHAPE_INVALID $[0]'],
    ['an element without a target', [{ from: 'a:1' }], 'MAP_SHAPE_INVALID $[0].to'],
    ['an element without a source', [{ target: 'a:1' }], 'MAP_SHAPE_INVALID $[0].source'],
    [
      'an element that names its ends in two ways',
      [{ source: 'a:1', target: 'b:1', from: 'c:1' }],
      'MAP_SHAPE_INVALID $[0]',
    ],
    ['no version beside a list', { images: [] }, 'MAP_VERSION_UNKNOWN $.apiVersion'],
    ['another version', { apiVersion: 'sdr-image-map/v2' }, 'MAP_VERSION_UNKNOWN $.apiVersion'],
    ['a version that is no string', { apiVersion: 1 }, 'MAP_VERSION_UNKNOWN $.apiVersion'],
    [
      'a version in capitals',
      { apiVersion: 'SDR-image-map/v1' },
      'MAP_VERSION_UNKNOWN $.apiVersion',
    ],
    ['a serial that is a string', mapDocument({ serial: '42' }), 'MAP_SHAPE_INVALID $.serial'],
    ['a negative serial', mapDocument({ serial: -1 }), 'MAP_SHAPE_INVALID $.serial'],
    ['a broken serial', mapDocument({ serial: 1.5 }), 'MAP_SHAPE_INVALID $.serial'],
    ['a serial beyond 2^53', mapDocument({ serial: 2 ** 53 }), 'MAP_SHAPE_INVALID $.serial'],
    ['a serial that is null', mapDocument({ serial: null }), 'MAP_SHAPE_INVALID $.serial'],
    [
      'a date that is none',
      mapDocument({ generatedAt: 'soon' }),
      'MAP_SHAPE_INVALID $.generatedAt',
    ],
    ['a date that is a number', mapDocument({ generatedAt: 1 }), 'MAP_SHAPE_INVALID $.generatedAt'],
    ['images that are null', mapDocument({ images: null }), 'MAP_SHAPE_INVALID $.images'],
    ['images that are a string', mapDocument({ images: 'x' }), 'MAP_SHAPE_INVALID $.images'],
    [
      'repositories as an object',
      mapDocument({ repositories: {} }),
      'MAP_SHAPE_INVALID $.repositories',
    ],
    ['prefixes as an object', mapDocument({ prefixes: {} }), 'MAP_SHAPE_INVALID $.prefixes'],
    ['an image that is a string', mapDocument({ images: ['a'] }), 'MAP_SHAPE_INVALID $.images[0]'],
    [
      'an image without a target',
      mapDocument({ images: [{ source: 'a:1' }] }),
      'MAP_SHAPE_INVALID $.images[0].target',
    ],
    [
      'an image without a source',
      mapDocument({ images: [{ target: 'a:1' }] }),
      'MAP_SHAPE_INVALID $.images[0].source',
    ],
    [
      'aliases that are no list',
      mapDocument({ images: [{ source: 'a:1', target: 'b:1', aliases: 'c:1' }] }),
      'MAP_SHAPE_INVALID $.images[0].aliases',
    ],
    [
      'an alias that is no string',
      mapDocument({ images: [{ source: 'a:1', target: 'b:1', aliases: ['c:1', 2] }] }),
      'MAP_SHAPE_INVALID $.images[0].aliases[1]',
    ],
    [
      'platforms that are no list',
      mapDocument({ images: [{ source: 'a:1', target: 'b:1', platforms: 'linux/amd64' }] }),
      'MAP_SHAPE_INVALID $.images[0].platforms',
    ],
    [
      'a source digest that is no string',
      mapDocument({ images: [{ source: 'a:1', target: 'b:1', sourceDigest: null }] }),
      'MAP_SHAPE_INVALID $.images[0].sourceDigest',
    ],
    [
      'a source digest that is none',
      mapDocument({ images: [{ source: 'a:1', target: 'b:1', sourceDigest: 'sha256:abc' }] }),
      'MAP_REFERENCE_INVALID $.images[0].sourceDigest',
    ],
  ])('is refused: %s', (_title, document, fault) => {
    expect(faultsIn(read(document))).toEqual([fault]);
  });

  it('is refused beside an object of images, too', () => {
    const images = { 'a:1': 'r.example/a:1' };
    const repositories = { b: 'r.example/b' };
    expect(faultsIn(read({ images, repositories }))).toEqual(['MAP_SHAPE_INVALID $.repositories']);
    expect(faultsIn(read({ images, prefixes: { c: 'r.example/c' } }))).toEqual([
      'MAP_SHAPE_INVALID $.prefixes',
    ]);
  });

  it('does not keep the other faults from being told', () => {
    const document = mapDocument({
      apiVersion: 'sdr-image-map/v9',
      serial: 'x',
      images: [{ source: 1, target: 'b:1' }, 'a', { source: 'a:1' }],
      repositories: 7,
      prefixes: [{ source: 'a' }],
    });
    expect(faultsIn(read(document))).toEqual([
      'MAP_VERSION_UNKNOWN $.apiVersion',
      'MAP_SHAPE_INVALID $.serial',
      'MAP_SHAPE_INVALID $.images[0].source',
      'MAP_SHAPE_INVALID $.images[1]',
      'MAP_SHAPE_INVALID $.images[2].target',
      'MAP_SHAPE_INVALID $.repositories',
      'MAP_SHAPE_INVALID $.prefixes[0].target',
    ]);
  });
});

describe('a key that stands twice', () => {
  it('is refused, even with the same value', () => {
    const text = '{"a:1":"r.example/a:1","a:1":"r.example/a:1"}';
    const document = readMapDocument(bytesOfText(text), MAX_BYTES);
    expect(faultsIn(document)).toEqual(['MAP_KEY_DUPLICATE $["a:1"]']);
  });

  it('is refused inside an entry', () => {
    const text =
      '{"apiVersion":"sdr-image-map/v1","images":[{"source":"a:1","target":"r.example/a","target":"r.example/b"}]}';
    const document = readMapDocument(bytesOfText(text), MAX_BYTES);
    expect(faultsIn(document)).toEqual(['MAP_KEY_DUPLICATE $.images[0].target']);
  });

  it('is refused as __proto__ and when written with escapes', () => {
    const text = '{"images":{"__proto__":"a:1","__pr\\u006fto__":"b:1"}}';
    const document = readMapDocument(bytesOfText(text), MAX_BYTES);
    expect(faultsIn(document)).toEqual(['MAP_KEY_DUPLICATE $.images.__proto__']);
  });
});

describe('the limits', () => {
  const longest = 'a'.repeat(MAP_STRING_LIMIT);

  it('are 200,000 entries and 4 KiB a string', () => {
    expect(MAP_ENTRY_LIMIT).toBe(200_000);
    expect(MAP_STRING_LIMIT).toBe(4096);
  });

  it('let a string of 4 KiB pass', () => {
    expect(faultsIn(read([{ source: longest, target: longest }]))).toEqual([]);
  });

  it('refuse a longer string wherever it stands', () => {
    const long = `${longest}a`;
    expect(faultsIn(read([{ source: long, target: long }]))).toEqual([
      'MAP_STRING_TOO_LONG $[0].source',
      'MAP_STRING_TOO_LONG $[0].target',
    ]);
    expect(faultsIn(read({ 'a:1': long }))).toEqual(['MAP_STRING_TOO_LONG $["a:1"]']);
    expect(faultsIn(read({ [long]: 'a:1' }))).toEqual([`MAP_STRING_TOO_LONG $.${longest}`]);
    const images = [{ source: 'a:1', target: 'b:1', aliases: [long], platforms: [long] }];
    expect(faultsIn(read(mapDocument({ images })))).toEqual([
      'MAP_STRING_TOO_LONG $.images[0].aliases[0]',
      'MAP_STRING_TOO_LONG $.images[0].platforms[0]',
    ]);
  });

  it('let 200,000 entries pass and refuse one more', () => {
    const entries = Array.from({ length: MAP_ENTRY_LIMIT }, (_, index) => {
      return { from: `a:${index}`, to: 'b:1' };
    });
    const full = read(entries);
    expect(faultsIn(full)).toEqual([]);
    expect(full.lines).toHaveLength(MAP_ENTRY_LIMIT);
    const over = read([...entries, { from: 'c:1', to: 'b:1' }, { from: 'd:1', to: 'b:1' }]);
    expect(faultsIn(over)).toEqual([`MAP_TOO_LARGE $[${MAP_ENTRY_LIMIT}].from`]);
  });

  it('are 10,000 faults, and a word that there may be more', () => {
    for (const document of [
      Array.from({ length: 50_000 }, () => 0),
      Array.from({ length: 50_000 }, () => ({ source: null, target: null })),
      mapDocument({ images: [{ aliases: Array.from({ length: 50_000 }, () => 0) }] }),
      Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`a:${index}`, 0])),
    ]) {
      const { faults } = read(document);
      expect(faults).toHaveLength(FAULT_LIMIT + 1);
      expect(faults.at(-1)?.message).toBe(
        '10000 faults stand before this one, and there may be more; correct those first',
      );
    }
  });

  it('count aliases as entries', () => {
    const aliases = Array.from({ length: MAP_ENTRY_LIMIT }, (_, index) => `a:${index}`);
    const document = mapDocument({ images: [{ source: 'b:1', target: 'c:1', aliases }] });
    expect(faultsIn(read(document))).toEqual([
      `MAP_TOO_LARGE $.images[0].aliases[${MAP_ENTRY_LIMIT - 1}]`,
    ]);
  });
});
