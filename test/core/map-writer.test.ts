import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { structuredMap, withSerial } from '../../src/core/map-writer.ts';
import { imageTexts, soundMapSections } from '../support/arbitraries.ts';
import { digestOf } from '../support/digests.ts';
import { mapDocument, mapOf } from '../support/maps.ts';
import { decisionText, policyOf } from '../support/policies.ts';

const [A, B] = [digestOf('a'), digestOf('b')];
const NOW = new Date('2026-11-24T09:30:00Z');

const maps = soundMapSections.map(mapDocument);

/** The document that is published for another one. */
function published(document: unknown, serial = 7): Record<string, unknown> {
  const text = withSerial(JSON.stringify(document), mapOf(document), serial, NOW);
  return JSON.parse(text) as Record<string, unknown>;
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
