import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { PemPair } from './x509.ts';

/** What the Secret holds; undefined where it is missing, empty or cannot be read. */
export interface CertificateState {
  readonly authority: PemPair | undefined;
  readonly leaf: PemPair | undefined;
}

export interface PlanInput {
  readonly state: CertificateState;
  /** The PEM bundle of each webhook entry; empty text where there is none. */
  readonly bundles: readonly string[];
  readonly dnsNames: readonly string[];
  readonly now: Date;
  /** Since when every bundle has been seen to hold the authority; undefined: not yet. */
  readonly publishedSince: Date | undefined;
  /** The authority of what this process serves; undefined: it serves nothing yet. */
  readonly servedAuthority: string | undefined;
}

/** The next thing to do, one at a time: each leaves a state in which every served leaf is trusted. */
export type CertificateStep =
  | { readonly kind: 'create-authority' }
  | { readonly kind: 'publish'; readonly bundles: readonly string[] }
  /** Every bundle holds the authority, but the API servers may not have heard of it yet. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'issue-leaf' }
  | { readonly kind: 'done' };

/** Both are renewed when two thirds of their life are over. */
const RENEWAL = 2 / 3;
/** Milliseconds for every API server to see a changed webhook configuration. */
export const PROPAGATION = 5000;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * Decides the next step. A new authority is in every bundle, and has been for a while, before a leaf of
 * its own is served; an old one stays in the bundles until it expires.
 */
export function planStep(input: PlanInput): CertificateStep {
  const { state, bundles, now, dnsNames, publishedSince, servedAuthority } = input;
  const { authority, leaf } = state;
  if (authority === undefined || !isUsable(authority) || isDue(authority.cert, now)) {
    return { kind: 'create-authority' };
  }
  const needed = [servedAuthority ?? '', authority.cert];
  const wanted = bundles.map((bundle) => joinBundles([bundle, ...needed], now));
  if (wanted.some((bundle, index) => bundle !== bundles[index])) {
    return { kind: 'publish', bundles: wanted };
  }
  const isCurrent =
    leaf !== undefined &&
    isUsable(leaf) &&
    !isDue(leaf.cert, now) &&
    isIssuedBy(leaf.cert, authority.cert) &&
    coversNames(leaf.cert, dnsNames);
  const isKnown =
    publishedSince !== undefined && now.getTime() - publishedSince.getTime() >= PROPAGATION;
  // A process that serves nothing yet has no trust to lose.
  if (servedAuthority !== undefined && !isKnown) {
    return { kind: 'wait' };
  }
  return isCurrent ? { kind: 'done' } : { kind: 'issue-leaf' };
}

/** The certificates in all the texts that have not expired, each once. */
function joinBundles(texts: readonly string[], now: Date): string {
  const all = texts.flatMap((text) => text.match(PEM_CERTIFICATE) ?? []);
  const valid = [...new Set(all)].filter((pem) => !isExpired(pem, now));
  return valid.map((pem) => `${pem}\n`).join('');
}

/** Whether both parse and belong together. */
export function isUsable({ cert, key }: PemPair): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function isDue(cert: string, now: Date): boolean {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  const life = validToDate.getTime() - validFromDate.getTime();
  return now.getTime() >= validFromDate.getTime() + life * RENEWAL;
}

function isExpired(cert: string, now: Date): boolean {
  try {
    return new X509Certificate(cert).validToDate <= now;
  } catch {
    return true;
  }
}

function isIssuedBy(leaf: string, authority: string): boolean {
  const issuer = new X509Certificate(authority);
  const certificate = new X509Certificate(leaf);
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function coversNames(cert: string, dnsNames: readonly string[]): boolean {
  const certificate = new X509Certificate(cert);
  return dnsNames.every((name) => certificate.checkHost(name) !== undefined);
}
