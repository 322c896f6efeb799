import { type ErrorCode, isInvalid } from './errors.ts';
import type { ImageEntry, ImageMap } from './image-map.ts';
import { type Prefix, PrefixTable } from './prefix-rules.ts';
import {
  canonicalText,
  parseReference,
  PATH_LIMIT,
  type Reference,
  suffixText,
} from './reference.ts';

export const PROCUREMENTS = ['public', 'prefix', 'map'] as const;
export type Procurement = (typeof PROCUREMENTS)[number];

export const UNMAPPED_ACTIONS = ['allow', 'warn', 'deny'] as const;
export type UnmappedAction = (typeof UNMAPPED_ACTIONS)[number];

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

export interface PrefixRule {
  readonly source: Prefix;
  readonly target: Prefix;
}

/** Where the map in use came from, for annotations, messages and logs. */
export interface MapIdentity {
  /** Host and path of the map, never a token. */
  readonly location: string;
  readonly serial: number | undefined;
  readonly etag: string;
}

export interface PolicySettings {
  readonly procurement: Procurement;
  readonly sources: readonly Prefix[];
  readonly containerRegistryBase?: Prefix | undefined;
  readonly prefixes?: readonly PrefixRule[];
  readonly unmapped: UnmappedAction;
  readonly imagePullSecrets: readonly string[];
  readonly annotate: boolean;
  /** Present in map mode only. */
  readonly map?: { readonly rules: ImageMap; readonly identity: MapIdentity } | undefined;
}

/** Everything an admission needs to know. Immutable: a changed map or configuration makes a new one. */
export interface Policy {
  readonly procurement: Procurement;
  readonly unmapped: UnmappedAction;
  readonly imagePullSecrets: readonly string[];
  readonly annotate: boolean;
  readonly map: MapIdentity | undefined;
  /** Decides about one image as it is written. Total: never throws, does no I/O. */
  decide(image: string): Decision;
}

export function createPolicy(settings: PolicySettings): Policy {
  const decider = new Decider(settings);
  const { procurement, unmapped, imagePullSecrets, annotate } = settings;
  return {
    procurement,
    unmapped,
    imagePullSecrets,
    annotate,
    map: settings.map?.identity,
    decide: (image) => decider.decide(image),
  };
}

type Rewritten = Extract<Decision, { outcome: 'rewritten' }>;

class Decider {
  readonly #isPublic: boolean;
  readonly #scope = new PrefixTable<true>();
  readonly #prefixes = new PrefixTable<Prefix>();
  readonly #base: Prefix | undefined;
  readonly #targets = new PrefixTable<true>();
  readonly #map: ImageMap | undefined;

  constructor({ procurement, sources, prefixes, containerRegistryBase, map }: PolicySettings) {
    this.#isPublic = procurement === 'public';
    for (const source of sources) {
      this.#scope.set(source.value, true);
    }
    if (this.#isPublic) {
      return;
    }
    for (const { source, target } of prefixes ?? []) {
      this.#prefixes.set(source.value, target);
      this.#targets.set(target.value, true);
    }
    this.#base = containerRegistryBase;
    if (containerRegistryBase !== undefined) {
      this.#targets.set(containerRegistryBase.value, true);
    }
    this.#map = map?.rules;
  }

  decide(image: string): Decision {
    const reference = parseReference(image);
    if (isInvalid(reference)) {
      return { outcome: 'invalid', reason: reference.invalid, message: reference.message };
    }
    // Before any rule, so that rewriting what was rewritten changes nothing.
    if (this.#isMirrored(reference)) {
      return { outcome: 'kept', reference, reason: 'already-mirrored' };
    }
    if (this.#scope.longest(reference.repository) === undefined) {
      return { outcome: 'kept', reference, reason: 'out-of-scope' };
    }
    if (this.#isPublic) {
      return { outcome: 'kept', reference, reason: 'procurement-public' };
    }
    const found = this.#findExact(reference);
    return typeof found === 'string' ? this.#moveName(reference, found) : found;
  }

  #isMirrored(reference: Reference): boolean {
    const { repository } = reference;
    const map = this.#map;
    return (
      this.#targets.longest(repository) !== undefined ||
      (map !== undefined &&
        (map.repositoryTargets.has(repository) ||
          map.prefixTargets.longest(repository) !== undefined ||
          map.imageTargets.has(canonicalText(reference))))
    );
  }

  /** The rules for single images; a string says why none of them applies. */
  #findExact(reference: Reference): Rewritten | UnmappedReason {
    const map = this.#map;
    if (map === undefined) {
      return 'no-rule';
    }
    const { repository, tag, digest } = reference;
    if (digest === undefined) {
      const entry = map.tags.get(`${repository}:${tag ?? 'latest'}`);
      return entry === undefined ? 'no-rule' : rewritten(reference, entry, 'map-tag');
    }
    const ofTag = tag === undefined ? undefined : map.tags.get(`${repository}:${tag}`);
    const candidates: readonly (readonly [Rule, ImageEntry | undefined])[] = [
      [
        'map-tag-digest',
        tag === undefined ? undefined : map.digests.get(`${repository}:${tag}@${digest}`),
      ],
      ['map-repository-digest', map.digests.get(`${repository}@${digest}`)],
      ['map-digest', map.digests.get(`@${digest}`)],
      ['map-tag', ofTag?.sourceDigest === digest ? ofTag : undefined],
      ['map-repository-digest', map.impliedDigests.get(`${repository}@${digest}`)],
      ['map-digest', map.impliedDigests.get(`@${digest}`)],
      ['map-tag', ofTag?.sourceDigest === undefined ? ofTag : undefined],
    ];
    let reason: UnmappedReason = 'no-rule';
    for (const [rule, entry] of candidates) {
      if (entry?.pinned === true) {
        return rewritten(reference, entry, rule);
      }
      // The pod pins what it runs; a target without a digest would quietly unpin it.
      reason = entry === undefined ? reason : 'target-unpinned';
    }
    return ofTag?.sourceDigest !== undefined && ofTag.sourceDigest !== digest
      ? 'tag-moved'
      : reason;
  }

  /** The rules for repositories and prefixes, which carry tag and digest over. */
  #moveName(reference: Reference, otherwise: UnmappedReason): Decision {
    const { repository, registry } = reference;
    const entry = this.#map?.repositories.get(repository);
    if (entry !== undefined) {
      return moved(reference, repository, entry.target, 'map-repository');
    }
    const mapPrefix = this.#map?.prefixes.longest(repository);
    if (mapPrefix !== undefined) {
      return moved(reference, mapPrefix.prefix, mapPrefix.value.target, 'map-prefix');
    }
    const prefix = this.#prefixes.longest(repository);
    if (prefix !== undefined) {
      return moved(reference, prefix.prefix, prefix.value.text, 'prefix');
    }
    if (this.#base !== undefined) {
      return moved(reference, registry, this.#base.text, 'base');
    }
    return { outcome: 'unmapped', reference, reason: otherwise };
  }
}

function rewritten(reference: Reference, { target }: ImageEntry, rule: Rule): Rewritten {
  return { outcome: 'rewritten', reference, target, rule };
}

function moved(reference: Reference, from: string, to: string, rule: Rule): Decision {
  const rest = reference.repository.slice(from.length);
  if (rest === '' && rule !== 'map-repository' && !to.includes('/')) {
    // `registry.example:1` is the text of an image on Docker Hub, not of one in that registry.
    return { outcome: 'unmapped', reference, reason: 'no-rule' };
  }
  const target = `${to}${rest}${suffixText(reference)}`;
  if (target.length > PATH_LIMIT && isInvalid(parseReference(target))) {
    return { outcome: 'unmapped', reference, reason: 'target-too-long' };
  }
  return { outcome: 'rewritten', reference, target, rule };
}
