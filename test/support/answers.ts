import { type AdmissionRecord, type AdmissionResponse, admit } from '../../src/core/admission.ts';
import type { Policy } from '../../src/core/policy.ts';
import type { Mode } from '../../src/core/verdict.ts';

export interface Answer {
  readonly response: AdmissionResponse;
  readonly record: AdmissionRecord;
}

/** The answer to a review; one that is refused is a fault of the test. */
export function answerOf(review: unknown, policy: Policy, mode: Mode = 'enforce'): Answer {
  const admission = admit(review, policy, mode);
  if (admission.kind === 'refused') {
    throw new Error(admission.message);
  }
  return admission;
}
