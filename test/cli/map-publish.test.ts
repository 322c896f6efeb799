import { createHash, createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { verifyBytes } from '../../src/source/signature.ts';
import { FaultServer, S3_ERRORS } from '../support/fault-server.ts';
import { writeKeyPair } from '../support/key-files.ts';
import { bytesOfText, mapDocument } from '../support/maps.ts';
import { type Finished, runProgram } from '../support/program.ts';
import { PutGate } from '../support/put-gate.ts';
import { Workspace } from '../support/workspace.ts';

const MAP_URL = 's3://maps/image-map.json';
const PATH = '/maps/image-map.json';
const SIGNATURE_PATH = `${PATH}.sig`;
const ONE = { 'atlanhq/a:1': 'r.example/a:1' };
const TWO = { ...ONE, 'atlanhq/b:1': 'r.example/b:1' };

beforeAll(() => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: 'test/no-such-file',
    AWS_SHARED_CREDENTIALS_FILE: 'test/no-such-file',
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
  });
});

/** A store, and a folder for the files of its publishers. */
class Place implements AsyncDisposable {
  readonly store: FaultServer;
  readonly workspace: Workspace;

  private constructor(store: FaultServer, workspace: Workspace) {
    this.store = store;
    this.workspace = workspace;
  }

  static async create(): Promise<Place> {
    return new Place(await FaultServer.start(), await Workspace.create());
  }

  async config(endpoint = this.store.url, rest = ''): Promise<string> {
    const s3 = `s3: {region: eu-west-1, endpoint: "${endpoint}", forcePathStyle: true}`;
    return this.workspace.write(
      `config-${endpoint.replaceAll(/\W/g, '')}.yaml`,
      `apiVersion: sdr-image-rewriter/v1\nprocurement: public\nimageMap: {${s3}}\n${rest}`,
    );
  }

  /** `map publish` of a document through its standard input. */
  async publish(document: unknown, options: readonly string[] = []): Promise<Finished> {
    return this.publishThrough(this.store.url, document, options);
  }

  async publishThrough(
    endpoint: string,
    document: unknown,
    options: readonly string[] = [],
  ): Promise<Finished> {
    const config = await this.config(endpoint);
    const args = [
      'map',
      'publish',
      '-',
      MAP_URL,
      '--config',
      config,
      '--output',
      'json',
      ...options,
    ];
    return runProgram(args, typeof document === 'string' ? document : JSON.stringify(document));
  }

  get published(): Record<string, unknown> {
    return JSON.parse(this.store.textAt(PATH) ?? 'null') as Record<string, unknown>;
  }

  get writes(): string[] {
    return this.store.requests.filter(({ method }) => method === 'PUT').map(({ path }) => path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.workspace[Symbol.asyncDispose]();
  }
}

const NEVER_RAN: Finished = { code: null, stdout: '', stderr: '' };

/** What a publisher that ended well says. */
function resultOf({ code, stdout, stderr }: Finished = NEVER_RAN): Record<string, unknown> {
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** `map sign` or `map import` of the published map. */
async function runOnPublished(
  place: Place,
  command: string,
  ...options: string[]
): Promise<Finished> {
  return runProgram(['map', command, MAP_URL, '--config', await place.config(), ...options]);
}

function expectRefusal(finished: Finished | undefined, reason: string): void {
  const { code, stdout, stderr } = finished ?? NEVER_RAN;
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(new RegExp(`\\[${reason}\\]\\n$`));
}

describe('a store that takes a write and never answers', () => {
  it.each([
    ['publish', ['-', MAP_URL]],
    ['sign', [MAP_URL]],
  ])('ends map %s, which does not know what became of it', async (command, paths) => {
    await using place = await Place.create();
    place.store.put(PATH, JSON.stringify(ONE));
    await using gate = await PutGate.start(place.store.url, () => new Promise(() => undefined));
    const config = await place.workspace.write(
      'config.yaml',
      `apiVersion: sdr-image-rewriter/v1\nprocurement: public\nimageMap: {timeout: 1s, s3: {region: eu-west-1, endpoint: "${gate.url}", forcePathStyle: true}}\n`,
    );
    const { privateKey } = await writeKeyPair(place.workspace);
    const key = command === 'sign' ? ['--key', privateKey] : [];
    const finished = await runProgram(
      ['map', command, ...paths, '--config', config, ...key],
      JSON.stringify(TWO),
    );
    expectRefusal(finished, 'MAP_TIMEOUT');
    expect(finished.stderr).toMatch(
      /image-map\.json\S* was sent .* written or not; run the command/,
    );
  });
});

describe('map publish', () => {
  it('writes a first map with the serial 1, where there is none', async () => {
    await using place = await Place.create();
    const result = resultOf(await place.publish(ONE));
    expect(result).toEqual({
      result: 'published',
      serial: 1,
      etag: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
      versionId: 'v1',
      added: [{ kind: 'image', source: 'docker.io/atlanhq/a:1', target: 'r.example/a:1' }],
      removed: [],
      changed: [],
    });
    expect(place.published).toEqual({
      apiVersion: 'sdr-image-map/v1',
      serial: 1,
      generatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as unknown,
      images: [{ source: 'docker.io/atlanhq/a:1', target: 'r.example/a:1' }],
      repositories: [],
      prefixes: [],
    });
    const [put] = place.store.requests.filter(({ method }) => method === 'PUT');
    expect(put?.headers).toMatchObject({
      'if-none-match': '*',
      'content-type': 'application/json',
    });
  });

  it('writes the next map with the next serial, in place of the one that it read', async () => {
    await using place = await Place.create();
    const first = resultOf(await place.publish(ONE));
    place.store.forgetRequests();
    expect(resultOf(await place.publish(TWO))).toMatchObject({ result: 'published', serial: 2 });
    const [put] = place.store.requests.filter(({ method }) => method === 'PUT');
    expect(put?.headers['if-match']).toBe(`"${String(first.etag)}"`);
    expect(place.published.serial).toBe(2);
  });

  it('keeps a higher serial of the file, and everything else that stands in it', async () => {
    await using place = await Place.create();
    const document = mapDocument({
      serial: 40,
      generatedAt: '2026-11-23T08:00:00Z',
      images: [{ source: 'atlanhq/a:1', target: 'r.example/a:1', platforms: ['linux/amd64'] }],
    });
    expect(resultOf(await place.publish(document))).toMatchObject({ serial: 40 });
    expect(place.published).toEqual(document);
    const next = {
      ...document,
      serial: 3,
      repositories: [{ source: 'ghcr.io/atlanhq/c', target: 'r.example/c' }],
    };
    expect(resultOf(await place.publish(next))).toMatchObject({ serial: 41 });
    expect(place.published).toEqual({ ...next, serial: 41 });
  });

  it('writes nothing where the published map has these rules, in whatever form', async () => {
    await using place = await Place.create();
    await place.publish(ONE);
    place.store.forgetRequests();
    const same = mapDocument({
      images: [{ source: 'index.docker.io/atlanhq/a:1', target: 'r.example/a:1' }],
    });
    expect(resultOf(await place.publish(same))).toMatchObject({
      result: 'nothing-new',
      serial: 1,
      added: [],
      removed: [],
      changed: [],
    });
    expect(place.writes).toEqual([]);
  });

  it('writes nothing where the published map has these rules, also with a source that stands twice', async () => {
    await using place = await Place.create();
    const twice = mapDocument({
      images: [
        { source: 'atlanhq/a:1', target: 'r.example/a:1' },
        {
          source: 'docker.io/atlanhq/a:1',
          sourceDigest: `sha256:${'a'.repeat(64)}`,
          target: 'r.example/a:1',
        },
      ],
    });
    await place.publish(twice);
    expect(resultOf(await place.publish(twice))).toMatchObject({
      result: 'nothing-new',
      serial: 1,
    });
  });

  it('says with --dry-run what it would write, and writes nothing', async () => {
    await using place = await Place.create();
    const { privateKey } = await writeKeyPair(place.workspace);
    const options = ['--dry-run', '--sign-key', privateKey];
    expect(resultOf(await place.publish(ONE, options))).toMatchObject({
      result: 'planned',
      serial: 1,
      etag: null,
      added: [{ source: 'docker.io/atlanhq/a:1' }],
    });
    expect(place.writes).toEqual([]);
    await place.publish(ONE);
    place.store.forgetRequests();
    expect(resultOf(await place.publish(TWO, ['--dry-run']))).toMatchObject({ serial: 2 });
    expect(place.writes).toEqual([]);
  });

  it('tells people the same as text', async () => {
    await using place = await Place.create();
    const file = await place.workspace.write('map.json', JSON.stringify(ONE));
    const args = ['map', 'publish', file, MAP_URL, '--config', await place.config()];
    const planned = await runProgram([...args, '--dry-run']);
    expect(planned.stdout).toBe(
      `+ docker.io/atlanhq/a:1 → r.example/a:1\n1 source added, 0 removed, 0 changed\nwould publish ${MAP_URL} with serial 1\n`,
    );
    expect((await runProgram(args)).stdout).toMatch(
      new RegExp(
        `^\\+ .*\\n1 source added.*\\npublished ${MAP_URL} with serial 1 \\(etag [0-9a-f]+\\)\\n$`,
      ),
    );
    expect((await runProgram(args)).stdout).toBe(
      `${MAP_URL} has these rules already, with serial 1; nothing to publish\n`,
    );
  });

  it('refuses a map that lacks a published source, unless --allow-shrink is given', async () => {
    await using place = await Place.create();
    await place.publish(TWO);
    place.store.forgetRequests();
    const refusal = await place.publish(ONE);
    expectRefusal(refusal, 'MAP_LOSES_ENTRIES');
    expect(refusal.stderr).toContain('docker.io/atlanhq/b:1');
    expectRefusal(await place.publish(ONE, ['--dry-run']), 'MAP_LOSES_ENTRIES');
    expect(place.writes).toEqual([]);
    expect(resultOf(await place.publish(ONE, ['--allow-shrink']))).toMatchObject({
      result: 'published',
      serial: 2,
      removed: [{ source: 'docker.io/atlanhq/b:1' }],
    });
  });

  it('refuses a map with faults and names them all; the store is not even asked', async () => {
    await using place = await Place.create();
    const refusal = await place.publish({ 'a b': 'r.example/a', c: 7, 'atlanhq/d:1': 'R example' });
    expectRefusal(refusal, 'MAP_SHAPE_INVALID');
    for (const path of ['$["a b"]', '$.c', '$["atlanhq/d:1"]']) {
      expect(refusal.stderr).toContain(`${path}: `);
    }
    expect(place.store.requests).toEqual([]);
  });

  it('refuses a map that points outside allowedTargets', async () => {
    await using place = await Place.create();
    const config = await place.config(place.store.url, 'allowedTargets: [registry.corp.example]\n');
    const refusal = await runProgram(
      ['map', 'publish', '-', MAP_URL, '--config', config],
      JSON.stringify(ONE),
    );
    expectRefusal(refusal, 'MAP_TARGET_FORBIDDEN');
    expect(place.store.requests).toEqual([]);
  });

  it('takes the place of a published map that has faults, with a higher serial', async () => {
    await using place = await Place.create();
    place.store.put(PATH, '{"apiVersion":"sdr-image-map/v1","serial":7,"images":[{}]}');
    expect(resultOf(await place.publish(ONE))).toMatchObject({ result: 'published', serial: 8 });
  });

  it.each([
    ['a store that refuses to write', { ...S3_ERRORS.accessDenied }, 'MAP_ACCESS_DENIED'],
    ['a bucket that is not there', { ...S3_ERRORS.noSuchBucket }, 'MAP_NOT_FOUND'],
    ['a secret that is wrong', { ...S3_ERRORS.wrongSecret }, 'MAP_CREDENTIALS_REFUSED'],
  ])('says what to do about %s', async (_title, fault, code) => {
    await using place = await Place.create();
    place.store.break(fault);
    expectRefusal(await place.publish(ONE), code);
    place.store.heal();
    expect(place.store.textAt(PATH)).toBeUndefined();
  });

  it('writes a first map where reading a missing object is forbidden, for want of s3:ListBucket', async () => {
    await using place = await Place.create();
    place.store.break(S3_ERRORS.accessDenied);
    await using gate = await PutGate.start(place.store.url, () => place.store.heal());
    const { code, stdout } = await place.publishThrough(gate.url, ONE);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ result: 'published', serial: 1 });
  });

  it('says of a store that gives the map but does not take one, that s3:PutObject is missing', async () => {
    await using place = await Place.create();
    await using gate = await PutGate.start(place.store.url, () =>
      place.store.break(S3_ERRORS.accessDenied),
    );
    const refusal = await place.publishThrough(gate.url, ONE);
    expectRefusal(refusal, 'MAP_ACCESS_DENIED');
    expect(refusal.stderr).toContain('grant s3:PutObject');
  });

  it('publishes a map with a byte order mark without it', async () => {
    await using place = await Place.create();
    for (const document of [ONE, mapDocument({ images: [] })]) {
      const text = `\uFEFF${JSON.stringify(document)}`;
      expect(resultOf(await place.publish(text, ['--allow-shrink']))).toMatchObject({
        result: 'published',
      });
      expect(place.store.textAt(PATH)).toMatch(/^\{/);
    }
  });

  it.each(['reset', 'error'] as const)(
    'has published where the store took the map and its answer was lost (%s)',
    async (how) => {
      await using place = await Place.create();
      const { privateKey, publicPem } = await writeKeyPair(place.workspace);
      place.store.break({ kind: 'lost-answer', how });
      for (const [map, serial] of [
        [ONE, 1],
        [TWO, 2],
      ] as const) {
        const result = resultOf(await place.publish(map, ['--sign-key', privateKey]));
        expect(result).toMatchObject({
          result: 'published',
          serial,
          etag: createHash('md5')
            .update(place.store.textAt(PATH) ?? '')
            .digest('hex'),
        });
        expect(place.published.serial).toBe(serial);
        expectSigned(place, publicPem);
      }
    },
  );

  it('never writes over a map that it may not read', async () => {
    await using place = await Place.create();
    await place.publish(TWO);
    place.store.break(S3_ERRORS.accessDenied);
    await using gate = await PutGate.start(place.store.url, () => place.store.heal());
    expectRefusal(await place.publishThrough(gate.url, ONE), 'MAP_ACCESS_DENIED');
    expect(place.published.serial).toBe(1);
    expect(place.store.textAt(PATH)).toContain('atlanhq/b:1');
  });

  it.each([
    ['a URL that is no s3://', 'https://r.example/map.json', 'https://r.example/map.json'],
    ['a URL without a key', 's3://maps', 's3://maps'],
    ['a word', 'nope', 'nope'],
    ['a URL with a token', 'https://r.example/map.json?sig=secret', 'https://r.example/map.json'],
    ['a URL with a password', 'https://me:secret@r.example/map', 'https://r.example/map'],
    [
      'a URL with a password of any kind',
      'https://me:se/#?cret@r.example/map',
      'https://r.example',
    ],
    ['a password without a scheme', 'me:secret@r.example/map', 'r.example/map'],
  ])('ends with 2 for %s, and names it without secrets', async (_title, url, shown) => {
    const finished = await runProgram(['map', 'publish', '-', url], JSON.stringify(ONE));
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(finished.stderr).toMatch(/ s3:\/\/bucket\/key \[USAGE\]\n$/);
    expect(finished.stderr).toContain(`cannot publish to "${shown}`);
    expect(finished.stderr).not.toMatch(/me:|se\/|cret/);
  });
});

describe('two map publish at once', () => {
  /** Lets nobody write until so many have read and want to. */
  function barrier(count: number): () => Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    let waiting = 0;
    return () => {
      waiting += 1;
      if (waiting === count) resolve(undefined);
      return promise;
    };
  }

  it.each([
    ['on an empty place', false],
    ['over a published map', true],
  ])('%s: one wins and the other says that it lost; nothing is mixed', async (_title, isThere) => {
    await using place = await Place.create();
    if (isThere) {
      await place.publish(ONE);
      place.store.forgetRequests();
    }
    await using gate = await PutGate.start(place.store.url, barrier(2));
    const maps = ['b', 'c'].map((name) => ({
      ...ONE,
      [`atlanhq/${name}:1`]: `r.example/${name}:1`,
    }));
    const outcomes = await Promise.all(maps.map((map) => place.publishThrough(gate.url, map)));
    const winner = outcomes.findIndex(({ code }) => code === 0);
    expect(outcomes.map(({ code }) => code).sort()).toEqual([0, 1]);
    expectRefusal(outcomes[1 - winner], 'MAP_RACE_LOST');
    const serial = isThere ? 2 : 1;
    expect(resultOf(outcomes[winner])).toMatchObject({ result: 'published', serial });
    expect(place.published.serial).toBe(serial);
    expect(place.store.textAt(PATH)).toContain(`r.example/${winner === 0 ? 'b' : 'c'}:1`);
    expect(place.store.textAt(PATH)).not.toContain(`r.example/${winner === 0 ? 'c' : 'b'}:1`);
    expect(place.writes).toEqual([PATH, PATH]);
  });

  it('with --retry reads again, and publishes over the other map', async () => {
    await using place = await Place.create();
    await place.publish(ONE);
    let isFirst = true;
    await using gate = await PutGate.start(place.store.url, () => {
      if (isFirst) {
        isFirst = false;
        const images = [{ source: 'atlanhq/a:1', target: 'r.example/a:2' }];
        place.store.put(PATH, JSON.stringify(mapDocument({ serial: 2, images })));
      }
    });
    const { code, stdout, stderr } = await place.publishThrough(gate.url, TWO, ['--retry']);
    expect(code).toBe(0);
    expect(stderr).toContain('somebody else published meanwhile');
    expect(JSON.parse(stdout)).toMatchObject({
      result: 'published',
      serial: 3,
      changed: [{ from: 'r.example/a:2', to: 'r.example/a:1' }],
    });
    expect(place.published.serial).toBe(3);
  });

  it('with --retry never takes away what the other one added', async () => {
    await using place = await Place.create();
    await place.publish(ONE);
    let isFirst = true;
    await using gate = await PutGate.start(place.store.url, () => {
      if (isFirst) {
        isFirst = false;
        place.store.put(PATH, JSON.stringify({ ...ONE, 'atlanhq/theirs:1': 'r.example/theirs:1' }));
      }
    });
    const refusal = await place.publishThrough(gate.url, TWO, ['--retry']);
    expectRefusal(refusal, 'MAP_LOSES_ENTRIES');
    expect(place.store.textAt(PATH)).toContain('atlanhq/theirs:1');
  });

  it('signed: the map of the winner has a signature that fits', async () => {
    await using place = await Place.create();
    const { privateKey, publicPem } = await writeKeyPair(place.workspace);
    const signed = ['--sign-key', privateKey];
    await place.publish(ONE, signed);
    await using gate = await PutGate.start(place.store.url, barrier(2));
    const maps = ['b', 'c'].map((name) => ({
      ...ONE,
      [`atlanhq/${name}:1`]: `r.example/${name}:1`,
    }));
    const outcomes = await Promise.all(
      maps.map((map) => place.publishThrough(gate.url, map, signed)),
    );
    expect(outcomes.map(({ code }) => code).sort()).toEqual([0, 1]);
    expectRefusal(
      outcomes.find(({ code }) => code === 1),
      'MAP_RACE_LOST',
    );
    expectSigned(place, publicPem);
  });
});

/** Whether one of the signatures beside the published map fits it. */
function expectSigned({ store }: Place, publicPem: string): void {
  const [map = '', signatures = ''] = [store.textAt(PATH), store.textAt(SIGNATURE_PATH)];
  const keys = [createPublicKey(publicPem)];
  expect(verifyBytes(bytesOfText(map), bytesOfText(signatures), keys)).toBe(true);
}

describe('map publish --sign-key', () => {
  it('writes the signature before the map, and keeps the earlier ones, five in all', async () => {
    await using place = await Place.create();
    const { privateKey, publicPem } = await writeKeyPair(place.workspace);
    const earlier: string[] = [];
    for (let number = 1; number <= 7; number += 1) {
      place.store.forgetRequests();
      const map = { 'atlanhq/a:1': `r.example/a:${number}` };
      expect(resultOf(await place.publish(map, ['--sign-key', privateKey]))).toMatchObject({
        result: 'published',
        serial: number,
      });
      expect(place.writes).toEqual([SIGNATURE_PATH, PATH]);
      expectSigned(place, publicPem);
      const [newest = '', ...rest] = (place.store.textAt(SIGNATURE_PATH) ?? '').trim().split('\n');
      expect(rest).toEqual(earlier.slice(0, 4));
      earlier.unshift(newest);
    }
  });

  it('is needed over a signed map', async () => {
    await using place = await Place.create();
    const { privateKey } = await writeKeyPair(place.workspace);
    await place.publish(ONE, ['--sign-key', privateKey]);
    place.store.forgetRequests();
    expectRefusal(await place.publish(TWO), 'MAP_SIGNATURE_REQUIRED');
    expect(place.writes).toEqual([]);
  });

  it('signs what was published unsigned, or with another key', async () => {
    await using place = await Place.create();
    const old = await writeKeyPair(place.workspace, 'old');
    const next = await writeKeyPair(place.workspace, 'next');
    await place.publish(ONE);
    const signed = await place.publish(ONE, ['--sign-key', old.privateKey]);
    expect(resultOf(signed)).toMatchObject({ result: 'published', serial: 2, changed: [] });
    expectSigned(place, old.publicPem);
    const rotated = await place.publish(ONE, ['--sign-key', next.privateKey]);
    expect(resultOf(rotated)).toMatchObject({ result: 'published', serial: 3 });
    expectSigned(place, next.publicPem);
    const again = await place.publish(ONE, ['--sign-key', next.privateKey]);
    expect(resultOf(again)).toMatchObject({ result: 'nothing-new', serial: 3 });
  });

  it('refuses a key that is none before it asks the store', async () => {
    await using place = await Place.create();
    const key = await place.workspace.write('key.pem', 'no key');
    expectRefusal(await place.publish(ONE, ['--sign-key', key]), 'SIGNATURE_KEY_INVALID');
    expect(place.store.requests).toEqual([]);
  });

  it('ends with 2 for a key that is not there, and names its path', async () => {
    await using place = await Place.create();
    const { code, stdout, stderr } = await place.publish(ONE, ['--sign-key', 'no-such-key.pem']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(
      /^error: cannot read the key: .*no-such-key\.pem.* \[SIGNATURE_KEY_UNREADABLE\]\n$/,
    );
    expect(place.store.requests).toEqual([]);
  });

  it('publishes what a reader with the public key resolves by', async () => {
    await using place = await Place.create();
    const { privateKey, publicKey } = await writeKeyPair(place.workspace);
    await place.publish(ONE, ['--sign-key', privateKey]);
    const publisher = await readFile(await place.config(), 'utf8');
    const config = await place.workspace.write(
      'reader.yaml',
      publisher.replace(
        'procurement: public\nimageMap: {',
        `procurement: map\nimageMap: {url: "${MAP_URL}", publicKeyFile: ${publicKey}, `,
      ),
    );
    const resolve = ['resolve', '--config', config, '--output', 'json', 'atlanhq/a:1'];
    expect(resultOf(await runProgram(resolve))).toMatchObject({ target: 'r.example/a:1' });

    place.store.put(PATH, JSON.stringify({ 'atlanhq/a:1': 'evil.example/a:1' }));
    expectRefusal(await runProgram(resolve), 'MAP_SIGNATURE_INVALID');
    place.store.remove(SIGNATURE_PATH);
    expectRefusal(await runProgram(resolve), 'MAP_SIGNATURE_INVALID');
  });
});

describe('map sign of a map in S3', () => {
  it('writes a signature that fits in front of the earlier ones, and the same one once', async () => {
    await using place = await Place.create();
    const old = await writeKeyPair(place.workspace, 'old');
    const next = await writeKeyPair(place.workspace, 'next');
    await place.publish(ONE);
    for (const { privateKey, publicPem } of [old, next, next]) {
      const finished = await runOnPublished(place, 'sign', '--key', privateKey);
      expect(finished).toEqual({ code: 0, stdout: '', stderr: `signed: ${MAP_URL}.sig\n` });
      expectSigned(place, publicPem);
    }
    expectSigned(place, old.publicPem);
    expect(place.store.textAt(SIGNATURE_PATH)?.trim().split('\n')).toHaveLength(2);
    expect(place.writes).toEqual([PATH, SIGNATURE_PATH, SIGNATURE_PATH]);
  });

  it('writes it to a file with --out, and nothing to the store', async () => {
    await using place = await Place.create();
    const { privateKey, publicPem } = await writeKeyPair(place.workspace);
    await place.publish(ONE);
    place.store.forgetRequests();
    const out = place.workspace.path('map.sig');
    const finished = await runOnPublished(place, 'sign', '--key', privateKey, '--out', out);
    expect(finished).toEqual({ code: 0, stdout: '', stderr: `signed: ${out}\n` });
    expect(place.writes).toEqual([]);
    const [map, keys] = [bytesOfText(place.store.textAt(PATH) ?? ''), [createPublicKey(publicPem)]];
    expect(verifyBytes(map, await readFile(out), keys)).toBe(true);
  });

  it('says that s3:PutObject is missing where the store takes none', async () => {
    await using place = await Place.create();
    const { privateKey } = await writeKeyPair(place.workspace);
    await place.publish(ONE);
    await using gate = await PutGate.start(place.store.url, () =>
      place.store.break(S3_ERRORS.accessDenied),
    );
    const config = await place.config(gate.url);
    const args = ['map', 'sign', MAP_URL, '--config', config, '--key', privateKey];
    const refusal = await runProgram(args);
    expectRefusal(refusal, 'MAP_ACCESS_DENIED');
    expect(refusal.stderr).toContain('grant s3:PutObject');
  });

  it('loses against another signature that is written meanwhile, and leaves that one', async () => {
    await using place = await Place.create();
    const { privateKey } = await writeKeyPair(place.workspace);
    await place.publish(ONE);
    await using gate = await PutGate.start(place.store.url, () => {
      place.store.put(SIGNATURE_PATH, 'theirs');
    });
    const config = await place.config(gate.url);
    const args = ['map', 'sign', MAP_URL, '--config', config, '--key', privateKey];
    expectRefusal(await runProgram(args), 'MAP_RACE_LOST');
    expect(place.store.textAt(SIGNATURE_PATH)).toBe('theirs');
  });
});

describe('map import of a map in S3', () => {
  it('reads it like a file', async () => {
    await using place = await Place.create();
    place.store.put(PATH, '[{"from": "atlanhq/a:1", "to": "r.example/a:1"}]');
    const { code, stdout, stderr } = await runOnPublished(place, 'import');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      images: [{ source: 'docker.io/atlanhq/a:1', target: 'r.example/a:1' }],
    });
  });

  it('says what to do where there is none', async () => {
    await using place = await Place.create();
    expectRefusal(await runOnPublished(place, 'import'), 'MAP_NOT_FOUND');
  });
});
