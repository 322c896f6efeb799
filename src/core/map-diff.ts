import type { ImageMap, MapEntry } from './image-map.ts';
import { findEntry } from './map-guard.ts';

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
