import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { RewriterError } from '../core/errors.ts';
import { readText } from '../files/text-file.ts';

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

/** Without any list, Node.js would load its own 150 authorities: 2 MiB that check nothing here. */
const NO_AUTHORITY: string[] = [];

/** Reads and checks the files. Throws `TLS_UNREADABLE`, `TLS_PAIR_INVALID` or `TLS_CLIENT_CA_INVALID`. */
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
  const context: SecureContextOptions = { cert, key, minVersion, ca: clientCA ?? NO_AUTHORITY };
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

/** Whether callers refuse a certificate by now, in milliseconds since the epoch. */
export function isExpired({ notAfter }: ServingCertificate, now: number): boolean {
  return notAfter.getTime() < now;
}

/** Throws `TLS_EXPIRED` where the next certificate has expired and the one in use has not. */
export function checkSuccessor(
  next: ServingCertificate,
  inUse: ServingCertificate | undefined,
  now: number,
): void {
  if (inUse !== undefined && isExpired(next, now) && !isExpired(inUse, now)) {
    const since = next.notAfter.toISOString();
    throw new RewriterError(
      'TLS_EXPIRED',
      `the certificate in server.tls.certFile expired at ${since}, and the one in use has not; renew the pair`,
    );
  }
}

/** Reads `clientCAFile`; undefined for the empty path. Throws `TLS_UNREADABLE` or `TLS_CLIENT_CA_INVALID`. */
export async function readClientCA(path: string): Promise<string | undefined> {
  if (path === '') {
    return undefined;
  }
  const text = await readPem(path, 'clientCAFile');
  const fault = authoritiesFault(text);
  if (fault !== undefined) {
    throw new RewriterError(
      'TLS_CLIENT_CA_INVALID',
      `server.tls.clientCAFile ${path} ${fault}; write the certificates of the authorities in PEM`,
    );
  }
  return text;
}

const PEM_BEGIN = /-----BEGIN /g;
const PEM_CERTIFICATE = /^-----BEGIN CERTIFICATE-----\r?$.*?^-----END CERTIFICATE-----\r?$/gms;

/** OpenSSL takes what it understands and leaves out the rest without a word, so that nobody would be let in. */
function authoritiesFault(text: string): string | undefined {
  const certificates = text.match(PEM_CERTIFICATE) ?? [];
  if (certificates.length === 0) {
    return 'holds no certificate';
  }
  if (certificates.length !== text.match(PEM_BEGIN)?.length) {
    return 'holds something else than whole certificates';
  }
  const broken = certificates.findIndex((certificate) => !isCertificate(certificate));
  return broken < 0 ? undefined : `holds a certificate that does not parse, number ${broken + 1}`;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

function readPem(path: string, key: keyof TlsFiles): Promise<string> {
  return readText(path, `server.tls.${key}`, 'TLS_UNREADABLE');
}
