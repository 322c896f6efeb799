import type { ErrorCode } from './errors.ts';
import type { MapEntry } from './map-entry.ts';
import type { Reference } from './reference.ts';

/** The rules, most specific first; the first that applies decides. */
export const RULES = {
  'map-tag-digest': 'an `images` entry for exactly this repository, tag and digest',
  'map-repository-digest': 'an `images` entry for this repository and digest',
  'map-digest': 'an `images` entry for this digest, whatever the repository',
  'map-tag': 'an `images` entry for this repository and tag',
  'map-repository': 'a `repositories` entry of the map; tag and digest are carried over',
  'map-prefix': 'the longest `prefixes` entry of the map that covers the repository',
  prefix: 'the longest `prefixes` entry of the configuration that covers the repository',
  base: '`containerRegistryBase`: the registry host is swapped',
} as const;
export type Rule = keyof typeof RULES;

/** Why an image was left as it is. */
export const REASONS = {
  'out-of-scope': 'no entry of `sources` covers the repository',
  'already-mirrored': 'the image equals a target, or lies under a target repository or prefix',
  'procurement-public': 'the configuration says `procurement: public`',
  unchanged:
    'an UPDATE, and the image is the one in `oldObject`: a rewrite would restart the container',
  'no-rule': 'in scope, but no rule covers it',
  'tag-moved': 'the pod pins another digest than the `sourceDigest` that the map has for the tag',
  'target-unpinned': 'the pod pins a digest, and the target of the matching entry has none',
  'target-too-long': 'the repository path would have over 255 characters',
} as const;
export type Reason = keyof typeof REASONS;
export type KeptReason = Extract<
  Reason,
  'out-of-scope' | 'already-mirrored' | 'procurement-public' | 'unchanged'
>;
export type UnmappedReason = Extract<
  Reason,
  'no-rule' | 'tag-moved' | 'target-unpinned' | 'target-too-long'
>;

/** What becomes of one image, and why. */
export type Decision =
  | {
      readonly outcome: 'rewritten';
      readonly reference: Reference;
      /** The text to write into the pod. */
      readonly target: string;
      readonly rule: Rule;
    }
  | { readonly outcome: 'kept'; readonly reference: Reference; readonly reason: KeptReason }
  | { readonly outcome: 'unmapped'; readonly reference: Reference; readonly reason: UnmappedReason }
  | { readonly outcome: 'invalid'; readonly reason: ErrorCode; readonly message: string };

/** What is asked before any rule, in this order; the first that applies decides. */
export type Check = 'invalid' | 'already-mirrored' | 'out-of-scope' | 'procurement-public';

/** A prefix or base of the configuration. */
export interface Setting {
  readonly kind: 'setting';
  /** The normalised source; undefined where it covers everything. */
  readonly key: string | undefined;
  /** As the configuration has it; undefined for `sources`. */
  readonly target: string | undefined;
  /** JSONPath. */
  readonly path: string;
}

/** Why an entry that was found does not apply. */
export type Obstacle =
  | Exclude<UnmappedReason, 'no-rule'>
  /** The entry names no `sourceDigest`, so it waits until no other entry knows the digest. */
  | 'digest-unknown'
  /** The prefix is the whole name, and what would take its place is read as another name. */
  | 'name-consumed'
  /** The target is Docker Hub itself, and the part that is left would be one of its own library there. */
  | 'name-in-library';

/** The tables of a map for single images. */
export type ImageTable = 'digests' | 'impliedDigests' | 'tags';

/** One thing that was looked at on the way to a decision. */
export interface Look {
  readonly step: Check | Rule;
  readonly applies: boolean;
  /** What was looked up. */
  readonly key: string;
  readonly found?: MapEntry | Setting | undefined;
  readonly obstacle?: Obstacle | undefined;
  /** The table of the map that was looked into, for rules about single images. */
  readonly table?: ImageTable;
  /** The prefixes among which the longest was looked for. */
  readonly prefixes?: () => Iterable<string>;
}

/** Is told of every look, in order. */
export type Trace = (look: Look) => void;
