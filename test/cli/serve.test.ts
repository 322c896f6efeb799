import { execFile } from 'node:child_process';
import { open, readFile, rename } from 'node:fs/promises';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Authority, createAuthority } from '../support/certificates.ts';
import { HttpsClient } from '../support/https-client.ts';
import { runProgram, ServeProcess } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';

const REVIEW = 'test/fixtures/admission-reviews/create-deployment-pod.json';
const SOURCE = 'docker.io/atlanhq/atlan-mysql-app:main-97b8c95';

interface Running {
  readonly serve: ServeProcess;
  readonly client: HttpsClient;
  readonly opsUrl: string;
  readonly port: number;
}

const started: ServeProcess[] = [];
const clients: HttpsClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const serve of started.splice(0)) {
    serve.kill('SIGKILL');
    await serve.exited;
  }
});

async function start(workspace: Workspace, authority: Authority, config: string): Promise<Running> {
  const { cert, key } = await authority.issue('first');
  const certFile = await workspace.write('tls.crt', cert);
  const keyFile = await workspace.write('tls.key', key);
  const path = await workspace.write(
    'config.yaml',
    `apiVersion: sdr-image-rewriter/v1\n${config}\nserver: {host: 127.0.0.1, port: 0, tls: {certFile: ${certFile}, keyFile: ${keyFile}}}\nops: {host: 127.0.0.1, port: 0}\n`,
  );
  const serve = new ServeProcess(['--config', path]);
  started.push(serve);
  const { url, opsUrl } = (await serve.line('server.started')) as unknown as {
    url: string;
    opsUrl: string;
  };
  const { port } = new URL(url);
  const client = new HttpsClient(`https://localhost:${port}`, { ca: authority.cert });
  clients.push(client);
  return { serve, client, opsUrl, port: Number(port) };
}

async function imageOf(client: HttpsClient): Promise<string | undefined> {
  const { status, body } = await client.send('/mutate', await readFile(REVIEW));
  if (status !== 200) {
    return `HTTP ${status}`;
  }
  const { response } = JSON.parse(body) as { response: { patch?: string } };
  const patch = JSON.parse(Buffer.from(response.patch ?? 'W10=', 'base64').toString()) as {
    value: string;
  }[];
  return patch[0]?.value;
}

async function get(url: string): Promise<{ status: number; body: string }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.text() };
}

function mapOf(serial: number, target: string): string {
  return JSON.stringify({
    apiVersion: 'sdr-image-map/v1',
    serial,
    images: [{ source: SOURCE, target }],
  });
}

describe('serve', () => {
  it('takes an edited configuration and an edited map into use, and keeps the good ones over bad ones', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    const map = await workspace.write('map.json', mapOf(1, 'registry.corp.example/a:1'));
    const config = (rest: string): string =>
      `procurement: map\nimageMap: {url: "file://${map}", refreshInterval: 1h}\n${rest}`;
    const { serve, client, opsUrl } = await start(workspace, authority, config(''));
    await serve.line('map.loaded');
    expect(await imageOf(client)).toBe('registry.corp.example/a:1');
    expect((await get(`${opsUrl}/readyz`)).status).toBe(200);

    await workspace.write('map.json', mapOf(2, 'registry.corp.example/b:2'));
    await serve.line('map.loaded', ({ serial }) => serial === 2);
    expect(await imageOf(client)).toBe('registry.corp.example/b:2');

    await workspace.write('map.json', mapOf(1, 'registry.corp.example/c:1'));
    const refusal = await serve.line('map.rejected');
    expect(refusal).toMatchObject({ code: 'MAP_SERIAL_LOWER' });
    expect(await imageOf(client)).toBe('registry.corp.example/b:2');
    const status = JSON.parse((await get(`${opsUrl}/status`)).body) as Record<string, unknown>;
    expect(status).toMatchObject({
      procurement: 'map',
      map: {
        location: `file://${map}`,
        serial: 2,
        entries: 1,
        lastError: expect.stringContaining('lower') as unknown,
      },
    });

    // As Kubernetes does it: the new file takes the place of the old in one step.
    const text = await readFile(workspace.path('config.yaml'), 'utf8');
    await workspace.write(
      'next.yaml',
      text.replace(
        'procurement: map',
        'procurement: prefix\ncontainerRegistryBase: registry.corp.example/m',
      ),
    );
    await rename(workspace.path('next.yaml'), workspace.path('config.yaml'));
    await serve.line('config.loaded', ({ procurement }) => procurement === 'prefix');
    expect(await imageOf(client)).toBe(
      'registry.corp.example/m/atlanhq/atlan-mysql-app:main-97b8c95',
    );

    await workspace.write('config.yaml', 'procurement: nonsense\n');
    const { code, faults } = await serve.line('config.rejected');
    expect({ code, faults }).toMatchObject({
      code: 'CONFIG_INCOMPLETE',
      faults: expect.any(Array) as unknown,
    });
    expect(await imageOf(client)).toBe(
      'registry.corp.example/m/atlanhq/atlan-mysql-app:main-97b8c95',
    );
    const metrics = (await get(`${opsUrl}/metrics`)).body;
    expect(metrics).toMatch(/config_loads_total\{result="rejected"\} 1/);
    expect(metrics).not.toMatch(/^sdr_image_rewriter_map_serial/m);
  });

  it('lives on over an edit that names a place at which Node.js itself throws', async () => {
    await using workspace = await Workspace.create();
    const { serve, client } = await start(
      workspace,
      await createAuthority(),
      'procurement: prefix\ncontainerRegistryBase: registry.corp.example/m\n',
    );
    const edit = 'procurement: map\nimageMap: {url: "file:///data/100%/map.json"}\n';
    await workspace.write('config.yaml', `apiVersion: sdr-image-rewriter/v1\n${edit}`);
    const { error } = await serve.line('config.rejected');
    expect(error).toContain('$.imageMap.url');
    expect(await imageOf(client)).toBe(
      'registry.corp.example/m/atlanhq/atlan-mysql-app:main-97b8c95',
    );
  });

  it('is not ready and answers 503 until the first map is there', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    const map = workspace.path('map.json');
    const { serve, client, opsUrl } = await start(
      workspace,
      authority,
      `procurement: map\nimageMap: {url: "file://${map}", refreshInterval: 1h}\n`,
    );
    await serve.line('map.stale');
    expect(await imageOf(client)).toBe('HTTP 503');
    const notReady = await get(`${opsUrl}/readyz`);
    expect(notReady.status).toBe(503);
    expect(JSON.parse(notReady.body)).toMatchObject({
      ready: false,
      mapLoaded: false,
      tlsServing: true,
    });
    expect((await get(`${opsUrl}/livez`)).status).toBe(200);
    const unknown = await get(`${opsUrl}/healthz`);
    expect(unknown.status).toBe(404);
    expect(JSON.parse(unknown.body)).toEqual({
      code: 'ROUTE_UNKNOWN',
      message: 'GET /healthz is not served; call GET /livez, /readyz, /metrics or /status',
    });
    await workspace.write('map.json', mapOf(1, 'registry.corp.example/a:1'));
    await serve.line('map.loaded');
    expect((await get(`${opsUrl}/readyz`)).status).toBe(200);
    expect(await imageOf(client)).toBe('registry.corp.example/a:1');
  });

  it('answers while it checks a big map, by the old rules and then by the new ones', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    const bigMap = (serial: number, target: string): string => {
      const map = JSON.parse(mapOf(serial, target)) as { images: unknown[] };
      for (let index = 0; index < 30_000; index += 1) {
        map.images.push({
          source: `docker.io/atlanhq/app:${index}`,
          target: `r.example/a:${index}`,
        });
      }
      return JSON.stringify(map);
    };
    const map = await workspace.write('map.json', bigMap(1, 'registry.corp.example/a:1'));
    const { serve, client } = await start(
      workspace,
      authority,
      `procurement: map\nimageMap: {url: "file://${map}", refreshInterval: 1h}\n`,
    );
    await serve.line('map.loaded');
    await workspace.write('next.json', bigMap(2, 'registry.corp.example/a:2'));
    await rename(workspace.path('next.json'), map);
    const images: (string | undefined)[] = [];
    const isNew = ({ event, serial }: { event: string; serial?: unknown }): boolean =>
      event === 'map.loaded' && serial === 2;
    while (!serve.lines.some(isNew)) {
      images.push(await imageOf(client));
    }
    expect(await imageOf(client)).toBe('registry.corp.example/a:2');
    expect(images.length).toBeGreaterThan(1);
    expect(new Set(images)).toEqual(
      new Set(['registry.corp.example/a:1', ...images.filter((image) => image?.endsWith('a:2'))]),
    );
    expect(serve.lines.find(isNew)).toMatchObject({ entries: 30_001, added: 0, changed: 1 });
  });

  it('serves a renewed certificate without a restart and refuses a pair that does not match', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    const { serve, opsUrl, port } = await start(workspace, authority, 'procurement: public\n');
    const served = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port, host: 'localhost', ca: authority.cert });
        socket.once('error', reject);
        socket.once('secureConnect', () => {
          resolve(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        });
      });
    expect(await served()).toBe('first');
    const [second, third] = [await authority.issue('second'), await authority.issue('third')];
    await workspace.write('tls.crt', second.cert);
    expect(await serve.line('tls.rejected')).toMatchObject({ code: 'TLS_PAIR_INVALID' });
    expect(await served()).toBe('first');
    expect((await get(`${opsUrl}/readyz`)).status).toBe(200);
    await workspace.write('tls.key', second.key);
    await serve.line(
      'tls.loaded',
      () => serve.lines.filter(({ event }) => event === 'tls.loaded').length === 2,
    );
    expect(await served()).toBe('second');
    expect((await get(`${opsUrl}/readyz`)).status).toBe(200);
    await workspace.write('tls.key', third.key);
    await workspace.write('tls.crt', third.cert);
    await serve.line(
      'tls.loaded',
      () => serve.lines.filter(({ event }) => event === 'tls.loaded').length === 3,
    );
    expect(await served()).toBe('third');
  });

  it('starts with a certificate that has expired, and warns of it', async () => {
    await using workspace = await Workspace.create();
    const { cert, key } = await (await createAuthority()).issue('expired', [], -60_000);
    const certFile = await workspace.write('tls.crt', cert);
    const keyFile = await workspace.write('tls.key', key);
    const config = await workspace.write(
      'config.yaml',
      `apiVersion: sdr-image-rewriter/v1\nprocurement: public\nserver: {host: localhost, port: 0, tls: {certFile: ${certFile}, keyFile: ${keyFile}}}\nops: {host: localhost, port: 0}\n`,
    );
    const serve = new ServeProcess(['--config', config]);
    started.push(serve);
    await serve.line('server.started');
    expect(await serve.line('tls.loaded')).toMatchObject({ level: 'warn', expired: true });
  });

  it('drains to its end and ends with 0 where SIGTERM comes twice', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    const { serve, client } = await start(workspace, authority, 'procurement: public\n');
    serve.kill('SIGTERM');
    await serve.line('server.draining');
    serve.kill('SIGTERM');
    expect((await client.send('/mutate', await readFile(REVIEW))).status).toBe(200);
    expect(await serve.exited).toBe(0);
    expect(serve.lines.at(-1)).toMatchObject({ event: 'server.stopped', signal: 'SIGTERM' });
  });

  it('answers on after SIGTERM while it is not ready any more, then ends with 0', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    const { serve, client, opsUrl } = await start(
      workspace,
      authority,
      'procurement: prefix\ncontainerRegistryBase: registry.corp.example/m\n',
    );
    serve.kill('SIGTERM');
    await serve.line('server.draining');
    expect((await get(`${opsUrl}/readyz`)).status).toBe(503);
    expect((await get(`${opsUrl}/livez`)).status).toBe(200);
    const answer = await client.send('/mutate', await readFile(REVIEW));
    expect(answer.status).toBe(200);
    expect(answer.headers.connection).toBe('close');
    expect(await serve.exited).toBe(0);
    expect(serve.lines.at(-1)).toMatchObject({ event: 'server.stopped', signal: 'SIGTERM' });
    expect(serve.lines.filter(({ event }) => event === 'admission')).toHaveLength(1);
  });

  it('ends though nobody reads the log', async () => {
    await using workspace = await Workspace.create();
    const { serve, client } = await start(
      workspace,
      await createAuthority(),
      'procurement: prefix\ncontainerRegistryBase: registry.corp.example',
    );
    serve.stopReading();
    const review = await readFile(REVIEW);
    for (let count = 0; count < 1000; count += 1) {
      expect((await client.send('/mutate', review)).status).toBe(200);
    }
    serve.kill('SIGINT');
    expect(await serve.killedBy).toBe('SIGKILL');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends with 0 on %s while it still reads its configuration',
    async (signal) => {
      await using workspace = await Workspace.create();
      const config = workspace.path('config.yaml');
      await promisify(execFile)('mkfifo', [config]);
      const serve = new ServeProcess(['--config', config]);
      started.push(serve);
      // Open as soon as the program has opened it, too.
      const writer = await open(config, 'w');
      serve.kill(signal);
      // No process of Node.js ends while a thread of it waits for a pipe.
      await writer.close();
      expect(await serve.exited).toBe(0);
      expect(serve).toMatchObject({ lines: [], stderr: '' });
    },
  );

  it('waits for no requests after SIGTERM as long as its port is not open', async () => {
    await using workspace = await Workspace.create();
    const certFile = workspace.path('tls.crt');
    await promisify(execFile)('mkfifo', [certFile]);
    const config = await workspace.write(
      'config.yaml',
      `apiVersion: sdr-image-rewriter/v1\nprocurement: public\nserver: {host: localhost, port: 0, tls: {certFile: ${certFile}, keyFile: ${certFile}.key}}\nops: {host: localhost, port: 0}\n`,
    );
    await workspace.write('tls.crt.key', '');
    const serve = new ServeProcess(['--config', config]);
    started.push(serve);
    const writer = await open(certFile, 'w');
    serve.kill('SIGTERM');
    const { time: stopped } = await serve.line('server.stopped');
    const { time: asked } = await serve.line('server.draining');
    await writer.close();
    expect(await serve.exited).toBe(0);
    // Where there may be requests, it serves on for ten seconds.
    expect(Date.parse(String(stopped)) - Date.parse(String(asked))).toBeLessThan(5000);
  });

  it('makes a certificate for a trial and says how to call with a review that is there', async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write(
      'config.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: public\nserver: {host: localhost, port: 0}\nops: {host: localhost, port: 0}\n',
    );
    const serve = new ServeProcess(['--config', config, '--self-signed']);
    started.push(serve);
    const [, ca = '', review = '', url = ''] = await serve.said(
      /--cacert (\S+) [\s\S]*?--data @(\S+) (https:\S+)\/mutate/,
    );
    const client = new HttpsClient(url, { ca: await readFile(ca, 'utf8') });
    clients.push(client);
    expect((await client.send('/mutate', await readFile(review))).status).toBe(200);
    const { images } = await serve.line('admission');
    expect(images).toContainEqual(
      expect.objectContaining({ source: 'atlanhq/atlan-mysql-app:0.4.25' }),
    );
    serve.kill('SIGINT');
    expect(await serve.exited).toBe(0);
    await expect(readFile(ca)).rejects.toThrow('ENOENT');
  });

  it('does not start with a configuration that is not UTF-8', async () => {
    await using workspace = await Workspace.create();
    const text = 'apiVersion: sdr-image-rewriter/v1\nprocurement: public # caf\u00e9\n';
    const config = await workspace.write('config.yaml', Buffer.from(text, 'latin1'));
    expect(await runProgram(['serve', '--config', config])).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: the configuration ${config} is no UTF-8 text at line 2, column 26; save it as UTF-8 [CONFIG_NOT_TEXT]\n`,
    });
  });

  it('does not start with a faulty configuration, and names every fault', async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write('config.yaml', 'apiVersion: x\nprocurement: y\nz: 1\n');
    const { code, stderr } = await runProgram(['serve', '--config', config]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/\$\.apiVersion[\s\S]*\$\.procurement[\s\S]*\$\.z/);
    const missing = await runProgram(['serve', '--config', workspace.path('none.yaml')]);
    expect(missing).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('CONFIG_UNREADABLE') as unknown,
    });
    const bare = await workspace.write(
      'bare.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: public\n',
    );
    const noFiles = await workspace.write(
      'files.yaml',
      `apiVersion: sdr-image-rewriter/v1\nprocurement: public\nserver: {host: localhost, port: 0, tls: {certFile: ${workspace.path('a')}, keyFile: ${workspace.path('b')}}}\nops: {host: localhost, port: 0}\n`,
    );
    expect(await runProgram(['serve', '--config', noFiles])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[TLS_UNREADABLE]') as unknown,
    });
    const noTls = await runProgram(['serve', '--config', bare]);
    expect(noTls).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('server.tls.certFile') as unknown,
    });
  });
});
