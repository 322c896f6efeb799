import { type Fault, quote } from './errors.ts';
import { FaultList } from './fault-list.ts';
import { hasFaults, type ImageMap, type MapFaults } from './image-map.ts';
import { targetPathOf } from './map-document.ts';
import { type Prefix, PrefixTable } from './prefix-rules.ts';
import { parseReference } from './reference.ts';
import { runSteps, type Steps } from './steps.ts';

/** So many lost sources are named. */
const EXAMPLES = 3;

export interface MapGuards {
  /** Empty: any target is allowed. */
  readonly allowedTargets: readonly Prefix[];
  readonly allowRollback: boolean;
  /** Share of the entries in use (0 to 1) that a new map may lose. */
  readonly maxShrink: number;
}

/** What speaks against putting `next` in the place of `current`, its own faults first; empty where nothing does. */
export function checkSuccessor(
  next: ImageMap | MapFaults,
  current: ImageMap | undefined,
  guards: MapGuards,
): Fault[] {
  return runSteps(successorSteps(next, current, guards));
}

/** As `checkSuccessor`, in steps. */
export function* successorSteps(
  next: ImageMap | MapFaults,
  current: ImageMap | undefined,
  guards: MapGuards,
): Steps<Fault[]> {
  const isWhole = !hasFaults(next);
  const map = isWhole ? next : next.readable;
  const forbidden = yield* forbiddenTargets(map, guards.allowedTargets);
  const faults = [...(isWhole ? [] : next.faults), ...forbidden];
  if (current === undefined) {
    return faults;
  }
  // Of a map that could not be read whole, what is missing may just be unreadable.
  if (isWhole || map.serial !== undefined) {
    faults.push(...serialFaults(map, current, guards));
  }
  if (isWhole) {
    faults.push(...(yield* shrinkFaults(map, current, guards)));
  }
  return faults;
}

function* forbiddenTargets(
  { table }: ImageMap,
  allowedTargets: readonly Prefix[],
): Steps<readonly Fault[]> {
  const list = new FaultList();
  if (allowedTargets.length === 0) {
    return list.faults;
  }
  const allowed = new PrefixTable<true>();
  for (const { value } of allowedTargets) {
    allowed.set(value, true);
  }
  const scope = allowedTargets.map(({ value }) => value).join(', ');
  for (let number = 0; number < table.size; number += 1) {
    yield;
    const target = table.canonicalTarget(number);
    const name = table.kind(number) === 'image' ? repositoryOf(target) : target;
    if (allowed.longest(name) !== undefined) {
      continue;
    }
    const path = targetPathOf(table.path(number));
    // Aliases share the target of their image.
    if (list.faults.at(-1)?.path !== path) {
      const message = `the target ${quote(table.target(number))} lies outside allowedTargets (${scope})`;
      list.add('MAP_TARGET_FORBIDDEN', path, message);
    }
  }
  return list.faults;
}

function repositoryOf(canonicalTarget: string): string {
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

function* shrinkFaults(
  next: ImageMap,
  { table }: ImageMap,
  { maxShrink }: MapGuards,
): Steps<Fault[]> {
  const total = table.size;
  const examples: string[] = [];
  let lost = 0;
  for (let number = 0; number < total; number += 1) {
    yield;
    const key = table.key(number);
    if (next.ruleOf(table.kind(number), key) === undefined) {
      lost += 1;
      if (examples.length < EXAMPLES) {
        examples.push(quote(key));
      }
    }
  }
  if (total === 0 || lost / total <= maxShrink) {
    return [];
  }
  const message = `${lost} of the ${total} entries in use would be lost (for example ${examples.join(', ')}); imageMap.maxShrink allows ${maxShrink}`;
  return [{ code: 'MAP_SHRINKS', path: '$', message }];
}
