import { type State, STATES } from './state.ts';
import type { Moving } from './moving-tag.ts';
import type { Rule } from '../decision.ts';
import type { Sight } from './webhook-sight.ts';

/** One image of one workload in one state; a line of `coverage --output json`. */
export interface CoverageRow {
  readonly state: State;
  readonly namespace: string | null;
  /** `Deployment/mysql`: what makes the pods, as far as it was read. */
  readonly workload: string;
  /** `containers/main` */
  readonly containers: readonly string[];
  /** As its author wrote it, before any rewrite of ours. */
  readonly image: string;
  /** Full form with registry and tag; null where the image is invalid. */
  readonly canonical: string | null;
  /** As it stands in the pods; null where there are none. */
  readonly runs: string | null;
  /** Names of the pods that have it. */
  readonly pods: readonly string[];
  /** `repository@digest` as the container runtimes report it; empty where nothing was pulled. */
  readonly pulledFrom: readonly string[];
  /** What the rules make of it now; null where it stays. */
  readonly target: string | null;
  readonly rule: Rule | null;
  /** Why it is in the state; null where the rule says so. */
  readonly reason: string | null;
  /** Who is asked about the next pod; null where that is not known. */
  readonly webhook: Sight['mode'] | null;
  /** Why what is pulled may change under the same name; null where it cannot. */
  readonly moving: Moving | null;
  /** `file:line` of the manifest; null for what a cluster has. */
  readonly file: string | null;
}

/** Makes one row of those that differ in container, pod and digest only; sorted by state, then place. */
export function mergeRows(rows: readonly CoverageRow[]): CoverageRow[] {
  return Map.groupBy(rows, keyOf)
    .values()
    .flatMap(([first, ...others]) => (first === undefined ? [] : [mergeGroup(first, others)]))
    .toArray()
    .sort(byStateAndPlace);
}

function keyOf(row: CoverageRow): string {
  const { namespace, workload, image, file, state, runs, reason, webhook } = row;
  return JSON.stringify([namespace, workload, image, file, state, runs, reason, webhook]);
}

function mergeGroup(first: CoverageRow, others: readonly CoverageRow[]): CoverageRow {
  const all = (list: (row: CoverageRow) => readonly string[]): string[] =>
    [...new Set([first, ...others].flatMap(list))].sort();
  return {
    ...first,
    containers: all(({ containers }) => containers),
    pods: all(({ pods }) => pods),
    pulledFrom: all(({ pulledFrom }) => pulledFrom),
  };
}

const STATE_ORDER = Object.keys(STATES);

function byStateAndPlace(left: CoverageRow, right: CoverageRow): number {
  const states = STATE_ORDER.indexOf(left.state) - STATE_ORDER.indexOf(right.state);
  if (states !== 0) {
    return states;
  }
  const [before, after] = [keyOf(left), keyOf(right)];
  return before < after ? -1 : before > after ? 1 : 0;
}
