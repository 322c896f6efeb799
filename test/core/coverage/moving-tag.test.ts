import { describe, expect, it } from '@jest/globals';
import { MovedTags, movingByName } from '../../../src/core/coverage/moving-tag.ts';
import { digestOf } from '../../support/digests.ts';
import { referenceOf } from '../../support/references.ts';

const A = digestOf('a');
const B = digestOf('b');

describe('movingByName', () => {
  it.each(['latest', 'main', 'stable', 'rc', 'v', '3', 'v3', '1.4', 'v1.4', '2026.1'])(
    'takes the tag %s for one that is set again',
    (tag) => {
      expect(movingByName(referenceOf(`atlanhq/a:${tag}`))).toBe('floating-tag');
    },
  );

  it.each([
    '1.4.2',
    '0.4.25-r1',
    'main-97b8c95',
    'sha-abcdefa',
    '20261123',
    '1.4-alpine',
    'v1.4.2',
  ])('takes the tag %s for a release', (tag) => {
    expect(movingByName(referenceOf(`atlanhq/a:${tag}`))).toBeUndefined();
  });

  it('tells no tag at all from a tag', () => {
    expect(movingByName(referenceOf('atlanhq/a'))).toBe('no-tag');
  });

  it.each([`atlanhq/a@${A}`, `atlanhq/a:latest@${A}`])('takes %s for pinned', (image) => {
    expect(movingByName(referenceOf(image))).toBeUndefined();
  });
});

describe('MovedTags', () => {
  function moved(...pulls: readonly [image: string, pulledFrom: string | undefined][]): MovedTags {
    const tags = new MovedTags();
    for (const [image, pulledFrom] of pulls) tags.add(image, pulledFrom);
    return tags;
  }

  it('finds a tag that was pulled with two digests, however it is written', () => {
    const tags = moved(
      ['atlanhq/a:1.4.2', `docker.io/atlanhq/a@${A}`],
      ['docker.io/atlanhq/a:1.4.2', `docker.io/atlanhq/a@${B}`],
    );
    expect(tags.movingOf('index.docker.io/atlanhq/a:1.4.2')).toBe('moved');
    expect(tags.movingOf('atlanhq/a:1.4.3')).toBeUndefined();
  });

  it('finds none where the digest is the same, or is not known', () => {
    const tags = moved(
      ['atlanhq/a:1.4.2', `docker.io/atlanhq/a@${A}`],
      ['atlanhq/a:1.4.2', `ghcr.io/atlanhq/a@${A}`],
      ['atlanhq/a:1.4.2', B],
      ['atlanhq/a:1.4.2', undefined],
    );
    expect(tags.movingOf('atlanhq/a:1.4.2')).toBeUndefined();
  });

  it('says nothing of what is pinned or does not parse', () => {
    const image = `atlanhq/a:latest@${A}`;
    const tags = moved([image, `docker.io/atlanhq/a@${A}`], [image, `docker.io/atlanhq/a@${B}`]);
    expect(tags.movingOf(image)).toBeUndefined();
    expect(tags.movingOf('A:b:c')).toBeUndefined();
  });
});
