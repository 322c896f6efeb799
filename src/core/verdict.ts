import type { PodImage } from './pod-images.ts';
import type { Decision, Reason } from './decision.ts';

/** `enforce` patches; `audit` decides the same, says so, and patches nothing. */
export type Mode = 'enforce' | 'audit';

/** What became of one image of the pod. */
export interface ImageVerdict {
  readonly image: PodImage;
  readonly decision: Decision | Unchanged;
}

/** The image is the one that already runs; it is not even parsed. */
export interface Unchanged {
  readonly outcome: 'kept';
  readonly reason: Extract<Reason, 'unchanged'>;
}

/** An image that no rule moves. */
export interface UnmappedVerdict extends ImageVerdict {
  readonly decision: Extract<Decision, { readonly outcome: 'unmapped' }>;
}

export function isUnmapped(verdict: ImageVerdict): verdict is UnmappedVerdict {
  return verdict.decision.outcome === 'unmapped';
}

/** The reason of a decision that has one. */
export function reasonOf(decision: ImageVerdict['decision']): string | undefined {
  return decision.outcome === 'rewritten' ? undefined : decision.reason;
}
