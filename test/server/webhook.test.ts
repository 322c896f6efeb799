import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import jsonpatch, { type Operation } from 'fast-json-patch';
import { parseConfig, policySettings } from '../../src/config/config.ts';
import { createPolicy, type Policy } from '../../src/core/policy.ts';
import { createMetrics, type Metrics } from '../../src/metrics.ts';
import { createAuditor } from '../../src/server/audit.ts';
import { checkCertificate } from '../../src/server/tls.ts';
import { buildWebhook, type WebhookServer } from '../../src/server/webhook.ts';
import { type Authority, createAuthority } from '../support/certificates.ts';
import { recordLog, type RecordedLog } from '../support/events.ts';
import { HttpsClient } from '../support/https-client.ts';

const MIRROR = 'registry.corp.example/mirror';

function policyFrom(lines: string): Policy {
  const config = parseConfig(`apiVersion: sdr-image-rewriter/v1\n${lines}`);
  if ('faults' in config) {
    throw new Error(JSON.stringify(config.faults));
  }
  return createPolicy(policySettings(config));
}

const PREFIX_POLICY = policyFrom(`procurement: prefix\ncontainerRegistryBase: ${MIRROR}\n`);

function brokenPolicy(): Policy {
  return {
    ...PREFIX_POLICY,
    decide: () => {
      throw new Error('broken on purpose');
    },
  };
}

function fixture(name: string): string {
  return readFileSync(`test/fixtures/admission-reviews/${name}.json`, 'utf8');
}

interface Answer {
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly patch?: string;
    readonly patchType?: string;
    readonly warnings?: readonly string[];
    readonly status?: { readonly code: number; readonly message: string };
  };
}

function parseAnswer(body: string): Answer['response'] & { readonly operations: Operation[] } {
  const { response } = JSON.parse(body) as Answer;
  const operations =
    response.patch === undefined
      ? []
      : (JSON.parse(Buffer.from(response.patch, 'base64').toString()) as Operation[]);
  return { ...response, operations };
}

function podReview(object: unknown, request: object = {}): string {
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u-1',
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      object,
      ...request,
    },
  });
}

/** One running server, and everything that a test wants to turn or to look at. */
interface Rig {
  readonly server: WebhookServer;
  readonly recorded: RecordedLog;
  readonly metrics: Metrics;
  readonly port: number;
  readonly url: string;
  policy: Policy | undefined;
  isDraining: boolean;
}

let authority: Authority;

async function startRig(
  options: { clients?: { subjects: string[] }; requestTimeout?: number; bodyMemory?: number } = {},
): Promise<Rig> {
  const { cert, key } = await authority.issue('sdr-image-rewriter');
  const recorded = recordLog();
  const metrics = createMetrics();
  const rig: { policy: Policy | undefined; isDraining: boolean } = {
    policy: PREFIX_POLICY,
    isDraining: false,
  };
  const server = buildWebhook({
    certificate: checkCertificate(cert, key, 'TLSv1.2', authority.cert),
    auditor: createAuditor(recorded.log, metrics, () => 1500),
    policy: () => rig.policy,
    isDraining: () => rig.isDraining,
    ...options,
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  const { port } = server.server.address() as AddressInfo;
  return Object.assign(rig, { server, recorded, metrics, port, url: `https://localhost:${port}` });
}

function openSocket(rig: Rig): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port: rig.port, host: 'localhost', ca: authority.cert });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

function rawRequest(body: string, path = '/mutate'): string {
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

beforeAll(async () => {
  authority = await createAuthority();
});

describe('the webhook over HTTPS', () => {
  let rig: Rig;
  let client: HttpsClient;

  beforeAll(async () => {
    rig = await startRig();
    client = new HttpsClient(rig.url, { ca: authority.cert });
  });
  afterAll(async () => {
    client.close();
    await rig.server.close();
  });

  async function mutate(
    body: string | Uint8Array,
    path = '/mutate',
  ): Promise<ReturnType<typeof parseAnswer>> {
    const { status, body: text } = await client.send(path, body);
    expect(status).toBe(200);
    return parseAnswer(text);
  }

  it.each([
    [
      'create-deployment-pod',
      { '/spec/containers/0/image': `${MIRROR}/atlanhq/atlan-mysql-app:main-97b8c95` },
    ],
    [
      'create-job-pod-digest',
      {
        '/spec/containers/0/image': `${MIRROR}/atlanhq/atlan-crawler:2.4.1@sha256:9b2a0c0c5b0f3d5a4a0d1f6d8f9a1b2c3d4e5f60718293a4b5c6d7e8f9012345`,
        '/spec/containers/1/image': `${MIRROR}/public/app-runtime-base:3`,
      },
    ],
    [
      'create-plain-pod-image-volume',
      {
        '/spec/containers/0/image': `${MIRROR}/atlanhq/agent`,
        '/spec/volumes/0/image/reference': `${MIRROR}/atlanhq/models:2026.1`,
      },
    ],
    ['update-label-only', {}],
    [
      'update-set-image',
      { '/spec/containers/1/image': `${MIRROR}/atlanhq/atlan-oracle-app:main-ec46120` },
    ],
    [
      'update-ephemeralcontainers',
      { '/spec/ephemeralContainers/0/image': `${MIRROR}/atlanhq/debug-tools:1` },
    ],
  ])('answers the captured review %s with exactly its rewrites', async (name, images) => {
    const text = fixture(name);
    const { request } = JSON.parse(text) as { request: { uid: string; object: object } };
    const { uid, allowed, operations, patchType } = await mutate(text);
    expect({ uid, allowed }).toEqual({ uid: request.uid, allowed: true });
    const replaced = operations.filter(({ op }) => op === 'replace');
    expect(
      Object.fromEntries(replaced.map((each) => [each.path, 'value' in each && each.value])),
    ).toEqual(images);
    const others = operations.filter(({ op }) => op !== 'replace').map(({ path }) => path);
    expect(others.every((path) => path.startsWith('/metadata/annotations'))).toBe(true);
    expect(others.length > 0).toBe(name.startsWith('create'));
    expect(patchType).toBe(operations.length === 0 ? undefined : 'JSONPatch');
    expect(() => jsonpatch.applyPatch(request.object, operations, true, false)).not.toThrow();
  });

  it('decides the same on /audit and patches nothing', async () => {
    const answer = await mutate(fixture('create-deployment-pod'), '/audit?timeout=5s');
    expect(answer).toMatchObject({ allowed: true, operations: [] });
    expect(answer.warnings).toHaveLength(1);
    expect(rig.recorded.lines.at(-1)).toMatchObject({
      event: 'admission',
      mode: 'audit',
      outcome: 'rewritten',
      images: expect.arrayContaining([expect.objectContaining({ rule: 'base' })]) as unknown,
    });
  });

  it('writes one audit line for each request, with names and images and nothing else of the pod', async () => {
    const before = rig.recorded.lines.length;
    await mutate(fixture('create-deployment-pod'));
    const lines = rig.recorded.lines.slice(before);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level: 'info',
      event: 'admission',
      mode: 'enforce',
      uid: 'b9c1885f-727c-433f-8abb-a7ab53750959',
      dryRun: false,
      operation: 'CREATE',
      namespace: 'sdr',
      pod: 'atlan-mysql-app-f486fcc8c-',
      owner: 'ReplicaSet/atlan-mysql-app-f486fcc8c',
      user: 'system:serviceaccount:kube-system:replicaset-controller',
      outcome: 'rewritten',
    });
    expect(lines[0]?.images).toEqual([
      {
        container: 'main',
        field: 'containers',
        source: 'atlanhq/atlan-mysql-app:main-97b8c95',
        target: `${MIRROR}/atlanhq/atlan-mysql-app:main-97b8c95`,
        rule: 'base',
        reason: null,
      },
      expect.objectContaining({
        container: 'wait-for-temporal',
        target: null,
        reason: 'out-of-scope',
      }),
      expect.objectContaining({ container: 'daprd', target: null, reason: 'out-of-scope' }),
    ]);
    expect(JSON.stringify(lines[0])).not.toMatch(/ATLAN_AUTH|secretKeyRef|temporal 7233/);
  });

  it('counts requests and images without any name in a label', async () => {
    await mutate(fixture('create-deployment-pod'));
    const text = await rig.metrics.registry.metrics();
    expect(text).toMatch(/requests_total\{operation="CREATE",outcome="rewritten"\} \d+/);
    expect(text).toMatch(/images_total\{outcome="rewritten",rule="base",field="containers"\} \d+/);
    expect(text).toMatch(/request_duration_seconds_bucket\{le="0.0005"\} \d+/);
    expect(text).not.toMatch(/atlanhq|sdr"|mysql/);
  });

  it.each<[string, string | Uint8Array, Record<string, string>, number, string]>([
    [
      'text that is not JSON',
      'hello',
      { 'content-type': 'application/json' },
      400,
      'REVIEW_NOT_JSON',
    ],
    ['an empty body', '', { 'content-type': 'application/json' }, 400, 'REVIEW_NOT_JSON'],
    [
      'cut JSON',
      fixture('update-label-only').slice(0, 900),
      { 'content-type': 'application/json' },
      400,
      'REVIEW_NOT_JSON',
    ],
    ['another content type', '{}', { 'content-type': 'text/plain' }, 415, 'REVIEW_MEDIA_TYPE'],
    ['no content type', '{}', {}, 415, 'REVIEW_MEDIA_TYPE'],
    ['null', 'null', { 'content-type': 'application/json' }, 400, 'REVIEW_INVALID'],
    ['a list', '[]', { 'content-type': 'application/json' }, 400, 'REVIEW_INVALID'],
    [
      'v1beta1',
      '{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u"}}',
      { 'content-type': 'application/json; charset=utf-8' },
      400,
      'REVIEW_INVALID',
    ],
    [
      'a review without a request',
      '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
      { 'content-type': 'application/json' },
      400,
      'REVIEW_INVALID',
    ],
    [
      'a review without a uid',
      '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{}}',
      { 'content-type': 'application/json' },
      400,
      'REVIEW_INVALID',
    ],
    [
      'deep nesting',
      '['.repeat(3_000_000),
      { 'content-type': 'application/json' },
      400,
      'REVIEW_NOT_JSON',
    ],
  ])('answers %s with a sentence and a code', async (_title, body, headers, status, code) => {
    const answer = await client.send('/mutate', body, headers);
    expect(answer.status).toBe(status);
    const { code: got, message } = JSON.parse(answer.body) as { code: string; message: string };
    expect(got).toBe(code);
    expect(message).not.toBe('');
    expect(rig.recorded.lines.at(-1)).toMatchObject({ event: 'admission', outcome: 'error', code });
  });

  it('shows nothing of a body that is not JSON, in the answer or in the log', async () => {
    for (const tail of ['NaN]}', '@]}', "'x']}", '}']) {
      const body = `{"request":{"args":["--password=hunter2",${tail}`;
      const answer = await client.send('/mutate', body);
      expect(answer.status).toBe(400);
      expect(answer.body).toMatch(/the body is not JSON: [A-Z]/);
      expect([answer.body, JSON.stringify(rig.recorded.lines.at(-1))].join()).not.toMatch(/unter/);
    }
  });

  it('answers a path that cannot be decoded in its own words, and logs it', async () => {
    const before = rig.recorded.lines.length;
    const answer = await client.send('/mutate%', '{}');
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'REVIEW_INVALID' });
    expect(rig.recorded.lines).toHaveLength(before + 1);
    // The connection is of use after it.
    expect((await client.send('/mutate', fixture('create-deployment-pod'))).status).toBe(200);
  });

  it('refuses a compressed body and names its encoding', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const answer = await client.send(
      '/mutate',
      gzipSync(fixture('create-deployment-pod')),
      headers,
    );
    expect(answer.status).toBe(415);
    expect(JSON.parse(answer.body)).toMatchObject({
      code: 'REVIEW_MEDIA_TYPE',
      message: expect.stringContaining('"gzip"') as unknown,
    });
    const plain = { ...headers, 'content-encoding': 'identity' };
    const body = fixture('create-deployment-pod');
    expect((await client.send('/mutate', body, plain)).status).toBe(200);
  });

  it('answers a body over 7 MiB with 413', async () => {
    const own = new HttpsClient(rig.url, { ca: authority.cert });
    const limit = 7 * 1024 * 1024;
    const big = await own.send('/mutate', `"${'x'.repeat(limit)}"`);
    expect(big.status).toBe(413);
    expect(JSON.parse(big.body)).toMatchObject({ code: 'REVIEW_TOO_LARGE' });
    const fits = await own.send('/mutate', `"${'x'.repeat(limit - 2)}"`);
    expect(fits.status).toBe(400);
    own.close();
  });

  it('answers another path or method with 404', async () => {
    expect((await client.send('/', '{}')).status).toBe(404);
    expect((await client.send('/mutate', '', {}, 'GET')).status).toBe(404);
  });

  it('lets requests without an object and other resources pass untouched, and counts them', async () => {
    const deletion = await mutate(podReview(null, { operation: 'DELETE' }));
    expect(deletion).toMatchObject({ allowed: true, operations: [] });
    const other = await mutate(
      podReview(
        { spec: {} },
        { resource: { group: 'apps', version: 'v1', resource: 'deployments' } },
      ),
    );
    expect(other).toMatchObject({ allowed: true, operations: [] });
    expect(rig.recorded.lines.at(-1)).toMatchObject({ outcome: 'kept', reason: 'not-a-pod' });
    const text = await rig.metrics.registry.metrics();
    expect(text).toMatch(/requests_total\{operation="DELETE",outcome="kept"\} 1/);
  });

  it('takes labels and annotations named __proto__ and constructor as ordinary strings', async () => {
    const pod =
      '{"metadata":{"labels":{"__proto__":"a","constructor":"b"},"annotations":{"__proto__":"c"}},"spec":{"containers":[{"name":"__proto__","image":"atlanhq/x:1"}]}}';
    const { operations } = await mutate(
      podReview(null).replace('"object":null', `"object":${pod}`),
    );
    expect(operations[0]).toEqual({
      op: 'replace',
      path: '/spec/containers/0/image',
      value: `${MIRROR}/atlanhq/x:1`,
    });
  });

  it.each(['plain', 'ü', '鏡', '🪞 "}}\\', '\u2028'])(
    'answers in UTF-8, as many bytes as it says, to a uid and a container named %j',
    async (text) => {
      const spec = { containers: [{ name: text, image: 'atlanhq/x:1' }] };
      const { body, headers } = await client.send(
        '/mutate',
        podReview({ metadata: {}, spec }, { uid: text }),
      );
      expect(parseAnswer(body)).toMatchObject({
        uid: text,
        patchType: 'JSONPatch',
        operations: [
          { op: 'replace', value: `${MIRROR}/atlanhq/x:1` },
          {
            value: {
              'sdr-image-rewriter.io/original-images': JSON.stringify({
                [`containers/${text}`]: 'atlanhq/x:1',
              }),
            },
          },
        ],
      });
      expect(headers['content-length']).toBe(String(Buffer.byteLength(body)));
    },
  );

  it('logs as little of names, which nobody has checked yet', async () => {
    const name = '\u0001'.repeat(200_000);
    await mutate(
      podReview({
        metadata: { name, ownerReferences: [{ controller: true, kind: name, name }] },
        spec: { containers: [{ name, image: 'atlanhq/x:1' }] },
      }),
    );
    const line = rig.recorded.lines.at(-1);
    expect(JSON.stringify(line).length).toBeLessThan(20_000);
    expect(line).toMatchObject({ outcome: 'rewritten' });
  });

  it('decides 10,000 containers and an image of 1 MiB', async () => {
    const containers = Array.from({ length: 10_000 }, (_, index) => ({
      name: `c${index}`,
      image: `atlanhq/x:${index}`,
    }));
    containers[5] = { name: 'huge', image: 'a'.repeat(1_048_576) };
    const { operations, warnings } = await mutate(
      podReview({ metadata: {}, spec: { containers } }),
    );
    expect(operations.filter(({ op }) => op === 'replace')).toHaveLength(9999);
    expect(warnings?.every((warning) => warning.length <= 120)).toBe(true);
    const line = rig.recorded.lines.at(-1);
    expect(line).toMatchObject({ imagesOmitted: 9744 });
    expect(JSON.stringify(line).length).toBeLessThan(100_000);
  });

  it('answers every request of a pipelined burst, in order', async () => {
    const socket = await openSocket(rig);
    const bodies = Array.from({ length: 50 }, (_, index) =>
      podReview(
        { spec: { containers: [{ name: 'c', image: `atlanhq/x:${index}` }] } },
        { uid: `burst-${index}` },
      ),
    );
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
    socket.write(bodies.map((body) => rawRequest(body)).join(''));
    const last = new Promise<void>((resolve) => {
      socket.on('data', () => received.includes('"burst-49"') && resolve());
    });
    await last;
    const uids = [...received.matchAll(/"uid":"(burst-\d+)"/g)].map(([, uid]) => uid);
    expect(uids).toEqual(bodies.map((_, index) => `burst-${index}`));
    socket.destroy();
  });

  it('gives each of many callers that ask at once the answer to its own review', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `at-once-${index}`);
    const answers = await Promise.all(
      names.map((name) => {
        const pod = { spec: { containers: [{ name: 'c', image: `atlanhq/${name}:1` }] } };
        return client.send('/mutate', podReview(pod, { uid: name }));
      }),
    );
    expect(
      answers.map(({ body }) => {
        const { uid, operations } = parseAnswer(body);
        return [uid, operations[0]];
      }),
    ).toEqual(
      names.map((name) => {
        const value = `${MIRROR}/atlanhq/${name}:1`;
        return [name, { op: 'replace', path: '/spec/containers/0/image', value }];
      }),
    );
  });

  it('keeps a connection for longer than the API server does', async () => {
    const { headers } = await client.send('/mutate', fixture('update-label-only'));
    const [, seconds] = /timeout=(\d+)/.exec(String(headers['keep-alive'])) ?? [];
    expect(Number(seconds)).toBeGreaterThanOrEqual(95);
  });

  it('denies with 403, the image and the place of the rules', async () => {
    rig.policy = policyFrom(
      `procurement: prefix\nunmapped: deny\nprefixes: [{source: ghcr.io/atlanhq, target: ${MIRROR}}]\n`,
    );
    try {
      const { allowed, status, operations } = await mutate(fixture('create-deployment-pod'));
      expect({ allowed, operations }).toEqual({ allowed: false, operations: [] });
      expect(status?.code).toBe(403);
      expect(status?.message).toContain(
        'containers/main wants docker.io/atlanhq/atlan-mysql-app:main-97b8c95',
      );
      const audited = await mutate(fixture('create-deployment-pod'), '/audit');
      expect(audited.allowed).toBe(true);
    } finally {
      rig.policy = PREFIX_POLICY;
    }
  });

  it('answers 503 with Retry-After while no map was loaded', async () => {
    rig.policy = undefined;
    try {
      const answer = await client.send('/mutate', fixture('create-deployment-pod'));
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('1');
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'MAP_NOT_LOADED' });
    } finally {
      rig.policy = PREFIX_POLICY;
    }
  });

  it('says in the log what it was asked for where it could not decide', async () => {
    const { request } = JSON.parse(fixture('create-deployment-pod')) as {
      request: { uid: string; namespace: string };
    };
    const { uid, namespace } = request;
    const known = { mode: 'enforce', uid, namespace, operation: 'CREATE', dryRun: false };
    const old = fixture('create-deployment-pod').replace('admission.k8s.io/v1', '$&beta1');
    await client.send('/mutate', old);
    expect(rig.recorded.lines.at(-1)).toMatchObject({ ...known, code: 'REVIEW_INVALID' });
    for (const [policy, code] of [
      [undefined, 'MAP_NOT_LOADED'],
      [brokenPolicy(), 'INTERNAL'],
    ] as const) {
      rig.policy = policy;
      await client.send('/mutate', fixture('create-deployment-pod'));
      rig.policy = PREFIX_POLICY;
      expect(rig.recorded.lines.at(-1)).toMatchObject({ ...known, outcome: 'error', code });
    }
    await client.send('/audit', 'no JSON');
    expect(rig.recorded.lines.at(-1)).toMatchObject({ mode: 'audit', code: 'REVIEW_NOT_JSON' });
  });

  it('answers 500 and lives on when a policy has a fault of its own', async () => {
    rig.policy = brokenPolicy();
    try {
      const answer = await client.send('/mutate', fixture('create-deployment-pod'));
      expect(answer.status).toBe(500);
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'INTERNAL' });
    } finally {
      rig.policy = PREFIX_POLICY;
    }
    expect((await mutate(fixture('create-deployment-pod'))).operations).not.toEqual([]);
  });

  it('asks callers to go elsewhere while it drains, and still answers', async () => {
    rig.isDraining = true;
    try {
      const answer = await client.send('/mutate', fixture('create-deployment-pod'));
      expect(answer.status).toBe(200);
      expect(answer.headers.connection).toBe('close');
    } finally {
      rig.isDraining = false;
    }
  });

  it('serves another certificate after a reload, on the same port and with TLS 1.2 as the least', async () => {
    const next = await authority.issue('renewed');
    rig.server.server.setSecureContext(checkCertificate(next.cert, next.key, 'TLSv1.2').context);
    const socket = await openSocket(rig);
    expect(socket.getPeerCertificate().subject).toMatchObject({ CN: 'renewed' });
    socket.destroy();
    await expect(
      new Promise((resolve, reject) => {
        const old = connectTls({
          port: rig.port,
          ca: authority.cert,
          maxVersion: 'TLSv1.1',
          minVersion: 'TLSv1',
          ciphers: 'ALL@SECLEVEL=0',
        });
        old.once('secureConnect', resolve);
        old.once('error', reject);
      }),
    ).rejects.toThrow();
  });
});

describe('a request that is not as the API server sends it', () => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig();
  });
  afterAll(async () => {
    await rig.server.close();
  });

  /** Sends raw HTTP and returns what comes back until the server has closed the connection. */
  async function exchange(...parts: string[]): Promise<string> {
    const socket = await openSocket(rig);
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (const part of parts) {
      socket.write(part);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await closed;
    return received;
  }

  const body = fixture('create-deployment-pod');
  const usual = rawRequest(body).replace('host:', 'connection: close\r\nhost:');
  const chunked = `${usual.slice(0, usual.indexOf('content-length'))}transfer-encoding: chunked\r\n\r\n${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n0\r\n\r\n`;

  it.each<[string, readonly string[]]>([
    [
      'whose body comes in pieces',
      [usual.slice(0, 400), usual.slice(400, 5000), usual.slice(5000)],
    ],
    ['whose body is chunked', [chunked]],
    ['that names a charset', [usual.replace('/json', '/json; charset=utf-8')]],
    ['whose path is escaped', [usual.replace('/mutate', '/m%75tate?timeout=1s')]],
    ['in HTTP/1.0', [usual.replace('HTTP/1.1', 'HTTP/1.0')]],
  ])('gets the same answer: one %s', async (_title, parts) => {
    const withoutDate = (answer: string): string => answer.replace(/^date: .*\r\n/im, '');
    const answer = withoutDate(await exchange(...parts));
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(answer).toBe(withoutDate(await exchange(usual)));
  });

  it('is told to go on where it asks first', async () => {
    const answer = await exchange(usual.replace('host:', 'expect: 100-continue\r\nhost:'));
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  });

  it('leaves no line where it ends in the middle of its body', async () => {
    const before = rig.recorded.lines.length;
    const socket = await openSocket(rig);
    socket.end(rawRequest(body).slice(0, 2000));
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect((await exchange(usual)).startsWith('HTTP/1.1 200')).toBe(true);
    expect(rig.recorded.lines).toHaveLength(before + 1);
  });

  it('closes the connection after a body over the limit, which it has read', async () => {
    const length = 7 * 1024 * 1024 + 1;
    const head = rawRequest('').replace('content-length: 0', `content-length: ${length}`);
    const answer = await exchange(head, 'x'.repeat(length));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/connection: close/i);
  });
});

/** What comes back over a connection, as text. */
class Conversation {
  readonly socket: TLSSocket;
  /** Resolves with everything that was received, when the connection is closed. */
  readonly closed: Promise<string>;
  #received = '';

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => (this.#received += chunk.toString()));
    this.closed = new Promise((resolve) => socket.once('close', () => resolve(this.#received)));
  }

  static async open(rig: Rig): Promise<Conversation> {
    return new Conversation(await openSocket(rig));
  }

  get isClosed(): boolean {
    return this.socket.closed;
  }

  write(...texts: string[]): void {
    this.socket.write(texts.join(''));
  }

  /** Resolves with everything that was received, when it has this text. */
  async until(text: string): Promise<string> {
    while (!this.#received.includes(text)) {
      if (this.isClosed) throw new Error(`closed after: ${this.#received}`);
      await sleep(5);
    }
    return this.#received;
  }
}

const REVIEW = fixture('create-deployment-pod');
const HALF = rawRequest(REVIEW).slice(0, 2000);

describe('a client that takes its time', () => {
  const requestTimeout = 300;
  /** Node looks for late requests once a second. */
  const long = 1500 + requestTimeout;
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig({ requestTimeout });
  });
  afterAll(async () => {
    await rig.server.close();
  });

  it.each<[string, string]>([
    ['in the head of its first request', HALF.slice(0, 40)],
    ['after the first byte', HALF.slice(0, 1)],
    ['in the body of its first request', HALF],
    ['in the head of its second request', rawRequest(REVIEW) + HALF.slice(0, 40)],
    ['in the body of its second request', rawRequest(REVIEW) + HALF],
  ])('is cut off with 408 where it stops %s', async (_title, sent) => {
    const client = await Conversation.open(rig);
    client.write(sent);
    expect(await client.closed).toContain('HTTP/1.1 408 ');
  });

  it('is cut off however steadily its bytes drip in', async () => {
    const client = await Conversation.open(rig);
    const drip = setInterval(() => client.write('x'), 50);
    client.write('POST /mutate HTTP/1.1\r\nx-slow: ');
    expect(await client.closed).toContain('HTTP/1.1 408 ');
    clearInterval(drip);
  });

  it('may open a connection long before it uses it', async () => {
    const client = await Conversation.open(rig);
    await sleep(long);
    client.write(rawRequest(REVIEW));
    expect(await client.until('"uid"')).toMatch(/^HTTP\/1\.1 200 /);
    client.socket.destroy();
  });

  it('may wait long between two requests', async () => {
    const client = await Conversation.open(rig);
    client.write(rawRequest(REVIEW));
    await client.until('"uid"');
    await sleep(long);
    client.write(rawRequest(podReview(null, { uid: 'later' })));
    await client.until('"uid":"later"');
    client.socket.destroy();
  });

  it('may go away before it asks anything', async () => {
    const client = await Conversation.open(rig);
    client.socket.end();
    expect(await client.closed).toBe('');
    const raw = connectTcp(rig.port, '127.0.0.1');
    const other = connectTls({ socket: raw, host: 'localhost', ca: authority.cert });
    other.on('error', () => undefined);
    await once(other, 'secureConnect');
    raw.resetAndDestroy();
    await sleep(50);
    const next = await Conversation.open(rig);
    next.write(rawRequest(REVIEW));
    expect(await next.until('"uid"')).toMatch(/^HTTP\/1\.1 200 /);
    next.socket.destroy();
  });
});

describe('many connections without a request', () => {
  it('are closed, the longest one first, so that they cannot take all of the memory', async () => {
    const rig = await startRig();
    const open = (count: number): Promise<Conversation[]> =>
      Promise.all(Array.from({ length: count }, () => Conversation.open(rig)));
    const first = await open(100);
    const kept = [...(await open(256)), ...(await open(256))];
    await Promise.all(first.map(({ closed }) => closed));
    expect(kept.filter(({ isClosed }) => isClosed)).toEqual([]);
    kept[0]?.write(rawRequest(REVIEW));
    expect(await kept[0]?.until('"uid"')).toMatch(/^HTTP\/1\.1 200 /);
    await rig.server.close();
  });
});

describe('a server that closes', () => {
  it('waits for no connection without a request', async () => {
    const rig = await startRig();
    const unused = await Conversation.open(rig);
    const idle = await Conversation.open(rig);
    idle.write(rawRequest(REVIEW));
    await idle.until('"uid"');
    const begun = performance.now();
    await rig.server.close();
    expect(performance.now() - begun).toBeLessThan(1000);
    await Promise.all([unused.closed, idle.closed]);
  });

  it('answers the requests that have begun, and then closes their connections', async () => {
    const rig = await startRig();
    const client = await Conversation.open(rig);
    const whole = rawRequest(REVIEW);
    client.write(whole.slice(0, 2000));
    await sleep(50);
    const closed = rig.server.close();
    await sleep(50);
    client.write(whole.slice(2000));
    const answer = await client.closed;
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('connection: close');
    await closed;
  });

  it('answers a request that came while it began to close', async () => {
    const rig = await startRig();
    const client = await Conversation.open(rig);
    await sleep(50);
    client.write(rawRequest(REVIEW));
    const closed = rig.server.close();
    expect(await client.closed).toMatch(/^HTTP\/1\.1 200 /);
    await closed;
  });

  it('answers the request of a connection that was just being opened', async () => {
    const rig = await startRig();
    const raw = connectTcp(rig.port, '127.0.0.1');
    await once(raw, 'connect');
    await sleep(50);
    const closed = rig.server.close();
    await sleep(50);
    const socket = connectTls({ socket: raw, host: 'localhost', ca: authority.cert });
    socket.write(rawRequest(REVIEW));
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1\.1 200 /);
    await closed;
  });

  it('waits no longer for a request that stalls than at other times', async () => {
    const rig = await startRig({ requestTimeout: 300 });
    const client = await Conversation.open(rig);
    client.write(HALF);
    await sleep(50);
    const begun = performance.now();
    await rig.server.close();
    expect(performance.now() - begun).toBeLessThan(2000);
    await client.closed;
  });
});

describe('bodies that are too many at once', () => {
  const bodyMemory = 64 * 1024;
  const big = rawRequest('x'.repeat(100_000));
  /** Leaves room for a small review, and for no other of its own kind. */
  const stalled = big.slice(0, 40_000);
  let rig: Rig;

  beforeEach(async () => {
    rig = await startRig({ bodyMemory });
  });
  afterEach(async () => {
    rig.server.server.closeAllConnections();
    await rig.server.close();
  });

  function chunked(request: string): string {
    const [head = '', body = ''] = request.split('\r\n\r\n');
    const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    return `${head.replace(/content-length: \d+/, 'transfer-encoding: chunked')}\r\n\r\n${chunk}`;
  }

  async function expectRoom(): Promise<void> {
    const client = await Conversation.open(rig);
    client.write(rawRequest(podReview({ note: 'x'.repeat(50_000) })));
    expect(await client.until('"uid"')).toMatch(/^HTTP\/1\.1 200 /);
    client.socket.destroy();
  }

  it.each<[string, string]>([
    ['of one length', big],
    ['in chunks', chunked(big)],
  ])('are refused with 503 for a while, one %s', async (_title, request) => {
    const client = await Conversation.open(rig);
    client.write(request);
    const answer = await client.until('SERVER_BUSY');
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toMatch(/^retry-after: 1\r$/m);
    expect(rig.recorded.lines).toEqual([
      expect.objectContaining({ event: 'admission', outcome: 'error', code: 'SERVER_BUSY' }),
    ]);
    expect(await rig.metrics.registry.metrics()).toMatch(
      /requests_total\{operation="OTHER",outcome="error"\} 1/,
    );
    client.socket.destroy();
    await expectRoom();
  });

  it('are refused one by one: those that were there before are answered', async () => {
    const review = rawRequest(podReview({ note: 'x'.repeat(50_000) }));
    const early = await Conversation.open(rig);
    early.write(review.slice(0, 40_000));
    await sleep(50);
    const late = await Conversation.open(rig);
    late.write(review);
    expect(await late.until('}')).toContain('SERVER_BUSY');
    early.write(review.slice(40_000));
    expect(await early.until('"uid"')).toMatch(/^HTTP\/1\.1 200 /);
    late.write(review);
    await late.until('"uid"');
    early.socket.destroy();
    late.socket.destroy();
  });

  it('leave room for the small review that fits', async () => {
    const client = await Conversation.open(rig);
    client.write(stalled);
    await sleep(50);
    const small = await Conversation.open(rig);
    small.write(rawRequest(podReview(null)));
    expect(await small.until('"uid"')).toMatch(/^HTTP\/1\.1 200 /);
    client.socket.destroy();
    small.socket.destroy();
  });

  it.each<[string, string]>([
    ['of one length', stalled],
    ['in chunks', chunked(big).slice(0, 40_000)],
  ])('are forgotten when their callers go away, one %s', async (_title, request) => {
    for (let count = 0; count < 3; count += 1) {
      const client = await Conversation.open(rig);
      client.write(request);
      await sleep(50);
      client.socket.destroy();
      await client.closed;
      await sleep(20);
    }
    await expectRoom();
  });

  it('are forgotten when they are answered, be it with an error', async () => {
    const junk = 'x'.repeat(40_000);
    const requests = [rawRequest(junk), chunked(rawRequest(junk)), rawRequest(junk, '/elsewhere')];
    for (const request of [...requests, ...requests]) {
      const client = await Conversation.open(rig);
      client.write(request);
      expect(await client.until('"code"')).toMatch(/REVIEW_NOT_JSON|ROUTE_UNKNOWN/);
      client.socket.destroy();
    }
    await expectRoom();
  });
});

describe('client certificates', () => {
  it('are checked against the CA and the subjects, and a refused caller is told why', async () => {
    const rig = await startRig({ clients: { subjects: ['kube-apiserver'] } });
    const other = await createAuthority('another CA');
    const callers = {
      trusted: await authority.issue('kube-apiserver'),
      stranger: await authority.issue('somebody'),
      foreign: await other.issue('kube-apiserver'),
      nobody: undefined,
    };
    const statuses: Record<string, number> = {};
    for (const [name, pair] of Object.entries(callers)) {
      const client = new HttpsClient(rig.url, { ca: authority.cert, ...pair });
      const { status, body } = await client.send('/mutate', fixture('create-deployment-pod'));
      statuses[name] = status;
      if (status !== 200) {
        expect(JSON.parse(body)).toMatchObject({ code: 'CLIENT_UNAUTHORIZED' });
      }
      expect((await client.send('/mutate%', '{}')).status).toBe(name === 'trusted' ? 400 : 403);
      client.close();
    }
    expect(statuses).toEqual({ trusted: 200, stranger: 403, foreign: 403, nobody: 403 });
    await rig.server.close();
  });
});
