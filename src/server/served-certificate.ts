import type { AddressInfo, Server } from 'node:net';
import type { Clock } from '../clock.ts';
import type { EventLog } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { CertificateProbe } from './certificate-probe.ts';
import { reachable } from './listen.ts';
import { isExpired, type ServingCertificate } from './tls.ts';

export interface ServedCertificateOptions {
  readonly log: EventLog;
  readonly metrics: Pick<Metrics, 'tlsNotAfter'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** The certificate that the HTTPS port is to show, for the log, the metrics, the status and the readiness. */
export class ServedCertificate {
  readonly #options: ServedCertificateOptions;
  readonly #probe = new CertificateProbe();
  #current: ServingCertificate | undefined;

  constructor(options: ServedCertificateOptions) {
    this.#options = options;
  }

  /** Undefined before the first. */
  get current(): ServingCertificate | undefined {
    return this.#current;
  }

  /** Notes that another one is served from now on. */
  note(certificate: ServingCertificate): void {
    const { log, metrics, clock } = this.#options;
    const isSameAuthority = certificate.context.ca === this.#current?.context.ca;
    if (isSameAuthority && certificate.fingerprint === this.#current?.fingerprint) {
      return;
    }
    this.#current = certificate;
    const { notAfter, fingerprint } = certificate;
    metrics.tlsNotAfter.set(notAfter.getTime() / 1000);
    // The API server refuses it, but a port that stays closed would tell less.
    const expired = isExpired(certificate, clock.now());
    log.write(expired ? 'warn' : 'info', 'tls.loaded', {
      notAfter: notAfter.toISOString(),
      fingerprint,
      ...(expired && { expired }),
    });
  }

  /** Whether a server shows it to whoever connects. */
  async isShownBy(server: Pick<Server, 'address'> | undefined): Promise<boolean> {
    const address = server?.address() as AddressInfo | null | undefined;
    return (
      address != null &&
      this.#current !== undefined &&
      (await this.#probe.shows(reachable(address), this.#current.fingerprint))
    );
  }
}
