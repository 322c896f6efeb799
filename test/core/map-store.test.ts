import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ImageMap } from '../../src/core/image-map.ts';
import { MapStore } from '../../src/core/map-store.ts';
import { createPolicy } from '../../src/core/policy.ts';
import { references, soundMapSections } from '../support/arbitraries.ts';
import { mapDocument, mapOf } from '../support/maps.ts';
import { MAP_IDENTITY, settingsOf } from '../support/policies.ts';

const BUILD = 'this build';

function saved(map: ImageMap, build = BUILD): Uint8Array {
  return new Uint8Array(Buffer.concat(map.save(build)));
}

function restored(map: ImageMap): ImageMap {
  const again = MapStore.restore(saved(map), BUILD);
  if (again === undefined) throw new Error('the map was not restored');
  return again;
}

function decide(rules: ImageMap, image: string): object {
  return createPolicy({
    ...settingsOf({ map: {} }),
    map: { rules, identity: MAP_IDENTITY },
  }).decide(image);
}

/** A flat map that takes several pieces of memory. */
function bigDocument(size: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: size }, (_, index) => [
      `docker.io/atlanhq/app-${index}:1`,
      `registry.corp.example/atlan/${'a'.repeat(index % 90)}x:${index}`,
    ]),
  );
}

describe('a map that was saved', () => {
  it('decides as before', () => {
    fc.assert(
      fc.property(
        soundMapSections,
        fc.array(references, { minLength: 1, maxLength: 8 }),
        (sections, images) => {
          const map = mapOf(mapDocument(sections));
          const again = restored(map);
          for (const image of images) {
            expect(decide(again, image)).toEqual(decide(map, image));
          }
        },
      ),
      { numRuns: 700 },
    );
  });

  it('has the same entries, each found by its source', () => {
    fc.assert(
      fc.property(soundMapSections, (sections) => {
        const map = mapOf(mapDocument(sections));
        const again = restored(map);
        expect(again.entries).toEqual(map.entries);
        expect(again.ruleCount).toBe(map.ruleCount);
        expect(again.targetRegistries).toEqual(map.targetRegistries);
        for (const { kind, key, canonicalTarget } of map.entries) {
          expect(again.ruleOf(kind, key)).toBe(map.ruleOf(kind, key));
          expect(again.imageTargets.has(canonicalTarget)).toBe(kind === 'image');
        }
      }),
    );
  });

  it('says of itself what it did', () => {
    const map = mapOf({
      ...mapDocument({ images: [], serial: 7, generatedAt: '2026-11-23T08:00:00Z' }),
      'not-known-é': 1,
    });
    expect(restored(map)).toMatchObject({
      serial: 7,
      generatedAt: '2026-11-23T08:00:00Z',
      unknownKeys: ['$["not-known-é"]'],
    });
    expect(restored(mapOf({}))).toMatchObject({ serial: undefined, generatedAt: undefined });
  });

  it.each([0, 1, 30, 3000])('may have %d entries', (size) => {
    const document = bigDocument(size);
    const map = restored(mapOf(document));
    expect(map.ruleCount).toBe(size);
    for (const [source, target] of Object.entries(document)) {
      expect(map.tags.get(source)?.target).toBe(target);
    }
  });

  it('can be saved again', () => {
    const map = mapOf(bigDocument(2000));
    expect(Buffer.compare(saved(restored(map)), saved(map))).toBe(0);
  });

  it.each(['that build', ''])('is not taken from another build, such as "%s"', (build) => {
    expect(MapStore.restore(saved(mapOf(bigDocument(3)), build), BUILD)).toBeUndefined();
  });

  it('is not taken from a machine with another order of bytes', () => {
    const bytes = saved(mapOf(bigDocument(3)));
    Buffer.from(bytes.buffer, 0, 8).swap32();
    expect(MapStore.restore(bytes, BUILD)).toBeUndefined();
  });
});
