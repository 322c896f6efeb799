import { isInvalid } from '../errors.ts';
import type { Exemption } from '../exemption.ts';
import type { Decision } from '../decision.ts';
import type { Policy } from '../policy.ts';
import { canonicalText, parseReference, suffixText } from '../reference.ts';
import type { Sight } from './webhook-sight.ts';

/** What is to be said of an image of a workload, what needs attention first. */
export const STATES = {
  unmapped: 'in scope, but no rule covers it',
  invalid: 'the reference does not parse, and the kubelet refuses it',
  unseen: 'a rule covers it, but no webhook is asked about the pod',
  audited: 'a rule covers it, but the webhook only audits this namespace',
  pending: 'runs as it was written, although a rule covers it and the webhook would be asked now',
  stale: 'was rewritten, but to something else than the rules say now',
  exempt: 'the webhook leaves the pod alone: the mirror of a static pod, or the skip label',
  public: 'the configuration says `procurement: public`',
  covered: 'not in any pod now; the next one will be rewritten',
  mirrored: 'comes from a target of the rules',
} as const;
export type State = keyof typeof STATES;

/** An image of a pod, or of a template that pods are made from. */
export interface CoverageSubject {
  /** As its author wrote it. */
  readonly original: string;
  /** As it stands in a pod that exists; undefined where none does. */
  readonly current: string | undefined;
  readonly exemption: Exemption | undefined;
  /** Undefined where it is not known. */
  readonly sight: Sight | undefined;
}

export interface Classification {
  readonly state: State;
  /** What the rules say of the original. */
  readonly decision: Decision;
  /** Why it is in the state; undefined where the rule says so. */
  readonly reason: string | undefined;
}

/**
 * What an image of a pod was before it was rewritten. The annotation speaks of the creation of the pod: an image
 * that was set later and is a source by itself is its own original, and one that was rewritten then had the tag
 * and digest that it has now.
 */
export function originalOf(policy: Policy, image: string, annotated: string | undefined): string {
  const decision = policy.decide(image);
  const isSource = decision.outcome !== 'kept' || decision.reason === 'procurement-public';
  if (isSource || annotated === undefined) {
    return image;
  }
  const setLater = withSuffixOf(image, annotated);
  const isOfLater =
    setLater !== undefined &&
    !leadsTo(policy, annotated, image) &&
    leadsTo(policy, setLater, image);
  return isOfLater ? setLater : annotated;
}

function leadsTo(policy: Policy, original: string, image: string): boolean {
  const decision = policy.decide(original);
  return decision.outcome === 'rewritten' && canonical(decision.target) === canonical(image);
}

/** Another image of the same repository; undefined where one of the two does not parse. */
function withSuffixOf(image: string, original: string): string | undefined {
  const [suffix, name] = [parseReference(image), parseReference(original)];
  return isInvalid(suffix) || isInvalid(name)
    ? undefined
    : `${name.repository}${suffixText(suffix)}`;
}

/** Puts an image in its state; undefined where it is none of ours. Total. */
export function classify(subject: CoverageSubject, policy: Policy): Classification | undefined {
  const { original, current, exemption, sight } = subject;
  const decision = policy.decide(original);
  const wasRewritten = current !== undefined && current !== original;
  const as = (state: State, reason?: string): Classification => ({ state, decision, reason });
  if (decision.outcome === 'kept' && decision.reason === 'already-mirrored') {
    return as('mirrored', decision.reason);
  }
  if (decision.outcome === 'kept' && decision.reason === 'out-of-scope' && !wasRewritten) {
    return undefined;
  }
  if (exemption !== undefined) {
    return as('exempt', exemption);
  }
  if (decision.outcome === 'kept') {
    return as(wasRewritten ? 'stale' : 'public', decision.reason);
  }
  if (decision.outcome !== 'rewritten') {
    return as(decision.outcome, decision.reason);
  }
  if (sight?.mode === 'none') {
    return as('unseen', sight.reason);
  }
  if (sight?.mode === 'audit') {
    return as('audited');
  }
  if (current === undefined) {
    return as('covered');
  }
  if (!wasRewritten) {
    return as('pending');
  }
  return as(canonical(current) === canonical(decision.target) ? 'mirrored' : 'stale');
}

/** The canonical form, or the text itself where it does not parse. */
export function canonical(image: string): string {
  const reference = parseReference(image);
  return isInvalid(reference) ? image : canonicalText(reference);
}
