import { randomInt } from 'node:crypto';
import type { ImageMap, MapFaults } from '../core/image-map.ts';
import { imageMapSteps } from '../core/parse-image-map.ts';
import type { Steps } from '../core/steps.ts';

/** As `imageMapSteps`, with a seed that no writer of a map can know. */
export function mapSteps(bytes: Uint8Array, maxBytes: number): Steps<ImageMap | MapFaults> {
  return imageMapSteps(bytes, maxBytes, randomInt(2 ** 32));
}
