import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  type GetObjectCommandOutput,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from './aws-sdk.ts';
import { type ErrorCode, RewriterError } from '../core/errors.ts';
import { agentOptions } from './agent-options.ts';
import { describeNetworkError } from './network-error.ts';
import { readBody, timeoutError, unaskedError } from './read-body.ts';
import { explainCredentials } from './s3-credentials.ts';
import { untilAborted } from './until-aborted.ts';

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
  readonly signal: AbortSignal;
}

export type PutResult =
  | { readonly kind: 'written'; readonly etag: string; readonly versionId: string | undefined }
  /** Somebody else wrote in the meantime. */
  | { readonly kind: 'lost' };

const DEFAULT_REGION = 'us-east-1';
const CONNECTION_TIMEOUT = 5000;
/** Bytes; the longest errors of S3 quote what was to be signed, with a session token in it. */
const ERROR_LIMIT = 65_536;

/** The objects of one bucket. Every failure is a `RewriterError` that says what to do. */
export class S3Store {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #owner: string | undefined;

  constructor(bucket: string, settings: S3StoreSettings) {
    const { region, endpoint, forcePathStyle, expectedBucketOwner, ca, env } = settings;
    const agent = agentOptions(env);
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
    explainCredentials(this.#client, `s3://${bucket}`);
    this.#boundErrors();
  }

  async get({ key, versionId, etag, maxBytes, signal }: GetRequest): Promise<GetResult> {
    const location = this.location(key);
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      ...(etag !== undefined && { IfNoneMatch: quote(etag) }),
      VersionId: versionId,
      ExpectedBucketOwner: this.#owner,
    });
    const latest = rememberFailure(command, signal);
    let output: GetObjectCommandOutput;
    try {
      output = await this.#within(signal, this.#client.send(command, { abortSignal: signal }));
    } catch (error) {
      if (statusOf(error) === 304) {
        if (etag === undefined) {
          throw unaskedError(location);
        }
        return { kind: 'unchanged' };
      }
      if (statusOf(error) === 404 && !ELSE_MISSING.has(errorName(error))) {
        return { kind: 'missing' };
      }
      const failure = signal.aborted ? latest() : error;
      throw failure === undefined ? timeoutError(location) : describeS3Error(failure, location);
    }
    const { Body, ContentLength, ContentEncoding, ETag, $metadata } = output;
    const body = Body as Readable;
    if ($metadata.httpStatusCode !== 200) {
      body.destroy();
      throw new RewriterError(
        'MAP_SOURCE_FAILED',
        `${location} was answered with HTTP ${$metadata.httpStatusCode ?? 'nothing'} in place of the whole object; check what stands between here and the store`,
      );
    }
    if (ContentEncoding !== undefined && !/^(?:identity|aws-chunked)?$/i.test(ContentEncoding)) {
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

  async put({ key, bytes, contentType, replaces, signal }: PutRequest): Promise<PutResult> {
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      Body: bytes,
      ContentType: contentType,
      ExpectedBucketOwner: this.#owner,
      ...(replaces === undefined ? { IfNoneMatch: '*' } : { IfMatch: quote(replaces) }),
    });
    const latest = rememberFailure(command, signal);
    try {
      const { ETag, VersionId } = await this.#within(
        signal,
        this.#client.send(command, { abortSignal: signal }),
      );
      return { kind: 'written', etag: unquote(ETag ?? ''), versionId: VersionId };
    } catch (error) {
      // 409: another conditional write was under way; 404: what should be replaced is gone.
      const isLost = [409, 412].includes(statusOf(error) ?? 0) || errorName(error) === 'NoSuchKey';
      if (isLost) {
        return { kind: 'lost' };
      }
      const location = this.location(key);
      const failure = signal.aborted ? latest() : error;
      throw failure === undefined
        ? unansweredError(location)
        : describeS3Error(failure, location, PUT_WORDS);
    }
  }

  /** The SDK asks for credentials without a limit of time, and does not heed the signal meanwhile. */
  #within<Output>(signal: AbortSignal, answer: Promise<Output>): Promise<Output> {
    return untilAborted(answer, signal, () => new Error('aborted'));
  }

  location(key: string): string {
    return `s3://${this.#bucket}/${key}`;
  }

  close(): void {
    this.#client.destroy();
  }

  /** The SDK takes the whole body of an error into memory, whatever its size. */
  #boundErrors(): void {
    this.#client.middlewareStack.add(
      (next) => async (input) => {
        const result = await next(input);
        const response = result.response as { statusCode: number; body: Readable };
        if (response.statusCode >= 300) {
          response.body = Readable.from(await readError(response.body));
        }
        return result;
      },
      // Low: just before the SDK reads the answer.
      { name: 'boundErrors', step: 'deserialize', priority: 'low' },
    );
  }
}

/**
 * Gives the error of the latest attempt; undefined while one is under way. The SDK tries again as late as the store
 * asks it to (Retry-After), and at a deadline before that the store has answered all the same.
 */
function rememberFailure(
  { middlewareStack }: Pick<GetObjectCommand, 'middlewareStack'>,
  signal: AbortSignal,
): () => unknown {
  let latest: unknown;
  middlewareStack.add(
    (next) => async (request) => {
      latest = undefined;
      try {
        return await next(request);
      } catch (error) {
        if (!signal.aborted) latest = error;
        throw error;
      }
    },
    // Low: within the attempts.
    { step: 'finalizeRequest', priority: 'low' },
  );
  return () => latest;
}

function unansweredError(location: string): RewriterError {
  return new RewriterError(
    'MAP_TIMEOUT',
    `${location} was sent and not answered within imageMap.timeout, so it may be written or not; run the command again, which finds out`,
  );
}

/** A longer body is no error of S3's own, and as good as none: then the status alone counts. */
async function readError(body: Readable): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ERROR_LIMIT) {
      // To leave the loop closes the connection.
      return [];
    }
    chunks.push(chunk);
  }
  return chunks;
}

/** ETags travel in quotes and read better without; a weak one, such as `W/"1"`, stays as it came. */
function unquote(etag: string): string {
  return /^"[^"]*"$/.test(etag) ? etag.slice(1, -1) : etag;
}

/** The ETag that `unquote` was given. */
function quote(etag: string): string {
  return etag.endsWith('"') ? etag : `"${etag}"`;
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

/** With HTTP 404 as well, which some stores answer for an object without any name. */
const ELSE_MISSING = new Set(['NoSuchBucket', 'NoSuchVersion']);

/** What to do about each error that S3 names, by its own name for it. */
const ADVICE: ReadonlyMap<string, Advice> = new Map<string, Advice>([
  ['NoSuchKey', { code: 'MAP_NOT_FOUND', advice: 'publish a map there, or correct imageMap.url' }],
  ['NoSuchBucket', { code: 'MAP_NOT_FOUND', advice: 'correct the bucket in imageMap.url' }],
  ['NoSuchVersion', { code: 'MAP_NOT_FOUND', advice: 'correct imageMap.s3.versionId' }],
  [
    'ExpiredToken',
    {
      code: 'MAP_CREDENTIALS_REFUSED',
      advice: 'the session token expired; check how this pod gets its credentials',
    },
  ],
  [
    'InvalidToken',
    {
      code: 'MAP_CREDENTIALS_REFUSED',
      advice: 'the session token is of no use; look for a left-over AWS_SESSION_TOKEN',
    },
  ],
  [
    'InvalidObjectState',
    {
      code: 'MAP_SOURCE_FAILED',
      advice: 'the object is archived; restore it, or publish it in another storage class',
    },
  ],
  [
    'NotImplemented',
    {
      code: 'MAP_SOURCE_FAILED',
      advice: 'this store may know no conditional writes; publish with a client of its own',
    },
  ],
  [
    'InvalidAccessKeyId',
    {
      code: 'MAP_CREDENTIALS_REFUSED',
      advice: 'the access key does not exist; look for a left-over AWS_ACCESS_KEY_ID',
    },
  ],
  [
    'SignatureDoesNotMatch',
    {
      code: 'MAP_CREDENTIALS_REFUSED',
      advice: 'the secret key does not belong to the access key, or a proxy changes requests',
    },
  ],
  [
    'RequestTimeTooSkewed',
    {
      code: 'MAP_CLOCK_SKEWED',
      advice: 'the clock of this node is wrong; check its time service',
    },
  ],
  ['PermanentRedirect', { code: 'MAP_REGION_WRONG', advice: 'set imageMap.s3.region' }],
  ['AuthorizationHeaderMalformed', { code: 'MAP_REGION_WRONG', advice: 'set imageMap.s3.region' }],
]);

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
  next: 'it is read again by a running server',
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
  const known = ADVICE.get(name) ?? adviceFor(name, message, status, words);
  if (known !== undefined) {
    // Of an answer that is not S3's, such as that of a proxy, the SDK tells its own trouble with it.
    const isOfS3 = error instanceof S3ServiceException && !/^Unknown|^NotFound$/.test(name);
    const said =
      isOfS3 || status === undefined
        ? `${name} (${message})`
        : `HTTP ${status} without an error of S3`;
    const text = `${location}: ${said}; ${known.advice}`;
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
  if (status === 401) {
    const advice = 'the credentials are not accepted; check how this pod gets them';
    return { code: 'MAP_CREDENTIALS_REFUSED', advice };
  }
  if (status === 407) {
    const advice = 'a proxy asks for a user and password; check the proxy variables';
    return { code: 'MAP_UNREACHABLE', advice };
  }
  if (status === 403) {
    return { code: 'MAP_ACCESS_DENIED', advice: permission };
  }
  return status === 404 ? ADVICE.get('NoSuchKey') : undefined;
}
