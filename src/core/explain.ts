import type { MapEntry } from './map-entry.ts';
import {
  type Check,
  type Decision,
  type Look,
  type Obstacle,
  REASONS,
  type Rule,
  type Setting,
} from './decision.ts';
import type { Policy } from './policy.ts';
import { canonicalText } from './reference.ts';

/** One step on the way to a decision. */
export interface ExplainedStep {
  /** `unmapped` ends what no rule decided. */
  readonly step: Check | Rule | 'unmapped';
  /** Whether it decided; true of the last step only. */
  readonly applied: boolean;
  /** What was looked up. */
  readonly key: string | null;
  readonly found: Found | null;
  /** One sentence. */
  readonly why: string;
}

/** What the map or the configuration has. */
export interface Found {
  readonly in: 'map' | 'configuration';
  /** JSONPath. */
  readonly path: string;
  /** Normalised; null for `containerRegistryBase`, which covers everything. */
  readonly source: string | null;
  /** Null for an entry of `sources`. */
  readonly target: string | null;
}

export interface Explanation {
  readonly decision: Decision;
  readonly steps: readonly ExplainedStep[];
}

/** How many prefixes a sentence names. */
const NEAREST = 3;

/** Decides about an image and tells every step of it, in order; those after the last were not looked at. */
export function explain(policy: Policy, image: string): Explanation {
  const looks: Look[] = [];
  const decision = policy.decide(image, (look) => looks.push(look));
  const steps = looks.map((look): ExplainedStep => {
    const { step, applies, key, found } = look;
    const why = sentence(look, decision, policy);
    return { step, applied: applies, key, found: found === undefined ? null : place(found), why };
  });
  if (decision.outcome === 'unmapped') {
    const why = `${REASONS[decision.reason]}; unmapped: ${policy.unmapped}`;
    steps.push({ step: 'unmapped', applied: true, key: null, found: null, why });
  }
  return { decision, steps };
}

function place({ kind, path, key, target }: MapEntry | Setting): Found {
  const document = kind === 'setting' ? 'configuration' : 'map';
  return { in: document, path, source: key ?? null, target: target ?? null };
}

function sentence(look: Look, decision: Decision, policy: Policy): string {
  const { step, applies, key, found, obstacle, prefixes } = look;
  if (obstacle !== undefined) {
    return obstacleText(obstacle, found);
  }
  switch (step) {
    case 'invalid':
      return decision.outcome === 'invalid'
        ? decision.message
        : `it is a reference: ${canonicalText(decision.reference)}`;
    case 'already-mirrored':
      return applies
        ? `${key} is this target or lies under it`
        : `${key} is no target and lies under none`;
    case 'out-of-scope':
      return applies
        ? `no entry of \`sources\` covers ${key} (${nearest(prefixes, key)})`
        : `${found?.key ?? ''} of \`sources\` covers ${key}`;
    case 'procurement-public':
      return `procurement: ${key}${lookupNote(decision, policy)}`;
    case 'map-tag-digest':
    case 'map-repository-digest':
    case 'map-digest':
    case 'map-tag':
      return imageText(look, decision);
    case 'map-repository':
      return applies
        ? `an entry for ${key}; tag and digest are carried over`
        : `no entry of \`repositories\` for ${key}`;
    case 'map-prefix':
    case 'prefix': {
      const owner = step === 'prefix' ? 'the configuration' : 'the map';
      return applies
        ? `the longest prefix of ${owner} that covers ${key}; the rest is carried over`
        : `no prefix of ${owner} covers ${key} (${nearest(prefixes, key)})`;
    }
    case 'base':
      return applies
        ? `it takes the place of the registry ${key}; the rest is carried over`
        : '`containerRegistryBase` is not set';
  }
}

function imageText({ applies, key, found, table }: Look, decision: Decision): string {
  if (table === 'impliedDigests') {
    const subject = applies ? 'this entry' : 'no entry';
    return `${subject} implies ${key} by the digest in its source or \`sourceDigest\``;
  }
  if (!applies) {
    return `no entry for ${key}`;
  }
  const isPinned = decision.outcome !== 'invalid' && decision.reference.digest !== undefined;
  if (table === 'digests' || !isPinned) {
    return `an entry for ${key}`;
  }
  return sourceDigestOf(found) === undefined
    ? `an entry for ${key} that names no \`sourceDigest\`, and its target has a digest`
    : `an entry for ${key} whose \`sourceDigest\` is the digest of the image`;
}

function obstacleText(obstacle: Obstacle, found: Look['found']): string {
  switch (obstacle) {
    case 'tag-moved':
      return `the entry has another \`sourceDigest\`: the tag was ${sourceDigestOf(found) ?? ''} when it was mirrored`;
    case 'digest-unknown':
      return 'the entry names no `sourceDigest`, so entries that know the digest come first';
    case 'target-unpinned':
      return 'the image has a digest, and the target of the entry has none';
    case 'target-too-long':
      return 'the repository path would have over 255 characters';
    case 'name-consumed':
      return `it covers the whole name, and ${found?.target ?? ''} alone is not read as the name of an image there`;
    case 'name-in-library':
      return `what is left of the name behind ${found?.target ?? ''} is read as an image of Docker Hub’s own library`;
  }
}

/** What is not looked up, because the image has nothing to look it up by. */
function lookupNote(decision: Decision, { map }: Policy): string {
  if (map === undefined || decision.outcome === 'invalid') {
    return '';
  }
  const { tag, digest } = decision.reference;
  if (digest === undefined) {
    return '; the image has no digest, so the rules for digests are left out';
  }
  return tag === undefined ? '; the image has no tag, so the rules for tags are left out' : '';
}

function sourceDigestOf(found: Look['found']): string | undefined {
  return found?.kind === 'image' ? found.sourceDigest : undefined;
}

/** The prefixes that have most of their beginning in common with a name that none of them covers. */
function nearest(prefixes: Look['prefixes'], name: string): string {
  const all = [...(prefixes?.() ?? [])];
  if (all.length === 0) {
    return 'there are none';
  }
  const near = all
    .toSorted()
    .toSorted((one, other) => commonLength(other, name) - commonLength(one, name))
    .slice(0, NEAREST);
  const head = all.length > near.length ? `the nearest of ${all.length}` : 'there is';
  return `${head}: ${near.join(', ')}`;
}

function commonLength(prefix: string, name: string): number {
  let length = 0;
  while (length < prefix.length && prefix[length] === name[length]) {
    length += 1;
  }
  return length;
}
