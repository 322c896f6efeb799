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
