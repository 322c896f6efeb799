import { RewriterError } from '../core/errors.ts';

const DNS_CODES = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_NONAME']);
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
]);
const TLS_CODE =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|HOSTNAME_MISMATCH|EPROTO)/;

/** What kind of error of the network it is, with the code that Node.js gives it. */
export interface NetworkFault {
  readonly kind: 'dns' | 'tls' | 'connection' | 'proxy';
  readonly code: string;
  readonly message: string;
}

/** Undefined where it is no error of the network. */
export function networkFault(error: unknown): NetworkFault | undefined {
  const { code, message, statusCode } = errorWithCode(error);
  if (code === undefined) {
    return undefined;
  }
  if (DNS_CODES.has(code)) {
    return { kind: 'dns', code, message };
  }
  if (code === 'ERR_PROXY_TUNNEL') {
    return { kind: 'proxy', code, message: proxyText(statusCode) };
  }
  if (TLS_CODE.test(code)) {
    return { kind: 'tls', code, message };
  }
  return CONNECTION_CODES.has(code) ? { kind: 'connection', code, message } : undefined;
}

/** Says what an operator must do about an error of the network; undefined where it is none. */
export function describeNetworkError(error: unknown, location: string): RewriterError | undefined {
  const fault = networkFault(error);
  switch (fault?.kind) {
    case 'dns':
      return new RewriterError(
        'MAP_UNREACHABLE',
        `the host of ${location} has no address (${fault.code}); check the URL, the endpoint and the DNS of this pod`,
        { cause: error },
      );
    case 'tls':
      return new RewriterError(
        'MAP_TLS_FAILED',
        `the certificate at ${location} was not accepted (${fault.code}: ${fault.message}); if the CA is your own, set imageMap.s3.caFile`,
        { cause: error },
      );
    case 'connection':
      return new RewriterError(
        'MAP_UNREACHABLE',
        `${location} cannot be reached (${fault.code}); check the endpoint, network policies and proxy variables`,
        { cause: error },
      );
    case 'proxy':
      return new RewriterError(
        'MAP_UNREACHABLE',
        `${location} cannot be reached through the proxy: ${fault.message}; check the proxy variables, with the user and password that HTTP 407 asks for, and what the proxy allows`,
        { cause: error },
      );
    case undefined:
      return undefined;
  }
}

function proxyText(status: number | undefined): string {
  return status !== undefined && status > 0
    ? `the proxy answered HTTP ${status}`
    : 'the proxy closed the connection, or sent what is no answer';
}

interface CodedError {
  readonly code?: string;
  readonly message: string;
  /** Of a proxy that opens no tunnel. */
  readonly statusCode?: number | undefined;
}

/** The first error with a code along the chain of causes; a dual-stack connect has one for each address. */
function errorWithCode(error: unknown): CodedError {
  let at: unknown = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth += 1) {
    const { code, statusCode } = at as NodeJS.ErrnoException & { readonly statusCode?: number };
    if (typeof code === 'string') {
      return { code, message: at.message, statusCode };
    }
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return { message: String(error) };
}
