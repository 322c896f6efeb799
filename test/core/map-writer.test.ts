import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mapText, structuredMap, withSerial } from '../../src/core/map-writer.ts';
import { imageTexts, soundMapSections } from '../support/arbitraries.ts';
import { digestOf } from '../support/digests.ts';
import { bytesOfText, mapDocument, mapOf, MAX_BYTES } from '../support/maps.ts';
import { decisionText, policyOf } from '../support/policies.ts';

const [A, B] = [digestOf('a'), digestOf('b')];
const NOW = new Date('2026-11-24T09:30:00Z');

const maps = soundMapSections.map(mapDocument);

/** The document that is published for another one. */
function published(document: unknown, serial = 7): Record<string, unknown> {
  return JSON.parse(publishedText(JSON.stringify(document), serial)) as Record<string, unknown>;
}

function publishedText(text: string, serial = 7, maxBytes = MAX_BYTES): string {
  return withSerial(text, mapOf(JSON.parse(text)), { serial, now: NOW, maxBytes });
}

/** What becomes of an image, and of each source of the map itself. */
function decisionsOf(map: unknown, image: string): string[] {
  const policy = policyOf({ map });
  const sources = mapOf(map).entries.map(({ key }) => key);
  return [image, ...new Set(sources.toSorted())].map((each) => decisionText(policy, each));
}

describe('structuredMap', () => {
  it('writes the flat forms out, in full and sorted by source', () => {
    const flat = {
      'atlanhq/b:1': 'r.example/b:1',
      'atlanhq/': 'r.example/atlan/',
      'ghcr.io/atlanhq/c': 'r.example/c',
      'atlanhq/a': `r.example/a@${A}`,
    };
    expect(structuredMap(mapOf(flat))).toEqual({
      apiVersion: 'sdr-image-map/v1',
      images: [
        { source: 'docker.io/atlanhq/a:latest', target: `r.example/a@${A}` },
        { source: 'docker.io/atlanhq/b:1', target: 'r.example/b:1' },
      ],
      repositories: [{ source: 'ghcr.io/atlanhq/c', target: 'r.example/c' }],
      prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/atlan' }],
    });
  });

  it('keeps serial, date and source digests, and gives every alias an entry of its own', () => {
    const document = mapDocument({
      serial: 3,
      generatedAt: '2026-11-23T08:00:00Z',
      images: [
        {
          source: 'atlanhq/a:1',
          aliases: ['ghcr.io/atlanhq/a:1'],
          sourceDigest: A,
          target: `r.example/a@${B}`,
        },
        { source: `atlanhq/b@${B}`, target: `r.example/b@${B}` },
      ],
    });
    expect(structuredMap(mapOf(document))).toEqual({
      apiVersion: 'sdr-image-map/v1',
      serial: 3,
      generatedAt: '2026-11-23T08:00:00Z',
      images: [
        { source: 'docker.io/atlanhq/a:1', sourceDigest: A, target: `r.example/a@${B}` },
        { source: `docker.io/atlanhq/b@${B}`, target: `r.example/b@${B}` },
        { source: 'ghcr.io/atlanhq/a:1', sourceDigest: A, target: `r.example/a@${B}` },
      ],
      repositories: [],
      prefixes: [],
    });
  });

  it('stands for the same rules as any map that it was made of', () => {
    fc.assert(
      fc.property(maps, imageTexts, (document, image) => {
        const structured = structuredMap(mapOf(document));
        expect(decisionsOf(structured, image)).toEqual(decisionsOf(document, image));
      }),
    );
  });
});

describe('withSerial', () => {
  it('keeps everything else of a structured document, with its head first', () => {
    const document = {
      images: [
        {
          source: 'atlanhq/a:1',
          aliases: ['ghcr.io/atlanhq/a:1'],
          target: 'r.example/a:1',
          platforms: ['linux/amd64'],
        },
      ],
      note: 'written by the mirroring job',
      generatedAt: '2026-11-23T08:00:00Z',
      serial: 3,
      apiVersion: 'sdr-image-map/v1',
    };
    const next = published(document);
    expect(next).toEqual({ ...document, serial: 7 });
    expect(Object.keys(next)).toEqual(['apiVersion', 'serial', 'generatedAt', 'images', 'note']);
  });

  it('says when it was made, where the document does not', () => {
    expect(published(mapDocument({ images: [] }))).toMatchObject({
      serial: 7,
      generatedAt: '2026-11-24T09:30:00.000Z',
    });
  });

  it.each([
    ['an object', { 'atlanhq/a:1': 'r.example/a:1' }],
    ['an object under images', { images: { 'atlanhq/a:1': 'r.example/a:1' } }],
    ['a list', [{ from: 'atlanhq/a:1', to: 'r.example/a:1' }]],
  ])('makes a structured document of %s', (_title, document) => {
    expect(published(document)).toEqual({
      apiVersion: 'sdr-image-map/v1',
      serial: 7,
      generatedAt: '2026-11-24T09:30:00.000Z',
      images: [{ source: 'docker.io/atlanhq/a:1', target: 'r.example/a:1' }],
      repositories: [],
      prefixes: [],
    });
  });

  describe('of a text', () => {
    const document = mapDocument({ images: [{ source: 'a:1', target: 'r.example/a:1' }] });
    const oneLine = JSON.stringify(document);
    const indented = JSON.stringify(document, null, 2);

    it.each([
      ['a structured map', oneLine],
      ['a structured map with a line end behind it', `${oneLine}\n`],
      ['a flat map', '{"a:1": "r.example/a:1"}'],
    ])('on one line stays on one line: %s', (_title, text) => {
      expect(publishedText(text)).toMatch(/^\{"apiVersion":.*\}\n$/);
    });

    it('on several lines is indented, unless that alone makes it larger than the limit', () => {
      const whole = publishedText(indented);
      expect(whole).toMatch(/^\{\n {2}"apiVersion": /);
      const size = bytesOfText(whole).length;
      expect(publishedText(indented, 7, size)).toBe(whole);
      expect(publishedText(indented, 7, size - 1)).toBe(publishedText(oneLine));
    });
  });

  it('is good to load with the new serial and the same rules, whatever the map', () => {
    fc.assert(
      fc.property(maps, fc.nat(), imageTexts, (document, serial, image) => {
        const next = published(document, serial);
        expect(mapOf(next).serial).toBe(serial);
        expect(decisionsOf(next, image)).toEqual(decisionsOf(document, image));
      }),
    );
  });
});

describe('mapText', () => {
  it('counts the limit in bytes and not in characters', () => {
    const document = { note: 'ä'.repeat(10) };
    const indented = `${JSON.stringify(document, null, 2)}\n`;
    expect(mapText(document, indented.length + 10)).toBe(indented);
    expect(mapText(document, indented.length + 9)).toBe(`${JSON.stringify(document)}\n`);
  });
});
