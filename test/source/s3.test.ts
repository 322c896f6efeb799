import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ErrorCode } from '../../src/core/errors.ts';
import { CachedMap } from '../../src/source/cached-map.ts';
import { createS3Source, parseS3Url, type S3SourceSettings } from '../../src/source/s3.ts';
import { S3Store } from '../../src/source/s3-store.ts';
import type { MapSource } from '../../src/source/source.ts';
import { acceptCoreErrors } from '../support/core-errors.ts';
import { createAuthority } from '../support/certificates.ts';
import { FaultServer, ForwardProxy, S3_ERRORS, type StoreFault } from '../support/fault-server.ts';
import { bytesOfText } from '../support/maps.ts';
import { Workspace } from '../support/workspace.ts';
import {
  expectRenewedCa,
  etagOf,
  itConforms,
  itKeepsTheLimit,
  refusalOf,
  requestOf,
  SHORT,
  shown,
  type SourceBench,
  STALLS,
} from './conformance.ts';

const URL_OF_MAP = 's3://sdr-config/maps/image-map.json';
const PATH = '/sdr-config/maps/image-map.json';
const MAP = '{"docker.io/atlanhq/mysql:1":"registry.corp.example/mysql:1"}';
const AWS_NAMES = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  'AWS_PROFILE',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_EC2_METADATA_DISABLED',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  'AWS_ROLE_ARN',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_ENDPOINT_URL_STS',
];
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'example' };

/** Keeps the SDK from the files and the metadata service of this machine. */
const NOWHERE_ELSE = {
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: 'test/no-such-file',
  AWS_SHARED_CREDENTIALS_FILE: 'test/no-such-file',
};

/** Sets these variables of the SDK and no others; the returned function puts back what was there. */
function setAws(values: Record<string, string>): () => void {
  const set = (wanted: Readonly<Record<string, string | undefined>>): void => {
    for (const name of AWS_NAMES) {
      const value = wanted[name];
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  };
  const before = { ...process.env };
  set({ ...NOWHERE_ELSE, ...values });
  return () => set(before);
}

const settingsOf = (overrides: Partial<S3SourceSettings>): S3SourceSettings => ({
  region: 'eu-west-1',
  endpoint: '',
  forcePathStyle: true,
  expectedBucketOwner: '',
  versionId: '',
  caFile: '',
  env: {},
  ...overrides,
});

function sourceAt(server: FaultServer, overrides: Partial<S3SourceSettings> = {}): MapSource {
  return createS3Source(URL_OF_MAP, settingsOf({ endpoint: server.url, ...overrides }));
}

async function openBench(): Promise<SourceBench> {
  const server = await FaultServer.start();
  const put = (path: string, bytes: Uint8Array): Promise<void> => {
    server.heal();
    server.put(path, bytes);
    return Promise.resolve();
  };
  return {
    source: sourceAt(server),
    location: URL_OF_MAP,
    missing: 'MAP_NOT_FOUND',
    put: (bytes) => put(PATH, bytes),
    putUncounted: async (bytes) => {
      await put(PATH, bytes);
      server.break({ kind: 'no-length' });
    },
    putSignature: (bytes) => put(`${PATH}.sig`, bytes),
    breakSignature: () => {
      server.break(S3_ERRORS.internalError, /\.sig$/);
      return Promise.resolve();
    },
    remove: () => {
      server.remove(PATH);
      return Promise.resolve();
    },
    stall: (where) => {
      const fault = where === 'body' ? 'stall-body' : 'stall-headers';
      server.break({ kind: fault }, where === 'signature' ? /\.sig$/ : /\.json$/);
    },
    signatureReads: () => server.requests.filter(({ path }) => path.endsWith('.sig')).length,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Credentials as STS gives them for a token of Kubernetes. */
function credentialsOfSts(): string {
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>example</SecretAccessKey><SessionToken>token</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
}

function errorOfSts(code: string, message: string): string {
  return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>1</RequestId></ErrorResponse>`;
}

/** The service that gives credentials; takes a question and does not answer it until it has an answer. */
class FakeSts implements AsyncDisposable {
  /** Resolves with the first question. */
  readonly asked: Promise<unknown>;
  answer: { readonly status: number; readonly body: string } | undefined;
  readonly #server = createServer((_request, response) => {
    if (this.answer !== undefined) {
      response.writeHead(this.answer.status, { 'content-type': 'text/xml' }).end(this.answer.body);
    }
  });

  private constructor() {
    this.asked = once(this.#server, 'request');
  }

  static async start(): Promise<FakeSts> {
    const sts = new FakeSts();
    await once(sts.#server.listen(0, '127.0.0.1'), 'listening');
    return sts;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

describe('a map in S3', () => {
  acceptCoreErrors();
  let restore = (): void => undefined;
  beforeAll(() => {
    restore = setAws(CREDENTIALS);
  });
  afterAll(() => restore());

  itConforms(openBench, STALLS);
  itKeepsTheLimit(openBench);

  const FAULTS: readonly (readonly [ErrorCode, RegExp, StoreFault])[] = [
    ['MAP_TIMEOUT', /imageMap\.timeout/, { kind: 'stall-headers' }],
    ['MAP_TIMEOUT', /imageMap\.timeout/, { kind: 'stall-body' }],
    ['MAP_TIMEOUT', /imageMap\.timeout/, { kind: 'wrong-length' }],
    ['MAP_UNREACHABLE', /cannot be reached/, { kind: 'cut-body' }],
    ['MAP_ACCESS_DENIED', /s3:GetObject.*s3:ListBucket/, S3_ERRORS.accessDenied],
    ['MAP_ACCESS_DENIED', /kms:Decrypt/, S3_ERRORS.kmsDenied],
    ['MAP_ACCESS_DENIED', /kms:Decrypt/, S3_ERRORS.kmsDisabled],
    ['MAP_ACCESS_DENIED', /HTTP 403.*s3:GetObject/, { kind: 'bare-status', status: 403 }],
    ['MAP_CREDENTIALS_REFUSED', /HTTP 401/, { kind: 'bare-status', status: 401 }],
    ['MAP_UNREACHABLE', /HTTP 407.*proxy variables/, { kind: 'bare-status', status: 407 }],
    ['MAP_CREDENTIALS_REFUSED', /expired/, S3_ERRORS.expiredToken],
    ['MAP_CREDENTIALS_REFUSED', /AWS_ACCESS_KEY_ID/, S3_ERRORS.invalidAccessKey],
    ['MAP_CREDENTIALS_REFUSED', /secret key/, S3_ERRORS.wrongSecret],
    ['MAP_CREDENTIALS_REFUSED', /AWS_SESSION_TOKEN/, S3_ERRORS.invalidToken],
    ['MAP_SOURCE_FAILED', /archived/, S3_ERRORS.archived],
    ['MAP_CLOCK_SKEWED', /clock/, S3_ERRORS.clockSkew],
    ['MAP_NOT_FOUND', /publish a map/, S3_ERRORS.noSuchKey],
    ['MAP_NOT_FOUND', /bucket/, S3_ERRORS.noSuchBucket],
    ['MAP_NOT_FOUND', /versionId/, S3_ERRORS.noSuchVersion],
    ['MAP_NOT_FOUND', /publish a map/, { kind: 'bare-status', status: 404 }],
    ['MAP_REGION_WRONG', /imageMap\.s3\.region/, S3_ERRORS.wrongRegion],
    ['MAP_REGION_WRONG', /imageMap\.s3\.region/, S3_ERRORS.wrongSigningRegion],
    ['MAP_REGION_WRONG', /imageMap\.s3\.region/, { kind: 'bare-status', status: 301 }],
    ['MAP_SOURCE_FAILED', /SlowDown.*503/, S3_ERRORS.slowDown],
    ['MAP_SOURCE_FAILED', /InternalError.*500/, S3_ERRORS.internalError],
    ['MAP_SOURCE_FAILED', /503/, { kind: 'bare-status', status: 503 }],
    ['MAP_SOURCE_FAILED', /500/, { kind: 'error-burst', count: 3 }],
    ['MAP_SOURCE_FAILED', /read again/, { kind: 'garbage-error' }],
    ['MAP_SOURCE_FAILED', /500/, { kind: 'endless-error', status: 500 }],
    ['MAP_ACCESS_DENIED', /s3:GetObject/, { kind: 'endless-error', status: 403 }],
    ['MAP_SOURCE_FAILED', /gave nothing before/, { kind: 'not-modified' }],
    ['MAP_TOO_LARGE', /maxBytes/, { kind: 'huge', announced: true }],
    ['MAP_TOO_LARGE', /maxBytes/, { kind: 'huge', announced: false }],
    ['MAP_ENCODED', /gzip/, { kind: 'gzip-bomb' }],
    ['MAP_ENCODED', /br/, { kind: 'encoding', encoding: 'br' }],
  ];

  it.each(FAULTS)('says %s with %s for %j, and is read as soon as that passes', async (...row) => {
    const [code, words, fault] = row;
    await using server = await FaultServer.start();
    server.put(PATH, MAP);
    const source = sourceAt(server);
    server.break(fault);
    const deadline = code === 'MAP_TIMEOUT' ? { signal: AbortSignal.timeout(SHORT) } : {};
    const refusal = await refusalOf(source.read(requestOf(deadline)));
    expect([refusal.code, refusal.message]).toEqual([code, expect.stringMatching(words)]);
    expect(refusal.message).toContain(URL_OF_MAP);
    server.heal();
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    await server.drained(1);
  });

  it.each([503, 429])(
    'says what the store answers with HTTP %i, though it asks to wait longer than there is time',
    async (status) => {
      await using server = await FaultServer.start();
      server.break({ ...S3_ERRORS.slowDown, status, retryAfter: 1 });
      const signal = AbortSignal.timeout(SHORT);
      const refusal = await refusalOf(sourceAt(server).read(requestOf({ signal })));
      expect(refusal.code).toBe('MAP_SOURCE_FAILED');
      expect(refusal.message).toContain(`SlowDown with HTTP ${status}`);
    },
  );

  it('gives up at the deadline where the store answers no more after an error', async () => {
    await using server = await FaultServer.start();
    server.break({ kind: 'error-burst', count: 1 });
    const signal = AbortSignal.timeout(2000);
    const reading = refusalOf(sourceAt(server).read(requestOf({ signal })));
    while (server.requests.length === 0) await turn();
    server.break({ kind: 'stall-headers' });
    expect((await reading).code).toBe('MAP_TIMEOUT');
    expect(server.requests).toHaveLength(2);
  });

  it('outlives two errors in a row within one read', async () => {
    await using server = await FaultServer.start();
    server.put(PATH, MAP);
    server.break({ kind: 'error-burst', count: 2 });
    expect(shown(await sourceAt(server).read(requestOf()))).toMatchObject({ text: MAP });
    expect(server.requests).toHaveLength(3);
  });

  it('hands on what is no map, for the parser to refuse', async () => {
    await using server = await FaultServer.start();
    server.break({ kind: 'garbage-map' });
    expect(shown(await sourceAt(server).read(requestOf()))).toMatchObject({
      text: expect.stringContaining('<html>') as unknown,
    });
  });

  it('reads a map whose length the server does not tell', async () => {
    await using server = await FaultServer.start();
    server.put(PATH, MAP);
    server.break({ kind: 'no-length' });
    expect(shown(await sourceAt(server).read(requestOf()))).toMatchObject({ text: MAP });
  });

  it('reads a map that has no ETag, each time and without a condition', async () => {
    await using server = await FaultServer.start();
    server.put(PATH, MAP);
    server.break({ kind: 'no-etag' });
    const source = sourceAt(server);
    const etag = await etagOf(source);
    expect(shown(await source.read(requestOf({ etag })))).toMatchObject({ text: MAP });
    expect(server.requests.at(-1)?.headers).not.toHaveProperty('if-none-match');
  });

  it('does not take a map for unchanged that had no ETag to ask by', async () => {
    await using server = await FaultServer.start();
    server.break({ kind: 'not-modified' });
    const refusal = await refusalOf(sourceAt(server).read(requestOf({ etag: '' })));
    expect(refusal.code).toBe('MAP_SOURCE_FAILED');
    expect(refusal.message).toContain('gave nothing before');
  });

  it.each(['identity', 'Identity', 'AWS-Chunked', ''])(
    'reads a map whose encoding is %j',
    async (encoding) => {
      await using server = await FaultServer.start();
      server.put(PATH, MAP);
      server.break({ kind: 'encoding', encoding });
      expect(shown(await sourceAt(server).read(requestOf()))).toMatchObject({ text: MAP });
    },
  );

  it('gives up at the deadline where an error stalls in its first bytes', async () => {
    await using server = await FaultServer.start();
    server.break({ kind: 'stall-error' });
    const signal = AbortSignal.timeout(SHORT);
    const refusal = await refusalOf(sourceAt(server).read(requestOf({ signal })));
    expect(refusal.code).toBe('MAP_TIMEOUT');
    await server.drained();
  });

  it('does not take a 304 that nobody asked for as a success', async () => {
    await using server = await FaultServer.start();
    server.break({ kind: 'not-modified' });
    const noted: string[] = [];
    const map = new CachedMap({
      source: sourceAt(server),
      settings: {
        refreshInterval: 60_000,
        timeout: 5000,
        maxBytes: 1000,
        allowedTargets: [],
        allowRollback: false,
        maxShrink: 1,
      },
      observer: {
        loaded: () => noted.push('loaded'),
        unchanged: () => noted.push('unchanged'),
        rejected: () => noted.push('failed'),
        stale: () => noted.push('failed'),
        cacheFailed: () => noted.push('cacheFailed'),
        cacheUnused: () => noted.push('cacheUnused'),
      },
    });
    await map.start();
    map.stop();
    expect(noted).toEqual(['failed']);
    expect(map.lastSuccess).toBeUndefined();
    expect(map.lastError).toBeDefined();
  });

  it('cannot be reached while connections are refused, and is read again after that', async () => {
    await using server = await FaultServer.start();
    server.put(PATH, MAP);
    const source = sourceAt(server);
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    await server.refuse();
    for (let round = 0; round < 2; round += 1) {
      expect((await refusalOf(source.read(requestOf()))).code).toBe('MAP_UNREACHABLE');
    }
    await server.listen();
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
  });

  it('cannot be reached at a host without an address', async () => {
    // A label of over 63 characters fails in the resolver itself; nothing is asked of the network.
    const endpoint = `http://${'a'.repeat(64)}.invalid`;
    const source = createS3Source(URL_OF_MAP, settingsOf({ endpoint }));
    const refusal = await refusalOf(source.read(requestOf()));
    expect(refusal.code).toBe('MAP_UNREACHABLE');
    expect(refusal.message).toContain('DNS');
  });

  it.each<StoreFault>([
    { kind: 'stall-headers' },
    { kind: 'stall-body' },
    { kind: 'cut-body' },
    { kind: 'huge', announced: true },
    { kind: 'huge', announced: false },
    { kind: 'gzip-bomb' },
    { kind: 'not-modified' },
    S3_ERRORS.accessDenied,
    { kind: 'garbage-error' },
    { kind: 'endless-error', status: 403 },
  ])('piles up no sockets over twenty reads of %j', async (fault) => {
    await using server = await FaultServer.start();
    server.put(PATH, MAP);
    const source = sourceAt(server);
    server.break(fault);
    for (let round = 0; round < 20; round += 1) {
      const signal = AbortSignal.timeout(fault.kind.startsWith('stall') ? 50 : 10_000);
      await source.read(requestOf({ signal })).catch(() => undefined);
    }
    await server.drained(1);
    server.heal();
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    await server.drained(1);
  });

  it('asks by the etag that it gave out', async () => {
    await using server = await FaultServer.start();
    server.put(PATH, MAP);
    const source = sourceAt(server);
    const etag = await etagOf(source);
    await source.read(requestOf({ etag }));
    expect(etag).not.toContain('"');
    expect(server.requests.at(-1)?.headers['if-none-match']).toBe(`"${etag}"`);
  });

  it('is unchanged at a weak ETag as well', async () => {
    await using server = await FaultServer.start();
    server.put(PATH, MAP, 'W/"1"');
    const source = sourceAt(server);
    const etag = await etagOf(source);
    expect(shown(await source.read(requestOf({ etag })))).toBe('unchanged');
    expect(server.requests.at(-1)?.headers['if-none-match']).toBe('W/"1"');
  });

  it('asks for one version and one owner where they are set, and for none where not', async () => {
    await using server = await FaultServer.start();
    const versionId = server.put(PATH, MAP);
    server.put(PATH, '{"newer":true}');
    const pinned = sourceAt(server, { versionId, expectedBucketOwner: '111122223333' });
    expect(shown(await pinned.read(requestOf()))).toMatchObject({ text: MAP });
    expect(server.requests.at(-1)?.query.get('versionId')).toBe(versionId);
    expect(server.requests.at(-1)?.headers).toMatchObject({
      'x-amz-expected-bucket-owner': '111122223333',
    });
    await sourceAt(server).read(requestOf());
    expect(server.requests.at(-1)?.query.has('versionId')).toBe(false);
    expect(server.requests.at(-1)?.headers).not.toHaveProperty('x-amz-expected-bucket-owner');
    const gone = sourceAt(server, { versionId: 'v99' });
    expect((await refusalOf(gone.read(requestOf()))).message).toContain('imageMap.s3.versionId');
  });

  it('signs for the region that is set; a custom endpoint needs none', async () => {
    await using server = await FaultServer.start();
    server.put(PATH, MAP);
    await sourceAt(server, { region: 'ap-south-2' }).read(requestOf());
    expect(server.requests.at(-1)?.headers.authorization).toContain('/ap-south-2/s3/');
    await sourceAt(server, { region: '' }).read(requestOf());
    expect(server.requests.at(-1)?.headers.authorization).toMatch(/\/[a-z]+-[a-z]+-\d\/s3\//);
  });

  it('asks for a region where none is known', async () => {
    const source = createS3Source(URL_OF_MAP, settingsOf({ region: '' }));
    const refusal = await refusalOf(source.read(requestOf()));
    expect(refusal.code).toBe('MAP_REGION_WRONG');
    expect(refusal.message).toContain('imageMap.s3.region');
  });

  it('asks for credentials again where nobody answered, and does not wait for those for ever', async () => {
    await using workspace = await Workspace.create();
    await using server = await FaultServer.start();
    await using sts = await FakeSts.start();
    server.put(PATH, bytesOfText(MAP));
    const setBack = setAws({
      AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/sdr',
      AWS_WEB_IDENTITY_TOKEN_FILE: await workspace.write('token', 'jwt'),
      AWS_ENDPOINT_URL_STS: sts.url,
    });
    try {
      const source = sourceAt(server);
      const given = new AbortController();
      void source.read(requestOf({ signal: given.signal })).catch(() => undefined);
      await sts.asked;
      sts.answer = { status: 200, body: credentialsOfSts() };
      given.abort();
      expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
      source.close?.();
    } finally {
      setBack();
    }
  });

  it('gives up at the deadline where nobody answers for credentials', async () => {
    await using workspace = await Workspace.create();
    await using sts = await FakeSts.start();
    const setBack = setAws({
      AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/sdr',
      AWS_WEB_IDENTITY_TOKEN_FILE: await workspace.write('token', 'jwt'),
      AWS_ENDPOINT_URL_STS: sts.url,
    });
    try {
      const store = new S3Store('sdr-config', settingsOf({}));
      const signal = AbortSignal.timeout(SHORT);
      const request = { key: 'map.json', maxBytes: 100, signal };
      const put = { ...request, bytes: bytesOfText('{}'), contentType: 'a/b', replaces: undefined };
      expect((await refusalOf(store.get(request))).code).toBe('MAP_TIMEOUT');
      expect((await refusalOf(store.put(put))).code).toBe('MAP_TIMEOUT');
    } finally {
      setBack();
    }
  });

  /** Why a map is not read with these variables of the SDK; the store itself is well. */
  async function refusalWith(
    variables: Record<string, string>,
    overrides: Partial<S3SourceSettings> = {},
  ): Promise<Awaited<ReturnType<typeof refusalOf>>> {
    await using server = await FaultServer.start();
    server.put(PATH, MAP);
    const source = sourceAt(server, overrides);
    const setBack = setAws(variables);
    const refusal = await refusalOf(source.read(requestOf())).finally(setBack);
    expect(server.requests).toEqual([]);
    source.close?.();
    return refusal;
  }

  const DENIED = 'Not authorized to perform sts:AssumeRoleWithWebIdentity';

  it.each([
    [403, 'AccessDenied', DENIED],
    [400, 'InvalidIdentityToken', 'No provider found'],
    [400, 'ExpiredTokenException', 'Token expired'],
    [403, 'nothing more', ''],
  ])('lacks credentials where STS answers %i and %s, and says that it was STS', async (...row) => {
    const [status, code, said] = row;
    const body = said === '' ? '' : errorOfSts(code, said);
    await using workspace = await Workspace.create();
    await using sts = await FakeSts.start();
    sts.answer = { status, body };
    const refusal = await refusalWith({
      AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/sdr',
      AWS_WEB_IDENTITY_TOKEN_FILE: await workspace.write('token', 'jwt'),
      AWS_ENDPOINT_URL_STS: sts.url,
    });
    expect(refusal.code).toBe('MAP_CREDENTIALS_REFUSED');
    expect(refusal.message).toMatch(/STS answered \w+ with HTTP/);
    expect(refusal.message).toContain(`HTTP ${status} (${said}`);
    expect(refusal.message).toContain('trust policy');
    expect(refusal.message).not.toContain('s3:GetObject');
  });

  it('shows on one line, bounded and without a token, what STS says', async () => {
    await using workspace = await Workspace.create();
    await using sts = await FakeSts.start();
    const long = 'words\n'.repeat(1000);
    sts.answer = { status: 400, body: errorOfSts('Refused', `eyJhbGci.eyJzdWIi.hush ${long}`) };
    const { message } = await refusalWith({
      AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/sdr',
      AWS_WEB_IDENTITY_TOKEN_FILE: await workspace.write('token', 'jwt'),
      AWS_ENDPOINT_URL_STS: sts.url,
    });
    expect(message).toMatch(/words words …?/);
    expect(message).not.toMatch(/eyJ|hush|\n/);
    expect(message.length).toBeLessThan(700);
  });

  it('lacks credentials where STS cannot be reached, and does not say it of the store', async () => {
    await using workspace = await Workspace.create();
    const gone = await FaultServer.start();
    await gone.refuse();
    const refusal = await refusalWith({
      AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/sdr',
      AWS_WEB_IDENTITY_TOKEN_FILE: await workspace.write('token', 'jwt'),
      AWS_ENDPOINT_URL_STS: gone.url,
    });
    expect(refusal.code).toBe('MAP_CREDENTIALS_REFUSED');
    expect(refusal.message).toMatch(/STS.*cannot be reached \(ECONNREFUSED/);
  });

  it('trusts STS by the CA that is set', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    await using sts = await FaultServer.start(await authority.issue('sts'));
    const variables = {
      AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/sdr',
      AWS_WEB_IDENTITY_TOKEN_FILE: await workspace.write('token', 'jwt'),
      AWS_ENDPOINT_URL_STS: sts.url,
    };
    const untrusted = await refusalWith(variables);
    expect(untrusted.code).toBe('MAP_CREDENTIALS_REFUSED');
    expect(untrusted.message).toMatch(/STS.*imageMap\.s3\.caFile/);
    const caFile = await workspace.write('ca.crt', authority.cert);
    expect((await refusalWith(variables, { caFile })).message).toContain('STS answered');
  });

  it.each([
    ['is missing', 'test/no-such-file'],
    ['is a folder', 'test'],
  ])('lacks credentials where the token file of IRSA %s', async (_name, file) => {
    const refusal = await refusalWith({
      AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/sdr',
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
    });
    expect(refusal.code).toBe('MAP_CREDENTIALS_REFUSED');
    expect(refusal.message).toMatch(/E(?:NOENT|ISDIR).*AWS_WEB_IDENTITY_TOKEN_FILE/);
  });

  it('lacks credentials where the token file of EKS Pod Identity is missing', async () => {
    const refusal = await refusalWith({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/v1/credentials',
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: 'test/no-such-file',
    });
    expect(refusal.code).toBe('MAP_CREDENTIALS_REFUSED');
    expect(refusal.message).toMatch(/ENOENT.*AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE/);
  });

  it('quotes nothing of credentials that are cut short', async () => {
    await using agent = await FakeSts.start();
    agent.answer = { status: 200, body: '{"AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":hush' };
    const refusal = await refusalWith({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials`,
    });
    expect(refusal.code).toBe('MAP_CREDENTIALS_REFUSED');
    expect(refusal.message).toContain('no JSON');
    expect(refusal.message).not.toContain('hush');
  });

  it('lacks a region rather than credentials where it has neither', async () => {
    const setBack = setAws({});
    const source = createS3Source(URL_OF_MAP, settingsOf({ region: '' }));
    const refusal = await refusalOf(source.read(requestOf())).finally(setBack);
    expect(refusal.code).toBe('MAP_REGION_WRONG');
  });

  it.each([204, 206])('does not take HTTP %i for the whole map', async (status) => {
    const server = createServer((_request, response) => {
      response.writeHead(status, { 'content-range': 'bytes 0-1/9000' }).end('{}');
    }).listen(0, 'localhost');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const source = createS3Source(URL_OF_MAP, settingsOf({ endpoint: `http://localhost:${port}` }));
    const refusal = await refusalOf(source.read(requestOf()));
    expect(refusal.code).toBe('MAP_SOURCE_FAILED');
    expect(refusal.message).toContain(`HTTP ${status}`);
    source.close?.();
    server.close();
  });

  it('asks for credentials where there are none', async () => {
    await using server = await FaultServer.start();
    const setBack = setAws({});
    const refusal = await refusalOf(sourceAt(server).read(requestOf())).finally(setBack);
    expect(refusal.code).toBe('MAP_CREDENTIALS_REFUSED');
    expect(refusal.message).toContain('IRSA');
    expect(server.requests).toEqual([]);
  });

  it('is read over TLS with the CA that is set, and with no other', async () => {
    await using workspace = await Workspace.create();
    const [authority, other] = [await createAuthority(), await createAuthority('another CA')];
    await using server = await FaultServer.start(await authority.issue('store'));
    server.put(PATH, MAP);
    const caFile = await workspace.write('ca.crt', authority.cert);
    const otherFile = await workspace.write('other.crt', other.cert);
    const source = sourceAt(server, { caFile });
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    for (const wrong of [otherFile, '', workspace.path('none.crt')]) {
      const refusal = await refusalOf(sourceAt(server, { caFile: wrong }).read(requestOf()));
      expect([wrong, refusal.code]).toEqual([wrong, 'MAP_TLS_FAILED']);
      expect(refusal.message).toContain('imageMap.s3.caFile');
    }
    expect(server.requests).toHaveLength(1);
  });

  it('is read with the CA that its file holds by then, over no connection made before', async () => {
    const authority = await createAuthority();
    await using server = await FaultServer.start(await authority.issue('store'));
    server.put(PATH, MAP);
    await expectRenewedCa(server, authority, MAP, (caFile) => sourceAt(server, { caFile }));
  });

  it('goes through the proxy of the environment', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    const caFile = await workspace.write('ca.crt', authority.cert);
    await using plain = await FaultServer.start();
    await using tls = await FaultServer.start(await authority.issue('store', ['store.example']));
    await using httpProxy = await ForwardProxy.start(plain.port);
    await using httpsProxy = await ForwardProxy.start(tls.port);
    plain.put(PATH, MAP);
    tls.put(PATH, MAP);
    const read = (endpoint: string, env: NodeJS.ProcessEnv): ReturnType<MapSource['read']> =>
      createS3Source(URL_OF_MAP, settingsOf({ endpoint, caFile, env })).read(requestOf());

    for (const name of ['HTTP_PROXY', 'http_proxy']) {
      const reading = await read('http://store.example', { [name]: httpProxy.url });
      expect(shown(reading)).toMatchObject({ text: MAP });
    }
    expect(httpProxy.asked).toHaveLength(2);
    expect(httpProxy.asked[0]).toContain(`GET http://store.example`);
    for (const name of ['HTTPS_PROXY', 'https_proxy']) {
      const reading = await read('https://store.example', { [name]: httpsProxy.url });
      expect(shown(reading)).toMatchObject({ text: MAP });
    }
    expect(httpsProxy.asked).toEqual(Array.from({ length: 2 }, () => 'CONNECT store.example:443'));
    for (const name of ['NO_PROXY', 'no_proxy']) {
      const env = { HTTP_PROXY: httpProxy.url, [name]: 'example.com,127.0.0.1' };
      expect(shown(await read(plain.url, env))).toMatchObject({ text: MAP });
    }
    expect(httpProxy.asked).toHaveLength(2);
  });

  it.each([
    ['407 Proxy Authentication Required', 'HTTP 407'],
    ['403 Forbidden', 'HTTP 403'],
    ['503 Service Unavailable', 'HTTP 503'],
    ['', 'closed the connection'],
  ])('cannot be reached through a proxy that answers %j', async (answer, said) => {
    await using proxy = await ForwardProxy.start(1);
    proxy.refusal = answer;
    const env = { HTTPS_PROXY: proxy.url };
    const endpoint = 'https://store.example';
    const source = createS3Source(URL_OF_MAP, settingsOf({ endpoint, env }));
    const refusal = await refusalOf(source.read(requestOf()));
    expect(refusal.code).toBe('MAP_UNREACHABLE');
    expect(refusal.message).toContain(said);
    expect(refusal.message).toContain('proxy variables');
  });

  it('cannot be reached through a proxy that is gone', async () => {
    const proxy = await FaultServer.start();
    await proxy.refuse();
    const env = { HTTP_PROXY: proxy.url };
    const source = createS3Source(
      URL_OF_MAP,
      settingsOf({ endpoint: 'http://store.example', env }),
    );
    const refusal = await refusalOf(source.read(requestOf()));
    expect(refusal.code).toBe('MAP_UNREACHABLE');
    expect(refusal.message).toContain('proxy');
  });
});

describe('S3Store', () => {
  acceptCoreErrors();
  let restore = (): void => undefined;
  beforeAll(() => {
    restore = setAws(CREDENTIALS);
  });
  afterAll(() => restore());

  it('writes an object only over the version that is to be replaced', async () => {
    await using server = await FaultServer.start();
    const store = new S3Store('sdr-config', settingsOf({ endpoint: server.url }));
    const put = (text: string, replaces: string | undefined) =>
      store.put({
        key: 'maps/image-map.json',
        bytes: bytesOfText(text),
        contentType: 'application/json',
        replaces,
        signal: AbortSignal.timeout(10_000),
      });
    const first = await put('one', undefined);
    expect(first).toMatchObject({ kind: 'written', versionId: 'v1' });
    const etag = first.kind === 'written' ? first.etag : '';
    expect(await put('two', undefined)).toEqual({ kind: 'lost' });
    expect(await put('two', 'another')).toEqual({ kind: 'lost' });
    expect(await put('two', etag)).toMatchObject({ kind: 'written', versionId: 'v2' });
    expect(server.textAt(PATH)).toBe('two');
    server.remove(PATH);
    expect(await put('three', etag)).toEqual({ kind: 'lost' });
    server.break(S3_ERRORS.accessDenied);
    expect((await refusalOf(put('three', undefined))).code).toBe('MAP_ACCESS_DENIED');
    store.close();
  });

  it('says what the store answers to a write, though it asks to wait longer than there is time', async () => {
    await using server = await FaultServer.start();
    const store = new S3Store('sdr-config', settingsOf({ endpoint: server.url }));
    server.break({ ...S3_ERRORS.slowDown, retryAfter: 1 });
    const put = {
      key: 'image-map.json',
      bytes: bytesOfText('{}'),
      contentType: 'application/json',
      replaces: undefined,
      signal: AbortSignal.timeout(SHORT),
    };
    expect((await refusalOf(store.put(put))).code).toBe('MAP_SOURCE_FAILED');
    store.close();
  });

  it('writes over an object with a weak ETag just as it came', async () => {
    await using server = await FaultServer.start();
    const store = new S3Store('sdr-config', settingsOf({ endpoint: server.url }));
    const key = 'maps/image-map.json';
    server.put(PATH, 'one', 'W/"1"');
    const signal = AbortSignal.timeout(10_000);
    const present = await store.get({ key, maxBytes: 100, signal });
    const replaces = present.kind === 'found' ? present.etag : undefined;
    const put = {
      key,
      bytes: bytesOfText('two'),
      contentType: 'application/json',
      replaces,
      signal,
    };
    expect(await store.put(put)).toMatchObject({ kind: 'written' });
    expect(server.requests.at(-1)?.headers['if-match']).toBe('W/"1"');
    store.close();
  });
});

describe('parseS3Url', () => {
  it('splits bucket and key', () => {
    expect(parseS3Url('s3://sdr-config/a/b.json')).toEqual({
      bucket: 'sdr-config',
      key: 'a/b.json',
    });
  });

  it.each(['', 's3://', 's3://bucket', 's3://bucket/', 's3:///key', 'https://bucket/key', 'b/k'])(
    'refuses %j',
    (text) => {
      expect(() => parseS3Url(text)).toThrow(expect.objectContaining({ code: 'MAP_UNREADABLE' }));
    },
  );

  it('names what it refuses, without what may be a secret', () => {
    expect(() => parseS3Url('s3://bucket')).toThrow(/"s3:\/\/bucket"/);
    expect(() => parseS3Url('s3://user:hush@bucket?token=hush')).toThrow(/"s3:\/\/bucket"/);
  });
});
