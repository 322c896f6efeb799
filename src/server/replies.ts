import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyError, FastifyReply } from 'fastify';
import { RewriterError } from '../core/errors.ts';
import type { Answer, Answerer } from './answer.ts';
import { describeError } from './request-faults.ts';

const ANSWER_TYPE = 'application/json; charset=utf-8';

/** Puts answers on the wire, and makes those of requests that are not decided. */
export class Replies {
  readonly #failure: Answerer['failure'];
  readonly #isLeaving: () => boolean;

  /** `isLeaving`: whether callers are to move to another replica. */
  constructor(failure: Answerer['failure'], isLeaving: () => boolean) {
    this.#failure = failure;
    this.#isLeaving = isLeaving;
  }

  /** Answers a request that Fastify knows nothing of. */
  end(response: ServerResponse, answer: Answer): void {
    const { status, body } = answer;
    const headers = this.#headersOf(answer);
    const length = Buffer.byteLength(body);
    headers['content-length'] = String(length);
    // A string goes out in one write together with the head, and ASCII is not encoded.
    response.writeHead(status, headers).end(body, length === body.length ? 'latin1' : 'utf8');
  }

  send(reply: FastifyReply, answer: Answer): FastifyReply {
    return reply.code(answer.status).headers(this.#headersOf(answer)).send(answer.body);
  }

  /** For a request that is refused before it was looked at, or where something failed. */
  refusal(error: RewriterError | FastifyError, request: Pick<IncomingMessage, 'headers'>): Answer {
    if (error instanceof RewriterError) {
      return this.#failure(error.code, error.message);
    }
    const { code, message } = describeError(error, request);
    // The stack is for the log, not for the caller.
    const detail = code === 'INTERNAL' ? error.stack : message;
    return this.#failure(code, message, { detail });
  }

  #headersOf({ retryAfter }: Answer): Record<string, string> {
    const headers: Record<string, string> = { 'content-type': ANSWER_TYPE };
    if (retryAfter !== undefined) {
      headers['retry-after'] = retryAfter;
    }
    if (this.#isLeaving()) {
      headers.connection = 'close';
    }
    return headers;
  }
}
