import { type Fault, quote } from './errors.ts';
import type { ImageMap, MapEntry } from './image-map.ts';
import { type Prefix, PrefixTable } from './prefix-rules.ts';
import { parseReference } from './reference.ts';

export interface MapGuards {
  /** Empty: any target is allowed. */
  readonly allowedTargets: readonly Prefix[];
  readonly allowRollback: boolean;
  /** Share of the entries in use (0 to 1) that a new map may lose. */
  readonly maxShrink: number;
}

/** What speaks against putting `next` in the place of `current`; empty where nothing does. */
export function checkSuccessor(
  next: ImageMap,
  current: ImageMap | undefined,
  guards: MapGuards,
): Fault[] {
  const faults = forbiddenTargets(next, guards.allowedTargets);
  if (current !== undefined) {
    faults.push(...serialFaults(next, current, guards), ...shrinkFaults(next, current, guards));
  }
  return faults;
}

/** Whether `map` has an entry for the same source, whatever its target. */
export function findEntry(map: ImageMap, { kind, key }: MapEntry): MapEntry | undefined {
  switch (kind) {
    case 'image': {
      const written = map.tags.get(key) ?? map.digests.get(key);
      return written?.key === key ? written : undefined;
    }
    case 'repository':
      return map.repositories.get(key);
    case 'prefix':
      return map.prefixes.get(key);
  }
}

function forbiddenTargets(map: ImageMap, allowedTargets: readonly Prefix[]): Fault[] {
  if (allowedTargets.length === 0) {
    return [];
  }
  const allowed = new PrefixTable<true>();
  for (const { value } of allowedTargets) {
    allowed.set(value, true);
  }
  return map.entries
    .filter((entry) => allowed.longest(targetRepository(entry)) === undefined)
    .map((entry) => ({
      code: 'MAP_TARGET_FORBIDDEN',
      path: entry.path,
      message: `the target ${quote(entry.target)} lies outside allowedTargets (${allowedTargets.map(({ value }) => value).join(', ')})`,
    }));
}

function targetRepository({ kind, canonicalTarget }: MapEntry): string {
  if (kind !== 'image') {
    return canonicalTarget;
  }
  const reference = parseReference(canonicalTarget);
  return 'repository' in reference ? reference.repository : canonicalTarget;
}

function serialFaults(next: ImageMap, current: ImageMap, { allowRollback }: MapGuards): Fault[] {
  const isLower =
    current.serial !== undefined && (next.serial === undefined || next.serial < current.serial);
  if (!isLower || allowRollback) {
    return [];
  }
  const message = `the serial ${next.serial ?? '(missing)'} is lower than ${current.serial}, which is in use; publish a higher one, or set imageMap.allowRollback`;
  return [{ code: 'MAP_SERIAL_LOWER', path: '$.serial', message }];
}

function shrinkFaults(next: ImageMap, current: ImageMap, { maxShrink }: MapGuards): Fault[] {
  const lost = current.entries.filter((entry) => findEntry(next, entry) === undefined);
  const total = current.entries.length;
  if (total === 0 || lost.length / total <= maxShrink) {
    return [];
  }
  const examples = lost.slice(0, 3).map(({ key }) => quote(key));
  const message = `${lost.length} of the ${total} entries in use would be lost (for example ${examples.join(', ')}); imageMap.maxShrink allows ${maxShrink}`;
  return [{ code: 'MAP_SHRINKS', path: '$', message }];
}
