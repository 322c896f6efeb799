import { controllerOf } from './controller.ts';
import type { ErrorCode } from './errors.ts';
import { findExemption, MIRROR_POD_ANNOTATION, SKIP_LABEL } from './exemption.ts';
import { isRecord } from './json-path.ts';
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
import type { Reason } from './decision.ts';
import type { MapIdentity, Policy } from './policy.ts';
import { canonicalText } from './reference.ts';
import { type ImageVerdict, isUnmapped, type Mode, reasonOf } from './verdict.ts';
import { denialMessage, mapText, shownLabel, summary, warningsFor } from './admission-text.ts';

/** Why a whole request was left alone. */
export const REQUEST_REASONS = {
  'not-a-pod': 'the resource is not `pods` or `pods/ephemeralcontainers`',
  'operation-ignored': 'the operation is neither CREATE nor UPDATE',
  'no-object': 'the request has no object, as on DELETE',
  'no-old-object': 'an UPDATE without `oldObject`: what runs is unknown, so nothing is touched',
  'mirror-pod': `the pod has the annotation \`${MIRROR_POD_ANNOTATION}\` of a static pod`,
  'skip-label': `the pod has the label \`${SKIP_LABEL}: "true"\``,
} as const;
export type RequestReason = keyof typeof REQUEST_REASONS;

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

/** Whom a request is about. */
export interface RequestIdentity {
  readonly uid: string;
  readonly dryRun: boolean;
  readonly operation: string;
  readonly namespace: string | undefined;
  readonly pod: string | undefined;
  readonly owner: string | undefined;
  readonly user: string | undefined;
}

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

interface AdmissionRequest {
  readonly uid: string;
  readonly operation: string;
  readonly raw: Record<string, unknown>;
}

/** Returns a sentence where the body is not a review that can be answered. */
function readRequest(review: unknown): AdmissionRequest | string {
  if (!isRecord(review)) {
    return 'the body is not a JSON object; send an AdmissionReview';
  }
  if (review.kind !== 'AdmissionReview' || review.apiVersion !== 'admission.k8s.io/v1') {
    const [version, kind] = [review.apiVersion, review.kind].map((value) =>
      typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : 'missing',
    );
    return `apiVersion is ${version ?? ''} and kind is ${kind ?? ''}; only admission.k8s.io/v1 AdmissionReview is answered`;
  }
  const request = review.request;
  if (!isRecord(request)) {
    return 'the AdmissionReview has no request object';
  }
  const { uid, operation } = request;
  if (typeof uid !== 'string' || uid === '') {
    return 'request.uid is missing; without it the API server cannot match the answer';
  }
  return { uid, operation: typeof operation === 'string' ? operation : '', raw: request };
}

interface Subject {
  readonly pod: Record<string, unknown>;
  /** Present on UPDATE: the pod as it runs. */
  readonly running: Record<string, unknown> | undefined;
}

/** The pod to decide about, or the reason to leave the request alone. */
function findSubject({ raw, operation }: AdmissionRequest): Subject | RequestReason {
  if (!isAboutPods(raw)) {
    return 'not-a-pod';
  }
  if (operation !== 'CREATE' && operation !== 'UPDATE') {
    return 'operation-ignored';
  }
  const { object: pod, oldObject } = raw;
  if (!isRecord(pod)) {
    return 'no-object';
  }
  if (operation === 'UPDATE' && !isRecord(oldObject)) {
    return 'no-old-object';
  }
  const exemption = findExemption(pod.metadata);
  if (exemption !== undefined) {
    return exemption;
  }
  return { pod, running: operation === 'UPDATE' && isRecord(oldObject) ? oldObject : undefined };
}

function isAboutPods({ resource, subResource }: Record<string, unknown>): boolean {
  return (
    isRecord(resource) &&
    resource.resource === 'pods' &&
    (resource.group ?? '') === '' &&
    ['', 'ephemeralcontainers'].includes(textOf(subResource) ?? '')
  );
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
  return usedMap && map !== undefined ? `${BY_MAP}${mapText(map)}` : 'prefix';
}

/** Whom a review is about, as far as it says so, even if it cannot be answered. */
export function identify(review: unknown): Partial<RequestIdentity> {
  return isRecord(review) && isRecord(review.request) ? identityOf(review.request) : {};
}

function identityOf(raw: Record<string, unknown>): RequestIdentity {
  const pod = isRecord(raw.object) ? raw.object : raw.oldObject;
  const metadata = metadataOf(pod);
  return {
    uid: textOf(raw.uid) ?? '',
    dryRun: raw.dryRun === true,
    operation: textOf(raw.operation) ?? '',
    namespace: textOf(raw.namespace) ?? textOf(metadata.namespace),
    pod: textOf(raw.name) ?? textOf(metadata.name) ?? textOf(metadata.generateName),
    owner: ownerOf(metadata),
    user: isRecord(raw.userInfo) ? textOf(raw.userInfo.username) : undefined,
  };
}

/** These end up in the API server's own audit log, behind the name of the webhook. */
function auditAnnotations(
  verdicts: readonly ImageVerdict[],
  rewrites: readonly Rewrite[],
  { map }: Policy,
): Readonly<Record<string, string>> {
  const annotations: Record<string, string> = {};
  if (rewrites.length > 0) {
    annotations.rewritten = summary(
      rewrites,
      ({ image, target }) => `${shownLabel(image)}: ${image.image} -> ${target}`,
    );
  }
  const unmapped = verdicts.filter(isUnmapped);
  if (unmapped.length > 0) {
    annotations.unmapped = summary(
      unmapped,
      ({ image, decision: { reference, reason } }) =>
        `${shownLabel(image)}: ${canonicalText(reference)} (${reason})`,
    );
  }
  if (map !== undefined && rewrites.length + unmapped.length > 0) {
    annotations.map = mapText(map);
  }
  return annotations;
}

function ownerOf(metadata: Record<string, unknown>): string | undefined {
  const controller = controllerOf(metadata);
  return controller === undefined ? undefined : `${controller.kind}/${controller.name}`;
}

function metadataOf(pod: unknown): Record<string, unknown> {
  const metadata = isRecord(pod) ? pod.metadata : undefined;
  return isRecord(metadata) ? metadata : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
