import { connect } from 'node:tls';
import type { Place } from './listen.ts';

const TIMEOUT = 3000;
/** Milliseconds for which the port is taken at its last word: a handshake costs it as much as ten reviews. */
const TRUST = 1000;

/** Asks a TLS port which certificate it shows. */
export class CertificateProbe {
  #shown: { readonly fingerprint: string; readonly port: number; readonly at: number } | undefined;

  /** Whether the port shows the certificate of that SHA-256 fingerprint, or did so within the last second. */
  async shows(place: Place, fingerprint: string): Promise<boolean> {
    const [now, shown] = [performance.now(), this.#shown];
    if (shown?.fingerprint === fingerprint && shown.port === place.port && now - shown.at < TRUST) {
      return true;
    }
    if ((await shownFingerprint(place)) !== fingerprint) {
      return false;
    }
    this.#shown = { fingerprint, port: place.port, at: now };
    return true;
  }
}

/** Undefined where none answers within 3 s. */
function shownFingerprint({ host, port }: Place): Promise<string | undefined> {
  return new Promise((resolve) => {
    // Nothing is checked against an authority, so none is loaded.
    const socket = connect({ host, port, ca: [], rejectUnauthorized: false, timeout: TIMEOUT });
    const finish = (fingerprint: string | undefined): void => {
      socket.destroy();
      resolve(fingerprint);
    };
    socket.once('secureConnect', () => finish(socket.getPeerCertificate().fingerprint256));
    socket.once('timeout', () => finish(undefined));
    socket.once('error', () => finish(undefined));
  });
}
