import { readFileSync } from 'node:fs';

export const UID = '705ab4f5-6393-11e8-b7cc-42010a800002';

export interface Review {
  readonly kind: string;
  readonly apiVersion: string;
  readonly request: Record<string, unknown>;
}

/** The review of a pod that is created; `overrides` go over the request. */
export function createReview(pod: unknown, overrides: Record<string, unknown> = {}): Review {
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: UID,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'sdr',
      operation: 'CREATE',
      userInfo: { username: 'system:serviceaccount:kube-system:replicaset-controller' },
      object: pod,
      oldObject: null,
      dryRun: false,
      ...overrides,
    },
  };
}

export function updateReview(
  pod: unknown,
  oldPod: unknown,
  overrides: Record<string, unknown> = {},
): Review {
  return createReview(pod, { operation: 'UPDATE', oldObject: oldPod, ...overrides });
}

/** A review as a real API server sent it, from `test/fixtures/admission-reviews`. */
export function capturedReview(name: string): Review {
  const file = new URL(`../fixtures/admission-reviews/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Review;
}
