import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import { TLSSocket } from 'node:tls';
import {
  fastify,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { Server } from 'node:https';
import { admit } from '../core/admission.ts';
import { type ErrorCode, isInvalid, RewriterError } from '../core/errors.ts';
import type { Policy } from '../core/policy.ts';
import type { Mode } from '../core/verdict.ts';
import type { Auditor } from './audit.ts';
import { decodeReview, encodeReview } from './review-codec.ts';
import type { ServingCertificate } from './tls.ts';

/** A review holds object and oldObject, of 3 MiB each at most. */
export const BODY_LIMIT = 7 * 1024 * 1024;
/** The API server drops idle connections after 90 s and does not repeat a POST that meets a closed one. */
const KEEP_ALIVE = 120_000;
/** For a whole request to arrive; the API server gives up after its own timeout, 30 s at most. */
const REQUEST_TIMEOUT = 10_000;
const TIMEOUT_CHECK_INTERVAL = 1000;
const HANDSHAKE_TIMEOUT = 10_000;

const NO_BODY = Buffer.alloc(0);

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
}

export type WebhookServer = FastifyInstance<Server>;

/** Builds the HTTPS server that the API server calls, without listening. Answers without any I/O. */
export function buildWebhook(options: WebhookOptions): WebhookServer {
  const { certificate, clients, policy, auditor, isDraining } = options;
  const requestTimeout = options.requestTimeout ?? REQUEST_TIMEOUT;
  const app = fastify<Server>({
    https: {
      ...certificate.context,
      // Checked for each request, so that a refused caller is told why.
      requestCert: clients !== undefined,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      headersTimeout: requestTimeout,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL,
    },
    bodyLimit: BODY_LIMIT,
    keepAliveTimeout: KEEP_ALIVE,
    requestTimeout,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    logger: false,
  });
  // Fastify's own parser refuses pods with a label named __proto__; ours leaves the body to the core.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });

  const failure = (
    reply: FastifyReply,
    status: number,
    code: ErrorCode,
    message: string,
    detail = message,
  ): FastifyReply => {
    auditor.failed(code, detail);
    return send(reply.code(status), JSON.stringify({ code, message }), isDraining());
  };

  const answer = (request: FastifyRequest, reply: FastifyReply, mode: Mode): FastifyReply => {
    const started = performance.now();
    const inUse = policy();
    if (inUse === undefined) {
      const message = 'no image map was loaded yet; see /status on the operations port';
      return failure(reply.header('retry-after', '1'), 503, 'MAP_NOT_LOADED', message);
    }
    const decoded = decodeReview(Buffer.isBuffer(request.body) ? request.body : NO_BODY);
    if (isInvalid(decoded)) {
      return failure(reply, 400, decoded.invalid, decoded.message);
    }
    const admission = admit(decoded.review, inUse, mode);
    if (admission.kind === 'refused') {
      return failure(reply, 400, admission.code, admission.message);
    }
    const text = encodeReview(admission.response);
    auditor.answered(admission.record, mode, performance.now() - started);
    return send(reply, text, isDraining());
  };

  if (clients !== undefined) {
    app.addHook('onRequest', (request, _reply, done) => {
      done(clientFault(request.raw.socket, clients.subjects));
    });
  }
  app.post('/mutate', (request, reply) => answer(request, reply, 'enforce'));
  app.post('/audit', (request, reply) => answer(request, reply, 'audit'));
  app.setNotFoundHandler((request, reply) => {
    const message = `${request.method} ${request.url.slice(0, 200)} is not served; call POST /mutate or POST /audit`;
    return failure(reply, 404, 'ROUTE_UNKNOWN', message);
  });
  app.setErrorHandler(async (error: FastifyError | RewriterError, request, reply) => {
    await bodyEnd(request.raw);
    const { status, code, message } = describeError(error, request);
    // The stack is for the log, not for the caller.
    return failure(reply, status, code, message, status === 500 ? error.stack : message);
  });
  return app;
}

function send(reply: FastifyReply, body: string, isDraining: boolean): FastifyReply {
  if (isDraining) {
    // Moves the caller to another replica before this one closes its port.
    reply.header('connection', 'close');
  }
  return reply.header('content-type', 'application/json').send(body);
}

/**
 * Reads what is left of a refused body. A socket that is closed over unread bytes is reset, and the
 * caller would see that in place of the answer. The request timeout bounds the wait.
 */
async function bodyEnd(body: IncomingMessage): Promise<void> {
  body.resume();
  await finished(body, { writable: false }).catch(() => undefined);
}

interface ErrorAnswer {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
}

function describeError(error: FastifyError | RewriterError, request: FastifyRequest): ErrorAnswer {
  if (error instanceof RewriterError) {
    return { status: 403, code: error.code, message: error.message };
  }
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return {
        status: 413,
        code: 'REVIEW_TOO_LARGE',
        message: `the body is over ${BODY_LIMIT} bytes`,
      };
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE': {
      const type = request.headers['content-type'] ?? 'none';
      const message = `the content type is ${JSON.stringify(type.slice(0, 80))}; send application/json`;
      return { status: 415, code: 'REVIEW_MEDIA_TYPE', message };
    }
    default: {
      const status = error.statusCode ?? 500;
      return status < 500
        ? { status, code: 'REVIEW_INVALID', message: error.message }
        : { status: 500, code: 'INTERNAL', message: error.message };
    }
  }
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
