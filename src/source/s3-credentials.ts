import { RewriterError } from '../core/errors.ts';
import type { S3Client } from './aws-sdk.ts';
import { networkFault } from './network-error.ts';

/** Characters of what a provider says. */
const SAID_LENGTH = 300;
/** A JSON Web Token, such as the one that a pod shows to STS. */
const TOKEN = /\beyJ[\w-]+\.[\w.-]*/g;

/**
 * Makes the errors of the credentials of a client their own: their names and statuses are those of STS or of a
 * file, and would be taken for answers of the store.
 */
export function explainCredentials({ config }: S3Client, location: string): void {
  const ask = config.credentials;
  const explained: typeof ask = async (properties) => {
    try {
      return await ask(properties);
    } catch (error) {
      throw describeCredentialsError(error, location);
    }
  };
  // As what was there before: it is asked each time, and keeps what it has itself.
  config.credentials = Object.assign(explained, { memoized: true });
}

function describeCredentialsError(error: unknown, location: string): RewriterError {
  const text = `there are no credentials for ${location}: ${reasonOf(error)}`;
  return new RewriterError('MAP_CREDENTIALS_REFUSED', text, { cause: error });
}

function reasonOf(error: unknown): string {
  const { name, message, path, syscall, $metadata } = error as ProviderError;
  const fault = networkFault(error);
  if (fault !== undefined) {
    const advice =
      fault.kind === 'tls'
        ? 'imageMap.s3.caFile, where it is set, must hold its CA as well'
        : 'check AWS_ENDPOINT_URL_STS, the DNS of this pod, network policies and proxy variables';
    return `the service that gives them, which is STS for IRSA and for roles, cannot be reached (${fault.code}: ${shown(fault.message)}); ${advice}`;
  }
  if (name === 'SyntaxError') {
    // Its message quotes the text, which may hold the credentials.
    return 'the service that gives them answered with what is no JSON; check AWS_CONTAINER_CREDENTIALS_FULL_URI';
  }
  if (path !== undefined || syscall === 'read') {
    return `a file cannot be read (${shown(message)}); check AWS_WEB_IDENTITY_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, and the volume with the token of the service account`;
  }
  if ($metadata?.httpStatusCode !== undefined && name !== 'CredentialsProviderError') {
    return `STS answered ${name} with HTTP ${$metadata.httpStatusCode} (${shown(message)}); check the trust policy of the role, its OIDC provider, and AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE of this pod`;
  }
  return `${shown(message)}; set up IRSA, EKS Pod Identity with its association, or the AWS variables`;
}

interface ProviderError extends NodeJS.ErrnoException {
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** On one line and bounded: a service may say anything. */
function shown(message: string): string {
  const line = message.replace(TOKEN, '…').replaceAll(/\s+/g, ' ');
  return line.length > SAID_LENGTH ? `${line.slice(0, SAID_LENGTH)}…` : line;
}
