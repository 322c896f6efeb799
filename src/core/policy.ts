import { Decider, type Procurement, type RuleSettings } from './decider.ts';
import type { Decision, Trace } from './decision.ts';
import type { ImageMap } from './image-map.ts';
import { keepDecisions } from './known-decisions.ts';

export const UNMAPPED_ACTIONS = ['allow', 'warn', 'deny'] as const;
export type UnmappedAction = (typeof UNMAPPED_ACTIONS)[number];

/** Where the map in use came from, for annotations, messages and logs. */
export interface MapIdentity {
  /** Host and path of the map, never a token. */
  readonly location: string;
  readonly serial: number | undefined;
  readonly etag: string;
}

export interface PolicySettings extends RuleSettings {
  readonly unmapped: UnmappedAction;
  readonly imagePullSecrets: readonly string[];
  readonly annotate: boolean;
  readonly map?: { readonly rules: ImageMap; readonly identity: MapIdentity } | undefined;
}

/** Everything an admission needs to know. Immutable: a changed map or configuration makes a new one. */
export interface Policy {
  readonly procurement: Procurement;
  readonly unmapped: UnmappedAction;
  readonly imagePullSecrets: readonly string[];
  readonly annotate: boolean;
  readonly map: MapIdentity | undefined;
  /** Decides about one image as it is written; tells `trace` how. Total: never throws, does no I/O. */
  decide(image: string, trace?: Trace): Decision;
}

export function createPolicy(settings: PolicySettings): Policy {
  const decider = new Decider(settings);
  const decideKnown = keepDecisions((image) => decider.decide(image));
  const { procurement, unmapped, imagePullSecrets, annotate } = settings;
  return {
    procurement,
    unmapped,
    imagePullSecrets,
    annotate,
    map: settings.map?.identity,
    decide: (image, trace) =>
      trace === undefined ? decideKnown(image) : decider.decide(image, trace),
  };
}
