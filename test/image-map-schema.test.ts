import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { MAP_SCHEMA_FILE, ROOT } from '../scripts/docs.ts';
import { soundMapSections } from './support/arbitraries.ts';
import { digestOf } from './support/digests.ts';
import { faultsOf, mapDocument } from './support/maps.ts';

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

const accepts = new Ajv2020().compile(readJson(MAP_SCHEMA_FILE) as object);

const TARGET = 'r.example/a:1';
const good = { source: 'atlanhq/a:1', target: TARGET };

describe('the JSON Schema of the image map', () => {
  it.each(['examples/image-map.json', 'examples/image-map-precedence.json'])(
    'accepts %s',
    (path) => {
      const document = readJson(path);
      expect(accepts(document)).toBe(true);
      expect(faultsOf(document)).toEqual([]);
    },
  );

  it('accepts every map that loads, and a key that the format does not know', () => {
    fc.assert(
      fc.property(soundMapSections, (sections) => {
        expect(accepts(mapDocument({ ...sections, note: 'x' }))).toBe(true);
      }),
    );
  });

  it.each<[string, unknown]>([
    ['no apiVersion', { images: [good] }],
    ['an unknown apiVersion', { apiVersion: 'sdr-image-map/v2', images: [good] }],
    ['an apiVersion that is a number', { apiVersion: 1 }],
    ['text', 'sdr-image-map/v1'],
    ['null', null],
    ['a negative serial', mapDocument({ serial: -1 })],
    ['a fractional serial', mapDocument({ serial: 1.5 })],
    ['a serial past the safe integers', mapDocument({ serial: 2 ** 53 })],
    ['a serial that is text', mapDocument({ serial: '42' })],
    ['a date that is a number', mapDocument({ generatedAt: 20_261_123 })],
    ['images that are text', mapDocument({ images: 'a' })],
    ['images that are null', mapDocument({ images: null })],
    ['an image that is text', mapDocument({ images: ['a'] })],
    ['an image without a source', mapDocument({ images: [{ target: TARGET }] })],
    ['an image without a target', mapDocument({ images: [{ source: 'atlanhq/a:1' }] })],
    ['an image with an empty source', mapDocument({ images: [{ ...good, source: '' }] })],
    ['an image with an empty target', mapDocument({ images: [{ ...good, target: '' }] })],
    ['a source that is a number', mapDocument({ images: [{ ...good, source: 1 }] })],
    ['a target that is null', mapDocument({ images: [{ ...good, target: null }] })],
    ['a source over 4 KiB', mapDocument({ images: [{ ...good, source: 'a'.repeat(4097) }] })],
    ['aliases that are text', mapDocument({ images: [{ ...good, aliases: 'atlanhq/b:1' }] })],
    ['an alias that is a number', mapDocument({ images: [{ ...good, aliases: [1] }] })],
    ['an empty alias', mapDocument({ images: [{ ...good, aliases: [''] }] })],
    ['a digest that is cut', mapDocument({ images: [{ ...good, sourceDigest: 'sha256:abc' }] })],
    [
      'a digest of another algorithm',
      mapDocument({ images: [{ ...good, sourceDigest: `md5:${'a'.repeat(32)}` }] }),
    ],
    ['a digest in capitals', mapDocument({ images: [{ ...good, sourceDigest: digestOf('A') }] })],
    ['platforms that are text', mapDocument({ images: [{ ...good, platforms: 'linux/amd64' }] })],
    ['a platform that is an object', mapDocument({ images: [{ ...good, platforms: [{}] }] })],
    ['repositories that are an object', mapDocument({ repositories: { a: 'r.example/a' } })],
    ['a repository without a target', mapDocument({ repositories: [{ source: 'atlanhq/a' }] })],
    ['prefixes that are text', mapDocument({ prefixes: 'atlanhq' })],
    ['a prefix without a source', mapDocument({ prefixes: [{ target: 'r.example' }] })],
    ['an empty prefix', mapDocument({ prefixes: [{ source: '', target: 'r.example' }] })],
  ])('refuses %s, and so does the program', (_title, document) => {
    expect(accepts(document)).toBe(false);
    expect(faultsOf(document)).not.toEqual([]);
  });

  it('refuses an object as images, one of the flat forms, which the program reads all the same', () => {
    const document = mapDocument({ images: { 'atlanhq/a:1': TARGET } });
    expect(accepts(document)).toBe(false);
    expect(faultsOf(document)).toEqual([]);
  });

  it('refuses nothing of the structured form that the program accepts', () => {
    const value = fc.oneof(
      { arbitrary: fc.constantFrom('atlanhq/a:1', 'r.example/a', digestOf('a'), ''), weight: 3 },
      { arbitrary: fc.jsonValue({ maxDepth: 1 }), weight: 1 },
    );
    const entry = fc.record(
      { source: value, target: value, aliases: fc.array(value), sourceDigest: value },
      { requiredKeys: [] },
    );
    const list = fc.oneof(fc.array(fc.oneof(entry, value), { maxLength: 2 }), fc.string());
    const documents = fc.record(
      { serial: value, generatedAt: value, images: list, repositories: list, prefixes: list },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(documents, (sections) => {
        const document = mapDocument(sections);
        if (!accepts(document)) {
          expect(faultsOf(document)).not.toEqual([]);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
