import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RewriterError } from '../core/errors.ts';
import type { Mode } from '../core/verdict.ts';
import type { Answer, Answerer } from './answer.ts';
import { AnswerQueue, type Asked } from './answer-queue.ts';
import type { BodyMemory } from './body-memory.ts';
import type { Replies } from './replies.ts';
import { BODY_LIMIT, bodyEnd, receiveBody } from './request-body.ts';
import { JSON_TYPE, ROUTES } from './routes.ts';

/** What requests are answered with. */
export interface RequestParts {
  readonly answer: Answerer['answer'];
  readonly replies: Replies;
  readonly memory: BodyMemory;
  readonly clientFaultOf: (request: IncomingMessage) => RewriterError | undefined;
}

interface Unanswered extends Asked {
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly release: () => void;
  readonly mode: Mode;
}

/**
 * Answers requests as the API server sends them. Fastify's way to a handler costs more than the answer, so
 * these go without it; whatever is unusual about a request takes that way.
 */
export class PlainRequests {
  readonly #replies: Replies;
  readonly #memory: BodyMemory;
  readonly #clientFaultOf: RequestParts['clientFaultOf'];
  readonly #queue: AnswerQueue<Unanswered, Answer>;

  constructor({ answer, replies, memory, clientFaultOf }: RequestParts) {
    this.#replies = replies;
    this.#memory = memory;
    this.#clientFaultOf = clientFaultOf;
    this.#queue = new AnswerQueue(
      ({ body, mode, since }) => answer(body, mode, since),
      ({ response, release }, given) => {
        release();
        replies.end(response, given);
      },
    );
  }

  /** Whether it answers this one. */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    const mode = modeOfPlain(request);
    if (mode === undefined || this.#clientFaultOf(request) !== undefined) {
      return false;
    }
    receiveBody(request, this.#memory, {
      take: (body, release) =>
        this.#queue.add({ response, body, release, mode, since: performance.now() }),
      refuse: (fault) => void this.#refuse(request, response, fault),
    });
    return true;
  }

  async #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    fault: RewriterError,
  ): Promise<void> {
    await bodyEnd(request);
    this.#replies.end(response, this.#replies.refusal(fault, request));
  }
}

/** Undefined where anything about the request is unusual. */
function modeOfPlain({ method, url = '', headers }: IncomingMessage): Mode | undefined {
  const isPlain =
    method === 'POST' &&
    headers['content-type'] === JSON_TYPE &&
    headers['content-encoding'] === undefined &&
    Number(headers['content-length']) <= BODY_LIMIT;
  if (!isPlain) {
    return undefined;
  }
  const query = url.indexOf('?');
  return ROUTES.get(query < 0 ? url : url.slice(0, query));
}
