import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createCacheFile, type MapCache } from '../../src/source/cache-file.ts';
import { type Authority, createAuthority } from '../support/certificates.ts';
import { sha256 } from '../support/digests.ts';
import { FaultServer, S3_ERRORS, type StoreFault } from '../support/fault-server.ts';
import { HttpsClient } from '../support/https-client.ts';
import { podOf } from '../support/pods.ts';
import { type LogLine, ServeProcess } from '../support/program.ts';
import { createReview } from '../support/reviews.ts';
import { Workspace } from '../support/workspace.ts';

const PATH = '/sdr-config/image-map.json';
const SOURCE = 'docker.io/atlanhq/atlan-mysql-app:0.4.25';
const REVIEW = JSON.stringify(createReview(podOf([SOURCE])));
/** Between two SIGHUPs, and between two reviews of one client, in milliseconds. */
const NUDGE = 50;
const PAUSE = 2;
/** A wait as long as this has failed. */
const PATIENCE = 15_000;

const ENV = {
  ...process.env,
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'example',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: 'test/no-such-file',
  AWS_SHARED_CREDENTIALS_FILE: 'test/no-such-file',
  NO_PROXY: '127.0.0.1',
  no_proxy: '127.0.0.1',
};

function targetOf(serial: number): string {
  return `registry.corp.example/atlan/mysql:0.4.25-r${serial}`;
}

function mapOf(serial: number): string {
  const images = [{ source: SOURCE, target: targetOf(serial) }];
  return JSON.stringify({ apiVersion: 'sdr-image-map/v1', serial, images });
}

const started: ServeProcess[] = [];
const loads: Load[] = [];

afterEach(async () => {
  for (const load of loads.splice(0)) await load.stop();
  for (const serve of started.splice(0)) {
    serve.kill('SIGKILL');
    await serve.exited;
  }
});

/** Ends before the folder that it keeps its cache in goes away. */
interface Running extends AsyncDisposable {
  readonly serve: ServeProcess;
  readonly url: string;
  readonly opsUrl: string;
  readonly cacheFile: string;
}

interface Place {
  readonly workspace: Workspace;
  readonly authority: Authority;
  readonly store: FaultServer;
}

/** The bundled program with its map in the store; `name` keeps the files of several apart. */
async function start(
  { workspace, authority, store }: Place,
  name = 'one',
  refreshInterval = '300ms',
): Promise<Running> {
  const { cert, key } = await authority.issue(name);
  const certFile = await workspace.write(`${name}.crt`, cert);
  const keyFile = await workspace.write(`${name}.key`, key);
  const cacheFile = workspace.path(`${name}.cache`);
  const s3 = { endpoint: store.url, forcePathStyle: true, region: 'eu-west-1' };
  const imageMap = {
    url: `s3:/${PATH}`,
    refreshInterval,
    timeout: '500ms',
    maxBytes: 100_000,
    cacheFile,
    s3,
  };
  const config = {
    apiVersion: 'sdr-image-rewriter/v1',
    procurement: 'map',
    imageMap,
    server: { host: '127.0.0.1', port: 0, tls: { certFile, keyFile } },
    ops: { host: '127.0.0.1', port: 0 },
  };
  const path = await workspace.write(`${name}.yaml`, JSON.stringify(config));
  const serve = new ServeProcess(['--config', path], ENV);
  started.push(serve);
  const { url, opsUrl } = (await serve.line('server.started')) as unknown as {
    url: string;
    opsUrl: string;
  };
  return {
    serve,
    url,
    opsUrl,
    cacheFile,
    [Symbol.asyncDispose]: async () => {
      serve.kill('SIGKILL');
      await serve.exited;
    },
  };
}

/** Starts one with a map of this serial, and waits until its cache file holds that. */
async function startCaching(
  place: Place,
  serial: number,
): Promise<{ readonly running: Running; readonly cache: MapCache }> {
  place.store.put(PATH, mapOf(serial));
  const running = await start(place);
  await running.serve.line('map.loaded');
  const cache = createCacheFile(running.cacheFile);
  await until('the cache file', async () => (await cache.load()) !== undefined);
  return { running, cache };
}

async function imageOf(client: HttpsClient): Promise<string> {
  const { status, body } = await client.send('/mutate', REVIEW);
  if (status !== 200) {
    return `HTTP ${status}`;
  }
  const { response } = JSON.parse(body) as { response: { patch?: string } };
  const patch = JSON.parse(Buffer.from(response.patch ?? 'W10=', 'base64').toString()) as {
    value: string;
  }[];
  return patch[0]?.value ?? 'no patch';
}

/** Clients that ask without end, each answer being compared with what is allowed at the time. */
class Load {
  readonly #clients: readonly HttpsClient[];
  readonly #loops: readonly Promise<void>[];
  #allowed: ReadonlySet<string>;
  #isStopped = false;
  answers = 0;
  /** Answers other than the allowed ones. */
  readonly wrong: string[] = [];

  constructor(url: string, ca: string, ...serials: readonly number[]) {
    this.#allowed = new Set(serials.map(targetOf));
    this.#clients = Array.from({ length: 3 }, () => new HttpsClient(url, { ca }));
    this.#loops = this.#clients.map((client) => this.#ask(client));
    loads.push(this);
  }

  allow(...serials: readonly number[]): void {
    this.#allowed = new Set(serials.map(targetOf));
  }

  async #ask(client: HttpsClient): Promise<void> {
    while (!this.#isStopped) {
      const allowed = this.#allowed;
      const image = await imageOf(client).catch((error: unknown) => String(error));
      this.answers += 1;
      if (!allowed.has(image) && !this.#allowed.has(image)) {
        this.wrong.push(image);
      }
      await sleep(PAUSE);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
    for (const client of this.#clients) client.close();
  }
}

/** Asks for a refresh again and again until `isDone`. */
async function nudgeUntil(serve: ServeProcess, what: string, isDone: () => boolean): Promise<void> {
  await until(what, () => {
    serve.kill('SIGHUP');
    return isDone();
  });
}

async function until(what: string, isDone: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!(await isDone())) {
    if (Date.now() > deadline) {
      throw new Error(`waited in vain for ${what}`);
    }
    await sleep(NUDGE);
  }
}

async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.text();
  return response.status;
}

async function lastSuccess(opsUrl: string): Promise<number> {
  const metrics = await (await fetch(`${opsUrl}/metrics`)).text();
  const [, seconds] = /^\S*map_last_success_timestamp_seconds (\S+)$/m.exec(metrics) ?? [];
  return Number(seconds);
}

/** `target serial` of an audit line. */
function decisionOf({ images, map }: LogLine): string {
  const { target } = (images as { target: string }[])[0] ?? {};
  return `${target ?? ''} ${(map as { serial: number }).serial}`;
}

const FAULTS: readonly (readonly [event: string, code: RegExp, StoreFault])[] = [
  ['map.stale', /^MAP_TIMEOUT$/, { kind: 'stall-headers' }],
  ['map.stale', /^MAP_TIMEOUT$/, { kind: 'stall-body' }],
  ['map.stale', /^MAP_TIMEOUT$/, { kind: 'wrong-length' }],
  ['map.stale', /^MAP_UNREACHABLE$/, { kind: 'cut-body' }],
  ['map.stale', /^MAP_ACCESS_DENIED$/, S3_ERRORS.accessDenied],
  ['map.stale', /^MAP_ACCESS_DENIED$/, S3_ERRORS.kmsDenied],
  ['map.stale', /^MAP_CREDENTIALS_REFUSED$/, S3_ERRORS.expiredToken],
  ['map.stale', /^MAP_CLOCK_SKEWED$/, S3_ERRORS.clockSkew],
  ['map.stale', /^MAP_NOT_FOUND$/, S3_ERRORS.noSuchKey],
  ['map.stale', /^MAP_NOT_FOUND$/, S3_ERRORS.noSuchBucket],
  ['map.stale', /^MAP_REGION_WRONG$/, S3_ERRORS.wrongRegion],
  // The SDK tries again after these, for longer than the deadline of this configuration.
  ['map.stale', /^MAP_(?:SOURCE_FAILED|TIMEOUT)$/, S3_ERRORS.slowDown],
  ['map.stale', /^MAP_(?:SOURCE_FAILED|TIMEOUT)$/, { kind: 'error-burst', count: 1_000_000 }],
  ['map.stale', /^MAP_(?:SOURCE_FAILED|TIMEOUT)$/, { kind: 'garbage-error' }],
  ['map.stale', /^MAP_TOO_LARGE$/, { kind: 'huge', announced: true }],
  ['map.stale', /^MAP_TOO_LARGE$/, { kind: 'huge', announced: false }],
  ['map.stale', /^MAP_ENCODED$/, { kind: 'gzip-bomb' }],
  ['map.rejected', /^MAP_NOT_JSON$/, { kind: 'garbage-map' }],
];

describe('serve with its map in S3', () => {
  it('decides the same under load through every fault of the store and its death, and takes the next map after that', async () => {
    await using workspace = await Workspace.create();
    await using store = await FaultServer.start();
    const authority = await createAuthority();
    store.put(PATH, mapOf(1));
    await using running = await start({ workspace, authority, store });
    const { serve, url, opsUrl } = running;
    await serve.line('map.loaded');
    const load = new Load(url, authority.cert, 1);
    let stoppedAt: number | undefined;

    const showsIn = async (event: string, code: RegExp): Promise<void> => {
      const past = serve.lines.length;
      await nudgeUntil(serve, `${event} ${String(code)}`, () =>
        serve.lines
          .slice(past)
          .some((line) => line.event === event && code.test(String(line.code))),
      );
      stoppedAt ??= await lastSuccess(opsUrl);
      expect(await lastSuccess(opsUrl)).toBe(stoppedAt);
      expect(await statusOf(`${opsUrl}/readyz`)).toBe(200);
      expect(load.wrong).toEqual([]);
    };

    for (const [event, code, fault] of FAULTS) {
      store.break(fault);
      store.forgetRequests();
      await nudgeUntil(serve, fault.kind, () => store.requests.length > 0);
      await showsIn(event, code);
    }
    await store.refuse();
    await showsIn('map.stale', /^MAP_UNREACHABLE$/);
    expect(stoppedAt).toBeGreaterThan(0);
    expect(serve.lines.filter(({ event }) => event === 'map.loaded')).toHaveLength(1);

    load.allow(1, 2);
    store.put(PATH, mapOf(2));
    store.heal();
    await store.listen();
    // By itself: nobody sends a signal in a cluster.
    await serve.line('map.loaded', ({ serial }) => serial === 2);
    load.allow(2);
    expect(await lastSuccess(opsUrl)).toBeGreaterThan(stoppedAt ?? Infinity);

    // A store that always answers 304 is one that has nothing new.
    store.break({ kind: 'not-modified' });
    store.forgetRequests();
    await nudgeUntil(serve, 'reads', () => store.requests.length > 2);
    expect(await statusOf(`${opsUrl}/readyz`)).toBe(200);

    load.allow(2, 3);
    store.put(PATH, mapOf(3));
    store.heal();
    await serve.line('map.loaded', ({ serial }) => serial === 3);
    load.allow(3);
    await serve.line('admission', ({ map }) => (map as { serial: number }).serial === 3);
    await load.stop();
    expect(load.wrong).toEqual([]);
    expect(load.answers).toBeGreaterThan(100);
    const decisions = serve.lines.filter(({ event }) => event === 'admission').map(decisionOf);
    expect(new Set(decisions)).toEqual(
      new Set([1, 2, 3].map((serial) => `${targetOf(serial)} ${serial}`)),
    );
  });

  it('reads the map at once on SIGHUP, and serves on', async () => {
    await using workspace = await Workspace.create();
    await using store = await FaultServer.start();
    const authority = await createAuthority();
    store.put(PATH, mapOf(1));
    await using running = await start({ workspace, authority, store }, 'one', '1h');
    const { serve, opsUrl } = running;
    await serve.line('map.loaded');
    store.put(PATH, mapOf(2));
    serve.kill('SIGHUP');
    await serve.line('map.loaded', ({ serial }) => serial === 2);
    expect(await statusOf(`${opsUrl}/readyz`)).toBe(200);
    expect(serve.lines.map(({ event }) => event)).not.toContain('server.draining');
  });

  it('starts from the cache file while the store is away, and goes on from there', async () => {
    await using workspace = await Workspace.create();
    await using store = await FaultServer.start();
    const authority = await createAuthority();
    const place = { workspace, authority, store };
    const { running, cache } = await startCaching(place, 7);
    await using first = running;
    const savedAt = (await cache.load())?.confirmedAt ?? NaN;
    await until('a confirmation', async () => {
      first.serve.kill('SIGHUP');
      return ((await cache.load())?.confirmedAt ?? NaN) > savedAt;
    });
    first.serve.kill('SIGKILL');
    await first.serve.exited;
    await store.refuse();

    await using second = await start(place);
    const { serve, url, opsUrl } = second;
    expect(await serve.line('map.loaded')).toMatchObject({ from: 'cache', serial: 7 });
    expect(await serve.line('map.stale')).toMatchObject({ code: 'MAP_UNREACHABLE', serial: 7 });
    expect(await statusOf(`${opsUrl}/readyz`)).toBe(200);
    expect(await lastSuccess(opsUrl)).toBeGreaterThan(savedAt / 1000);
    const client = new HttpsClient(url, { ca: authority.cert });
    expect(await imageOf(client)).toBe(targetOf(7));

    store.put(PATH, mapOf(8));
    await store.listen();
    expect(await serve.line('map.loaded', ({ from }) => from === 'source')).toMatchObject({
      serial: 8,
    });
    expect(await imageOf(client)).toBe(targetOf(8));
    client.close();
  });

  it('starts from what an earlier run of this build made of the map', async () => {
    await using workspace = await Workspace.create();
    await using store = await FaultServer.start();
    const authority = await createAuthority();
    const place = { workspace, authority, store };
    const { running, cache } = await startCaching(place, 7);
    await using first = running;
    first.serve.kill('SIGKILL');
    await first.serve.exited;
    await store.refuse();
    const cached = await cache.load();
    if (cached?.tables === undefined) throw new Error('no tables were saved');
    // Only the tables can be the map of serial 7 now.
    const bytes = Buffer.from(JSON.stringify(mapOf(8)));
    await cache.save({ ...cached, bytes, sha256: sha256(bytes) }, [cached.tables]);

    await using second = await start(place);
    expect(await second.serve.line('map.loaded')).toMatchObject({ from: 'cache', serial: 7 });
    const client = new HttpsClient(second.url, { ca: authority.cert });
    expect(await imageOf(client)).toBe(targetOf(7));
    client.close();
  });

  it('takes a changed map into use in every process, each of which names its serial', async () => {
    await using workspace = await Workspace.create();
    await using store = await FaultServer.start();
    const authority = await createAuthority();
    const place = { workspace, authority, store };
    store.put(PATH, mapOf(1));
    await using one = await start(place, 'one');
    await using two = await start(place, 'two');
    for (const next of [1, 2, 3]) {
      if (next > 1) store.put(PATH, mapOf(next));
      await Promise.all(
        [one, two].map(async ({ serve, url, opsUrl }) => {
          const loaded = await serve.line('map.loaded', ({ serial }) => serial === next);
          const client = new HttpsClient(url, { ca: authority.cert });
          expect(await imageOf(client)).toBe(targetOf(next));
          client.close();
          const audit = await serve.line('admission', ({ map }) => {
            return (map as { serial: number }).serial === next;
          });
          expect(decisionOf(audit)).toBe(`${targetOf(next)} ${next}`);
          expect(audit.map).toMatchObject({ etag: loaded.etag });
          const status = (await (await fetch(`${opsUrl}/status`)).json()) as object;
          expect(status).toMatchObject({ map: { serial: next, etag: loaded.etag } });
        }),
      );
    }
  });
});
