import { readFile } from 'node:fs/promises';
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { HttpsClient } from '../support/https-client.ts';
import { type Finished, runProgram, ServeProcess } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';
import { eventually, setting } from './support/cluster.ts';

const BUCKET = `maps-${Date.now()}`;
const REVIEW = 'test/fixtures/admission-reviews/create-deployment-pod.json';
const SOURCE = 'docker.io/atlanhq/atlan-mysql-app:main-97b8c95';

const endpoint = setting('LAB_S3_ENDPOINT');
const credentials = {
  AWS_ACCESS_KEY_ID: setting('LAB_S3_ACCESS_KEY_ID'),
  AWS_SECRET_ACCESS_KEY: setting('LAB_S3_SECRET_ACCESS_KEY'),
};
const region = setting('LAB_S3_REGION');
const s3Settings = `s3: {region: ${region}, endpoint: "${endpoint}", forcePathStyle: true`;

beforeAll(async () => {
  Object.assign(process.env, credentials);
  const client = new S3Client({ region, endpoint, forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  await client.send(
    new PutBucketVersioningCommand({
      Bucket: BUCKET,
      VersioningConfiguration: { Status: 'Enabled' },
    }),
  );
  client.destroy();
});

/** The configuration of a publisher or a reader; a publisher needs only the way to the store. */
async function writeConfig(workspace: Workspace, key: string, rest = '', s3 = ''): Promise<string> {
  return workspace.write(
    `config-${key}.yaml`,
    `apiVersion: sdr-image-rewriter/v1
procurement: map
imageMap:
  url: s3://${BUCKET}/${key}
  refreshInterval: 500ms
  ${rest}
  ${s3Settings}${s3}}
server: {host: localhost, port: 0}
ops: {host: localhost, port: 0}
`,
  );
}

async function publish(
  workspace: Workspace,
  key: string,
  map: object,
  ...options: string[]
): Promise<Finished> {
  const config = await writeConfig(workspace, key);
  const args = [
    'map',
    'publish',
    '-',
    `s3://${BUCKET}/${key}`,
    '--config',
    config,
    '--output',
    'json',
  ];
  return runProgram([...args, ...options], JSON.stringify(map));
}

interface Reader {
  readonly serve: ServeProcess;
  readonly opsUrl: string;
  decidedImage(): Promise<string | undefined>;
}

async function startReader(config: string): Promise<Reader> {
  const serve = new ServeProcess(['--config', config, '--self-signed']);
  started.push(serve);
  const { opsUrl } = await serve.line('server.started');
  const [, ca = '', url = ''] = await serve.said(/--cacert (\S+) [\s\S]*?(https:\S+)\/mutate/);
  const client = new HttpsClient(url, { ca: await readFile(ca, 'utf8') });
  return {
    serve,
    opsUrl: String(opsUrl),
    async decidedImage() {
      const { body } = await client.send('/mutate', await readFile(REVIEW));
      const { response } = JSON.parse(body) as { response?: { patch?: string } };
      const patch = Buffer.from(response?.patch ?? 'W10=', 'base64').toString();
      return (JSON.parse(patch) as { value: string }[])[0]?.value;
    },
  };
}

const started: ServeProcess[] = [];

async function stop(): Promise<void> {
  for (const serve of started.splice(0)) {
    serve.kill('SIGKILL');
    await serve.exited;
  }
}

afterEach(stop);

describe('an image map in a real S3 server', () => {
  it('is used by two running processes within one interval, and each audit line names its serial', async () => {
    await using workspace = await Workspace.create();
    const first = JSON.parse(
      (await publish(workspace, 'live.json', { [SOURCE]: 'reg.example/a:1' })).stdout,
    ) as object;
    expect(first).toMatchObject({ result: 'published', serial: 1 });
    const config = await writeConfig(workspace, 'live.json');
    const readers = await Promise.all([startReader(config), startReader(config)]);
    await Promise.all(readers.map(({ serve }) => serve.line('map.loaded')));
    for (const reader of readers) {
      expect(await reader.decidedImage()).toBe('reg.example/a:1');
    }
    await publish(workspace, 'live.json', { [SOURCE]: 'reg.example/b:2' });
    for (const reader of readers) {
      await eventually(
        () => reader.decidedImage(),
        (image) => image === 'reg.example/b:2',
        5,
      );
      const line = await reader.serve.line(
        'admission',
        ({ map }) => (map as { serial: number }).serial === 2,
      );
      expect(JSON.stringify(line)).toContain('reg.example/b:2');
      // From then on the server says 304, and nothing is loaded.
      const metrics = await eventually(
        async () => (await fetch(`${reader.opsUrl}/metrics`)).text(),
        (text) => /map_loads_total\{result="unchanged"\} [2-9]/.test(text),
        5,
      );
      expect(metrics).toMatch(/map_serial 2/);
      expect(reader.serve.lines.filter(({ event }) => event === 'map.loaded')).toHaveLength(2);
    }
  });

  it('is written by exactly one of several publishers at once, and none of the others is lost', async () => {
    await using workspace = await Workspace.create();
    await publish(workspace, 'race.json', { 'docker.io/atlanhq/start:1': 'reg.example/start:1' });
    const names = ['a', 'b', 'c', 'd'];
    const contest = (...options: string[]): Promise<Finished[]> =>
      Promise.all(
        names.map((name) =>
          publish(
            workspace,
            'race.json',
            {
              'docker.io/atlanhq/start:1': 'reg.example/start:1',
              [`docker.io/atlanhq/${name}:1`]: `reg.example/${name}:1`,
            },
            '--allow-shrink',
            ...options,
          ),
        ),
      );
    const outcomes = await contest();
    const serials: number[] = [];
    for (const { code, stdout, stderr } of outcomes) {
      if (code === 0) {
        serials.push((JSON.parse(stdout) as { serial: number }).serial);
      } else {
        expect(stderr).toContain('MAP_RACE_LOST');
      }
    }
    // Whoever won did so over a version of its own: no serial was given twice.
    expect(serials.length).toBeGreaterThan(0);
    expect(new Set(serials).size).toBe(serials.length);
    const retried = await contest('--retry');
    expect(retried.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  });

  it('stays at a pinned version, and goes back on purpose only', async () => {
    await using workspace = await Workspace.create();
    const published = await publish(workspace, 'pin.json', { [SOURCE]: 'reg.example/a:1' });
    const { versionId } = JSON.parse(published.stdout) as { versionId: string };
    await publish(workspace, 'pin.json', { [SOURCE]: 'reg.example/b:2' });
    const latest = await startReader(await writeConfig(workspace, 'pin.json'));
    await latest.serve.line('map.loaded');
    expect(await latest.decidedImage()).toBe('reg.example/b:2');
    await stop();

    const pinned = await startReader(
      await writeConfig(workspace, 'pin.json', '', `, versionId: "${versionId}"`),
    );
    expect(await pinned.serve.line('map.loaded')).toMatchObject({ serial: 1 });
    expect(await pinned.decidedImage()).toBe('reg.example/a:1');
    await stop();

    const reader = await startReader(await writeConfig(workspace, 'pin.json'));
    await reader.serve.line('map.loaded');
    await writeConfig(workspace, 'pin.json', '', `, versionId: "${versionId}"`);
    expect(await reader.serve.line('map.rejected')).toMatchObject({ code: 'MAP_SERIAL_LOWER' });
    expect(await reader.decidedImage()).toBe('reg.example/b:2');
    await writeConfig(workspace, 'pin.json', 'allowRollback: true', `, versionId: "${versionId}"`);
    await reader.serve.line('map.loaded', ({ serial }) => serial === 1);
    expect(await reader.decidedImage()).toBe('reg.example/a:1');
  });

  it('is used with a key only if its signature fits, and publishing never leaves a gap', async () => {
    await using workspace = await Workspace.create();
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const key = await workspace.write(
      'key.pem',
      privateKey.export({ format: 'pem', type: 'pkcs8' }),
    );
    const keys = await workspace.write(
      'key.pub',
      publicKey.export({ format: 'pem', type: 'spki' }),
    );
    await publish(workspace, 'signed.json', { [SOURCE]: 'reg.example/a:1' }, '--sign-key', key);
    const reader = await startReader(
      await writeConfig(workspace, 'signed.json', `publicKeyFile: ${keys}`),
    );
    await reader.serve.line('map.loaded');
    for (const number of [2, 3, 4]) {
      await publish(
        workspace,
        'signed.json',
        { [SOURCE]: `reg.example/a:${number}` },
        '--sign-key',
        key,
      );
      await reader.serve.line('map.loaded', ({ serial }) => serial === number);
    }
    expect(await reader.decidedImage()).toBe('reg.example/a:4');
    expect(reader.serve.lines.filter(({ event }) => event === 'map.rejected')).toEqual([]);
    const unsigned = await publish(workspace, 'signed.json', { [SOURCE]: 'reg.example/evil:1' });
    expect(unsigned).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('MAP_SIGNATURE_REQUIRED') as unknown,
    });
  });
});
