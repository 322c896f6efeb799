import { VERSION } from '../version.ts';
import type { Runtime } from './runtime.ts';
import type { ServingCertificate } from './tls.ts';

/** The body of `/status`: what is in use, since when, and what went wrong last. */
export function describeStatus(
  runtime: Runtime,
  certificate: ServingCertificate | undefined,
  isDraining: boolean,
): object {
  const { map, config, configError } = runtime;
  const loaded = map?.current;
  return {
    procurement: config.procurement,
    draining: isDraining,
    config: { lastError: configError?.message ?? null },
    map:
      map === undefined
        ? null
        : {
            location: map.location,
            serial: loaded?.identity.serial ?? null,
            etag: loaded?.identity.etag ?? null,
            sha256: loaded?.sha256 ?? null,
            entries: loaded?.rules.table.size ?? 0,
            loadedAt: loaded === undefined ? null : new Date(loaded.loadedAt).toISOString(),
            ageSeconds: map.age === undefined ? null : Math.round(map.age / 1000),
            lastError: map.lastError?.message ?? null,
          },
    certificate:
      certificate === undefined
        ? null
        : {
            notAfter: certificate.notAfter.toISOString(),
            fingerprint: certificate.fingerprint,
          },
    build: { version: VERSION, node: process.version },
  };
}
