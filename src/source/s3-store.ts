import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import {
  GetObjectCommand,
  type GetObjectCommandOutput,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { type ErrorCode, RewriterError } from '../core/errors.ts';
import { describeNetworkError } from './network-error.ts';
import { readBody, timeoutError } from './read-body.ts';

export interface S3StoreSettings {
  readonly region: string;
  readonly endpoint: string;
  readonly forcePathStyle: boolean;
  readonly expectedBucketOwner: string;
  /** PEM of the CA of the endpoint. */
  readonly ca?: string | undefined;
  /** Where the standard proxy variables are looked up. */
  readonly env: NodeJS.ProcessEnv;
}

export interface GetRequest {
  readonly key: string;
  readonly versionId?: string | undefined;
  /** Asks only for another version than this. */
  readonly etag?: string | undefined;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export type GetResult =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'found'; readonly bytes: Uint8Array; readonly etag: string };

export interface PutRequest {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** The version to replace; undefined: there must be none. */
  readonly replaces: string | undefined;
}

export type PutResult =
  | { readonly kind: 'written'; readonly etag: string; readonly versionId: string | undefined }
  /** Somebody else wrote in the meantime. */
  | { readonly kind: 'lost' };

const DEFAULT_REGION = 'us-east-1';
const CONNECTION_TIMEOUT = 5000;

/** The objects of one bucket. Every failure is a `RewriterError` that says what to do. */
export class S3Store {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #owner: string | undefined;

  constructor(bucket: string, settings: S3StoreSettings) {
    const { region, endpoint, forcePathStyle, expectedBucketOwner, ca, env } = settings;
    const agent = { keepAlive: true, proxyEnv: env };
    this.#bucket = bucket;
    this.#owner = expectedBucketOwner === '' ? undefined : expectedBucketOwner;
    this.#client = new S3Client({
      ...(region !== '' && { region }),
      // A custom endpoint has no regions, but the signature needs one.
      ...(endpoint !== '' && { endpoint, region: region === '' ? DEFAULT_REGION : region }),
      forcePathStyle,
      retryMode: 'standard',
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECTION_TIMEOUT,
        httpAgent: new HttpAgent(agent),
        httpsAgent: new HttpsAgent({ ...agent, ca }),
      },
    });
  }

  async get({ key, versionId, etag, maxBytes, signal }: GetRequest): Promise<GetResult> {
    const location = this.location(key);
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      IfNoneMatch: etag,
      VersionId: versionId,
      ExpectedBucketOwner: this.#owner,
    });
    let output: GetObjectCommandOutput;
    try {
      output = await this.#client.send(command, { abortSignal: signal });
    } catch (error) {
      if (statusOf(error) === 304) {
        return { kind: 'unchanged' };
      }
      if (error instanceof S3ServiceException && error.name === 'NoSuchKey') {
        return { kind: 'missing' };
      }
      throw signal.aborted ? timeoutError(location) : describeS3Error(error, location);
    }
    const { Body, ContentLength, ContentEncoding, ETag } = output;
    const body = Body as Readable;
    if (ContentEncoding !== undefined && !/^(?:identity|aws-chunked)?$/.test(ContentEncoding)) {
      body.destroy();
      throw new RewriterError(
        'MAP_ENCODED',
        `${location} has the content encoding ${ContentEncoding}; store the map uncompressed`,
      );
    }
    try {
      const bytes = await readBody(body, { location, maxBytes, announced: ContentLength, signal });
      return { kind: 'found', bytes, etag: unquote(ETag ?? '') };
    } catch (error) {
      throw describeS3Error(error, location);
    }
  }

  async put({ key, bytes, contentType, replaces }: PutRequest): Promise<PutResult> {
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      Body: bytes,
      ContentType: contentType,
      ExpectedBucketOwner: this.#owner,
      ...(replaces === undefined ? { IfNoneMatch: '*' } : { IfMatch: `"${replaces}"` }),
    });
    try {
      const { ETag, VersionId } = await this.#client.send(command);
      return { kind: 'written', etag: unquote(ETag ?? ''), versionId: VersionId };
    } catch (error) {
      // 409: another conditional write was under way; 404: what should be replaced is gone.
      const isLost = [409, 412].includes(statusOf(error) ?? 0) || errorName(error) === 'NoSuchKey';
      if (isLost) {
        return { kind: 'lost' };
      }
      throw describeS3Error(error, this.location(key), PUT_WORDS);
    }
  }

  location(key: string): string {
    return `s3://${this.#bucket}/${key}`;
  }

  close(): void {
    this.#client.destroy();
  }
}

/** ETags travel in quotes; without them they read better, and stay opaque. */
function unquote(etag: string): string {
  return etag.replaceAll('"', '');
}

function statusOf(error: unknown): number | undefined {
  const metadata = (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata;
  return metadata?.httpStatusCode;
}

function errorName(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

interface Advice {
  readonly code: ErrorCode;
  readonly advice: string;
}

/** What to do about each error that S3 names, by its own name for it. */
const ADVICE: Readonly<Record<string, Advice>> = {
  NoSuchKey: { code: 'MAP_NOT_FOUND', advice: 'publish a map there, or correct imageMap.url' },
  NoSuchBucket: { code: 'MAP_NOT_FOUND', advice: 'correct the bucket in imageMap.url' },
  NoSuchVersion: { code: 'MAP_NOT_FOUND', advice: 'correct imageMap.s3.versionId' },
  ExpiredToken: {
    code: 'MAP_CREDENTIALS_REFUSED',
    advice: 'the session token expired; check how this pod gets its credentials',
  },
  InvalidAccessKeyId: {
    code: 'MAP_CREDENTIALS_REFUSED',
    advice: 'the access key does not exist; look for a left-over AWS_ACCESS_KEY_ID',
  },
  SignatureDoesNotMatch: {
    code: 'MAP_CREDENTIALS_REFUSED',
    advice: 'the secret key does not belong to the access key, or a proxy changes requests',
  },
  CredentialsProviderError: {
    code: 'MAP_CREDENTIALS_REFUSED',
    advice: 'no credentials were found; set up IRSA, EKS Pod Identity or the AWS variables',
  },
  RequestTimeTooSkewed: {
    code: 'MAP_CLOCK_SKEWED',
    advice: 'the clock of this node is wrong; check its time service',
  },
  PermanentRedirect: { code: 'MAP_REGION_WRONG', advice: 'set imageMap.s3.region' },
  AuthorizationHeaderMalformed: { code: 'MAP_REGION_WRONG', advice: 'set imageMap.s3.region' },
};

/** What depends on whether an object was to be read or written. */
interface Words {
  readonly permission: string;
  readonly keyPermission: string;
  readonly next: string;
}

const GET_WORDS: Words = {
  permission:
    'grant s3:GetObject on the key, and kms:Decrypt if the bucket is encrypted with KMS; without s3:ListBucket a missing key looks like this too',
  keyPermission: 'grant kms:Decrypt on the key of the bucket',
  next: 'it is read again at the next refresh',
};

const PUT_WORDS: Words = {
  permission:
    'grant s3:PutObject besides s3:GetObject on the key and on its signature (.sig), and kms:GenerateDataKey if the bucket is encrypted with KMS',
  keyPermission: 'grant kms:GenerateDataKey and kms:Decrypt on the key of the bucket',
  next: 'run the command again; what was written already is found',
};

function describeS3Error(error: unknown, location: string, words = GET_WORDS): RewriterError {
  if (error instanceof RewriterError) {
    return error;
  }
  const [name, status] = [errorName(error), statusOf(error)];
  const message = error instanceof Error ? error.message : String(error);
  const known = ADVICE[name] ?? adviceFor(name, message, status, words);
  if (known !== undefined) {
    const text = `${location}: ${name} (${message}); ${known.advice}`;
    return new RewriterError(known.code, text, { cause: error });
  }
  return (
    describeNetworkError(error, location) ??
    new RewriterError(
      'MAP_SOURCE_FAILED',
      `${location} answered ${name}${status === undefined ? '' : ` with HTTP ${status}`} (${message}); ${words.next}`,
      { cause: error },
    )
  );
}

function adviceFor(
  name: string,
  message: string,
  status: number | undefined,
  { permission, keyPermission }: Words,
): Advice | undefined {
  if (name === 'AccessDenied') {
    return { code: 'MAP_ACCESS_DENIED', advice: permission };
  }
  if (/\bKMS\b/i.test(message)) {
    return { code: 'MAP_ACCESS_DENIED', advice: keyPermission };
  }
  if (/region is missing/i.test(message) || status === 301) {
    return { code: 'MAP_REGION_WRONG', advice: 'set imageMap.s3.region' };
  }
  if (status === 403) {
    return { code: 'MAP_ACCESS_DENIED', advice: permission };
  }
  return status === 404 ? ADVICE.NoSuchKey : undefined;
}
