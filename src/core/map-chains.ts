import { isInvalid, quote } from './errors.ts';
import type { FaultList } from './fault-list.ts';
import { targetPathOf } from './map-document.ts';
import type { MapStore } from './map-store.ts';
import { covers, longestPrefix } from './prefix-rules.ts';
import { canonicalText, parseReference } from './reference.ts';
import type { Steps } from './steps.ts';

/** Finds targets that a rule of the same map would move again; `sourceRegistries` are those of all sources. */
export function* findChains(
  store: MapStore,
  sourceRegistries: ReadonlySet<string>,
  faults: FaultList,
): Steps<void> {
  const { table } = store;
  const isDisjoint = sourceRegistries.isDisjointFrom(store.targetRegistries);
  // The source `@digest` is of any registry.
  if (isDisjoint && !sourceRegistries.has('')) {
    return;
  }
  const moved = yield* findMovedNames(store);
  for (let number = 0; number < table.size; number += 1) {
    yield;
    const next =
      table.kind(number) === 'image'
        ? nextOfImage(store, number)
        : nextOfName(store, moved, number);
    if (next === undefined) {
      continue;
    }
    const path = targetPathOf(table.path(number));
    // Aliases share the target of their image.
    if (faults.faults.at(-1)?.path !== path) {
      const target = quote(table.target(number));
      const message = `the target ${target} is itself a source: see ${next}`;
      faults.add('MAP_TARGET_IS_SOURCE', path, message);
    }
  }
}

interface MovedNames {
  readonly repositories: ReadonlySet<string>;
  readonly prefixes: ReadonlySet<string>;
}

function nextOfImage(store: MapStore, number: number): string | undefined {
  const { table } = store;
  const target = parseReference(table.canonicalTarget(number));
  if (isInvalid(target)) {
    return undefined;
  }
  const { repository, tag, digest } = target;
  const next =
    store.digests.get(canonicalText(target)) ??
    store.digests.get(`${repository}@${digest ?? ''}`) ??
    changerOf(store, digest) ??
    (tag === undefined && digest !== undefined
      ? undefined
      : store.tags.get(`${repository}:${tag ?? 'latest'}`)) ??
    store.repositories.get(repository);
  if (next === undefined) {
    return nextPrefix(store, repository);
  }
  // An entry may pin a tag in its place (a:1 → a:1@sha256:…): moved again, the target is what it was.
  const text = table.canonicalTarget(number);
  const isPin = table.hasCanonicalTarget(next, text) && !table.hasKey(next, text);
  return isPin ? undefined : table.path(next);
}

/** The entry for every image of a digest, unless its target has the same content under another name. */
function changerOf({ digests, table }: MapStore, digest: string | undefined): number | undefined {
  const number = digest === undefined ? undefined : digests.get(`@${digest}`);
  const isCopy = number !== undefined && table.canonicalTarget(number).endsWith(`@${digest}`);
  return isCopy ? undefined : number;
}

function nextOfName(store: MapStore, moved: MovedNames, number: number): string | undefined {
  const { table } = store;
  const target = table.canonicalTarget(number);
  const names = table.kind(number) === 'repository' ? moved.repositories : moved.prefixes;
  return names.has(target)
    ? `the sources that begin with ${quote(target)}`
    : nextPrefix(store, target);
}

/** The targets of repositories that are a source, and those of prefixes with a source below. */
function* findMovedNames({ table, repositoryTargets, prefixTargets }: MapStore): Steps<MovedNames> {
  const moved = { repositories: new Set<string>(), prefixes: new Set<string>() };
  if (repositoryTargets.size + prefixTargets.size === 0) {
    return moved;
  }
  for (let number = 0; number < table.size; number += 1) {
    yield;
    const source = table.repository(number);
    if (repositoryTargets.has(source)) {
      moved.repositories.add(source);
    }
    for (let end = source.length; end > 0; end = source.lastIndexOf('/', end - 1)) {
      const prefix = source.slice(0, end);
      if (prefixTargets.has(prefix)) {
        moved.prefixes.add(prefix);
      }
    }
  }
  return moved;
}

function nextPrefix({ table, prefixes }: MapStore, name: string): string | undefined {
  const rule = longestPrefix(name, (prefix) => prefixes.get(prefix));
  // A prefix may move names to below itself (x → x/mirror); what is there already is left alone.
  return rule === undefined || covers(table.canonicalTarget(rule.value), name)
    ? undefined
    : table.path(rule.value);
}
