import type { ImageMap, MapFaults } from './image-map.ts';
import { MapBuilder } from './map-builder.ts';
import { readMapLines } from './map-document.ts';
import { runSteps, type Steps } from './steps.ts';

/** Parses the bytes of a map, at most `maxBytes`. It is refused whole, with every fault, or good. */
export function parseImageMap(bytes: Uint8Array, maxBytes: number): ImageMap | MapFaults {
  return runSteps(imageMapSteps(bytes, maxBytes));
}

/** As `parseImageMap`, in steps; `hashSeed` is any 32-bit number, best a random one. */
export function* imageMapSteps(
  bytes: Uint8Array,
  maxBytes: number,
  hashSeed = 0,
): Steps<ImageMap | MapFaults> {
  const builder = new MapBuilder(hashSeed);
  const reading = readMapLines(bytes, maxBytes, hashSeed);
  let step = reading.next();
  while (step.done !== true) {
    let unrested = 0;
    for (const line of step.value) {
      builder.add(line);
      // An image may have any number of aliases.
      unrested += 1;
      if (unrested % LINES_PER_STEP === 0) yield;
    }
    yield;
    step = reading.next();
  }
  return yield* builder.finish(step.value);
}

/** Some 50 microseconds. */
const LINES_PER_STEP = 8;
