import type { Decision, ImageTable, Rule, Setting, Trace, UnmappedReason } from './decision.ts';
import { isInvalid } from './errors.ts';
import type { ImageEntry, MapEntry, NameEntry } from './map-entry.ts';
import type { MapRules } from './map-rules.ts';
import { covers, parsePrefix, type Prefix, PrefixTable } from './prefix-rules.ts';
import {
  canonicalText,
  parseReference,
  PATH_LIMIT,
  type Reference,
  suffixText,
} from './reference.ts';

export const PROCUREMENTS = ['public', 'prefix', 'map'] as const;
export type Procurement = (typeof PROCUREMENTS)[number];

export interface PrefixRule {
  readonly source: Prefix;
  readonly target: Prefix;
}

/** What images are decided by. */
export interface RuleSettings {
  readonly procurement: Procurement;
  readonly sources: readonly Prefix[];
  readonly containerRegistryBase?: Prefix | undefined;
  readonly prefixes?: readonly PrefixRule[];
  /** Present in map mode only. */
  readonly map?: { readonly rules: MapRules } | undefined;
}

type Rewritten = Extract<Decision, { outcome: 'rewritten' }>;

type ImageRule = Extract<
  Rule,
  'map-tag-digest' | 'map-repository-digest' | 'map-digest' | 'map-tag'
>;

/** Where an image with a digest is looked up, most specific first. */
const DIGEST_LOOKUPS: readonly { readonly rule: ImageRule; readonly table: ImageTable }[] = [
  { rule: 'map-tag-digest', table: 'digests' },
  { rule: 'map-repository-digest', table: 'digests' },
  { rule: 'map-digest', table: 'digests' },
  { rule: 'map-tag', table: 'tags' },
  { rule: 'map-repository-digest', table: 'impliedDigests' },
  { rule: 'map-digest', table: 'impliedDigests' },
];

interface MovingSetting extends Setting {
  readonly target: string;
}

/** Decides about one image after the other, by rules that do not change. */
export class Decider {
  readonly #procurement: Procurement;
  readonly #scope = new PrefixTable<Setting>();
  readonly #prefixes = new PrefixTable<MovingSetting>();
  readonly #base: MovingSetting | undefined;
  readonly #targets = new PrefixTable<Setting>();
  readonly #map: MapRules | undefined;

  constructor({ procurement, sources, prefixes, containerRegistryBase, map }: RuleSettings) {
    this.#procurement = procurement;
    for (const [index, { value }] of sources.entries()) {
      const path = `$.sources[${index}]`;
      this.#scope.set(value, { kind: 'setting', key: value, target: undefined, path });
    }
    if (procurement === 'public') {
      return;
    }
    for (const [index, { source, target }] of (prefixes ?? []).entries()) {
      const path = `$.prefixes[${index}].source`;
      const setting = { kind: 'setting', key: source.value, target: target.text, path } as const;
      this.#prefixes.set(source.value, setting);
      this.#targets.set(target.value, setting);
    }
    if (containerRegistryBase !== undefined) {
      const { text, value } = containerRegistryBase;
      const path = '$.containerRegistryBase';
      this.#base = { kind: 'setting', key: undefined, target: text, path };
      this.#targets.set(value, this.#base);
    }
    this.#map = map?.rules;
  }

  decide(image: string, trace?: Trace): Decision {
    const reference = parseReference(image);
    const isRefused = isInvalid(reference);
    trace?.({ step: 'invalid', key: image, applies: isRefused });
    if (isRefused) {
      return { outcome: 'invalid', reason: reference.invalid, message: reference.message };
    }
    // Before any rule, so that rewriting what was rewritten changes nothing.
    const isMirrored = this.#isMirrored(reference);
    trace?.({
      step: 'already-mirrored',
      key: canonicalText(reference),
      applies: isMirrored,
      found: isMirrored ? this.#findTarget(reference) : undefined,
    });
    if (isMirrored) {
      return { outcome: 'kept', reference, reason: 'already-mirrored' };
    }
    const source = this.#scope.longest(reference.repository);
    trace?.({
      step: 'out-of-scope',
      key: reference.repository,
      applies: source === undefined,
      found: source?.value,
      prefixes: () => this.#scope.keys(),
    });
    if (source === undefined) {
      return { outcome: 'kept', reference, reason: 'out-of-scope' };
    }
    const isPublic = this.#procurement === 'public';
    trace?.({ step: 'procurement-public', key: this.#procurement, applies: isPublic });
    if (isPublic) {
      return { outcome: 'kept', reference, reason: 'procurement-public' };
    }
    const found = this.#findExact(reference, trace);
    return typeof found === 'string' ? this.#moveName(reference, found, trace) : found;
  }

  #isMirrored(reference: Reference): boolean {
    const { registry, repository } = reference;
    const map = this.#map;
    return (
      this.#targets.longest(repository) !== undefined ||
      (map?.targetRegistries.has(registry) === true &&
        (map.repositoryTargets.has(repository) ||
          map.prefixTargets.longest(repository) !== undefined ||
          map.imageTargets.has(canonicalText(reference))))
    );
  }

  /** Whose target a mirrored image is or lies under. Goes through the whole map: only for a trace. */
  #findTarget(reference: Reference): MapEntry | Setting | undefined {
    const { repository } = reference;
    const canonical = canonicalText(reference);
    return (
      this.#targets.longest(repository)?.value ??
      this.#map?.entries.find(({ kind, canonicalTarget }) =>
        kind === 'prefix'
          ? covers(canonicalTarget, repository)
          : canonicalTarget === (kind === 'image' ? canonical : repository),
      )
    );
  }

  /** The rules for single images; a string says why none of them applies. */
  #findExact(reference: Reference, trace: Trace | undefined): Rewritten | UnmappedReason {
    const map = this.#map;
    if (map === undefined) {
      return 'no-rule';
    }
    const { repository, tag, digest } = reference;
    if (digest === undefined) {
      const key = `${repository}:${tag ?? 'latest'}`;
      const entry = map.tags.get(key);
      trace?.({ step: 'map-tag', key, applies: entry !== undefined, found: entry, table: 'tags' });
      return entry === undefined ? 'no-rule' : rewritten(reference, entry, 'map-tag');
    }
    const keys: Readonly<Record<ImageRule, string | undefined>> = {
      'map-tag-digest': tag === undefined ? undefined : `${repository}:${tag}@${digest}`,
      'map-repository-digest': `${repository}@${digest}`,
      'map-digest': `@${digest}`,
      'map-tag': tag === undefined ? undefined : `${repository}:${tag}`,
    };
    let reason: UnmappedReason = 'no-rule';
    let ofTag: ImageEntry | undefined;
    for (const { rule, table } of DIGEST_LOOKUPS) {
      const key = keys[rule];
      if (key === undefined) {
        continue;
      }
      const found = map[table].get(key);
      const obstacle = found === undefined ? undefined : obstacleOf(found, table, digest);
      const applies = found !== undefined && obstacle === undefined;
      trace?.({ step: rule, key, applies, found, obstacle, table });
      if (applies) {
        return rewritten(reference, found, rule);
      }
      if (obstacle === 'digest-unknown') {
        ofTag = found;
      } else if (obstacle !== undefined && reason !== 'tag-moved') {
        reason = obstacle;
      }
    }
    if (ofTag !== undefined) {
      const { key, pinned } = ofTag;
      const obstacle = pinned ? undefined : 'target-unpinned';
      trace?.({ step: 'map-tag', key, applies: pinned, found: ofTag, obstacle, table: 'tags' });
      return obstacle ?? rewritten(reference, ofTag, 'map-tag');
    }
    return reason;
  }

  /** The rules for repositories and prefixes, which carry tag and digest over. */
  #moveName(reference: Reference, otherwise: UnmappedReason, trace: Trace | undefined): Decision {
    const { repository: key, registry } = reference;
    const map = this.#map;
    if (map !== undefined) {
      const entry = map.repositories.get(key);
      if (entry !== undefined) {
        return moved(reference, key, entry, 'map-repository', trace);
      }
      trace?.({ step: 'map-repository', key, applies: false });
      const prefix = map.prefixes.longest(key);
      if (prefix !== undefined) {
        return moved(reference, prefix.prefix, prefix.value, 'map-prefix', trace);
      }
      trace?.({ step: 'map-prefix', key, applies: false, prefixes: () => prefixKeys(map) });
    }
    const prefix = this.#prefixes.longest(key);
    if (prefix !== undefined) {
      return moved(reference, prefix.prefix, prefix.value, 'prefix', trace);
    }
    trace?.({ step: 'prefix', key, applies: false, prefixes: () => this.#prefixes.keys() });
    if (this.#base !== undefined) {
      return moved(reference, registry, this.#base, 'base', trace);
    }
    trace?.({ step: 'base', key: registry, applies: false });
    return { outcome: 'unmapped', reference, reason: otherwise };
  }
}

function prefixKeys({ entries }: MapRules): string[] {
  return entries.filter(({ kind }) => kind === 'prefix').map(({ key }) => key);
}

/** Why an entry that was found for an image with a digest does not apply. */
function obstacleOf(
  { sourceDigest, pinned }: ImageEntry,
  table: ImageTable,
  digest: string,
): 'digest-unknown' | 'tag-moved' | 'target-unpinned' | undefined {
  if (table === 'tags' && sourceDigest !== digest) {
    return sourceDigest === undefined ? 'digest-unknown' : 'tag-moved';
  }
  // The pod pins what it runs; a target without a digest would quietly unpin it.
  return pinned ? undefined : 'target-unpinned';
}

function rewritten(reference: Reference, { target }: ImageEntry, rule: Rule): Rewritten {
  return { outcome: 'rewritten', reference, target, rule };
}

function moved(
  reference: Reference,
  from: string,
  found: NameEntry | MovingSetting,
  rule: Rule,
  trace: Trace | undefined,
): Decision {
  const { repository } = reference;
  const rest = repository.slice(from.length);
  const target = `${found.target}${rest}${suffixText(reference)}`;
  let obstacle: 'name-consumed' | 'name-in-library' | 'target-too-long' | undefined;
  if (target.length > PATH_LIMIT && isInvalid(parseReference(target))) {
    obstacle = 'target-too-long';
  } else if (
    rule !== 'map-repository' &&
    isShort(found.target, rest) &&
    !isNameOf(target, `${found.target}${rest}`)
  ) {
    obstacle = rest === '' ? 'name-consumed' : 'name-in-library';
  }
  const key = rule === 'base' ? reference.registry : repository;
  trace?.({ step: rule, key, applies: obstacle === undefined, found, obstacle });
  if (obstacle === undefined) {
    return { outcome: 'rewritten', reference, target, rule };
  }
  const reason = obstacle === 'target-too-long' ? obstacle : 'no-rule';
  return { outcome: 'unmapped', reference, reason };
}

/** Whether a target with this rest of a name may be read as another name than the two together. */
function isShort(target: string, rest: string): boolean {
  return rest === '' || (rest.lastIndexOf('/') === 0 && !target.includes('/'));
}

/**
 * Whether the text of an image is read as one of just this name. `registry.example:1` is a name on
 * Docker Hub, not one in that registry, and `docker.io/corp:1` is `docker.io/library/corp:1`.
 */
function isNameOf(text: string, prefix: string): boolean {
  const [reference, expected] = [parseReference(text), parsePrefix(prefix)];
  return !isInvalid(reference) && !isInvalid(expected) && reference.repository === expected.value;
}
