import { EntryTable } from './entry-table.ts';
import type { ImageMap } from './image-map.ts';
import type { ImageEntry, NameEntry } from './map-entry.ts';
import type { PrefixLookup } from './map-rules.ts';
import type { MapHead } from './map-document.ts';
import { TextIndex, TextStore } from './packed-text.ts';
import { longestPrefix } from './prefix-rules.ts';

type Head = Omit<MapHead, 'faults'>;

/** What a saved map says before its tables: how long each is, in numbers of four bytes, and the rest. */
interface SavedHead extends Head {
  /** Another build may put something else into the same tables. */
  readonly build: string;
  readonly hashSeed: number;
  readonly targetRegistries: readonly string[];
  readonly records: number;
  readonly indexes: readonly { readonly size: number; readonly slots: number }[];
}

/** The first number of a saved map; a machine with another order of bytes reads another one. */
const MARK = 0x53_44_52_01;
const NUMBER_SIZE = 4;
const HEAD_START = 2 * NUMBER_SIZE;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The tables of one map: a builder fills them, and the map that is made of them reads them. */
export class MapStore {
  readonly table = new EntryTable();
  readonly tags: TextIndex;
  readonly digests: TextIndex;
  /** By `repo@digest`. */
  readonly impliedNames: TextIndex;
  /** By `@digest`. */
  readonly impliedDigests: TextIndex;
  readonly repositories: TextIndex;
  readonly prefixes: TextIndex;
  readonly imageTargets: TextIndex;
  readonly repositoryTargets: TextIndex;
  readonly prefixTargets: TextIndex;
  readonly targetRegistries = new Set<string>();
  readonly #hashSeed: number;

  constructor(hashSeed: number) {
    this.#hashSeed = hashSeed;
    const { table } = this;
    const byKey = (): TextIndex =>
      new TextIndex(hashSeed, (number, text) => table.hasKey(number, text));
    const byTarget = (): TextIndex =>
      new TextIndex(hashSeed, (number, text) => table.hasCanonicalTarget(number, text));
    this.tags = byKey();
    this.digests = byKey();
    this.impliedNames = new TextIndex(hashSeed, (number, text) =>
      table.hasRepositoryAndDigest(number, text),
    );
    this.impliedDigests = new TextIndex(hashSeed, (number, text) => table.hasDigest(number, text));
    this.repositories = byKey();
    this.prefixes = byKey();
    this.imageTargets = byTarget();
    this.repositoryTargets = byTarget();
    this.prefixTargets = byTarget();
  }

  toMap({ serial, generatedAt, unknownKeys }: Head): ImageMap {
    const { table, tags, digests, impliedNames, impliedDigests, repositories, prefixes } = this;
    const imageOf = (number: number | undefined): ImageEntry | undefined => {
      const entry = number === undefined ? undefined : table.entry(number);
      return entry?.kind === 'image' ? entry : undefined;
    };
    const nameOf = (number: number | undefined): NameEntry | undefined => {
      const entry = number === undefined ? undefined : table.entry(number);
      return entry === undefined || entry.kind === 'image' ? undefined : entry;
    };
    const impliedOf = (key: string): number | undefined =>
      (key.startsWith('@') ? impliedDigests : impliedNames).get(key);
    return {
      serial,
      generatedAt,
      unknownKeys,
      table,
      get entries() {
        return table.entries;
      },
      tags: { get: (key) => imageOf(tags.get(key)) },
      digests: { get: (key) => imageOf(digests.get(key)) },
      impliedDigests: { get: (key) => imageOf(impliedOf(key)) },
      repositories: { get: (key) => nameOf(repositories.get(key)) },
      prefixes: prefixLookup(prefixes, nameOf),
      imageTargets: this.imageTargets,
      repositoryTargets: this.repositoryTargets,
      prefixTargets: prefixLookup(this.prefixTargets, () => true),
      targetRegistries: this.targetRegistries,
      ruleCount: tags.size + digests.size + repositories.size + prefixes.size,
      ruleOf: (kind, key) => {
        switch (kind) {
          case 'image':
            return tags.get(key) ?? digests.get(key);
          case 'repository':
            return repositories.get(key);
          case 'prefix':
            return prefixes.get(key);
        }
      },
      save: (build) => this.#save({ serial, generatedAt, unknownKeys }, build),
    };
  }

  /** The map that was saved, which keeps the bytes; undefined where another build saved it. */
  static restore(bytes: Uint8Array, build: string): ImageMap | undefined {
    let at = HEAD_START;
    const numbers = (count: number): Uint32Array => {
      const part = new Uint32Array(bytes.buffer, bytes.byteOffset + at, count);
      at += part.byteLength;
      return part;
    };
    const [mark, headSize = 0] = new Uint32Array(bytes.buffer, bytes.byteOffset, 2);
    if (mark !== MARK) {
      return undefined;
    }
    at += headSize;
    const head = JSON.parse(decoder.decode(bytes.subarray(HEAD_START, at))) as SavedHead;
    if (head.build !== build) {
      return undefined;
    }
    const store = new MapStore(head.hashSeed);
    const records = numbers(head.records);
    for (const [number, index] of store.#indexes.entries()) {
      const { size, slots } = head.indexes[number] ?? { size: 0, slots: 0 };
      index.restore(size, numbers(slots));
    }
    store.table.restore(records, TextStore.of(bytes.subarray(at)));
    for (const registry of head.targetRegistries) {
      store.targetRegistries.add(registry);
    }
    return store.toMap(head);
  }

  /** In the order in which they are saved. */
  get #indexes(): readonly TextIndex[] {
    return [
      this.tags,
      this.digests,
      this.impliedNames,
      this.impliedDigests,
      this.repositories,
      this.prefixes,
      this.imageTargets,
      this.repositoryTargets,
      this.prefixTargets,
    ];
  }

  #save(head: Head, build: string): readonly Uint8Array[] {
    const { records, texts } = this.table;
    const indexes = this.#indexes;
    const saved: SavedHead = {
      ...head,
      build,
      hashSeed: this.#hashSeed,
      targetRegistries: [...this.targetRegistries],
      records: records.length,
      indexes: indexes.map(({ size, slots }) => ({ size, slots: slots.length })),
    };
    const text = encoder.encode(JSON.stringify(saved));
    // Numbers are read where they stand, which takes a place that four divides.
    const headSize = Math.ceil(text.length / NUMBER_SIZE) * NUMBER_SIZE;
    const padding = encoder.encode(' '.repeat(headSize - text.length));
    const numbers = [records, ...indexes.map(({ slots }) => slots)];
    return [
      bytesOf(Uint32Array.of(MARK, headSize)),
      text,
      padding,
      ...numbers.map(bytesOf),
      ...texts.blocks,
    ];
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function prefixLookup<Value>(
  index: TextIndex,
  valueOf: (number: number) => Value | undefined,
): PrefixLookup<Value> {
  const get = (prefix: string): Value | undefined => {
    const number = index.get(prefix);
    return number === undefined ? undefined : valueOf(number);
  };
  return {
    longest: (repository) => (index.size === 0 ? undefined : longestPrefix(repository, get)),
  };
}
