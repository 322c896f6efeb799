import { connect } from 'node:tls';
import { fastify, type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { Place } from './listen.ts';
import { WITHOUT_SCHEMAS } from './without-schemas.ts';

const PROBE_TIMEOUT = 3000;

/** What readiness depends on; never on S3 once a map was loaded. */
export interface Readiness {
  readonly mapLoaded: boolean;
  readonly notDraining: boolean;
  /** The TLS port answers with the certificate that should be served. */
  readonly tlsServing: boolean;
  /** The webhook configuration holds the authority of that certificate, where this process keeps it up. */
  readonly tlsTrusted: boolean;
}

export interface OpsOptions {
  readonly readiness: () => Promise<Readiness>;
  readonly status: () => object;
  readonly registry: Registry;
}

/** Builds the plain HTTP server for probes, metrics and status, without listening. */
export function buildOps({ readiness, status, registry }: OpsOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    return503OnClosing: false,
    forceCloseConnections: true,
    schemaController: WITHOUT_SCHEMAS,
  });
  app.get('/livez', () => 'ok\n');
  app.get('/readyz', async (_request, reply) => {
    const checks = await readiness();
    const isReady = Object.values(checks).every(Boolean);
    return reply.code(isReady ? 200 : 503).send({ ready: isReady, ...checks });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
  app.get('/status', () => status());
  return app;
}

/** The SHA-256 fingerprint of the certificate that a TLS port shows; undefined where none answers within 3 s. */
export function servedFingerprint({ host, port }: Place): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: PROBE_TIMEOUT });
    const finish = (fingerprint: string | undefined): void => {
      socket.destroy();
      resolve(fingerprint);
    };
    socket.once('secureConnect', () => finish(socket.getPeerCertificate().fingerprint256));
    socket.once('timeout', () => finish(undefined));
    socket.once('error', () => finish(undefined));
  });
}
