import { controllerOf } from './controller.ts';
import { findExemption, MIRROR_POD_ANNOTATION, SKIP_LABEL } from './exemption.ts';
import { isRecord } from './json-value.ts';

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

export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: string;
  readonly raw: Record<string, unknown>;
}

/** Returns a sentence where the body is not a review that can be answered. */
export function readRequest(review: unknown): AdmissionRequest | string {
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

export interface Subject {
  readonly pod: Record<string, unknown>;
  /** Present on UPDATE: the pod as it runs. */
  readonly running: Record<string, unknown> | undefined;
}

/** The pod to decide about, or the reason to leave the request alone. */
export function findSubject({ raw, operation }: AdmissionRequest): Subject | RequestReason {
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

/** Whom a review is about, as far as it says so, even if it cannot be answered. */
export function identify(review: unknown): Partial<RequestIdentity> {
  return isRecord(review) && isRecord(review.request) ? identityOf(review.request) : {};
}

export function identityOf(raw: Record<string, unknown>): RequestIdentity {
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
