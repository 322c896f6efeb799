import { describe, expect, it } from '@jest/globals';
import { keepDecisions } from '../../src/core/known-decisions.ts';
import type { Decision } from '../../src/core/decision.ts';

const ENOUGH = 3000;

/** Tells decisions apart by the image that they are about, and counts them. */
function counted(): { decide: (image: string) => Decision; images: string[] } {
  const images: string[] = [];
  return {
    images,
    decide: (image) => {
      images.push(image);
      return { outcome: 'invalid', reason: 'REFERENCE_INVALID', message: image };
    },
  };
}

describe('keepDecisions', () => {
  it('decides about an image once, and gives the same decision from then on', () => {
    const { decide, images } = counted();
    const decideKnown = keepDecisions(decide);
    const first = decideKnown('docker.io/atlanhq/app:1');
    expect(decideKnown('docker.io/atlanhq/app:1')).toBe(first);
    expect(decideKnown('docker.io/atlanhq/app:2')).toEqual({ ...first, message: images[1] });
    expect(images).toEqual(['docker.io/atlanhq/app:1', 'docker.io/atlanhq/app:2']);
  });

  it.each([
    ['half of a surrogate pair', 'app\ud800'],
    ['more characters than an image has', 'a'.repeat(2000)],
  ])('decides anew, about just what was asked, for %s', (_title, image) => {
    const { decide, images } = counted();
    const decideKnown = keepDecisions(decide);
    expect(decideKnown(image)).toEqual({ ...decide(image) });
    decideKnown(image);
    expect(images).toEqual([image, image, image]);
  });

  it.each(['', 'caf\u00e9', '\ufeffa', 'a b', '__proto__'])(
    'decides about %j as it is written',
    (image) => {
      const { decide, images } = counted();
      const decideKnown = keepDecisions(decide);
      expect([decideKnown(image), decideKnown(image)]).toEqual(Array(2).fill(decide(image)));
      expect(images).toEqual([image, image]);
    },
  );

  it('forgets before it holds too many', () => {
    const { decide, images } = counted();
    const decideKnown = keepDecisions(decide);
    for (let index = 0; index < ENOUGH; index += 1) {
      decideKnown(`app:${index}`);
    }
    decideKnown('app:0');
    expect(images).toHaveLength(ENOUGH + 1);
  });
});
