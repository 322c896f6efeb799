import { createServer, type Server, type ServerOptions } from 'node:https';
import { fastify, type FastifyError, type FastifyInstance } from 'fastify';
import type { RewriterError } from '../core/errors.ts';
import type { Policy } from '../core/policy.ts';
import { type Answerer, createAnswerer } from './answer.ts';
import type { Auditor } from './audit.ts';
import { BodyMemory } from './body-memory.ts';
import { type RequestParts, PlainRequests } from './plain-requests.ts';
import { Replies } from './replies.ts';
import { BODY_LIMIT, bodyEnd, receiveBody, reviewTooLarge } from './request-body.ts';
import { clientFault, encodingFault } from './request-faults.ts';
import { JSON_TYPE, ROUTES } from './routes.ts';
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
  /** For the bodies of all requests that are not decided yet, in bytes; for tests. */
  readonly bodyMemory?: number;
}

export type WebhookServer = FastifyInstance<Server>;

/** Builds the HTTPS server that the API server calls, without listening. Answers without any I/O. */
export function buildWebhook(options: WebhookOptions): WebhookServer {
  const { certificate, clients, policy, auditor, isDraining } = options;
  const requestTimeout = options.requestTimeout ?? REQUEST_TIMEOUT;
  const https = httpsOptions(certificate, clients !== undefined, requestTimeout);
  const server = createServer(https);
  const unused = new UnusedConnections(KEEP_ALIVE);
  const { answer, failure } = createAnswerer(policy, auditor);
  const parts: RequestParts = {
    answer,
    // Callers move to another replica before this one closes its port.
    replies: new Replies(failure, () => isDraining() || !server.listening),
    memory: new BodyMemory(options.bodyMemory ?? BODY_MEMORY),
    clientFaultOf: ({ socket }) => clients && clientFault(socket, clients.subjects),
  };
  const plain = new PlainRequests(parts);
  const app = fastify<Server>({
    https,
    serverFactory: (handler) => {
      server.on('request', (request, response) => {
        if (!plain.take(request, response)) {
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
      const fault = parts.clientFaultOf(request.raw) ?? error;
      void parts.replies.send(reply, parts.replies.refusal(fault, request));
    },
  });
  app.addHook('preClose', (done) => {
    unused.close();
    // Node no longer looks for requests that take too long once it closes.
    setTimeout(() => server.closeAllConnections(), requestTimeout).unref();
    done();
  });
  answerUnusual(app, parts, failure);
  return app;
}

/** Lets Fastify answer whatever is unusual about a request, right or wrong. */
function answerUnusual(
  app: WebhookServer,
  { answer, replies, memory, clientFaultOf }: RequestParts,
  failure: Answerer['failure'],
): void {
  // Fastify's own parser refuses pods with a label named __proto__; ours leaves the body to the core.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(JSON_TYPE, (request, payload, done) => {
    if (Number(request.headers['content-length']) > BODY_LIMIT) {
      done(reviewTooLarge());
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
  app.addHook('onRequest', (request, _reply, done) => {
    done(clientFaultOf(request.raw) ?? encodingFault(request));
  });
  for (const [path, mode] of ROUTES) {
    app.post(path, (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : NO_BODY;
      return replies.send(reply, answer(body, mode, performance.now()));
    });
  }
  const served = [...ROUTES.keys()].map((path) => `POST ${path}`).join(' or ');
  app.setNotFoundHandler((request, reply) => {
    const message = `${request.method} ${request.url.slice(0, 200)} is not served; call ${served}`;
    return replies.send(reply, failure('ROUTE_UNKNOWN', message));
  });
  app.setErrorHandler(async (error: FastifyError | RewriterError, request, reply) => {
    await bodyEnd(request.raw);
    return replies.send(reply, replies.refusal(error, request));
  });
}

function httpsOptions(
  { context }: ServingCertificate,
  requestCert: boolean,
  requestTimeout: number,
): ServerOptions {
  return {
    ...context,
    requestCert,
    // Checked for each request, so that a refused caller is told why.
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    headersTimeout: requestTimeout,
    requestTimeout,
    keepAliveTimeout: KEEP_ALIVE,
    connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL,
  };
}
