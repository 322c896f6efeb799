import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** P-256 handshakes cost a fraction of RSA ones, and the API server makes a new one every 90 s of silence. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
/** Clocks of nodes differ; a certificate must not begin in their future. Milliseconds, and share of its life. */
const BACKDATED = 3_600_000;
const BACKDATED_SHARE = 0.1;

/** A certificate and its private key, both PEM. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

export interface Validity {
  readonly now: Date;
  /** Milliseconds from now. */
  readonly lifetime: number;
}

/** Makes a certificate authority of its own. */
export async function createAuthority(commonName: string, validity: Validity): Promise<PemPair> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${commonName}`,
    keys,
    ...period(validity),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return { cert: certificate.toString('pem'), key: await exportKey(keys) };
}

export interface LeafNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** Makes a serving certificate signed by `authority`. Throws where the authority's PEM cannot be read. */
export async function issueLeaf(
  authority: PemPair,
  { dnsNames, ipAddresses = [] }: LeafNames,
  validity: Validity,
): Promise<PemPair> {
  const issuer = new X509Certificate(authority.cert);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    PemConverter.decodeFirst(authority.key),
    ALGORITHM,
    false,
    ['sign'],
  );
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create({
    subject: 'CN=sdr-image-rewriter',
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey,
    ...period(validity),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([
        ...dnsNames.map((value) => ({ type: 'dns', value }) as const),
        ...ipAddresses.map((value) => ({ type: 'ip', value }) as const),
      ]),
    ],
  });
  return { cert: certificate.toString('pem'), key: await exportKey(keys) };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function exportKey({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', privateKey), 'PRIVATE KEY');
}

function period({ now, lifetime }: Validity): { notBefore: Date; notAfter: Date } {
  const backdated = Math.min(BACKDATED, lifetime * BACKDATED_SHARE);
  return {
    notBefore: new Date(now.getTime() - backdated),
    notAfter: new Date(now.getTime() + lifetime),
  };
}
