// Node.js makes the global name a getter, which would be called for each value.
import { Buffer } from 'node:buffer';
import { endOfValue, FAULT } from '../core/json-end.ts';
import { OPEN_ARRAY, OPEN_OBJECT } from '../core/json-signs.ts';

/** Bytes. To compare takes as long as to check so many, and a much longer value is seldom there twice. */
const SHORTEST = 64;
const LONGEST = 8192;
/** As many as ten bits tell apart: 8 MiB at most. */
const PLACES = 1024;
/** Some of a value's first bytes, and of those before it, which are its name, tell its place. */
const SAMPLED_BEFORE = 15;
const SAMPLED_BEHIND = 40;
const SAMPLED_EACH = 5;
/** Of the values that were not there, one in so many is kept: some are another one in each pod. */
const KEPT_EACH = 8;

const NOTHING = new Uint8Array();

/**
 * Objects and lists that were passed over lately. The pods of one template have most of their text in
 * common, and an update holds its pod twice: what is the same byte for byte as a value that was sound is
 * sound and as long, and to see that takes a tenth of the time.
 */
export class SeenValues {
  readonly #values: Uint8Array[] = Array.from({ length: PLACES }, () => NOTHING);
  #missed = 0;

  /** As `endOfValue`. */
  readonly tellEnd = (text: Uint8Array, start: number): number => {
    const first = text[start];
    if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) {
      return endOfValue(text, start);
    }
    const place = placeOf(text, start);
    const value = this.#values[place] ?? NOTHING;
    if (value !== NOTHING && isAt(text, start, value)) {
      return start + value.length;
    }
    const end = endOfValue(text, start);
    if (end !== FAULT && end - start >= SHORTEST && end - start <= LONGEST) {
      this.#missed += 1;
      if (this.#missed % KEPT_EACH === 0) {
        this.#values[place] = new Uint8Array(text.subarray(start, end));
      }
    }
    return end;
  };
}

/** Whether the value stands at `start`; in native code, since it is long. */
function isAt(text: Uint8Array, start: number, value: Uint8Array): boolean {
  const end = start + value.length;
  return (
    // Tells most values apart in less time than all of their bytes.
    text[end - 1] === value[value.length - 1] &&
    Buffer.compare(text.subarray(start, end), value) === 0
  );
}

function placeOf(text: Uint8Array, start: number): number {
  let hash = 0;
  for (let at = start - SAMPLED_BEFORE; at < start + SAMPLED_BEHIND; at += SAMPLED_EACH) {
    hash = Math.imul(hash ^ (text[at] ?? 0), 0x01000193);
  }
  // The upper bits are the ones that depend on all of it.
  return hash >>> 22;
}
