import type { AdmissionResponse } from '../core/admission.ts';
import type { Invalid } from '../core/errors.ts';
import { parseReview } from '../core/review-reader.ts';
import { SeenValues } from './seen-values.ts';

type Decoded = { readonly review: unknown } | Invalid;

/** Parses a request body; the caller decides what the value is. */
export function decodeReview(body: Buffer): Decoded {
  return decode(body, (text) => JSON.parse(text) as unknown);
}

/** As `decodeReview`, less what `admit` does not look at; that would cost half of an answer's time. */
export function createAdmissionDecoder(): (body: Buffer) => Decoded {
  const seen = new SeenValues();
  return (body) => decode(body, (text) => parseReview(text, body, seen.tellEnd));
}

function decode(body: Buffer, parse: (text: string) => unknown): Decoded {
  try {
    return { review: parse(body.toString('utf8')) };
  } catch (error) {
    // V8 may quote what stands around the fault, such as a password in the arguments of a pod.
    const fault = (error as Error).message.replace(/, (?:\.\.\.)?".*$/s, '');
    return { invalid: 'REVIEW_NOT_JSON', message: `the body is not JSON: ${fault}` };
  }
}

/** The JSON text of a response review; no change means neither `patch` nor `patchType`. */
export function encodeReview(response: AdmissionResponse): string {
  const { uid, allowed, patch, warnings, auditAnnotations, denial } = response;
  const text = JSON.stringify({
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    response: {
      uid,
      allowed,
      status: denial && { status: 'Failure', message: denial, reason: 'Forbidden', code: 403 },
      warnings: warnings.length > 0 ? warnings : undefined,
      auditAnnotations: Object.keys(auditAnnotations).length > 0 ? auditAnnotations : undefined,
    },
  });
  if (patch.length === 0) {
    return text;
  }
  // Put in before the two brackets at the end: Base64 has nothing to escape, and is most of the text.
  const base64 = Buffer.from(JSON.stringify(patch)).toString('base64');
  return `${text.slice(0, -2)},"patchType":"JSONPatch","patch":"${base64}"}}`;
}
