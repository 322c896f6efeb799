import { freeMemory } from './free-memory.ts';
import type { MapEntry } from './map-entry.ts';
import { TextStore } from './packed-text.ts';

const KINDS = ['image', 'repository', 'prefix'] as const satisfies MapEntry['kind'][];

/** The numbers of an entry; texts are addresses in the store. */
const FLAGS = 0;
const KEY = 1;
const TARGET = 2;
const CANONICAL_TARGET = 3;
const SOURCE_DIGEST = 4;
const PATH = 5;
const RECORD_SIZE = 6;

const KIND_MASK = 0b11;
const PINNED = 0b100;
const REPOSITORY_SHIFT = 3;
const FIRST_CAPACITY = 16;
const RECENT_ENTRIES = 1024;
/** In the place of an address. */
const NO_TEXT = 0;

/** Entries by number, each a record of addresses: objects are made of those only that are asked for. */
export class EntryTable {
  #texts = new TextStore();
  #records: Uint32Array = new Uint32Array(FIRST_CAPACITY * RECORD_SIZE);
  #size = 0;
  /** Of the entry that was added last, by field. */
  readonly #last = new Map<number, { readonly text: string; readonly address: number }>();
  #entries: readonly MapEntry[] | undefined;
  /** The few images of a cluster, which are asked for again and again. */
  readonly #recent = new Map<number, MapEntry>();

  get size(): number {
    return this.#size;
  }

  /** What there is in memory. */
  get records(): Uint32Array {
    return this.#records.subarray(0, this.#size * RECORD_SIZE);
  }

  get texts(): TextStore {
    return this.#texts;
  }

  /** Becomes what another one is, without copying its records. */
  restore(records: Uint32Array, texts: TextStore): void {
    this.#records = records;
    this.#texts = texts;
    this.#size = records.length / RECORD_SIZE;
  }

  /** All of them as objects, for the command line; from then on `entry` gives the same objects. */
  get entries(): readonly MapEntry[] {
    this.#entries ??= Array.from({ length: this.#size }, (_, number) => this.#make(number));
    return this.#entries;
  }

  /** Returns the number of the entry; `repositoryLength` characters of its key are the repository. */
  add(entry: MapEntry, repositoryLength: number): number {
    const { kind, key, target, canonicalTarget, path } = entry;
    const isPinned = entry.kind === 'image' && entry.pinned;
    const sourceDigest = entry.kind === 'image' ? entry.sourceDigest : undefined;
    this.#reserve(this.#size + 1);
    const records = this.#records;
    const at = this.#size * RECORD_SIZE;
    const canonical = this.#share(CANONICAL_TARGET, canonicalTarget);
    records[at + FLAGS] =
      KINDS.indexOf(kind) | (isPinned ? PINNED : 0) | (repositoryLength << REPOSITORY_SHIFT);
    records[at + KEY] = this.#texts.add(key);
    records[at + TARGET] = target === canonicalTarget ? canonical : this.#share(TARGET, target);
    records[at + CANONICAL_TARGET] = canonical;
    records[at + SOURCE_DIGEST] =
      sourceDigest === undefined ? NO_TEXT : this.#share(SOURCE_DIGEST, sourceDigest);
    records[at + PATH] = this.#texts.add(path);
    this.#size += 1;
    return this.#size - 1;
  }

  entry(number: number): MapEntry {
    const known = this.#entries?.[number] ?? this.#recent.get(number);
    if (known !== undefined) {
      return known;
    }
    const entry = this.#make(number);
    if (this.#recent.size >= RECENT_ENTRIES) {
      this.#recent.clear();
    }
    this.#recent.set(number, entry);
    return entry;
  }

  kind(number: number): MapEntry['kind'] {
    return KINDS[this.#field(number, FLAGS) & KIND_MASK] ?? 'image';
  }

  /** Whether the target has a digest. */
  isPinned(number: number): boolean {
    return (this.#field(number, FLAGS) & PINNED) !== 0;
  }

  key(number: number): string {
    return this.#texts.read(this.#field(number, KEY));
  }

  /** The repository of a source, or the whole of a prefix; empty where the source is a digest alone. */
  repository(number: number): string {
    return this.key(number).slice(0, this.#field(number, FLAGS) >>> REPOSITORY_SHIFT);
  }

  target(number: number): string {
    return this.#texts.read(this.#field(number, TARGET));
  }

  canonicalTarget(number: number): string {
    return this.#texts.read(this.#field(number, CANONICAL_TARGET));
  }

  path(number: number): string {
    return this.#texts.read(this.#field(number, PATH));
  }

  hasKey(number: number, key: string): boolean {
    return this.#texts.equals(this.#field(number, KEY), key);
  }

  hasCanonicalTarget(number: number, target: string): boolean {
    return this.#texts.equals(this.#field(number, CANONICAL_TARGET), target);
  }

  /** Whether `text` is `@` and the source digest of the entry. */
  hasDigest(number: number, text: string): boolean {
    return this.#endsInDigest(number, text, 0);
  }

  /** Whether `text` is the repository of the entry, `@` and its source digest. */
  hasRepositoryAndDigest(number: number, text: string): boolean {
    const length = this.#field(number, FLAGS) >>> REPOSITORY_SHIFT;
    return (
      this.#endsInDigest(number, text, length) &&
      this.#texts.begins(this.#field(number, KEY), text, 0, length)
    );
  }

  /** Whether the entries say the same of their sources. */
  agrees(number: number, other: EntryTable, otherNumber: number): boolean {
    const [digest, otherDigest] = [
      this.#field(number, SOURCE_DIGEST),
      other.#field(otherNumber, SOURCE_DIGEST),
    ];
    const isSameDigest =
      digest === NO_TEXT || otherDigest === NO_TEXT
        ? digest === otherDigest
        : this.#texts.equals(digest, other.#texts.read(otherDigest));
    return isSameDigest && this.hasCanonicalTarget(number, other.canonicalTarget(otherNumber));
  }

  #make(number: number): MapEntry {
    const kind = this.kind(number);
    const texts = {
      key: this.key(number),
      target: this.target(number),
      canonicalTarget: this.canonicalTarget(number),
      path: this.path(number),
    };
    if (kind !== 'image') {
      return { kind, ...texts };
    }
    const digest = this.#field(number, SOURCE_DIGEST);
    return {
      kind,
      ...texts,
      pinned: this.isPinned(number),
      sourceDigest: digest === NO_TEXT ? undefined : this.#texts.read(digest),
    };
  }

  #endsInDigest(number: number, text: string, at: number): boolean {
    const digest = this.#field(number, SOURCE_DIGEST);
    return (
      text[at] === '@' &&
      this.#texts.length(digest) === text.length - at - 1 &&
      this.#texts.begins(digest, text, at + 1, text.length)
    );
  }

  #field(number: number, field: number): number {
    return this.#records[number * RECORD_SIZE + field] ?? 0;
  }

  /** Aliases of one image have one target: a long one must not take its space again for each of them. */
  #share(field: number, text: string): number {
    const last = this.#last.get(field);
    if (last?.text === text) {
      return last.address;
    }
    const address = this.#texts.add(text);
    this.#last.set(field, { text, address });
    return address;
  }

  #reserve(size: number): void {
    if (size * RECORD_SIZE > this.#records.length) {
      const old = this.#records;
      this.#records = new Uint32Array(2 * old.length);
      this.#records.set(old);
      freeMemory(old);
    }
  }
}
