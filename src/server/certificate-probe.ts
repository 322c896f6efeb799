import { connect } from 'node:tls';
import type { Place } from './listen.ts';

const TIMEOUT = 3000;
/** Milliseconds for which the port is taken at its last word: a handshake costs it as much as ten reviews. */
const TRUST = 1000;

/**
 * Errors of an address that this machine cannot call at all, for want of the address, a route or the right to.
 * None of them says anything about the port; ECONNREFUSED does: nobody listens there.
 */
const UNDIALLABLE: ReadonlySet<unknown> = new Set([
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENETDOWN',
  'EACCES',
  'EPERM',
]);

/** Asks a TLS port which certificate it shows. */
export class CertificateProbe {
  readonly #ask: typeof shownFingerprint;
  #shown: { readonly fingerprint: string; readonly port: number; readonly at: number } | undefined;

  constructor(ask = shownFingerprint) {
    this.#ask = ask;
  }

  /**
   * Whether the port shows the certificate of that SHA-256 fingerprint, or did so within the last second. The first
   * of the places that can be called has the say.
   */
  async shows([first, ...others]: readonly Place[], fingerprint: string): Promise<boolean> {
    if (first === undefined) {
      return false;
    }
    const { port } = first;
    const [now, shown] = [performance.now(), this.#shown];
    if (shown?.fingerprint === fingerprint && shown.port === port && now - shown.at < TRUST) {
      return true;
    }
    try {
      if ((await this.#ask(first)) !== fingerprint) {
        return false;
      }
    } catch (error) {
      return isUndiallable(error) && (await this.shows(others, fingerprint));
    }
    this.#shown = { fingerprint, port, at: now };
    return true;
  }
}

function isUndiallable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && UNDIALLABLE.has(error.code);
}

/** Undefined where none answers within 3 s. */
function shownFingerprint({ host, port }: Place): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    // Nothing is checked against an authority, so none is loaded.
    const socket = connect({ host, port, ca: [], rejectUnauthorized: false, timeout: TIMEOUT });
    const finish = (fingerprint: string | undefined): void => {
      socket.destroy();
      resolve(fingerprint);
    };
    socket.once('secureConnect', () => finish(socket.getPeerCertificate().fingerprint256));
    socket.once('timeout', () => finish(undefined));
    socket.once('error', reject);
  });
}
