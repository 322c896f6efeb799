import {
  type AdmissionRequest,
  findSubject,
  identityOf,
  readRequest,
  type RequestIdentity,
  type RequestReason,
  type Subject,
} from './admission-request.ts';
import { auditAnnotations, denialMessage, identityText, warningsFor } from './admission-text.ts';
import type { Reason } from './decision.ts';
import type { ErrorCode } from './errors.ts';
import {
  annotationOperations,
  BY_MAP,
  imageOperations,
  originalsOf,
  type PatchOperation,
  pullSecretOperations,
  type Rewrite,
} from './patch.ts';
import { imageLabel, listPodImages, type PodImage } from './pod-images.ts';
import type { MapIdentity, Policy } from './policy.ts';
import { type ImageVerdict, isUnmapped, type Mode, reasonOf } from './verdict.ts';

/** The body of an AdmissionReview response, before the patch is encoded. */
export interface AdmissionResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patch: readonly PatchOperation[];
  readonly warnings: readonly string[];
  readonly auditAnnotations: Readonly<Record<string, string>>;
  readonly denial: string | undefined;
}

export type AdmissionOutcome = 'rewritten' | 'kept' | 'denied';

/** What the audit line and the metrics say of a request. Holds no part of the pod but names and images. */
export interface AdmissionRecord extends RequestIdentity {
  readonly outcome: AdmissionOutcome;
  readonly reason: RequestReason | undefined;
  readonly verdicts: readonly ImageVerdict[];
  readonly map: MapIdentity | undefined;
}

export type Admission =
  | {
      readonly kind: 'answered';
      readonly response: AdmissionResponse;
      readonly record: AdmissionRecord;
    }
  /** Not a review that can be answered: HTTP 400. */
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string };

/** Answers one parsed AdmissionReview. Total: whatever the pod looks like, it never throws. */
export function admit(review: unknown, policy: Policy, mode: Mode): Admission {
  const request = readRequest(review);
  if (typeof request === 'string') {
    return { kind: 'refused', code: 'REVIEW_INVALID', message: request };
  }
  const subject = findSubject(request);
  return typeof subject === 'string'
    ? leaveAlone(request, subject, policy)
    : decide(request, subject, policy, mode);
}

function leaveAlone(
  { uid, raw }: AdmissionRequest,
  reason: RequestReason,
  { map }: Policy,
): Admission {
  return {
    kind: 'answered',
    response: {
      uid,
      allowed: true,
      patch: [],
      warnings: [],
      auditAnnotations: {},
      denial: undefined,
    },
    record: { ...identityOf(raw), outcome: 'kept', reason, verdicts: [], map },
  };
}

function decide(
  request: AdmissionRequest,
  subject: Subject,
  policy: Policy,
  mode: Mode,
): Admission {
  const { uid, raw } = request;
  const verdicts = judge(request, subject, policy);
  const isDenied = policy.unmapped === 'deny' && verdicts.some(isUnmapped);
  // What is denied is rewritten nowhere.
  const rewrites = isDenied ? [] : rewritesIn(verdicts);
  const isEnforced = mode === 'enforce';
  return {
    kind: 'answered',
    response: {
      uid,
      allowed: !isDenied || !isEnforced,
      patch:
        isDenied || !isEnforced ? [] : buildPatch(request, subject, verdicts, rewrites, policy),
      warnings: warningsFor(verdicts, policy, mode),
      auditAnnotations: auditAnnotations(verdicts, rewrites, policy),
      denial: isDenied && isEnforced ? denialMessage(verdicts, policy) : undefined,
    },
    record: {
      ...identityOf(raw),
      outcome: isDenied ? 'denied' : rewrites.length > 0 ? 'rewritten' : 'kept',
      reason: undefined,
      verdicts,
      map: policy.map,
    },
  };
}

function judge(
  request: AdmissionRequest,
  { pod, running }: Subject,
  policy: Policy,
): ImageVerdict[] {
  const images = listPodImages(pod);
  if (running === undefined) {
    return images.map((image) => ({ image, decision: policy.decide(image.image) }));
  }
  // A container restarts when its image changes, so only what the user changes is looked at.
  const known = new Set(listPodImages(running).map(identity));
  return images
    .filter(({ field }) => field !== 'volumes')
    .map((image) => {
      const isUnchanged = image.name === undefined || known.has(identity(image));
      return {
        image,
        decision: isUnchanged
          ? { outcome: 'kept', reason: 'unchanged' }
          : policy.decide(image.image),
      };
    });
}

function identity({ field, name, image }: PodImage): string {
  return JSON.stringify([field, name, image]);
}

function rewritesIn(verdicts: readonly ImageVerdict[]): Rewrite[] {
  const rewrites: Rewrite[] = [];
  for (const { image, decision } of verdicts) {
    if (decision.outcome === 'rewritten') {
      rewrites.push({ image, target: decision.target });
    }
  }
  return rewrites;
}

function buildPatch(
  { operation }: AdmissionRequest,
  { pod }: Subject,
  verdicts: readonly ImageVerdict[],
  rewrites: readonly Rewrite[],
  policy: Policy,
): PatchOperation[] {
  const operations = imageOperations(rewrites);
  if (operation !== 'CREATE') {
    return operations;
  }
  if (rewrites.length > 0 && policy.annotate) {
    operations.push(...annotationOperations(pod, rewrites, decidedBy(verdicts, policy)));
  }
  const { imagePullSecrets } = policy;
  if (imagePullSecrets.length > 0 && (rewrites.length > 0 || needsSecrets(pod, verdicts))) {
    operations.push(...pullSecretOperations(pod, imagePullSecrets));
  }
  return operations;
}

/** Whether a pod of which nothing is rewritten pulls with our secrets all the same. */
function needsSecrets(pod: Record<string, unknown>, verdicts: readonly ImageVerdict[]): boolean {
  const isOf = (reason: Reason) => (verdict: ImageVerdict) => reasonOf(verdict.decision) === reason;
  if (verdicts.some(isOf('procurement-public'))) {
    return true;
  }
  const mirrored = verdicts.filter(isOf('already-mirrored'));
  if (mirrored.length === 0) {
    return false;
  }
  // What we rewrote before is ours on reinvocation, and another webhook may have replaced the list since.
  const originals = originalsOf(pod);
  return mirrored.some(({ image }) => Object.hasOwn(originals, imageLabel(image)));
}

function decidedBy(verdicts: readonly ImageVerdict[], { map }: Policy): string {
  const usedMap = verdicts.some(
    ({ decision }) => decision.outcome === 'rewritten' && decision.rule.startsWith('map-'),
  );
  return usedMap && map !== undefined ? `${BY_MAP}${identityText(map)}` : 'prefix';
}
