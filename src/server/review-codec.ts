import type { AdmissionResponse } from '../core/admission.ts';
import type { Invalid } from '../core/errors.ts';

/** Parses a request body; the caller decides what the value is. */
export function decodeReview(body: Buffer): { readonly review: unknown } | Invalid {
  try {
    return { review: JSON.parse(body.toString('utf8')) };
  } catch (error) {
    return {
      invalid: 'REVIEW_NOT_JSON',
      message: `the body is not JSON: ${(error as Error).message}`,
    };
  }
}

/** The JSON text of a response review; no change means neither `patch` nor `patchType`. */
export function encodeReview(response: AdmissionResponse): string {
  const { uid, allowed, patch, warnings, auditAnnotations, denial } = response;
  return JSON.stringify({
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    response: {
      uid,
      allowed,
      ...(denial !== undefined && {
        status: { status: 'Failure', message: denial, reason: 'Forbidden', code: 403 },
      }),
      ...(patch.length > 0 && {
        patchType: 'JSONPatch',
        patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
      }),
      ...(warnings.length > 0 && { warnings }),
      ...(Object.keys(auditAnnotations).length > 0 && { auditAnnotations }),
    },
  });
}
