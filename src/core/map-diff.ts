import type { ImageMap } from './image-map.ts';
import type { MapEntry } from './map-entry.ts';
import type { Steps } from './steps.ts';

export interface MapDiff {
  readonly added: readonly MapEntry[];
  readonly removed: readonly MapEntry[];
  readonly changed: readonly { readonly from: MapEntry; readonly to: MapEntry }[];
}

/** Compares two maps source by source; an alias counts as a source of its own. */
export function compareMaps(from: ImageMap | undefined, to: ImageMap): MapDiff {
  const after = rulesOf(to);
  if (from === undefined) {
    return { added: after, removed: [], changed: [] };
  }
  const added: MapEntry[] = [];
  const changed: { from: MapEntry; to: MapEntry }[] = [];
  for (const entry of after) {
    const before = findEntry(from, entry);
    if (before === undefined) {
      added.push(entry);
    } else if (!isSameRule(before, entry)) {
      changed.push({ from: before, to: entry });
    }
  }
  const removed = rulesOf(from).filter((entry) => findEntry(to, entry) === undefined);
  return { added, removed, changed };
}

export interface MapChangeCounts {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
}

/** How many entries each list of `compareMaps` has, counted in steps and without the lists. */
export function* countChanges(from: ImageMap | undefined, to: ImageMap): Steps<MapChangeCounts> {
  if (from === undefined) {
    return { added: to.ruleCount, removed: 0, changed: 0 };
  }
  let [removed, changed] = [0, 0];
  for (let number = 0; number < from.table.size; number += 1) {
    yield;
    const [kind, key] = [from.table.kind(number), from.table.key(number)];
    if (from.ruleOf(kind, key) === number) {
      const next = to.ruleOf(kind, key);
      if (next === undefined) {
        removed += 1;
      } else if (!from.table.agrees(number, to.table, next)) {
        changed += 1;
      }
    }
  }
  return { added: to.ruleCount - (from.ruleCount - removed), removed, changed };
}

/** The entries that decide: of a source that stands twice, only one does. */
function rulesOf(map: ImageMap): MapEntry[] {
  return map.entries.filter((entry) => findEntry(map, entry) === entry);
}

function isSameRule(one: MapEntry, other: MapEntry): boolean {
  return (
    one.canonicalTarget === other.canonicalTarget &&
    (one.kind !== 'image' || other.kind !== 'image' || one.sourceDigest === other.sourceDigest)
  );
}

/** The entry of `map` for the same source, whatever its target. */
export function findEntry(map: ImageMap, { kind, key }: MapEntry): MapEntry | undefined {
  const number = map.ruleOf(kind, key);
  return number === undefined ? undefined : map.table.entry(number);
}
