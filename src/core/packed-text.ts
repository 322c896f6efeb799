import { freeMemory } from './free-memory.ts';

const BLOCK_SIZE = 65_536;
const FIRST_BLOCK_SIZE = 2048;
const LENGTH_BYTES = 2;
const LAST_ASCII = 0x7f;

const FIRST_CAPACITY = 16;
/** Share of the slots in use beyond which their number is doubled. */
const MAX_LOAD = 0.8;

const decoder = new TextDecoder();

/**
 * ASCII texts side by side, outside of the JavaScript heap: as strings, those of a map of 100,000 entries
 * would take several times the memory, and garbage collections would stop the server to move them.
 */
export class TextStore {
  readonly #blocks: Uint8Array[] = [];
  /** Bytes in use of the last block. */
  #used = BLOCK_SIZE;

  /** A store of the texts of another one, of which these are the blocks side by side; they are not copied. */
  static of(bytes: Uint8Array): TextStore {
    const store = new TextStore();
    for (let start = 0; start < bytes.length; start += BLOCK_SIZE) {
      store.#blocks.push(bytes.subarray(start, start + BLOCK_SIZE));
    }
    return store;
  }

  /** What there is in memory, all of one size but the last. */
  get blocks(): readonly Uint8Array[] {
    const last = this.#blocks.length - 1;
    return this.#blocks.map((block, index) =>
      index < last ? block : block.subarray(0, this.#used),
    );
  }

  /** Returns the address of the text, which is never 0. Throws a `RangeError` where it is not ASCII or over 64 KB. */
  add(text: string): number {
    const { length } = text;
    const block = this.#blockWithRoom(LENGTH_BYTES + length);
    const start = this.#used + LENGTH_BYTES;
    let bits = 0;
    // An encoder needs a view of the block for each text, which takes longer than so few bytes.
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index);
      block[start + index] = code;
      bits |= code;
    }
    if (bits > LAST_ASCII) {
      throw new RangeError(`${JSON.stringify(text)} is not ASCII`);
    }
    block[start - 2] = length >>> 8;
    block[start - 1] = length & 0xff;
    const address = (this.#blocks.length - 1) * BLOCK_SIZE + this.#used;
    this.#used = start + length;
    return address;
  }

  read(address: number): string {
    return decoder.decode(this.#bytes(address));
  }

  length(address: number): number {
    const block = this.#blocks[Math.floor(address / BLOCK_SIZE)];
    const at = address % BLOCK_SIZE;
    return ((block?.[at] ?? 0) << 8) | (block?.[at + 1] ?? 0);
  }

  equals(address: number, text: string): boolean {
    return this.length(address) === text.length && this.begins(address, text, 0, text.length);
  }

  /** Whether the stored text begins with `text` from `start` to `end`. */
  begins(address: number, text: string, start: number, end: number): boolean {
    const block = this.#blocks[Math.floor(address / BLOCK_SIZE)];
    const from = (address % BLOCK_SIZE) + LENGTH_BYTES - start;
    // From the end, since the names of images are alike at the beginning.
    for (let index = end - 1; index >= start; index -= 1) {
      if (block?.[from + index] !== text.charCodeAt(index)) {
        return false;
      }
    }
    return true;
  }

  /** The last block, or a new one, with so much room behind what is used of it. */
  #blockWithRoom(size: number): Uint8Array {
    if (size >= BLOCK_SIZE) {
      throw new RangeError(`a text of ${size} bytes is too long to be packed`);
    }
    if (this.#used + size > BLOCK_SIZE) {
      this.#blocks.push(new Uint8Array(this.#blocks.length === 0 ? FIRST_BLOCK_SIZE : BLOCK_SIZE));
      this.#used = 1;
    }
    const last = this.#blocks.length - 1;
    const block = this.#blocks[last] ?? new Uint8Array();
    if (this.#used + size <= block.length) {
      return block;
    }
    // Only the first one is small, since most maps are.
    const whole = new Uint8Array(BLOCK_SIZE);
    whole.set(block);
    this.#blocks[last] = whole;
    return whole;
  }

  #bytes(address: number): Uint8Array | undefined {
    const start = (address % BLOCK_SIZE) + LENGTH_BYTES;
    const block = this.#blocks[Math.floor(address / BLOCK_SIZE)];
    return block?.subarray(start, start + this.length(address));
  }
}

/**
 * A hash table from texts to whole numbers that does not keep the texts: `matches` says whether a number
 * belongs to a text. Linear probing over pairs of hash and number in one piece of memory.
 */
export class TextIndex {
  readonly #seed: number;
  readonly #matches: (value: number, text: string) => boolean;
  /** Pairs: the hash, and the number + 1, which is 0 where the slot is free. */
  #slots: Uint32Array = new Uint32Array();
  #size = 0;

  /** With a random `seed` nobody can make a file whose texts all fall into one slot. */
  constructor(seed: number, matches: (value: number, text: string) => boolean) {
    this.#seed = seed;
    this.#matches = matches;
  }

  get size(): number {
    return this.#size;
  }

  /** What there is in memory. */
  get slots(): Uint32Array {
    return this.#slots;
  }

  /** Becomes what another one of the same seed is, without copying its slots. */
  restore(size: number, slots: Uint32Array): void {
    this.#size = size;
    this.#slots = slots;
  }

  get(text: string): number | undefined {
    if (this.#size === 0) {
      return undefined;
    }
    const number = this.#slots[this.#find(hashText(text, this.#seed), text) + 1] ?? 0;
    return number === 0 ? undefined : number - 1;
  }

  has(text: string): boolean {
    return this.get(text) !== undefined;
  }

  /**
   * Adds the text with its number, which `matches` must know already. A text that is there gets the new
   * number if `replaces` says so of the one that it has.
   */
  set(text: string, value: number, replaces: (present: number) => boolean = always): void {
    if (this.#size + 1 > (this.#slots.length / 2) * MAX_LOAD) {
      this.#grow();
    }
    const hash = hashText(text, this.#seed);
    const slot = this.#find(hash, text);
    const present = this.#slots[slot + 1] ?? 0;
    if (present > 0 && !replaces(present - 1)) {
      return;
    }
    this.#size += present > 0 ? 0 : 1;
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = value + 1;
  }

  /** The slot of the text, or the free one where it would go. */
  #find(hash: number, text: string): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = (hash << 1) & mask; ; slot = (slot + 2) & mask) {
      const number = slots[slot + 1] ?? 0;
      if (number === 0 || (slots[slot] === hash && this.#matches(number - 1, text))) {
        return slot;
      }
    }
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Uint32Array(Math.max(2 * old.length, 2 * FIRST_CAPACITY));
    const mask = slots.length - 1;
    for (let from = 0; from < old.length; from += 2) {
      const hash = old[from] ?? 0;
      const number = old[from + 1] ?? 0;
      if (number > 0) {
        let slot = (hash << 1) & mask;
        while (slots[slot + 1] !== 0) {
          slot = (slot + 2) & mask;
        }
        slots[slot] = hash;
        slots[slot + 1] = number;
      }
    }
    this.#slots = slots;
    freeMemory(old);
  }
}

/** Not made anew for each text. */
const always = (): boolean => true;

/** FNV-1a, its bits mixed once more at the end: neighbouring tags must not fall into neighbouring slots. */
function hashText(text: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
