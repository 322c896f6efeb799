import type { EntryTable } from './entry-table.ts';
import { type ErrorCode, type Invalid, isInvalid, quote } from './errors.ts';
import { FaultList } from './fault-list.ts';
import type { ImageMap, MapFaults } from './image-map.ts';
import { findChains } from './map-chains.ts';
import type { MapHead, MapLine } from './map-document.ts';
import type { ImageEntry, MapEntry, NameEntry } from './map-entry.ts';
import { MapStore } from './map-store.ts';
import type { TextIndex } from './packed-text.ts';
import { parsePrefix } from './prefix-rules.ts';
import { canonicalText, parseDigest, parseReference, type Reference } from './reference.ts';
import type { Steps } from './steps.ts';

/** Makes a map of the lines of its document, and notes every fault of them. */
export class MapBuilder {
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
    yield* findChains(this.#store, this.#sourceRegistries, this.#faults);
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
