import { Decider } from '../decider.ts';
import { isInvalid } from '../errors.ts';
import type { ImageMap } from '../image-map.ts';
import type { ImageEntry, MapEntry } from '../map-entry.ts';
import type { MapRules } from '../map-rules.ts';
import type { PolicySettings } from '../policy.ts';
import { covers, PrefixTable } from '../prefix-rules.ts';
import { canonicalText, DOCKER_HUB, parseReference } from '../reference.ts';

/** A rule that a format cannot say, so that its export lacks it. */
export interface LeftOut {
  /** The rule, or what of it is left out: `docker.io/atlanhq/a:1 -> r.example/b:2`. */
  readonly rule: string;
  /** JSONPath in the image map; undefined for what the configuration says. */
  readonly path: string | undefined;
  readonly reason: string;
}

/** What becomes of a name; tag and digest are carried over. */
export interface NameRule {
  /** Normalised: `docker.io/atlanhq`. */
  readonly source: string;
  /** Undefined where images stay as they are written. */
  readonly target: string | undefined;
}

/**
 * A policy as far as names can say it, without tags and digests. A repository whose single images have
 * rules of their own stays as it is written as a whole: half of it would be wrong for the other half.
 */
export interface NameRules {
  /** Shortest source first; the longest that covers a repository decides. */
  readonly prefixes: readonly NameRule[];
  /** Exactly these repositories, and nothing below them; they go before `prefixes`. */
  readonly repositories: readonly NameRule[];
  readonly leftOut: readonly LeftOut[];
  /** Whether the map has rules for a digest that hold in every repository. */
  readonly hasDigestRules: boolean;
}

/** A name below every prefix that is looked at, and of no repository that has a rule. */
const PROBE = '/probe/probe';

/**
 * Reads the rules off the decisions themselves, so that an export cannot drift from the policy.
 * `digestPulls` says what the format does with a digest that the map has a rule for in any repository.
 */
export function readNameRules(settings: PolicySettings, digestPulls: string): NameRules {
  if (settings.procurement === 'public') {
    return { prefixes: [], repositories: [], leftOut: [], hasDigestRules: false };
  }
  const map = settings.map?.rules;
  const ofPrefixes = deciderBy(settings, prefixesOf);
  const ofNames = deciderBy(settings, namesOf);
  const points = cutPoints(settings);
  const prefixes = prefixRules(points, ofPrefixes);
  const images = map === undefined ? [] : findImageRules(map, new Decider(settings), ofNames);
  const split = new Set(images.map(({ repository }) => repository));
  const candidates = new Set([
    ...points.filter((point) => repositoryOf(point) === point),
    ...entriesOf(map, 'repository').flatMap(({ key, canonicalTarget }) => [key, canonicalTarget]),
    ...split,
  ]);
  const repositories = [...candidates].sort().map((source): NameRule => {
    return { source, target: split.has(source) ? undefined : movedName(ofNames, source) };
  });
  const leftOut = map === undefined ? [] : leftOutEntries(map, images, digestPulls);
  if (settings.unmapped === 'deny' && settings.containerRegistryBase === undefined) {
    const reason = 'only the webhook refuses pods; an image without a rule stays as it is written';
    leftOut.push({ rule: 'unmapped: deny', path: undefined, reason });
  }
  return {
    prefixes,
    repositories,
    leftOut,
    hasDigestRules: map !== undefined && hasAnyDigest(map),
  };
}

function tableOf(rules: readonly NameRule[]): PrefixTable<NameRule> {
  const table = new PrefixTable<NameRule>();
  for (const rule of rules) {
    table.set(rule.source, rule);
  }
  return table;
}

/** What becomes of `name` by the longest prefix that covers it. */
function movedBy(table: PrefixTable<NameRule>, name: string): string | undefined {
  const found = table.longest(name);
  const target = found?.value.target;
  return found === undefined || target === undefined
    ? undefined
    : `${target}${name.slice(found.prefix.length)}`;
}

/** The repositories that the prefixes alone would decide otherwise. */
export function exceptions({ prefixes, repositories }: NameRules): NameRule[] {
  const table = tableOf(prefixes);
  return repositories.filter(({ source, target }) => movedBy(table, source) !== target);
}

export function ruleText({ source, target }: NameRule): string {
  return target === undefined ? source : `${source} -> ${target}`;
}

const NOTHING = new Map<string, never>();
const NO_TEXTS = new Set<string>();

function deciderBy(settings: PolicySettings, part: (rules: MapRules) => MapRules): Decider {
  const { map } = settings;
  return new Decider({ ...settings, map: map && { rules: part(map.rules) } });
}

/** What a map says of names. */
function namesOf(rules: MapRules): MapRules {
  const { entries, repositories, repositoryTargets, prefixes, prefixTargets } = rules;
  return {
    entries: entries.filter(({ kind }) => kind !== 'image'),
    tags: NOTHING,
    digests: NOTHING,
    impliedDigests: NOTHING,
    imageTargets: NO_TEXTS,
    repositories,
    repositoryTargets,
    prefixes,
    prefixTargets,
    targetRegistries: rules.targetRegistries,
  };
}

/** What a map says of prefixes. */
function prefixesOf(rules: MapRules): MapRules {
  const names = namesOf(rules);
  return {
    ...names,
    entries: names.entries.filter(({ kind }) => kind === 'prefix'),
    repositories: NOTHING,
    repositoryTargets: NO_TEXTS,
  };
}

/** All prefixes at which the decision about a name can change. */
function cutPoints({ sources, prefixes, containerRegistryBase, map }: PolicySettings): string[] {
  const points = new Set([
    ...sources.map(({ value }) => value),
    ...(prefixes ?? []).flatMap(({ source, target }) => [source.value, target.value]),
    ...(containerRegistryBase === undefined ? [] : [containerRegistryBase.value]),
    ...entriesOf(map?.rules, 'prefix').flatMap(({ key, canonicalTarget }) => [
      key,
      canonicalTarget,
    ]),
  ]);
  return [...points].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
}

function prefixRules(points: readonly string[], decider: Decider): NameRule[] {
  const table = new PrefixTable<NameRule>();
  for (const source of points) {
    const target = movedName(decider, `${source}${PROBE}`)?.slice(0, -PROBE.length);
    if (target !== movedBy(table, source)) {
      table.set(source, { source, target });
    }
  }
  return [...table.values()];
}

function movedName(decider: Decider, name: string): string | undefined {
  const decision = decider.decide(name);
  return decision.outcome === 'rewritten' ? decision.target : undefined;
}

interface ImageRule {
  readonly repository: string;
  /** As the map's tables have it. */
  readonly key: string;
}

/** The single images whose decision the rules for names would not give. */
function findImageRules(map: ImageMap, decider: Decider, ofNames: Decider): ImageRule[] {
  const keys = new Set(
    entriesOf(map, 'image').flatMap((entry) => [
      entry.key,
      ...impliedKeys(entry),
      entry.canonicalTarget,
    ]),
  );
  return [...keys].sort().flatMap((key): ImageRule[] => {
    const decision = decider.decide(key);
    const isRule = decision.outcome !== 'invalid' && pulled(decider, key) !== pulled(ofNames, key);
    return isRule ? [{ repository: decision.reference.repository, key }] : [];
  });
}

/** What is pulled for an image, in full; its own text where it stays. */
function pulled(decider: Decider, image: string): string {
  const target = movedName(decider, image) ?? image;
  const reference = parseReference(target);
  return isInvalid(reference) ? target : canonicalText(reference);
}

/** Undefined for a digest without a repository. */
function repositoryOf(image: string): string | undefined {
  const reference = parseReference(image);
  return isInvalid(reference) ? undefined : reference.repository;
}

function leftOutEntries(
  map: ImageMap,
  images: readonly ImageRule[],
  digestPulls: string,
): LeftOut[] {
  const keys = new Map(images.map(({ key, repository }) => [key, repository]));
  const split = new Map(images.map(({ key, repository }) => [repository, key]));
  const leftOut = map.entries.flatMap((entry): LeftOut[] => {
    const { path, key, target } = entry;
    const rule = `${key} -> ${target}`;
    if (entry.kind === 'image') {
      const reason = reasonOfImage(entry, keys, digestPulls);
      return reason === undefined ? [] : [{ rule, path, reason }];
    }
    const image = entry.kind === 'repository' ? split.get(key) : undefined;
    return image === undefined ? [] : [{ rule, path, reason: splitReason(image, key) }];
  });
  const explained = new Set(map.entries.map(({ key }) => key));
  const targets = [...keys].filter(([key]) => map.imageTargets.has(key) && !explained.has(key));
  for (const [key, repository] of targets) {
    const reason = `it is a target and stays; the format names no tags or digests, so all of ${repository} stays as it is written`;
    leftOut.push({ rule: key, path: undefined, reason });
  }
  return leftOut;
}

function reasonOfImage(
  entry: ImageEntry,
  keys: ReadonlyMap<string, string>,
  digestPulls: string,
): string | undefined {
  const split = [entry.key, ...impliedKeys(entry)]
    .map((key) => keys.get(key))
    .find((found) => found !== undefined);
  const reasons = [
    ...(split === undefined
      ? []
      : [`the format names no tags or digests, so all of ${split} stays as it is written`]),
    ...(entry.sourceDigest === undefined
      ? []
      : [`its digest counts in every repository; ${digestPulls}`]),
  ];
  return reasons.length === 0 ? undefined : reasons.join(', and ');
}

function splitReason(image: string, repository: string): string {
  return `there are rules for single images of it, such as ${image}, so all of ${repository} stays as it is written`;
}

function entriesOf<Kind extends MapEntry['kind']>(
  map: ImageMap | undefined,
  kind: Kind,
): Extract<MapEntry, { kind: Kind }>[] {
  const isOfKind = (entry: MapEntry): entry is Extract<MapEntry, { kind: Kind }> =>
    entry.kind === kind;
  return map?.entries.filter(isOfKind) ?? [];
}

/** What an entry that knows a digest says beyond its own source. */
function impliedKeys({ key, sourceDigest }: ImageEntry): string[] {
  if (sourceDigest === undefined) {
    return [];
  }
  const repository = repositoryOf(key);
  const bare = `@${sourceDigest}`;
  return repository === undefined ? [bare] : [`${repository}${bare}`, bare];
}

function hasAnyDigest(map: ImageMap): boolean {
  return entriesOf(map, 'image').some(({ sourceDigest }) => sourceDigest !== undefined);
}

/** `index.docker.io` is none of them: the runtimes' own parser reads it as Docker Hub. */
const RUNTIME_HUB_ALIASES = ['registry-1.docker.io', 'registry.hub.docker.com'] as const;

/** Whether a registry can have repositories below this one; on Docker Hub they have two components. */
function hasNamesBelow(repository: string): boolean {
  return !(covers(DOCKER_HUB, repository) && repository.split('/').length === 3);
}

export interface PrefixRules {
  readonly rules: readonly NameRule[];
  readonly leftOut: readonly LeftOut[];
}

/** The same for a format that has prefixes only, where a rule for a repository covers the names below it. */
export function prefixesOnly(names: NameRules): PrefixRules {
  const table = tableOf(names.prefixes);
  const rules = new Map(names.prefixes.map((rule) => [rule.source, rule]));
  const leftOut = [...names.leftOut];
  for (const repository of exceptions(names)) {
    const { source, target } = repository;
    if (!hasNamesBelow(source)) {
      rules.set(source, repository);
      continue;
    }
    const above = movedBy(table, source);
    if (target === undefined && above?.includes('/') === false) {
      // The prefix itself, moved to a host: no runtime takes host:tag for an image of that host.
      continue;
    }
    if (above !== undefined) {
      rules.set(source, { source, target: undefined });
      const reason = `${source} has a rule of its own, and a prefix cannot tell it from what lies below; all of it stays as it is written`;
      leftOut.push({ rule: `${source}/… -> ${above}/…`, path: undefined, reason });
    }
    if (target !== undefined) {
      const reason = `the format would move what lies below ${source} as well; make it a \`prefixes\` entry of the map if that is fine`;
      leftOut.push({ rule: ruleText(repository), path: undefined, reason });
    }
  }
  const sorted = [...rules.values()].sort((a, b) => (a.source < b.source ? -1 : 1));
  return { rules: sorted, leftOut };
}

const HUB_LIBRARY = `${DOCKER_HUB}/library`;

/**
 * Adds the other hosts of Docker Hub, which runtimes take for registries of their own. They do not put
 * `library/` before a bare name there, so rules that cover `library` cannot be said for those hosts.
 */
export function withHubAliases({ rules, leftOut }: PrefixRules): PrefixRules {
  const onHub = rules.filter(({ source }) => covers(DOCKER_HUB, source));
  const withLibrary = onHub.filter(
    ({ source }) => source === DOCKER_HUB || covers(HUB_LIBRARY, source),
  );
  const others = onHub.filter((rule) => !withLibrary.includes(rule));
  const aliased = RUNTIME_HUB_ALIASES.flatMap((alias) =>
    others.map(({ source, target }): NameRule => {
      const name = `${alias}${source.slice(DOCKER_HUB.length)}`;
      return { source: name, target };
    }),
  );
  const unsaid = withLibrary
    .filter(({ target }) => target !== undefined)
    .map((rule): LeftOut => {
      const reason = `under ${RUNTIME_HUB_ALIASES.join(' and ')} a bare name is not below library, so images that are written with these hosts stay`;
      return { rule: ruleText(rule), path: undefined, reason };
    });
  return { rules: [...rules, ...aliased], leftOut: [...leftOut, ...unsaid] };
}
