import type { ImageEntry, MapEntry, NameEntry } from './map-entry.ts';
import type { PrefixMatch } from './prefix-rules.ts';

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

/** What a decision asks of a map. Lookup in the exact tables is O(1), in `prefixes` O(path depth). */
export interface MapRules {
  /** One for each source, alias, repository and prefix: for the command line, since those of a big map take a lot of memory. */
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
}
