import { fastify, type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { WITHOUT_SCHEMAS } from './without-schemas.ts';

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
  app.setNotFoundHandler((request, reply) => {
    const message = `${request.method} ${request.url.slice(0, 200)} is not served; call GET /livez, /readyz, /metrics or /status`;
    return reply.code(404).send({ code: 'ROUTE_UNKNOWN', message });
  });
  return app;
}
