import { beforeEach, describe, expect, it } from '@jest/globals';
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
beforeEach(() => {
  events = [];
});

/** A runtime whose file is read by `readConfig`. */
function start(
  readConfig: () => Promise<string>,
  createSource: RuntimeOptions['createSource'] = () => {
    throw new Error('there is no map in these tests');
  },
): Promise<Runtime> {
  const stream = {
    write: (line: string) => {
      events.push((JSON.parse(line) as { event: string }).event);
    },
  };
  return Runtime.create({
    path: 'config.yaml',
    readConfig,
    createSource,
    log: createEventLog('info', { stream }),
    metrics: createMetrics(),
  });
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
