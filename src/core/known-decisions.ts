import type { Decision } from './decision.ts';

/** Decisions that are kept, some 500 bytes each; then it begins anew. */
const LIMIT = 1024;
/** Characters. What is longer is seldom an image. */
const LONGEST = 512;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Keeps what was decided: a cluster starts the same few images again and again. */
export function keepDecisions(decide: (image: string) => Decision): (image: string) => Decision {
  const known = new Map<string, Decision>();
  return (image) => {
    const decision = known.get(image);
    if (decision !== undefined) {
      return decision;
    }
    // An image is a slice of the text of its review, and would keep all of that in memory.
    const copy = image.length > LONGEST ? '' : decoder.decode(encoder.encode(image));
    if (copy !== image) {
      return decide(image);
    }
    if (known.size === LIMIT) {
      known.clear();
    }
    const decided = decide(copy);
    known.set(copy, decided);
    return decided;
  };
}
