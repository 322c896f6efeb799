import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import {
  fastify,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { type ErrorCode, RewriterError } from '../core/errors.ts';
import type { Policy } from '../core/policy.ts';
import type { Mode } from '../core/verdict.ts';
import { type Answer, createAnswerer } from './answer.ts';
import { AnswerQueue, type Asked } from './answer-queue.ts';
import type { Auditor } from './audit.ts';
import { BodyMemory } from './body-memory.ts';
import { BODY_LIMIT, bodyEnd, receiveBody, tooLarge } from './request-body.ts';
import type { ServingCertificate } from './tls.ts';
import { UnusedConnections } from './unused-connections.ts';
import { WITHOUT_SCHEMAS } from './without-schemas.ts';

/**
 * For a connection without a request, before the first one as well as after one. The API server drops
 * such connections after 90 s and does not repeat a POST that meets a closed one.
 */
const KEEP_ALIVE = 120_000;
/** For a request that has begun to arrive; the API server gives up after its own timeout, 30 s at most. */
const REQUEST_TIMEOUT = 10_000;
const TIMEOUT_CHECK_INTERVAL = 1000;
const HANDSHAKE_TIMEOUT = 10_000;
/**
 * Nine of the largest bodies, or thousands of usual ones: far below the 256 MiB of the chart, as long as they
 * are no pods of tens of thousands of containers, whose patches are as large again.
 */
const BODY_MEMORY = 64 * 1024 * 1024;

const JSON_TYPE = 'application/json';
const ANSWER_TYPE = 'application/json; charset=utf-8';
const NO_BODY = Buffer.alloc(0);

const MODES: ReadonlyMap<string, Mode> = new Map([
  ['/mutate', 'enforce'],
  ['/audit', 'audit'],
]);

/** The status that goes with a request that is refused before it was looked at. */
const STATUSES: ReadonlyMap<ErrorCode, number> = new Map([
  ['CLIENT_UNAUTHORIZED', 403],
  ['REVIEW_TOO_LARGE', 413],
  ['REVIEW_MEDIA_TYPE', 415],
  ['SERVER_BUSY', 503],
]);

export interface WebhookOptions {
  readonly certificate: ServingCertificate;
  /** Absent: anyone may call. */
  readonly clients?: { readonly subjects: readonly string[] } | undefined;
  /** The policy in use; undefined in map mode before any map was loaded. */
  readonly policy: () => Policy | undefined;
  readonly auditor: Auditor;
  readonly isDraining: () => boolean;
  /** For a request to arrive, in milliseconds; for tests. */
  readonly requestTimeout?: number;
  /** For the bodies of all requests that are not decided yet, in bytes; for tests. */
  readonly bodyMemory?: number;
}

interface Unanswered extends Asked {
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly release: () => void;
  readonly mode: Mode;
}

export type WebhookServer = FastifyInstance<Server>;

/** Builds the HTTPS server that the API server calls, without listening. Answers without any I/O. */
export function buildWebhook(options: WebhookOptions): WebhookServer {
  const { certificate, clients, policy, auditor, isDraining } = options;
  const requestTimeout = options.requestTimeout ?? REQUEST_TIMEOUT;
  const memory = new BodyMemory(options.bodyMemory ?? BODY_MEMORY);
  const unused = new UnusedConnections(KEEP_ALIVE);
  const { answer, failure } = createAnswerer(policy, auditor);

  const headersOf = ({ retryAfter }: Answer): Record<string, string> => {
    const headers: Record<string, string> = { 'content-type': ANSWER_TYPE };
    if (retryAfter !== undefined) {
      headers['retry-after'] = retryAfter;
    }
    if (isDraining() || !app.server.listening) {
      // Moves the caller to another replica before this one closes its port.
      headers.connection = 'close';
    }
    return headers;
  };

  const sendPlain = (response: ServerResponse, given: Answer): void => {
    const { status, body } = given;
    const headers = headersOf(given);
    const length = Buffer.byteLength(body);
    headers['content-length'] = String(length);
    // A string goes out in one write together with the head, and ASCII is not encoded.
    response.writeHead(status, headers).end(body, length === body.length ? 'latin1' : 'utf8');
  };

  const send = (reply: FastifyReply, given: Answer): FastifyReply =>
    reply.code(given.status).headers(headersOf(given)).send(given.body);

  const queue = new AnswerQueue<Unanswered, Answer>(
    ({ body, mode, since }) => answer(body, mode, since),
    ({ response, release }, given) => {
      release();
      sendPlain(response, given);
    },
  );

  const refuse = ({ code, message }: RewriterError): Answer => {
    const refusal = failure(STATUSES.get(code) ?? 500, code, message);
    return code === 'SERVER_BUSY' ? { ...refusal, retryAfter: '1' } : refusal;
  };

  const fail = (error: FastifyError, request: FastifyRequest): Answer => {
    const { status, code, message } = describeError(error, request);
    // The stack is for the log, not for the caller.
    const detail = status === 500 ? error.stack : message;
    return failure(status, code, message, { detail });
  };

  const clientFaultOf = ({ socket }: IncomingMessage): RewriterError | undefined =>
    clients && clientFault(socket, clients.subjects);

  const refusePlain = async (
    request: IncomingMessage,
    response: ServerResponse,
    fault: RewriterError,
  ): Promise<void> => {
    await bodyEnd(request);
    sendPlain(response, refuse(fault));
  };

  const answerPlain = (request: IncomingMessage, response: ServerResponse): boolean => {
    const mode = modeOfPlain(request);
    if (mode === undefined || clientFaultOf(request) !== undefined) {
      return false;
    }
    receiveBody(request, memory, {
      take: (body, release) =>
        queue.add({ response, body, release, mode, since: performance.now() }),
      refuse: (fault) => void refusePlain(request, response, fault),
    });
    return true;
  };

  const https: ServerOptions = {
    ...certificate.context,
    // Checked for each request, so that a refused caller is told why.
    requestCert: clients !== undefined,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    headersTimeout: requestTimeout,
    requestTimeout,
    keepAliveTimeout: KEEP_ALIVE,
    connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL,
  };
  const app = fastify<Server>({
    https,
    serverFactory: (handler) => {
      const server = createServer(https, (request, response) => {
        if (!answerPlain(request, response)) {
          handler(request, response);
        }
      });
      unused.watch(server);
      return server;
    },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    logger: false,
    schemaController: WITHOUT_SCHEMAS,
    // A path that cannot be decoded, which no hook and no handler for errors is told of.
    frameworkErrors: (error, request, reply) => {
      const fault = clientFaultOf(request.raw);
      void send(reply, fault === undefined ? fail(error, request) : refuse(fault));
    },
  });
  // Fastify's own parser refuses pods with a label named __proto__; ours leaves the body to the core.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(JSON_TYPE, (request, payload, done) => {
    if (Number(request.headers['content-length']) > BODY_LIMIT) {
      done(tooLarge());
      return;
    }
    receiveBody(payload, memory, {
      take: (body, release) => {
        done(null, body);
        // Decided by now: no handler waits for anything.
        release();
      },
      refuse: done,
    });
  });
  app.addHook('preClose', (done) => {
    unused.close();
    // Node no longer looks for requests that take too long once it closes.
    setTimeout(() => app.server.closeAllConnections(), requestTimeout).unref();
    done();
  });

  app.addHook('onRequest', (request, _reply, done) => {
    done(clientFaultOf(request.raw) ?? encodingFault(request));
  });
  const answerOther = (request: FastifyRequest, reply: FastifyReply, mode: Mode): FastifyReply => {
    const body = Buffer.isBuffer(request.body) ? request.body : NO_BODY;
    return send(reply, answer(body, mode, performance.now()));
  };
  app.post('/mutate', (request, reply) => answerOther(request, reply, 'enforce'));
  app.post('/audit', (request, reply) => answerOther(request, reply, 'audit'));
  app.setNotFoundHandler((request, reply) => {
    const message = `${request.method} ${request.url.slice(0, 200)} is not served; call POST /mutate or POST /audit`;
    return send(reply, failure(404, 'ROUTE_UNKNOWN', message));
  });
  app.setErrorHandler(async (error: FastifyError | RewriterError, request, reply) => {
    await bodyEnd(request.raw);
    return send(reply, error instanceof RewriterError ? refuse(error) : fail(error, request));
  });
  return app;
}

/**
 * The mode of a request as the API server sends it. Fastify's way to a handler costs more than the
 * answer, so these are answered without it; whatever is unusual about a request takes that way.
 */
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
  return MODES.get(query < 0 ? url : url.slice(0, query));
}

interface ErrorAnswer {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
}

function describeError(error: FastifyError, request: FastifyRequest): ErrorAnswer {
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const type = request.headers['content-type'] ?? 'none';
    const message = `the content type is ${JSON.stringify(type.slice(0, 80))}; send application/json`;
    return { status: 415, code: 'REVIEW_MEDIA_TYPE', message };
  }
  const status = error.statusCode ?? 500;
  return status < 500
    ? { status, code: 'REVIEW_INVALID', message: error.message }
    : { status: 500, code: 'INTERNAL', message: error.message };
}

/** A compressed body is not read: it could grow without bound. */
function encodingFault({ headers }: FastifyRequest): RewriterError | undefined {
  const encoding = headers['content-encoding'] ?? 'identity';
  return encoding.toLowerCase() === 'identity'
    ? undefined
    : new RewriterError(
        'REVIEW_MEDIA_TYPE',
        `the content encoding is ${JSON.stringify(encoding.slice(0, 80))}; send the review uncompressed`,
      );
}

function clientFault(socket: Socket, subjects: readonly string[]): RewriterError | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) {
    const reason = socket instanceof TLSSocket ? String(socket.authorizationError) : 'no TLS';
    const message = `the client certificate is missing or not signed by server.tls.clientCAFile (${reason})`;
    return new RewriterError('CLIENT_UNAUTHORIZED', message);
  }
  const { CN } = socket.getPeerCertificate().subject;
  const names = Array.isArray(CN) ? CN : [CN];
  if (
    subjects.length === 0 ||
    names.some((name) => name !== undefined && subjects.includes(name))
  ) {
    return undefined;
  }
  const message = `the client ${JSON.stringify(names.join(','))} is not among server.tls.clientSubjects`;
  return new RewriterError('CLIENT_UNAUTHORIZED', message);
}
