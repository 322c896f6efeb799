import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { RewriterError } from '../core/errors.ts';
import { readText } from '../source/text-file.ts';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Empty: no client certificate is asked for. */
  readonly clientCAFile: string;
}

/** A certificate and key that belong together, ready to serve. */
export interface ServingCertificate {
  /** All options of the context: replacing a live one forgets those that are not given again. */
  readonly context: SecureContextOptions;
  readonly notAfter: Date;
  /** SHA-256 of the leaf, as `tls.PeerCertificate.fingerprint256` has it. */
  readonly fingerprint: string;
}

/** Reads and checks the files. Throws `TLS_UNREADABLE` or `TLS_PAIR_INVALID`. */
export async function loadCertificate(files: TlsFiles): Promise<ServingCertificate> {
  const [cert, key, clientCA] = await Promise.all([
    readPem(files.certFile, 'certFile'),
    readPem(files.keyFile, 'keyFile'),
    readClientCA(files.clientCAFile),
  ]);
  return checkCertificate(cert, key, files.minVersion, clientCA);
}

/** Throws `TLS_PAIR_INVALID` where the certificate or key does not parse, or they do not match. */
export function checkCertificate(
  cert: string,
  key: string,
  minVersion: TlsFiles['minVersion'],
  clientCA?: string,
): ServingCertificate {
  // Without any list, Node.js would load its own 150 authorities: 2 MiB that check nothing here.
  const context: SecureContextOptions = { cert, key, minVersion, ca: clientCA ?? [] };
  try {
    const leaf = new X509Certificate(cert);
    // OpenSSL itself refuses a key that does not belong to the certificate.
    createSecureContext(context);
    return { context, notAfter: leaf.validToDate, fingerprint: leaf.fingerprint256 };
  } catch (error) {
    const { message } = error as Error;
    throw new RewriterError(
      'TLS_PAIR_INVALID',
      `the certificate and key under server.tls cannot be served: ${message}`,
      { cause: error },
    );
  }
}

/** Reads `clientCAFile`; undefined for the empty path. Throws `TLS_UNREADABLE`. */
export async function readClientCA(path: string): Promise<string | undefined> {
  return path === '' ? undefined : readPem(path, 'clientCAFile');
}

function readPem(path: string, key: keyof TlsFiles): Promise<string> {
  return readText(path, `server.tls.${key}`, 'TLS_UNREADABLE');
}
