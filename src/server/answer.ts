import { admit } from '../core/admission.ts';
import { identify } from '../core/admission-request.ts';
import { type ErrorCode, isInvalid } from '../core/errors.ts';
import type { Policy } from '../core/policy.ts';
import type { Mode } from '../core/verdict.ts';
import type { AskedFor, Auditor } from './audit.ts';
import { createAdmissionDecoder, encodeReview } from './review-codec.ts';
import { statusOf } from './statuses.ts';

/** What goes back over HTTP: a review, or `{code, message}`. */
export interface Answer {
  readonly status: number;
  /** JSON. */
  readonly body: string;
  /** Seconds; the API server repeats a 503 that has it. */
  readonly retryAfter?: string;
}

export interface Answerer {
  /**
   * Answers the body of a request, which was complete at `since`, by `performance.now()`. Never throws: a
   * fault of this program is a 500.
   */
  readonly answer: (body: Buffer, mode: Mode, since: number) => Answer;
  readonly failure: (code: ErrorCode, message: string, forLog?: FailureDetails) => Answer;
}

/** What the log alone is told. */
export interface FailureDetails {
  /** In the place of the message. */
  readonly detail?: string | undefined;
  readonly asked?: AskedFor | undefined;
}

/** `policy` gives the one in use; undefined in map mode before any map was loaded. */
export function createAnswerer(policy: () => Policy | undefined, auditor: Auditor): Answerer {
  const failure: Answerer['failure'] = (code, message, { detail, asked } = {}) => {
    auditor.failed(code, detail ?? message, asked);
    const status = statusOf(code);
    const answer = { status, body: JSON.stringify({ code, message }) };
    return status === 503 ? { ...answer, retryAfter: '1' } : answer;
  };

  const decodeForAdmission = createAdmissionDecoder();

  /** Read anew: what fails is rare, and what it was about is worth that. */
  const whatWasAsked = (body: Buffer, mode: Mode): AskedFor => {
    try {
      const decoded = decodeForAdmission(body);
      return { mode, ...(isInvalid(decoded) ? {} : identify(decoded.review)) };
    } catch {
      return { mode };
    }
  };

  const decide = (body: Buffer, mode: Mode, since: number): Answer => {
    const inUse = policy();
    if (inUse === undefined) {
      const message = 'no image map was loaded yet; see /status on the operations port';
      const asked = whatWasAsked(body, mode);
      return failure('MAP_NOT_LOADED', message, { asked });
    }
    const decoded = decodeForAdmission(body);
    if (isInvalid(decoded)) {
      return failure(decoded.invalid, decoded.message, { asked: { mode } });
    }
    const admission = admit(decoded.review, inUse, mode);
    if (admission.kind === 'refused') {
      const { code, message } = admission;
      return failure(code, message, { asked: { mode, ...identify(decoded.review) } });
    }
    const text = encodeReview(admission.response);
    auditor.answered(admission.record, mode, performance.now() - since);
    return { status: 200, body: text };
  };

  return {
    failure,
    answer(body, mode, since) {
      try {
        return decide(body, mode, since);
      } catch (error) {
        const { message, stack } = error as Error;
        const asked = whatWasAsked(body, mode);
        return failure('INTERNAL', message, { detail: stack, asked });
      }
    },
  };
}
