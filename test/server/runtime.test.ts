import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Clock } from '../../src/clock.ts';
import { RewriterError } from '../../src/core/errors.ts';
import { createEventLog } from '../../src/log.ts';
import { createMetrics } from '../../src/metrics.ts';
import { Runtime, type RuntimeOptions } from '../../src/server/runtime.ts';
import type { MapSource } from '../../src/source/source.ts';
import { recordLog } from '../support/events.ts';
import { bytesOf } from '../support/maps.ts';
import { Workspace } from '../support/workspace.ts';

function configOf(base: string, port = 8443): string {
  return `apiVersion: sdr-image-rewriter/v1
procurement: prefix
containerRegistryBase: ${base}
server: {port: ${port}}
`;
}

let events: string[] = [];
let awaited: { readonly event: string; readonly resolve: () => void } | undefined;
/** What is to run after a pause, by its milliseconds. */
let timers: { readonly pause: number; readonly run: () => void }[] = [];
beforeEach(() => {
  events = [];
  timers = [];
});

const clock: Clock = {
  now: () => 0,
  after(pause, run) {
    const timer = { pause, run };
    timers.push(timer);
    return () => {
      timers = timers.filter((each) => each !== timer);
    };
  },
};

/** Resolves when that event is logged next. */
function told(event: string): Promise<void> {
  return new Promise((resolve) => {
    awaited = { event, resolve };
  });
}

/** A runtime whose file is read by `readConfig`. */
function start(
  readConfig: () => Promise<string>,
  createSource: RuntimeOptions['createSource'] = () => {
    throw new Error('there is no map in these tests');
  },
): Promise<Runtime> {
  const stream = {
    write: (line: string) => {
      const { event } = JSON.parse(line) as { event: string };
      events.push(event);
      if (event === awaited?.event) awaited.resolve();
    },
  };
  return Runtime.create({
    path: 'config.yaml',
    readConfig,
    createSource,
    log: createEventLog('info', { stream }),
    metrics: createMetrics(),
    clock,
  });
}

/** Resolves when what the runtime does by itself, without any I/O, is done. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await setImmediate();
}

function targetOf(runtime: Runtime): unknown {
  const decision = runtime.policy?.decide('docker.io/atlanhq/a:1');
  return decision?.outcome === 'rewritten' ? decision.target : decision;
}

describe('a configuration that changes while it is read', () => {
  it('is in use as it was read last, however long an earlier read takes', async () => {
    let text = configOf('one.example');
    let gate = Promise.resolve();
    const runtime = await start(async () => {
      const now = text;
      await gate;
      return now;
    });
    await runtime.start();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    gate = promise.then(() => undefined);
    text = configOf('two.example');
    const first = runtime.reload();
    gate = Promise.resolve();
    text = configOf('three.example');
    const second = runtime.reload();
    resolve(undefined);
    await Promise.all([first, second]);
    expect(targetOf(runtime)).toBe('three.example/atlanhq/a:1');
  });

  it('is told of once, however many ask for it', async () => {
    let text = configOf('one.example');
    const runtime = await start(() => Promise.resolve(text));
    await runtime.start();
    text = configOf('two.example');
    await Promise.all([runtime.reload(), runtime.reload(), runtime.reload()]);
    expect(events).toEqual(['config.loaded', 'config.loaded']);
  });
});

describe('a configuration that changes between its first read and the start', () => {
  it('is in use as it is by then', async () => {
    let text = configOf('one.example');
    const runtime = await start(() => Promise.resolve(text));
    text = configOf('two.example');
    await runtime.start();
    expect(targetOf(runtime)).toBe('two.example/atlanhq/a:1');
    expect(events).toEqual(['config.loaded', 'config.loaded']);
  });

  it('stays in use as it was read where it is faulty by then', async () => {
    let text = configOf('one.example');
    const runtime = await start(() => Promise.resolve(text));
    text = 'procurement: nonsense\n';
    await runtime.start();
    expect(targetOf(runtime)).toBe('one.example/atlanhq/a:1');
    expect(events).toEqual(['config.loaded', 'config.rejected']);
  });
});

describe('a configuration that cannot be read for a while', () => {
  let text: string;
  let failure: RewriterError | undefined;
  const unreadable = (why: string): RewriterError => new RewriterError('CONFIG_UNREADABLE', why);

  async function startReadable(): Promise<Runtime> {
    [text, failure] = [configOf('one.example'), undefined];
    const runtime = await start(() =>
      failure === undefined ? Promise.resolve(text) : Promise.reject(failure),
    );
    await runtime.start();
    events = [];
    return runtime;
  }

  /** Lets the pause pass, and resolves when the file was read again. */
  async function pass(): Promise<number | undefined> {
    const [timer] = timers.splice(0);
    timer?.run();
    await settled();
    return timer?.pause;
  }

  it('is read again after pauses that grow, and told of once, until it is taken into use', async () => {
    const runtime = await startReadable();
    failure = unreadable('EMFILE');
    text = configOf('two.example');
    await runtime.reload();
    expect(await pass()).toBe(2000);
    failure = unreadable('EIO');
    expect(await pass()).toBe(4000);
    expect(runtime.configError?.message).toBe('EIO');
    failure = undefined;
    expect(await pass()).toBe(8000);
    expect(events).toEqual(['config.rejected', 'config.loaded']);
    expect(targetOf(runtime)).toBe('two.example/atlanhq/a:1');
    expect(timers).toEqual([]);
  });

  it('is told of anew where it can be read and is faulty, and then left until it changes', async () => {
    const runtime = await startReadable();
    failure = unreadable('ESTALE');
    await runtime.reload();
    failure = undefined;
    text = 'procurement: nonsense\n';
    await pass();
    expect(events).toEqual(['config.rejected', 'config.rejected']);
    expect(timers).toEqual([]);
  });
});

describe('allowedTargets that become narrower than the map in use', () => {
  const configWith = (allowed: string, url = 's3://maps/one.json'): string =>
    `apiVersion: sdr-image-rewriter/v1\nprocurement: map\nallowedTargets: [${allowed}]\nimageMap: {url: "${url}"}\n`;
  const sourceOf = (location: string): MapSource => ({
    location,
    read: () =>
      Promise.resolve({
        kind: 'changed',
        bytes: bytesOf({ 'docker.io/atlanhq/a:1': `${location.length}.example/a:1` }),
        etag: location,
        signature: undefined,
      }),
  });

  it('are refused, and what was in use stays, rules and configuration', async () => {
    let text = configWith('');
    const runtime = await start(
      () => Promise.resolve(text),
      ({ url }) => sourceOf(url),
    );
    await runtime.start();
    events = [];
    text = configWith('registry.corp.example');
    await runtime.reload();
    expect(runtime.configError).toMatchObject({
      code: 'MAP_TARGET_FORBIDDEN',
      message: expect.stringMatching(
        /^allowedTargets forbids what is in use: .*18\.example/,
      ) as unknown,
    });
    expect(events).toEqual(['config.rejected']);
    expect(targetOf(runtime)).toBe('18.example/a:1');
    runtime.stop();
  });

  it('are refused as well where the place is known only when it is prepared', async () => {
    let text = configWith('');
    const prepared = (location: string): MapSource => {
      let place: string | undefined;
      return {
        ...sourceOf(location),
        get place() {
          return place;
        },
        prepare: () => {
          place = `place of ${location}`;
          return Promise.resolve();
        },
      };
    };
    const runtime = await start(
      () => Promise.resolve(text),
      ({ url }) => prepared(url),
    );
    await runtime.start();
    text = configWith('registry.corp.example');
    await runtime.reload();
    expect(runtime.configError?.code).toBe('MAP_TARGET_FORBIDDEN');
    runtime.stop();
  });

  it('are taken together with another place for the map', async () => {
    let text = configWith('');
    const runtime = await start(
      () => Promise.resolve(text),
      ({ url }) => sourceOf(url),
    );
    await runtime.start();
    text = configWith('20.example', 's3://maps/three.json');
    await runtime.reload();
    expect(runtime.configError).toBeUndefined();
    expect(targetOf(runtime)).toBe('20.example/a:1');
    runtime.stop();
  });
});

describe('allowedTargets and a map that fit each other, and not what is in use', () => {
  const OLD = 'old.example';
  const NEW = 'new.example';
  let text: string;
  let target: string;
  let serial: number;
  let reads: number;
  let outage: RewriterError | undefined;

  const allow = (allowed: string): void => {
    text = `apiVersion: sdr-image-rewriter/v1\nprocurement: map\nallowedTargets: [${allowed}]\nimageMap: {url: "s3://maps/one.json"}\n`;
  };
  const publish = (to: string): void => {
    target = to;
    serial += 1;
  };
  const source: MapSource = {
    location: 's3://maps/one.json',
    read() {
      reads += 1;
      if (outage !== undefined) return Promise.reject(outage);
      const images = [{ source: 'docker.io/atlanhq/a:1', target: `${target}/a:1` }];
      const bytes = bytesOf({ apiVersion: 'sdr-image-map/v1', serial, images });
      return Promise.resolve({
        kind: 'changed',
        bytes,
        etag: String(serial),
        signature: undefined,
      });
    },
  };

  /** A runtime that has a map to the old targets in use. */
  async function startWith(allowed: string): Promise<Runtime> {
    [serial, reads, outage] = [0, 0, undefined];
    allow(allowed);
    publish(OLD);
    const runtime = await start(
      () => Promise.resolve(text),
      () => source,
    );
    await runtime.start();
    events = [];
    return runtime;
  }

  it('come into use when the map is published after the edit', async () => {
    const runtime = await startWith('');
    allow(NEW);
    await runtime.reload();
    expect(events).toEqual(['config.rejected']);
    const loaded = told('config.loaded');
    publish(NEW);
    await runtime.map?.refreshAnew();
    await loaded;
    expect(runtime.configError).toBeUndefined();
    runtime.stop();
  });

  it('come into use when the edit alone would allow the map that is published after it', async () => {
    const runtime = await startWith(OLD);
    allow(NEW);
    await runtime.reload();
    const loaded = told('map.loaded');
    publish(NEW);
    await runtime.map?.refreshAnew();
    await loaded;
    expect(events).toEqual(['config.rejected', 'map.rejected', 'config.loaded', 'map.loaded']);
    expect(targetOf(runtime)).toBe(`${NEW}/a:1`);
    runtime.stop();
  });

  it('come into use when the edit alone allows the map that was published before it', async () => {
    const runtime = await startWith(OLD);
    publish(NEW);
    await runtime.map?.refreshAnew();
    const before = reads;
    allow(NEW);
    await runtime.reload();
    expect(events).toEqual(['map.rejected', 'config.loaded', 'map.loaded']);
    expect(targetOf(runtime)).toBe(`${NEW}/a:1`);
    // What was held against the edit is what is loaded.
    expect(reads - before).toBe(1);
    runtime.stop();
  });

  it('are not told of anew by maps that do not fit the edit either', async () => {
    const runtime = await startWith('');
    allow(NEW);
    await runtime.reload();
    for (const other of ['other.example', 'another.example']) {
      publish(other);
      await runtime.map?.refreshAnew();
    }
    const loaded = told('config.loaded');
    publish(NEW);
    await runtime.map?.refreshAnew();
    await loaded;
    expect(events.filter((event) => event === 'config.rejected')).toHaveLength(1);
    runtime.stop();
  });

  it('are tried again after a pause while the place of the map cannot be read', async () => {
    const runtime = await startWith(OLD);
    publish(NEW);
    await runtime.map?.refreshAnew();
    outage = new RewriterError('MAP_UNREACHABLE', 'gone');
    allow(NEW);
    await runtime.reload();
    expect(runtime.configError?.code).toBe('MAP_TARGET_FORBIDDEN');
    outage = undefined;
    const loaded = told('map.loaded');
    for (const { run } of timers) run();
    await loaded;
    expect(events).toEqual(['map.rejected', 'config.rejected', 'config.loaded', 'map.loaded']);
    expect(targetOf(runtime)).toBe(`${NEW}/a:1`);
    runtime.stop();
    expect(timers).toEqual([]);
  });

  it('leave no attempt behind where the map at the place is known not to fit', async () => {
    const runtime = await startWith('');
    allow(NEW);
    await runtime.reload();
    expect(timers).toEqual([]);
    expect(reads).toBe(2);
    runtime.stop();
  });
});

describe('what only a restart changes', () => {
  it('is told of as long as the file differs from what the process began with', async () => {
    let text = configOf('one.example');
    const runtime = await start(() => Promise.resolve(text));
    await runtime.start();
    const eventsOf = async (next: string): Promise<string[]> => {
      events = [];
      text = next;
      await runtime.reload();
      return events;
    };
    const [pending, loaded] = [['config.restart-needed', 'config.loaded'], ['config.loaded']];
    expect(await eventsOf(configOf('one.example', 9443))).toEqual(pending);
    expect(await eventsOf(configOf('two.example', 9443))).toEqual(pending);
    expect(await eventsOf(configOf('two.example'))).toEqual(loaded);
  });
});

describe('a cache file that is there and not used', () => {
  it('is told of in one line, with a code and a sentence', async () => {
    await using workspace = await Workspace.create();
    const cacheFile = await workspace.write('image-map.json', 'damaged');
    const config = { apiVersion: 'sdr-image-rewriter/v1', procurement: 'map' };
    const imageMap = { url: 's3://sdr-config/image-map.json', cacheFile };
    const { log, lines } = recordLog();
    const runtime = await Runtime.create({
      path: 'config.yaml',
      readConfig: () => Promise.resolve(JSON.stringify({ ...config, imageMap })),
      createSource: ({ url }) => ({
        location: url,
        read: () => Promise.reject(new Error('the store is gone')),
      }),
      log,
      metrics: createMetrics(),
    });
    await runtime.start();
    runtime.stop();
    const [line, ...more] = lines.filter(({ event }) => event === 'map.cache-unused');
    expect(line).toMatchObject({
      level: 'warn',
      location: imageMap.url,
      code: 'MAP_CACHE_UNREADABLE',
      error: expect.stringContaining('imageMap.cacheFile') as unknown,
    });
    expect(more).toEqual([]);
  });
});
