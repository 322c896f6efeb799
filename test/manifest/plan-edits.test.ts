import { describe, expect, it } from '@jest/globals';
import type { ManifestImage } from '../../src/core/manifest-images.ts';
import type { Path } from '../../src/core/workload.ts';
import { readDocument } from '../../src/manifest/document.ts';
import { type FoundImage, planEdits } from '../../src/manifest/plan-edits.ts';
import { applyEdits } from '../../src/manifest/text.ts';
import { policyOf } from '../support/policies.ts';

const policy = policyOf({ base: 'r.example' });

/** The source after the edits that give the images at these paths their targets; `!` keeps one. */
function planned(source: string, ...places: readonly (Path | '!')[]): Record<string, unknown> {
  const document = readDocument(source);
  if ('fault' in document) {
    throw new Error(document.fault.message);
  }
  const images = places.flatMap((path, index): FoundImage[] => {
    const found = path === '!' ? undefined : document.find(path);
    if (path === '!' || found === undefined) return [];
    const image = String(found.scalar.value);
    const isKept = places[index + 1] === '!';
    const verdict: ManifestImage['verdict'] = isKept
      ? { outcome: 'kept', reason: 'skip-label' }
      : policy.decide(image);
    const place = { kind: 'Pod', namespace: undefined, name: undefined, where: '' };
    return [{ ...place, image, path, verdict, ...found }];
  });
  const { edits, conflicts } = planEdits(document, images);
  return {
    text: applyEdits(source, edits),
    conflicts: images.filter((image) => conflicts.has(image)).map(({ path }) => path.join('.')),
  };
}

describe('planEdits', () => {
  it('changes the anchor alone where all agree', () => {
    expect(planned('a: &i atlanhq/x\nb: *i\nc: *i\n', ['a'], ['b'], ['c'])).toEqual({
      text: 'a: &i r.example/atlanhq/x\nb: *i\nc: *i\n',
      conflicts: [],
    });
  });

  it('writes out the alias that is to stay', () => {
    expect(planned('a: &i atlanhq/x\nb: *i\n', ['a'], ['b'], '!')).toMatchObject({
      text: 'a: &i r.example/atlanhq/x\nb: atlanhq/x\n',
      conflicts: [],
    });
  });

  it('writes out the alias that is to change where its anchor stays', () => {
    const expected = { text: 'a: &i atlanhq/x\nb: r.example/atlanhq/x\n', conflicts: [] };
    expect(planned('a: &i atlanhq/x\nb: *i\n', ['a'], '!', ['b'])).toMatchObject(expected);
    // An anchor that names no image is none of ours.
    expect(planned('a: &i atlanhq/x\nb: *i\n', ['b'])).toMatchObject(expected);
  });

  it('leaves one text alone that is to stay for one and to change for another, and names both', () => {
    const source = 'm: &m { i: atlanhq/x }\na: { <<: *m }\nb: { <<: *m }\n';
    expect(planned(source, ['a', 'i'], ['b', 'i'], '!')).toEqual({
      text: source,
      conflicts: ['a.i', 'b.i'],
    });
    expect(planned(source, ['a', 'i'], ['b', 'i'])).toMatchObject({ conflicts: [] });
  });

  it('writes out the aliases that name no image where their anchor changes', () => {
    expect(planned('a: &i atlanhq/x\nb: [*i, *i]\n*i : *i\n', ['a'])).toEqual({
      text: 'a: &i r.example/atlanhq/x\nb: [atlanhq/x, atlanhq/x]\natlanhq/x : atlanhq/x\n',
      conflicts: [],
    });
    expect(planned('a: &i nginx\nb: *i\n', ['a']).text).toBe('a: &i nginx\nb: *i\n');
  });

  it('changes the text in a fragment of Compose, unless something else uses it', () => {
    const source = 'x-i: &i atlanhq/x\nservices: { a: { image: *i } }\n';
    const path = ['services', 'a', 'image'];
    expect(planned(source, path).text).toBe(source.replace('atlanhq', 'r.example/atlanhq'));
    const used = `${source}x-e: [*i]\n`;
    expect(planned(used, path).text).toBe(used.replace('image: *i', 'image: r.example/atlanhq/x'));
  });
});
