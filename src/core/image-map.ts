import type { EntryTable } from './entry-table.ts';
import { type ErrorCode, type Fault, type Invalid, isInvalid, quote } from './errors.ts';
import { FaultList } from './fault-list.ts';
import { type MapHead, type MapLine, readMapLines, targetPathOf } from './map-document.ts';
import { MapStore } from './map-store.ts';
import type { TextIndex } from './packed-text.ts';
import { covers, longestPrefix, parsePrefix, type PrefixMatch } from './prefix-rules.ts';
import { canonicalText, parseDigest, parseReference, type Reference } from './reference.ts';
import { runSteps, type Steps } from './steps.ts';

/** `key` is pulled as exactly `target`. */
export interface ImageEntry {
  readonly kind: 'image';
  /** The normalised source: `repo:tag`, `repo@digest`, `repo:tag@digest` or `@digest`. */
  readonly key: string;
  /** As the map has it. */
  readonly target: string;
  readonly canonicalTarget: string;
  /** Whether the target carries a digest, and so may stand in for a source that is pulled by digest. */
  readonly pinned: boolean;
  readonly sourceDigest: string | undefined;
  /** JSONPath of the source. */
  readonly path: string;
}

/** A repository or prefix that moves as a whole; tag and digest are carried over. */
export interface NameEntry {
  readonly kind: 'repository' | 'prefix';
  /** The normalised source. */
  readonly key: string;
  /** As the map has it, without a trailing slash. */
  readonly target: string;
  readonly canonicalTarget: string;
  readonly path: string;
}

export type MapEntry = ImageEntry | NameEntry;

/** Entries by text. */
export interface Lookup<Entry> {
  get(key: string): Entry | undefined;
}

export interface PrefixLookup<Value> {
  /** The value of the longest prefix that covers `repository`. */
  longest(repository: string): PrefixMatch<Value> | undefined;
}

export interface TextSet {
  has(text: string): boolean;
}

/**
 * A map that passed every check. Lookup in the exact tables is O(1), in `prefixes` O(path depth).
 * Nothing in it depends on the order of the file.
 */
export interface ImageMap {
  readonly serial: number | undefined;
  readonly generatedAt: string | undefined;
  /** One for each source, alias, repository and prefix, by number and without making objects of them. */
  readonly table: EntryTable;
  /** The same as objects: for the command line, since those of a big map take a lot of memory. */
  readonly entries: readonly MapEntry[];
  /** By `repo:tag`. */
  readonly tags: Lookup<ImageEntry>;
  /** By `repo:tag@digest`, `repo@digest` and `@digest`, as the sources are written. */
  readonly digests: Lookup<ImageEntry>;
  /** By `repo@digest` and `@digest`: what entries that know a digest say beyond their own source. */
  readonly impliedDigests: Lookup<ImageEntry>;
  readonly repositories: Lookup<NameEntry>;
  readonly prefixes: PrefixLookup<NameEntry>;
  /** Canonical texts of all image targets. */
  readonly imageTargets: TextSet;
  readonly repositoryTargets: TextSet;
  readonly prefixTargets: PrefixLookup<true>;
  /** Of all targets: an image of another registry is none of them. */
  readonly targetRegistries: ReadonlySet<string>;
  /** Paths of keys that the format does not know; they have no effect. */
  readonly unknownKeys: readonly string[];
  /** Sources that a rule stands for: of one that stands twice in the file, only one entry decides. */
  readonly ruleCount: number;
  /** The number in `table` of the entry that decides for a source. */
  ruleOf(kind: MapEntry['kind'], key: string): number | undefined;
  /** What is in memory, in pieces: of them, put together, `MapStore.restore` makes the same map. */
  save(build: string): readonly Uint8Array[];
}

export interface MapFaults {
  readonly faults: readonly Fault[];
  /** What could be read in spite of them: for further checks, never for use. */
  readonly readable: ImageMap;
}

export function hasFaults(result: object): result is MapFaults {
  return 'faults' in result;
}

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

class MapBuilder {
  readonly #faults = new FaultList();
  readonly #store: MapStore;
  readonly #table: EntryTable;
  readonly #sourceRegistries = new Set<string>();

  constructor(hashSeed: number) {
    this.#store = new MapStore(hashSeed);
    this.#table = this.#store.table;
  }

  add(line: MapLine): void {
    if (line.kind === 'image') {
      this.#addImage(line);
    } else {
      this.#addName(line.kind, line);
    }
  }

  *finish(head: MapHead): Steps<ImageMap | MapFaults> {
    yield* this.#findChains();
    const faults = [...head.faults, ...this.#faults.faults];
    const map = this.#store.toMap(head);
    return faults.length > 0 ? { faults, readable: map } : map;
  }

  #fault(code: ErrorCode, path: string, message: string): void {
    this.#faults.add(code, path, message);
  }

  #addImage(line: MapLine): void {
    const target = this.#image(line.target, line.targetPath);
    const source = line.source.startsWith('@')
      ? this.#bareDigest(line)
      : this.#image(line.source, line.path);
    if (target === undefined || source === undefined) {
      return;
    }
    const { repository, digest } = source;
    if (digest !== undefined && line.sourceDigest !== undefined && digest !== line.sourceDigest) {
      const message = `the source ends in @${digest}, but its sourceDigest is ${line.sourceDigest}`;
      this.#fault('MAP_SOURCE_CONFLICT', line.path, message);
      return;
    }
    const entry: ImageEntry = {
      kind: 'image',
      key: canonicalText(source),
      target: line.target,
      canonicalTarget: canonicalText(target),
      pinned: target.digest !== undefined,
      sourceDigest: digest ?? line.sourceDigest,
      path: line.path,
    };
    const index = digest === undefined ? this.#store.tags : this.#store.digests;
    const twin = index.get(entry.key);
    const twinEntry = twin === undefined ? undefined : this.#table.entry(twin);
    if (twinEntry !== undefined && this.#conflicts(twinEntry, entry)) {
      return;
    }
    const number = this.#table.add(entry, repository.length);
    this.#store.imageTargets.set(entry.canonicalTarget, number);
    this.#store.targetRegistries.add(target.registry);
    this.#sourceRegistries.add(source.registry);
    if (twinEntry === undefined || saysMore(entry, twinEntry)) {
      index.set(entry.key, number);
    }
    if (entry.sourceDigest !== undefined) {
      // Equal digests are equal content, under whatever name it is pulled.
      if (repository !== '') {
        this.#keepFirst(
          this.#store.impliedNames,
          `${repository}@${entry.sourceDigest}`,
          number,
          entry,
        );
      }
      this.#keepFirst(this.#store.impliedDigests, `@${entry.sourceDigest}`, number, entry);
    }
  }

  /** Several entries may imply one key; which one answers must not depend on their order. */
  #keepFirst(index: TextIndex, key: string, number: number, entry: ImageEntry): void {
    index.set(key, number, (kept) => {
      if (entry.pinned !== this.#table.isPinned(kept)) {
        // Only a target with a digest may stand in for a source that is pulled by digest.
        return entry.pinned;
      }
      const keptKey = this.#table.key(kept);
      return entry.key === keptKey ? entry.target < this.#table.target(kept) : entry.key < keptKey;
    });
  }

  #addName(kind: NameEntry['kind'], line: MapLine): void {
    const key = this.#name(kind, line.source, line.path);
    const canonicalTarget = this.#name(kind, line.target, line.targetPath);
    if (key === undefined || canonicalTarget === undefined) {
      return;
    }
    const target = line.target.endsWith('/') ? line.target.slice(0, -1) : line.target;
    const entry: NameEntry = { kind, key, target, canonicalTarget, path: line.path };
    const isRepository = kind === 'repository';
    const index = isRepository ? this.#store.repositories : this.#store.prefixes;
    const twin = index.get(key);
    const twinEntry = twin === undefined ? undefined : this.#table.entry(twin);
    if (twinEntry !== undefined && this.#conflicts(twinEntry, entry)) {
      return;
    }
    const number = this.#table.add(entry, key.length);
    (isRepository ? this.#store.repositoryTargets : this.#store.prefixTargets).set(
      canonicalTarget,
      number,
    );
    this.#store.targetRegistries.add(registryOf(canonicalTarget));
    this.#sourceRegistries.add(registryOf(key));
    if (twinEntry === undefined || target < twinEntry.target) {
      index.set(key, number);
    }
  }

  #image(text: string, path: string): Reference | undefined {
    return this.#valid(parseReference(text), path);
  }

  #bareDigest({ source, path }: MapLine): SourceParts | undefined {
    const digest = parseDigest(source.slice(1));
    if (typeof digest === 'string') {
      return { text: source, registry: '', repository: '', tag: undefined, digest };
    }
    return this.#valid<SourceParts>(digest, path);
  }

  #name(kind: NameEntry['kind'], text: string, path: string): string | undefined {
    if (kind === 'prefix') {
      return this.#valid(parsePrefix(text), path)?.value;
    }
    const reference = this.#image(text, path);
    if (reference?.tag !== undefined || reference?.digest !== undefined) {
      const message = `${quote(text)} has a tag or digest; a repository entry carries over those of the pod`;
      this.#fault('MAP_REFERENCE_INVALID', path, message);
      return undefined;
    }
    return reference?.repository;
  }

  /** The parsed value, or undefined with a fault noted. */
  #valid<Value extends object>(parsed: Value | Invalid, path: string): Value | undefined {
    if (isInvalid(parsed)) {
      this.#fault('MAP_REFERENCE_INVALID', path, parsed.message);
      return undefined;
    }
    return parsed;
  }

  #conflicts(one: MapEntry, other: MapEntry): boolean {
    const [oneDigest, otherDigest] = [sourceDigestOf(one), sourceDigestOf(other)];
    let difference: string;
    if (one.canonicalTarget !== other.canonicalTarget) {
      difference = `targets: ${quote(one.target)} and ${quote(other.target)}`;
    } else if (oneDigest !== undefined && otherDigest !== undefined && oneDigest !== otherDigest) {
      difference = `source digests: ${oneDigest} and ${otherDigest}`;
    } else {
      return false;
    }
    const message = `${quote(other.key)} stands at ${one.path} as well, with different ${difference}`;
    this.#fault('MAP_SOURCE_CONFLICT', other.path, message);
    return true;
  }

  /** Finds targets that a rule of this map would move again. */
  *#findChains(): Steps<void> {
    const isDisjoint = this.#sourceRegistries.isDisjointFrom(this.#store.targetRegistries);
    // The source `@digest` is of any registry.
    if (isDisjoint && !this.#sourceRegistries.has('')) {
      return;
    }
    const moved = yield* this.#findMovedNames();
    for (let number = 0; number < this.#table.size; number += 1) {
      yield;
      const next =
        this.#table.kind(number) === 'image'
          ? this.#nextOfImage(number)
          : this.#nextOfName(number, moved);
      if (next === undefined) {
        continue;
      }
      const path = targetPathOf(this.#table.path(number));
      // Aliases share the target of their image.
      if (this.#faults.faults.at(-1)?.path !== path) {
        const target = quote(this.#table.target(number));
        const message = `the target ${target} is itself a source: see ${next}`;
        this.#fault('MAP_TARGET_IS_SOURCE', path, message);
      }
    }
  }

  #nextOfImage(number: number): string | undefined {
    const target = parseReference(this.#table.canonicalTarget(number));
    if (isInvalid(target)) {
      return undefined;
    }
    const { repository, tag, digest } = target;
    const next =
      this.#store.digests.get(canonicalText(target)) ??
      this.#store.digests.get(`${repository}@${digest ?? ''}`) ??
      this.#changerOf(digest) ??
      (tag === undefined && digest !== undefined
        ? undefined
        : this.#store.tags.get(`${repository}:${tag ?? 'latest'}`)) ??
      this.#store.repositories.get(repository);
    if (next === undefined) {
      return this.#nextPrefix(repository);
    }
    // An entry may pin a tag in its place (a:1 → a:1@sha256:…): moved again, the target is what it was.
    const text = this.#table.canonicalTarget(number);
    const isPin = this.#table.hasCanonicalTarget(next, text) && !this.#table.hasKey(next, text);
    return isPin ? undefined : this.#table.path(next);
  }

  /** The entry for every image of a digest, unless its target has the same content under another name. */
  #changerOf(digest: string | undefined): number | undefined {
    const number = digest === undefined ? undefined : this.#store.digests.get(`@${digest}`);
    const isCopy =
      number !== undefined && this.#table.canonicalTarget(number).endsWith(`@${digest}`);
    return isCopy ? undefined : number;
  }

  #nextOfName(number: number, moved: MovedNames): string | undefined {
    const target = this.#table.canonicalTarget(number);
    const names = this.#table.kind(number) === 'repository' ? moved.repositories : moved.prefixes;
    return names.has(target)
      ? `the sources that begin with ${quote(target)}`
      : this.#nextPrefix(target);
  }

  /** The targets of repositories that are a source, and those of prefixes with a source below. */
  *#findMovedNames(): Steps<MovedNames> {
    const moved = { repositories: new Set<string>(), prefixes: new Set<string>() };
    if (this.#store.repositoryTargets.size + this.#store.prefixTargets.size === 0) {
      return moved;
    }
    for (let number = 0; number < this.#table.size; number += 1) {
      yield;
      const source = this.#table.repository(number);
      if (this.#store.repositoryTargets.has(source)) {
        moved.repositories.add(source);
      }
      for (let end = source.length; end > 0; end = source.lastIndexOf('/', end - 1)) {
        const prefix = source.slice(0, end);
        if (this.#store.prefixTargets.has(prefix)) {
          moved.prefixes.add(prefix);
        }
      }
    }
    return moved;
  }

  #nextPrefix(name: string): string | undefined {
    const rule = longestPrefix(name, (prefix) => this.#store.prefixes.get(prefix));
    // A prefix may move names to below itself (x → x/mirror); what is there already is left alone.
    return rule === undefined || covers(this.#table.canonicalTarget(rule.value), name)
      ? undefined
      : this.#table.path(rule.value);
  }
}

interface MovedNames {
  readonly repositories: ReadonlySet<string>;
  readonly prefixes: ReadonlySet<string>;
}

type SourceParts = Omit<Reference, 'path'>;

function sourceDigestOf(entry: MapEntry): string | undefined {
  return entry.kind === 'image' ? entry.sourceDigest : undefined;
}

/** Of twins that agree: the one that knows the source digest, else the one whose target sorts first. */
function saysMore(entry: MapEntry, twin: MapEntry): boolean {
  const [knows, twinKnows] = [
    sourceDigestOf(entry) !== undefined,
    sourceDigestOf(twin) !== undefined,
  ];
  return knows === twinKnows ? entry.target < twin.target : knows;
}

/** The first part of a canonical name. */
function registryOf(name: string): string {
  const slash = name.indexOf('/');
  return slash < 0 ? name : name.slice(0, slash);
}
