import type { EntryTable } from './entry-table.ts';
import type { Fault } from './errors.ts';
import type { MapEntry } from './map-entry.ts';
import type { MapRules } from './map-rules.ts';

/** A map that passed every check. Nothing in it depends on the order of the file. */
export interface ImageMap extends MapRules {
  readonly serial: number | undefined;
  readonly generatedAt: string | undefined;
  /** The entries by number, without making objects of them. */
  readonly table: EntryTable;
  /** Paths of keys that the format does not know; they have no effect. */
  readonly unknownKeys: readonly string[];
  /** Sources that a rule stands for: of one that stands twice in the file, only one entry decides. */
  readonly ruleCount: number;
  /** The number in `table` of the entry that decides for a source. */
  ruleOf(kind: MapEntry['kind'], key: string): number | undefined;
  /** What is in memory, in pieces: of them, put together, `MapStore.restore` makes the same map. */
  save(build: string): readonly Uint8Array[];
}

export interface MapFaults {
  readonly faults: readonly Fault[];
  /** What could be read in spite of them: for further checks, never for use. */
  readonly readable: ImageMap;
}

export function hasFaults(result: object): result is MapFaults {
  return 'faults' in result;
}
