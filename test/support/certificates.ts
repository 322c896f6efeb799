import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY = 86_400_000;

export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  readonly cert: string;
  /** A leaf for localhost and the given DNS names, that expires after some milliseconds, a day unless told. */
  issue(commonName: string, dnsNames?: readonly string[], lifetime?: number): Promise<Issued>;
}

/** A certificate authority that lives as long as the test. */
export async function createAuthority(name = 'test CA'): Promise<Authority> {
  const keys = await generateKeys();
  const ca = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    ...validity(),
    signingAlgorithm: ALGORITHM,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  return {
    cert: ca.toString('pem'),
    issue: (commonName, dnsNames = [], lifetime = DAY) =>
      issueLeaf({ ca, signingKey: keys.privateKey, commonName, dnsNames, lifetime }),
  };
}

interface LeafOptions {
  readonly ca: X509Certificate;
  readonly signingKey: webcrypto.CryptoKey;
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly lifetime: number;
}

async function issueLeaf(options: LeafOptions): Promise<Issued> {
  const { ca, signingKey, commonName, dnsNames, lifetime } = options;
  const keys = await generateKeys();
  const leaf = await X509CertificateGenerator.create({
    subject: `CN=${commonName}`,
    issuer: ca.subject,
    publicKey: keys.publicKey,
    signingKey,
    ...validity(lifetime),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new SubjectAlternativeNameExtension([
        ...['localhost', ...dnsNames].map((value) => ({ type: 'dns', value }) as const),
        { type: 'ip', value: '127.0.0.1' },
      ]),
    ],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: leaf.toString('pem'), key: PemConverter.encode(key, 'PRIVATE KEY') };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function validity(lifetime = DAY): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + lifetime) };
}
