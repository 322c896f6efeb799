import { type ErrorCode, type Fault, type Invalid, isInvalid, quote } from './errors.ts';
import { type MapDocument, type MapLine, readMapDocument } from './map-document.ts';
import { covers, parsePrefix, PrefixTable } from './prefix-rules.ts';
import { canonicalText, parseDigest, parseReference, type Reference } from './reference.ts';

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

/**
 * A map that passed every check. Lookup in the exact tables is O(1), in `prefixes` O(path depth).
 * Nothing in it depends on the order of the file.
 */
export interface ImageMap {
  readonly serial: number | undefined;
  readonly generatedAt: string | undefined;
  /** One for each source, alias, repository and prefix. */
  readonly entries: readonly MapEntry[];
  /** By `repo:tag`. */
  readonly tags: ReadonlyMap<string, ImageEntry>;
  /** By `repo:tag@digest`, `repo@digest` and `@digest`, as the sources are written. */
  readonly digests: ReadonlyMap<string, ImageEntry>;
  /** By `repo@digest` and `@digest`: what entries that know a digest say beyond their own source. */
  readonly impliedDigests: ReadonlyMap<string, ImageEntry>;
  readonly repositories: ReadonlyMap<string, NameEntry>;
  readonly prefixes: PrefixTable<NameEntry>;
  /** Canonical texts of all image targets. */
  readonly imageTargets: ReadonlySet<string>;
  readonly repositoryTargets: ReadonlySet<string>;
  readonly prefixTargets: PrefixTable<true>;
  /** Paths of keys that the format does not know; they have no effect. */
  readonly unknownKeys: readonly string[];
}

export interface MapFaults {
  readonly faults: readonly Fault[];
}

export function hasFaults(result: object): result is MapFaults {
  return 'faults' in result;
}

/** Parses the bytes of a map, at most `maxBytes`. It is refused whole, with every fault, or good. */
export function parseImageMap(bytes: Uint8Array, maxBytes: number): ImageMap | MapFaults {
  const document = readMapDocument(bytes, maxBytes);
  const builder = new MapBuilder();
  for (const line of document.lines) {
    builder.add(line);
  }
  return builder.finish(document);
}

class MapBuilder {
  readonly #faults: Fault[] = [];
  readonly #entries: MapEntry[] = [];
  readonly #tags = new Map<string, ImageEntry>();
  readonly #digests = new Map<string, ImageEntry>();
  readonly #impliedDigests = new Map<string, ImageEntry>();
  readonly #repositories = new Map<string, NameEntry>();
  readonly #prefixes = new PrefixTable<NameEntry>();
  readonly #imageTargets = new Map<string, Reference>();
  /** Repositories and prefixes that are sources, and all that lies above them. */
  readonly #sourceNames = new Set<string>();
  readonly #aboveSources = new Set<string>();

  add(line: MapLine): void {
    if (line.kind === 'image') {
      this.#addImage(line);
    } else {
      this.#addName(line.kind, line);
    }
  }

  finish(document: MapDocument): ImageMap | MapFaults {
    const faults = [...document.faults, ...this.#faults];
    if (faults.length === 0) {
      this.#findChains(faults);
    }
    if (faults.length > 0) {
      return { faults };
    }
    const prefixTargets = new PrefixTable<true>();
    for (const [, entry] of this.#prefixes.entries()) {
      prefixTargets.set(entry.canonicalTarget, true);
    }
    return {
      serial: document.serial,
      generatedAt: document.generatedAt,
      entries: this.#entries,
      tags: this.#tags,
      digests: this.#digests,
      impliedDigests: this.#impliedDigests,
      repositories: this.#repositories,
      prefixes: this.#prefixes,
      imageTargets: new Set(this.#imageTargets.keys()),
      repositoryTargets: new Set(this.#repositories.values().map((entry) => entry.canonicalTarget)),
      prefixTargets,
      unknownKeys: document.unknownKeys,
    };
  }

  #fault(code: ErrorCode, path: string, message: string): void {
    this.#faults.push({ code, path, message });
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
    const canonicalTarget = canonicalText(target);
    const entry: ImageEntry = {
      kind: 'image',
      key: lookupKey(source),
      target: line.target,
      canonicalTarget,
      pinned: target.digest !== undefined,
      sourceDigest: digest ?? line.sourceDigest,
      path: line.path,
    };
    const table = digest === undefined ? this.#tags : this.#digests;
    const twin = table.get(entry.key);
    if (twin !== undefined && this.#conflicts(twin, entry)) {
      return;
    }
    this.#entries.push(entry);
    this.#imageTargets.set(canonicalTarget, target);
    this.#noteSource(repository);
    if (twin === undefined || saysMore(entry, twin)) {
      table.set(entry.key, entry);
    }
    if (entry.sourceDigest !== undefined) {
      // Equal digests are equal content, under whatever name it is pulled.
      if (repository !== '') {
        keepFirst(this.#impliedDigests, `${repository}@${entry.sourceDigest}`, entry);
      }
      keepFirst(this.#impliedDigests, `@${entry.sourceDigest}`, entry);
    }
  }

  #addName(kind: NameEntry['kind'], line: MapLine): void {
    const key = this.#name(kind, line.source, line.path);
    const canonicalTarget = this.#name(kind, line.target, line.targetPath);
    if (key === undefined || canonicalTarget === undefined) {
      return;
    }
    const target = line.target.endsWith('/') ? line.target.slice(0, -1) : line.target;
    const entry: NameEntry = { kind, key, target, canonicalTarget, path: line.path };
    const table = kind === 'repository' ? this.#repositories : this.#prefixes;
    const twin = table.get(key);
    if (twin !== undefined && this.#conflicts(twin, entry)) {
      return;
    }
    this.#entries.push(entry);
    if (twin === undefined || target < twin.target) {
      table.set(key, entry);
    }
    this.#noteSource(key);
  }

  #image(text: string, path: string): Reference | undefined {
    return this.#valid(parseReference(text), path);
  }

  #bareDigest({ source, path }: MapLine): SourceParts | undefined {
    const digest = parseDigest(source.slice(1));
    if (typeof digest === 'string') {
      return { repository: '', tag: undefined, digest };
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

  #noteSource(name: string): void {
    if (!this.#sourceNames.has(name)) {
      this.#sourceNames.add(name);
      for (let end = name.length; end > 0; end = name.lastIndexOf('/', end - 1)) {
        this.#aboveSources.add(name.slice(0, end));
      }
    }
  }

  /** Finds targets that a rule of this map would move again. */
  #findChains(faults: Fault[]): void {
    for (const entry of this.#entries) {
      const next = entry.kind === 'image' ? this.#nextOfImage(entry) : this.#nextOfName(entry);
      if (next !== undefined) {
        faults.push({
          code: 'MAP_TARGET_IS_SOURCE',
          path: entry.path,
          message: `the target ${quote(entry.target)} is itself a source: see ${next}`,
        });
      }
    }
  }

  #nextOfImage(entry: ImageEntry): string | undefined {
    const target = this.#imageTargets.get(entry.canonicalTarget);
    if (target === undefined) {
      return undefined;
    }
    const { repository, tag, digest } = target;
    const next =
      this.#digests.get(lookupKey(target)) ??
      this.#digests.get(`${repository}@${digest ?? ''}`) ??
      (tag === undefined && digest !== undefined
        ? undefined
        : this.#tags.get(`${repository}:${tag ?? 'latest'}`)) ??
      this.#repositories.get(repository);
    return next?.path ?? this.#nextPrefix(repository);
  }

  #nextOfName({ kind, canonicalTarget }: NameEntry): string | undefined {
    const sources = kind === 'repository' ? this.#sourceNames : this.#aboveSources;
    return sources.has(canonicalTarget)
      ? `the sources that begin with ${quote(canonicalTarget)}`
      : this.#nextPrefix(canonicalTarget);
  }

  #nextPrefix(name: string): string | undefined {
    const rule = this.#prefixes.longest(name);
    // A prefix may move names to below itself (x → x/mirror); what is there already is left alone.
    return rule === undefined || covers(rule.value.canonicalTarget, name)
      ? undefined
      : rule.value.path;
  }
}

type SourceParts = Pick<Reference, 'repository' | 'tag' | 'digest'>;

function lookupKey({ repository, tag, digest }: SourceParts): string {
  if (digest === undefined) {
    return `${repository}:${tag ?? 'latest'}`;
  }
  return tag === undefined ? `${repository}@${digest}` : `${repository}:${tag}@${digest}`;
}

function sourceDigestOf(entry: MapEntry): string | undefined {
  return entry.kind === 'image' ? entry.sourceDigest : undefined;
}

/** Of twins that agree: the one that knows the source digest, else the one whose target sorts first. */
function saysMore(entry: ImageEntry, twin: ImageEntry): boolean {
  const [knows, twinKnows] = [entry.sourceDigest !== undefined, twin.sourceDigest !== undefined];
  return knows === twinKnows ? entry.target < twin.target : knows;
}

/** Several entries may imply one key; which one answers must not depend on their order. */
function keepFirst(table: Map<string, ImageEntry>, key: string, entry: ImageEntry): void {
  const kept = table.get(key);
  const isFirst =
    kept === undefined ||
    entry.key < kept.key ||
    (entry.key === kept.key && entry.target < kept.target);
  if (isFirst) {
    table.set(key, entry);
  }
}
