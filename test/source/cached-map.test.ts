import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Clock } from '../../src/clock.ts';
import { RewriterError } from '../../src/core/errors.ts';
import { MapStore } from '../../src/core/map-store.ts';
import { type CachedBytes, createCacheFile, type MapCache } from '../../src/source/cache-file.ts';
import {
  CachedMap,
  type CachedMapSettings,
  type MapObserver,
} from '../../src/source/cached-map.ts';
import { BUILD } from '../../src/version.ts';
import { joinSignatures, signBytes } from '../../src/source/signature.ts';
import type { MapReading, MapSource, ReadRequest } from '../../src/source/source.ts';
import { sha256 } from '../support/digests.ts';
import { bytesOf, bytesOfText, mapDocument, mapOf, MAX_BYTES } from '../support/maps.ts';
import { prefixOf } from '../support/references.ts';
import { Workspace } from '../support/workspace.ts';

const LOCATION = 's3://sdr-config/image-map.json';
const MINUTE = 60_000;
const START = 1_700_000_000_000;
/** Milliseconds from a signature that does not fit to the next read, and some more. */
const SIGNATURE_PAUSE = 700;

/** Milliseconds of pauses that only let others go first. */
const SHORT_PAUSE = 100;

/** Time stands still until `ring` or `pass`; short pauses are over by themselves. */
class FakeClock implements Clock {
  #now = START;
  #next: { readonly at: number; readonly run: () => void } | undefined;

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, run: () => void): () => void {
    if (milliseconds <= SHORT_PAUSE) {
      const pause = setImmediate(run);
      return () => clearImmediate(pause);
    }
    const timer = { at: this.#now + milliseconds, run };
    this.#next = timer;
    return () => {
      if (this.#next === timer) this.#next = undefined;
    };
  }

  pass(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /** Milliseconds until the timer runs; undefined where there is none. */
  get waiting(): number | undefined {
    return this.#next && this.#next.at - this.#now;
  }

  /** Lets the time of the timer come. */
  ring(): void {
    const timer = this.#next;
    if (timer === undefined) {
      throw new Error('no timer is set');
    }
    this.#next = undefined;
    this.#now = timer.at;
    timer.run();
  }
}

/** A place in memory; `answer` may be replaced to make it ill. */
class FakeSource implements MapSource {
  readonly location: string;
  readonly requests: ReadRequest[] = [];
  place?: string;
  prepare?: () => Promise<void>;
  closed = 0;
  bytes = new Uint8Array();
  signature: Uint8Array | undefined;
  etag = '';
  onChange: (() => void) | undefined;
  answer: (request: ReadRequest) => MapReading | Promise<MapReading> = (request) =>
    this.present(request);

  constructor(location = LOCATION) {
    this.location = location;
  }

  put(document: unknown, etag?: string): this {
    this.bytes = Uint8Array.from(
      typeof document === 'string' ? bytesOfText(document) : bytesOf(document),
    );
    this.etag = etag ?? sha256(this.bytes).slice(0, 8);
    return this;
  }

  /** What a healthy place answers. */
  present({ etag, signed }: ReadRequest): MapReading {
    const { bytes, signature } = this;
    return etag === this.etag && etag !== ''
      ? { kind: 'unchanged' }
      : { kind: 'changed', bytes, etag: this.etag, signature: signed ? signature : undefined };
  }

  fail(): void {
    this.answer = () => Promise.reject(new RewriterError('MAP_UNREACHABLE', 'the store is gone'));
  }

  heal(): void {
    this.answer = (request) => this.present(request);
  }

  /** The next read waits until the returned function is called. */
  hold(): () => void {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.answer = async (request) => {
      const reading = this.present(request);
      this.heal();
      await gate;
      return reading;
    };
    return release;
  }

  close(): void {
    this.closed += 1;
  }

  read(request: ReadRequest): Promise<MapReading> {
    this.requests.push(request);
    return Promise.resolve(this.answer(request));
  }

  watch(onChange: () => void): () => void {
    this.onChange = onChange;
    return () => {
      this.onChange = undefined;
    };
  }
}

class FakeCache implements MapCache {
  saved: CachedBytes | undefined;
  tables: readonly Uint8Array[] | undefined;
  failure: Error | undefined;
  /** What loads and saves wait for. */
  gate: Promise<unknown> = Promise.resolve();

  async load(): Promise<CachedBytes | undefined> {
    await this.gate;
    return this.saved;
  }

  async save(cached: CachedBytes, tables?: readonly Uint8Array[]): Promise<Error | undefined> {
    const { failure } = this;
    await this.gate;
    if (failure === undefined) {
      this.saved = cached;
      this.tables = tables;
    }
    return failure;
  }

  /** Loads and saves wait from now on until the returned function is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers();
    this.gate = promise;
    return () => resolve(undefined);
  }

  confirm(confirmedAt: number): Promise<void> {
    this.saved = this.saved && { ...this.saved, confirmedAt };
    return Promise.resolve();
  }
}

interface Bench {
  readonly map: CachedMap;
  readonly source: FakeSource;
  readonly clock: FakeClock;
  /** What the observer was told: `loaded 2 from source +1 -0 ~1`, `rejected CODE` and so on. */
  readonly told: string[];
  /** Serial of the map in use. */
  readonly serial: () => number | undefined;
}

const GUARDS = { allowedTargets: [], allowRollback: false, maxShrink: 0.5 };

function settingsOf(overrides: Partial<CachedMapSettings> = {}): CachedMapSettings {
  return {
    refreshInterval: MINUTE,
    timeout: 30_000,
    maxBytes: MAX_BYTES,
    ...GUARDS,
    ...overrides,
  };
}

const running: CachedMap[] = [];

afterEach(() => {
  for (const map of running.splice(0)) map.stop();
});

interface BenchOptions extends Partial<CachedMapSettings> {
  readonly source?: FakeSource;
  readonly random?: () => number;
}

function benchOf({ source = new FakeSource(), random, ...settings }: BenchOptions = {}): Bench {
  const clock = new FakeClock();
  const told: string[] = [];
  const observer: MapObserver = {
    loaded: ({ loaded, from, added, removed, changed }) => {
      const serial = loaded.identity.serial ?? '-';
      told.push(`loaded ${serial} from ${from} +${added} -${removed} ~${changed}`);
    },
    unchanged: () => told.push('unchanged'),
    rejected: ({ code }) => told.push(`rejected ${code}`),
    stale: ({ code }) => told.push(`stale ${code}`),
    cacheFailed: ({ message }) => told.push(`cacheFailed ${message}`),
    cacheUnused: ({ code }) => told.push(`cacheUnused ${code}`),
  };
  const map = new CachedMap({
    source,
    settings: settingsOf(settings),
    observer,
    clock,
    random: random ?? (() => 0.5),
  });
  running.push(map);
  return { map, source, clock, told, serial: () => map.current?.identity.serial };
}

/** A map with so many entries, all of that serial. */
function documentOf(serial: number | undefined, size = 4): Record<string, unknown> {
  const images = Array.from({ length: size }, (_, index) => ({
    source: `docker.io/atlanhq/app-${index}:1`,
    target: `registry.corp.example/app-${index}:1`,
  }));
  return mapDocument({ ...(serial !== undefined && { serial }), images });
}

/** Rings the clock and waits until the read that this begins is over. */
async function ringAndRead({ clock, map }: Bench): Promise<void> {
  clock.ring();
  await map.refresh();
}

/** Waits until any map is in use, for some seconds at most. */
async function untilUsed(map: CachedMap): Promise<void> {
  for (const end = Date.now() + 20_000; map.current === undefined && Date.now() < end;) {
    await turn();
  }
}

describe('a cached map', () => {
  it('has no map before the first read, and then that one with its identity', async () => {
    const { map, source, told } = benchOf();
    source.put(documentOf(1), '"abc"');
    expect([map.current, map.lastSuccess, map.age, map.lastError]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    await map.start();
    expect(map.current).toMatchObject({
      identity: { location: LOCATION, serial: 1, etag: 'abc' },
      sha256: sha256(source.bytes),
      loadedAt: START,
    });
    expect([map.lastSuccess, map.age]).toEqual([START, 0]);
    expect(told).toEqual(['loaded 1 from source +4 -0 ~0']);
  });

  it('takes each next map and counts what is new in it', async () => {
    const bench = benchOf();
    bench.source.put(documentOf(1));
    await bench.map.start();
    bench.source.put(documentOf(2, 5));
    await ringAndRead(bench);
    await ringAndRead(bench);
    expect(bench.told).toEqual([
      'loaded 1 from source +4 -0 ~0',
      'loaded 2 from source +1 -0 ~0',
      'unchanged',
    ]);
    expect(bench.source.requests.map(({ etag }) => etag)).toEqual([
      undefined,
      sha256(bytesOf(documentOf(1))).slice(0, 8),
      bench.source.etag,
    ]);
  });

  it('takes the digest that the source has computed', async () => {
    const { map, source } = benchOf();
    source.put(documentOf(1));
    source.answer = (request) => ({ ...source.present(request), sha256: 'known' });
    await map.start();
    expect(map.current?.sha256).toBe('known');
  });

  it('names the digest of a map that has no etag, and does not take the same bytes for another map', async () => {
    const bench = benchOf();
    bench.source.put(documentOf(1), '');
    await bench.map.start();
    expect(bench.map.current?.identity.etag).toBe(sha256(bench.source.bytes));
    bench.clock.pass(5);
    await bench.map.refresh();
    expect(bench.told).toEqual(['loaded 1 from source +4 -0 ~0', 'unchanged']);
    expect(bench.map.age).toBe(0);
  });

  it('keeps the last good map for ever and tells its age, whatever comes', async () => {
    const bench = benchOf();
    const { source, map, clock, told } = bench;
    source.put(documentOf(1));
    await map.start();
    const loaded = map.current;
    const answers: (() => MapReading | Promise<MapReading>)[] = [
      () => Promise.reject(new RewriterError('MAP_UNREACHABLE', 'gone')),
      () => Promise.reject(new Error('a fault of the source')),
      () => Promise.reject(new TypeError('undefined is not a function')),
      () => {
        throw new Error('thrown before any promise');
      },
      () => source.put('{"truncated":').present({ etag: undefined } as ReadRequest),
      () => source.put('[]').present({ etag: undefined } as ReadRequest),
    ];
    for (const answer of answers) {
      source.answer = answer;
      await ringAndRead(bench);
      expect(map.current).toBe(loaded);
      expect(map.lastError).toBeInstanceOf(RewriterError);
      expect(map.lastSuccess).toBe(START);
    }
    expect(map.age).toBe(clock.now() - START);
    expect(told.slice(1)).toEqual([
      'stale MAP_UNREACHABLE',
      'stale MAP_UNREADABLE',
      'stale MAP_UNREADABLE',
      'stale MAP_UNREADABLE',
      'rejected MAP_NOT_JSON',
      'rejected MAP_SERIAL_LOWER',
    ]);
    source.heal();
    source.put(documentOf(2));
    await ringAndRead(bench);
    expect(bench.serial()).toBe(2);
    expect([map.lastError, map.age]).toEqual([undefined, 0]);
  });

  it('reads once however often it is asked at the same time', async () => {
    const { map, source } = benchOf();
    source.put(documentOf(1));
    await map.start();
    const release = source.hold();
    const reads = [map.refresh(), map.refresh(), map.refresh()];
    await turn();
    release();
    await Promise.all(reads);
    expect(source.requests).toHaveLength(2);
  });

  it('reads once more where the source changed while it was read, however often', async () => {
    const { map, source, serial } = benchOf();
    source.put(documentOf(1));
    await map.start();
    source.put(documentOf(2));
    const release = source.hold();
    const read = map.refresh();
    await turn();
    source.put(documentOf(3));
    source.onChange?.();
    source.onChange?.();
    const again = map.refreshAnew();
    release();
    await read;
    expect(serial()).toBe(2);
    await again;
    expect([serial(), source.requests.length]).toEqual([3, 3]);
  });

  it('reads no more where it was stopped while the source changed', async () => {
    const { map, source } = benchOf();
    source.put(documentOf(1));
    await map.start();
    const release = source.hold();
    void map.refresh();
    const again = map.refreshAnew();
    await turn();
    map.stop();
    release();
    await again;
    expect(source.requests).toHaveLength(2);
  });

  it('reads at once when the source says that it changed, until it is stopped', async () => {
    const { map, source, serial } = benchOf();
    source.put(documentOf(1));
    await map.start();
    source.put(documentOf(2));
    source.onChange?.();
    await map.refresh();
    expect(serial()).toBe(2);
    map.stop();
    expect(source.onChange).toBeUndefined();
  });

  it('reads no more after it was stopped, and takes nothing from a read in flight', async () => {
    const { map, source, clock, serial, told } = benchOf();
    source.put(documentOf(1));
    await map.start();
    source.put(documentOf(2));
    const release = source.hold();
    const read = map.refresh();
    map.stop();
    release();
    await read;
    expect(serial()).toBe(1);
    expect(clock.waiting).toBeUndefined();
    expect(told).toHaveLength(1);
  });

  it('lets others run while it checks a big map, and has the old one until it is done', async () => {
    const { map, source, serial } = benchOf({ maxShrink: 1 });
    source.put(documentOf(1, 20_000));
    await map.start();
    source.put(documentOf(2, 20_000));
    const read = map.refresh().then(() => 'done');
    const seen: (number | undefined)[] = [];
    while ((await Promise.race([read, turn('others')])) !== 'done') {
      seen.push(serial());
    }
    expect(seen.filter((each) => each === 1).length).toBeGreaterThan(10);
    expect(serial()).toBe(2);
  });

  it('takes nothing from a map that it still checks when it is stopped', async () => {
    const { map, source, serial, told } = benchOf();
    source.put(documentOf(1));
    await map.start();
    source.put(documentOf(2, 20_000));
    const read = map.refresh();
    for (let turns = 0; turns < 5; turns += 1) await turn();
    map.stop();
    await read;
    expect([serial(), told]).toEqual([1, ['loaded 1 from source +4 -0 ~0']]);
  });

  it('gives up a source that never answers and does not heed the signal', async () => {
    const { map, source, told, serial } = benchOf({ timeout: 40 });
    source.put(documentOf(1));
    await map.start();
    source.answer = () => new Promise(() => undefined);
    await map.refresh();
    expect(source.requests.at(-1)?.signal.aborted).toBe(true);
    expect([told.at(-1), serial()]).toEqual(['stale MAP_TIMEOUT', 1]);
  });

  it.each([
    ['MAP_SOURCE_FAILED', new RewriterError('MAP_SOURCE_FAILED', 'the store is busy')],
    ['MAP_TIMEOUT', new Error('aborted')],
  ])('says %s where a source that heeds the signal ends with %s', async (code, error) => {
    const { map, source, told } = benchOf({ timeout: 40 });
    source.answer = ({ signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(error));
      });
    await map.refresh();
    expect(told).toEqual([`stale ${code}`]);
  });

  it('begins no read of a source before the one that it gave up has ended', async () => {
    const { map, source, told } = benchOf({ timeout: 40 });
    source.put(documentOf(1));
    await map.start();
    source.put(documentOf(2));
    const release = source.hold();
    for (let refreshes = 0; refreshes < 3; refreshes += 1) await map.refresh();
    expect(source.requests).toHaveLength(2);
    expect(map.lastError?.message).toContain('has not ended yet');
    release();
    await map.refresh();
    expect(source.requests).toHaveLength(3);
    expect(told.slice(1)).toEqual([
      'stale MAP_TIMEOUT',
      'stale MAP_TIMEOUT',
      'stale MAP_TIMEOUT',
      'loaded 2 from source +0 -0 ~0',
    ]);
  });

  it('reads at once after a read that it gave up and that heeds the signal', async () => {
    const { map, source, serial } = benchOf({ timeout: 40 });
    source.put(documentOf(1));
    await map.start();
    source.answer = ({ signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => setImmediate(() => reject(new Error('aborted'))));
      });
    const given = map.refresh();
    await turn();
    source.heal();
    source.put(documentOf(2));
    await map.refreshAnew();
    await given;
    expect(serial()).toBe(2);
  });

  it('reads another source at once, whatever became of a read that it gave up', async () => {
    const { map, source, serial } = benchOf({ timeout: 40 });
    source.put(documentOf(1));
    await map.start();
    source.answer = () => new Promise(() => undefined);
    await map.refresh();
    await map.reconfigure(new FakeSource().put(documentOf(2)), settingsOf());
    expect(serial()).toBe(2);
  });

  it('takes nothing from a read that answers after it was given up', async () => {
    const { map, source, serial } = benchOf({ timeout: 40 });
    source.put(documentOf(1));
    await map.start();
    source.put(documentOf(2));
    const release = source.hold();
    await map.refresh();
    release();
    await turn();
    expect(serial()).toBe(1);
  });

  it('does not take the word of a source that a map which it never gave is unchanged', async () => {
    const { map, source, told } = benchOf();
    source.answer = () => ({ kind: 'unchanged' });
    await map.start();
    expect(told).toEqual([expect.stringMatching(/^(?:stale|rejected) /)]);
    expect([map.current, map.lastSuccess]).toEqual([undefined, undefined]);
    expect(map.lastError).toBeInstanceOf(RewriterError);
  });

  it('takes no word of a source that a map without an etag is unchanged', async () => {
    const { map, source, told, serial } = benchOf();
    source.put(documentOf(1), '');
    await map.start();
    source.answer = () => ({ kind: 'unchanged' });
    await map.refresh();
    expect(told.at(-1)).toMatch(/^stale /);
    expect(map.lastError?.code).toBe('MAP_SOURCE_FAILED');
    expect(serial()).toBe(1);
    source.heal();
    await map.refresh();
    expect(told.at(-1)).toBe('unchanged');
  });
});

describe('the time between two reads', () => {
  it('is the interval ±20 %', async () => {
    for (const [random, milliseconds] of [
      [0, 48_000],
      [0.5, 60_000],
      [1, 72_000],
    ] as const) {
      const { map, source, clock } = benchOf({ random: () => random });
      source.put(documentOf(1));
      await map.start();
      expect(clock.waiting).toBe(milliseconds);
    }
  });

  it('doubles with every failure up to five minutes, and is the interval again after a success', async () => {
    const bench = benchOf();
    const { map, source, clock } = bench;
    source.put(documentOf(1));
    await map.start();
    source.fail();
    const waits = [clock.waiting];
    for (let failures = 1; failures <= 6; failures += 1) {
      await ringAndRead(bench);
      waits.push(clock.waiting);
    }
    expect(waits).toEqual([60_000, 120_000, 240_000, 300_000, 300_000, 300_000, 300_000]);
    source.heal();
    await ringAndRead(bench);
    expect(clock.waiting).toBe(60_000);
  });

  it('does not grow with refused maps, so that a corrected one is in use within one interval', async () => {
    const bench = benchOf();
    bench.source.put(documentOf(1));
    await bench.map.start();
    bench.source.put('{}');
    await ringAndRead(bench);
    expect(bench.clock.waiting).toBe(60_000);
    await ringAndRead(bench);
    expect(bench.clock.waiting).toBe(60_000);
  });

  it('does not grow where it is under ten seconds: the end of an outage is to be noticed within one', async () => {
    const bench = benchOf({ refreshInterval: 5000 });
    bench.source.put(documentOf(1));
    await bench.map.start();
    bench.source.fail();
    for (let failures = 0; failures < 3; failures += 1) await ringAndRead(bench);
    expect(bench.clock.waiting).toBe(5000);
  });

  it('is spread while backing off, too', async () => {
    for (const [random, milliseconds] of [
      [0, 240_000],
      [1, 360_000],
    ] as const) {
      const bench = benchOf({ random: () => random });
      bench.source.put(documentOf(1));
      await bench.map.start();
      bench.source.fail();
      for (let failures = 0; failures < 40; failures += 1) await ringAndRead(bench);
      expect(bench.clock.waiting).toBe(milliseconds);
    }
  });

  it('never gets shorter by failures where the interval is over five minutes', async () => {
    const bench = benchOf({ refreshInterval: 60 * MINUTE });
    bench.source.put(documentOf(1));
    await bench.map.start();
    bench.source.fail();
    await ringAndRead(bench);
    expect(bench.clock.waiting).toBe(60 * MINUTE);
  });

  it('is a few seconds until there is a map, since pods wait for it', async () => {
    const bench = benchOf({ refreshInterval: 60 * MINUTE });
    bench.source.fail();
    await bench.map.start();
    for (let failures = 0; failures < 40; failures += 1) {
      await ringAndRead(bench);
      expect(bench.clock.waiting).toBeLessThanOrEqual(10_000);
    }
    bench.source.heal();
    bench.source.put(documentOf(1));
    await ringAndRead(bench);
    expect(bench.clock.waiting).toBe(60 * MINUTE);
  });

  it('counts from the last read, also from one that somebody asked for', async () => {
    const { map, source, clock } = benchOf();
    source.put(documentOf(1));
    await map.start();
    clock.pass(50_000);
    await map.refresh();
    expect(clock.waiting).toBe(60_000);
  });
});

describe('a refused map', () => {
  it.each([
    ['has a lower serial', 'MAP_SERIAL_LOWER', documentOf(4), {}],
    ['has no serial after one that has', 'MAP_SERIAL_LOWER', documentOf(undefined), {}],
    ['loses too many entries', 'MAP_SHRINKS', documentOf(6, 1), {}],
    [
      'points to where it must not',
      'MAP_TARGET_FORBIDDEN',
      mapDocument({
        serial: 6,
        images: [
          ...(documentOf(6).images as object[]),
          { source: 'docker.io/atlanhq/x:1', target: 'registry.corp.example2/x:1' },
        ],
      }),
      { allowedTargets: [prefixOf('registry.corp.example')] },
    ],
    ['is no JSON', 'MAP_NOT_JSON', '{"serial": 6,', {}],
    ['is too large', 'MAP_TOO_LARGE', documentOf(6, 50), { maxBytes: 2000 }],
  ])('%s; the one in use stays', async (_name, code, document, settings) => {
    const bench = benchOf(settings);
    bench.source.put(documentOf(5));
    await bench.map.start();
    const loaded = bench.map.current;
    bench.source.put(document);
    await ringAndRead(bench);
    expect(bench.told.slice(1)).toEqual([`rejected ${code}`]);
    expect(bench.map.current).toBe(loaded);
    expect(bench.map.lastError).toMatchObject({
      code,
      faults: expect.arrayContaining([
        expect.objectContaining({ code, path: expect.stringMatching(/^\$/) as unknown }),
      ]) as unknown,
      message: expect.stringContaining(LOCATION) as unknown,
    });
  });

  it('is not judged again while it stays, and still is no success', async () => {
    const bench = benchOf();
    const { source, map, told } = bench;
    source.put(documentOf(5));
    await map.start();
    source.put(documentOf(4));
    await ringAndRead(bench);
    for (let round = 0; round < 3; round += 1) {
      await ringAndRead(bench);
      expect(source.requests.at(-1)?.etag).toBe(source.etag);
      expect(map.lastError?.code).toBe('MAP_SERIAL_LOWER');
      expect(map.lastSuccess).toBe(START);
    }
    expect(told.slice(1)).toEqual([
      'rejected MAP_SERIAL_LOWER',
      'stale MAP_SERIAL_LOWER',
      'stale MAP_SERIAL_LOWER',
      'stale MAP_SERIAL_LOWER',
    ]);
    source.put(documentOf(5));
    await ringAndRead(bench);
    expect(map.lastError).toBeUndefined();
  });

  it('is read again as a whole where it is no JSON, which half of a good one would be', async () => {
    const bench = benchOf();
    const { source, map, told, serial } = bench;
    source.put('{"serial": 6,', 'whole');
    await map.start();
    expect(told).toEqual(['rejected MAP_NOT_JSON']);
    source.put(documentOf(6), 'whole');
    await ringAndRead(bench);
    expect(serial()).toBe(6);
    expect(map.lastError).toBeUndefined();
  });

  it('may go back on purpose with allowRollback, also to one without a serial', async () => {
    const bench = benchOf({ allowRollback: true });
    bench.source.put(documentOf(5));
    await bench.map.start();
    bench.source.put(documentOf(4));
    await ringAndRead(bench);
    expect(bench.serial()).toBe(4);
    bench.source.put(documentOf(undefined));
    await ringAndRead(bench);
    expect(bench.map.current?.identity.serial).toBeUndefined();
    expect(bench.map.lastError).toBeUndefined();
  });

  it('may lose just the share of maxShrink', async () => {
    const bench = benchOf({ maxShrink: 0.5 });
    bench.source.put(documentOf(1, 4));
    await bench.map.start();
    bench.source.put(documentOf(2, 2));
    await ringAndRead(bench);
    expect(bench.serial()).toBe(2);
  });

  it('is the first one: it is not used either, and the next good one is', async () => {
    const bench = benchOf({ allowedTargets: [prefixOf('registry.other.example')] });
    bench.source.put(documentOf(1));
    await bench.map.start();
    expect(bench.map.current).toBeUndefined();
    expect(bench.told).toEqual(['rejected MAP_TARGET_FORBIDDEN']);
    bench.source.put({ 'docker.io/atlanhq/x:1': 'registry.other.example/x:1' });
    await ringAndRead(bench);
    expect(bench.told.at(-1)).toBe('loaded - from source +1 -0 ~0');
  });
});

describe('a changed configuration', () => {
  it('is read by at once; the map in use stays until a good one is there', async () => {
    const { map, source, told, serial } = benchOf();
    source.put(documentOf(5));
    await map.start();
    const next = new FakeSource('https://store.example/image-map.json');
    next.fail();
    await map.reconfigure(next, settingsOf());
    expect(serial()).toBe(5);
    expect(map.current?.identity.location).toBe(LOCATION);
    expect(map.location).toBe(next.location);
    expect(map.lastError?.code).toBe('MAP_UNREACHABLE');
    next.heal();
    next.put(documentOf(1, 1));
    await map.refresh();
    expect(serial()).toBe(1);
    expect(map.current?.identity.location).toBe(next.location);
    expect(told.at(-1)).toBe('loaded 1 from source +0 -3 ~0');
  });

  it('compares serial and size only with a map from the same place', async () => {
    const { map, source, told, serial } = benchOf();
    source.put(documentOf(5));
    await map.start();
    await map.reconfigure(new FakeSource().put(documentOf(4)), settingsOf());
    expect(told.at(-1)).toBe('rejected MAP_SERIAL_LOWER');
    const elsewhere = new FakeSource('s3://another/image-map.json').put(documentOf(1, 1));
    await map.reconfigure(elsewhere, settingsOf());
    expect(serial()).toBe(1);
  });

  it('closes the place before it, and a stop the last one', async () => {
    const { map, source } = benchOf();
    source.put(documentOf(5));
    await map.start();
    const next = new FakeSource('s3://another/image-map.json').put(documentOf(1));
    await map.reconfigure(next, settingsOf());
    expect([source.closed, next.closed]).toEqual([1, 0]);
    map.stop();
    expect([source.closed, next.closed]).toEqual([1, 1]);
  });

  it('judges a map again that was refused before', async () => {
    const { map, source, told, serial } = benchOf();
    source.put(documentOf(5));
    await map.start();
    source.put(documentOf(4));
    await map.refresh();
    expect(told.at(-1)).toBe('rejected MAP_SERIAL_LOWER');
    await map.reconfigure(source, settingsOf({ allowRollback: true }));
    expect(serial()).toBe(4);
    expect(map.lastError).toBeUndefined();
  });

  it('throws away what a read that began before it brings', async () => {
    const { map, source, serial, told } = benchOf();
    source.put(documentOf(5));
    await map.start();
    source.put(documentOf(6));
    const release = source.hold();
    const older = map.refresh();
    const next = new FakeSource('s3://another/image-map.json').put(documentOf(1));
    const change = map.reconfigure(next, settingsOf());
    release();
    await Promise.all([older, change]);
    expect(serial()).toBe(1);
    expect(told.slice(1)).toEqual(['loaded 1 from source +0 -0 ~0']);
    expect(next.requests).toHaveLength(1);
    expect(next.requests[0]?.etag).toBeUndefined();
  });

  it('waits for no read of the place before', async () => {
    const { map, source, serial } = benchOf({ timeout: 60_000 });
    source.put(documentOf(5));
    await map.start();
    source.answer = () => new Promise(() => undefined);
    void map.refresh();
    await map.reconfigure(new FakeSource().put(documentOf(6)), settingsOf());
    expect(serial()).toBe(6);
  });

  it('reads nothing any more where it is stopped meanwhile', async () => {
    const { map, source, told } = benchOf();
    source.put(documentOf(5));
    await map.start();
    const release = source.hold();
    void map.refresh();
    const next = new FakeSource('s3://another/image-map.json').put(documentOf(1));
    const change = map.reconfigure(next, settingsOf());
    map.stop();
    release();
    await change;
    expect(next.requests).toEqual([]);
    expect(told).toHaveLength(1);
  });

  it('throws away the failure of such a read as well', async () => {
    const { map, source, told } = benchOf({ timeout: 40 });
    source.put(documentOf(5));
    await map.start();
    source.answer = () => new Promise(() => undefined);
    const older = map.refresh();
    const change = map.reconfigure(new FakeSource().put(documentOf(6)), settingsOf());
    await Promise.all([older, change]);
    expect(told.slice(1)).toEqual(['loaded 6 from source +0 -0 ~0']);
  });

  it('begins with the interval again and watches the new place only', async () => {
    const bench = benchOf();
    const { map, source, clock } = bench;
    source.fail();
    await map.start();
    await ringAndRead(bench);
    const next = new FakeSource().put(documentOf(1));
    await map.reconfigure(next, settingsOf({ refreshInterval: 10_000 }));
    expect(clock.waiting).toBe(10_000);
    expect([source.onChange, typeof next.onChange]).toEqual([undefined, 'function']);
  });
});

describe('the bytes of a map', () => {
  /** Of more than a few KB, which are left to the garbage collector. */
  const large = documentOf(1, 300);

  it('are freed when the map is in use and there is no cache to keep them', async () => {
    const { map, source } = benchOf();
    source.put(large);
    await map.start();
    expect(source.bytes).toHaveLength(0);
    expect(map.current?.rules.ruleCount).toBe(300);
  });

  it('are freed when the cache has them, and not before', async () => {
    const cache = new FakeCache();
    const bench = benchOf({ cache });
    const bytes = bytesOf(large);
    const kept: Buffer[] = [];
    cache.save = (cached) => {
      kept.push(Buffer.from(cached.bytes));
      return Promise.resolve(kept.length === 1 ? new Error('no space left') : undefined);
    };
    bench.source.put(large);
    await bench.map.start();
    expect(bench.source.bytes).toHaveLength(bytes.length);
    await ringAndRead(bench);
    await turn();
    expect(kept).toEqual([Buffer.from(bytes), Buffer.from(bytes)]);
    expect(bench.source.bytes).toHaveLength(0);
  });
});

describe('the cache', () => {
  const etag = 'cached';

  function cacheOf(document: unknown, overrides: Partial<CachedBytes> = {}): FakeCache {
    const cache = new FakeCache();
    const bytes = bytesOf(document);
    cache.saved = {
      place: LOCATION,
      etag,
      bytes,
      sha256: sha256(bytes),
      signature: undefined,
      confirmedAt: 1,
      ...overrides,
    };
    return cache;
  }

  /** What is saved of a map beside its bytes, by this build or another one. */
  function tablesOf(document: unknown, build = BUILD): Uint8Array {
    return new Uint8Array(Buffer.concat(mapOf(document).save(build)));
  }

  it('is in use before the first read has answered, with the age that it has', async () => {
    const { map, source, serial, clock, told } = benchOf({
      cache: cacheOf(documentOf(3), { confirmedAt: START - 5000 }),
    });
    source.put(documentOf(4));
    const release = source.hold();
    const started = map.start();
    await untilUsed(map);
    expect(serial()).toBe(3);
    expect(map.age).toBe(5000);
    expect(told).toEqual(['loaded 3 from cache +4 -0 ~0']);
    expect(clock.waiting).toBeUndefined();
    release();
    await started;
    expect(serial()).toBe(4);
    expect(source.requests.map((request) => request.etag)).toEqual([etag]);
  });

  it.each([
    ['a source that says that it changed', ({ source }: Bench) => source.onChange?.()],
    ['whoever asks for a refresh', ({ map }: Bench) => void map.refresh()],
  ])('is in use before a read for %s', async (_name, ask) => {
    const cache = cacheOf(documentOf(3));
    const bench = benchOf({ cache });
    const release = cache.hold();
    bench.source.put(documentOf(2));
    const started = bench.map.start();
    ask(bench);
    await turn();
    expect(bench.source.requests).toEqual([]);
    release();
    await started;
    expect(bench.serial()).toBe(3);
    expect(bench.told.slice(0, 2)).toEqual([
      'loaded 3 from cache +4 -0 ~0',
      'rejected MAP_SERIAL_LOWER',
    ]);
  });

  it('is as old as nothing where it says that it was confirmed in days to come', async () => {
    const { map, source } = benchOf({
      cache: cacheOf(documentOf(3), { confirmedAt: START + 86_400_000 }),
    });
    source.fail();
    await map.start();
    expect(map.age).toBe(0);
  });

  it('is in use by other settings that come while it is loaded', async () => {
    const cache = cacheOf(documentOf(3));
    const { map, source, serial } = benchOf({ cache });
    source.fail();
    const release = cache.hold();
    const started = map.start();
    const changed = map.reconfigure(source, settingsOf({ cache, maxShrink: 0.1 }));
    release();
    await Promise.all([started, changed]);
    expect(serial()).toBe(3);
  });

  it('is waited for ten seconds, and then the source is read as if there were none', async () => {
    const cache = cacheOf(documentOf(5));
    const { map, source, clock, told } = benchOf({ cache });
    source.put(documentOf(3));
    const release = cache.hold();
    const started = map.start();
    await turn();
    expect([source.requests.length, clock.waiting]).toEqual([0, 10_000]);
    clock.ring();
    await started;
    release();
    await turn();
    expect(told).toEqual(['cacheUnused MAP_CACHE_UNREADABLE', 'loaded 3 from source +4 -0 ~0']);
    expect(source.requests.map((request) => request.etag)).toEqual([undefined]);
  });

  it('is not waited for where the place of the map cannot be found out', async () => {
    const { map, source, clock, told } = benchOf({ cache: cacheOf(documentOf(5)) });
    source.put(documentOf(3));
    source.prepare = () => new Promise(() => undefined);
    const started = map.start();
    await turn();
    clock.ring();
    await started;
    expect(told.at(-1)).toBe('loaded 3 from source +4 -0 ~0');
  });

  it('notes one confirmation at a time, and those of other settings in another cache', async () => {
    const hanging = new FakeCache();
    const noted: number[] = [];
    const bench = benchOf({ cache: hanging });
    hanging.confirm = (at) => {
      noted.push(at);
      return new Promise(() => undefined);
    };
    bench.source.put(documentOf(3));
    await bench.map.start();
    for (let refreshes = 0; refreshes < 3; refreshes += 1) await bench.map.refresh();
    expect(noted).toEqual([START]);
    const cache = new FakeCache();
    await bench.map.reconfigure(bench.source, settingsOf({ cache }));
    await turn();
    bench.clock.pass(7000);
    await bench.map.refresh();
    expect(cache.saved?.confirmedAt).toBe(START + 7000);
  });

  it('is followed by no read where the map was stopped as soon as it was in use', async () => {
    const { map, source, told } = benchOf({ cache: cacheOf(documentOf(3)) });
    source.put(documentOf(4));
    const started = map.start();
    await untilUsed(map);
    map.stop();
    await started;
    expect(source.requests).toEqual([]);
    expect(told).toEqual(['loaded 3 from cache +4 -0 ~0']);
  });

  it('is confirmed by a place that still has that version', async () => {
    const { map, source, told } = benchOf({ cache: cacheOf(documentOf(3)) });
    source.put(documentOf(3), etag);
    await map.start();
    expect(told).toEqual(['loaded 3 from cache +4 -0 ~0', 'unchanged']);
    expect(map.age).toBe(0);
  });

  it('serves on through an outage', async () => {
    const { map, source, serial, told } = benchOf({ cache: cacheOf(documentOf(3)) });
    source.fail();
    await map.start();
    expect(serial()).toBe(3);
    expect(told).toEqual(['loaded 3 from cache +4 -0 ~0', 'stale MAP_UNREACHABLE']);
  });

  it('guards against a rollback over a restart', async () => {
    const { map, source, serial, told } = benchOf({ cache: cacheOf(documentOf(3)) });
    source.put(documentOf(2));
    await map.start();
    expect(serial()).toBe(3);
    expect(told.at(-1)).toBe('rejected MAP_SERIAL_LOWER');
  });

  it.each([
    [
      'of another place',
      'MAP_CACHE_ELSEWHERE',
      cacheOf(documentOf(3), { place: 's3://another/map.json' }),
    ],
    ['that is no map', 'MAP_SHAPE_INVALID', cacheOf([1])],
    [
      'with a target that is forbidden by now',
      'MAP_TARGET_FORBIDDEN',
      cacheOf({ 'a.example/x:1': 'b.example/x:1' }),
    ],
  ])('is not used, and that is told: one %s', async (_name, code, cache) => {
    const { map, source, told } = benchOf({
      cache,
      allowedTargets: [prefixOf('registry.corp.example')],
    });
    source.fail();
    await map.start();
    expect(map.current).toBeUndefined();
    expect(told).toEqual([`cacheUnused ${code}`, 'stale MAP_UNREACHABLE']);
    expect(source.requests[0]?.etag).toBeUndefined();
  });

  it('is told of nowhere where there is none', async () => {
    for (const cache of [new FakeCache(), undefined]) {
      const { map, source, told } = benchOf({ cache });
      source.fail();
      await map.start();
      expect(told).toEqual(['stale MAP_UNREACHABLE']);
    }
  });

  it('is told of nowhere where the map was stopped while it was read', async () => {
    const cache = cacheOf([1]);
    const { map, told } = benchOf({ cache });
    const release = cache.hold();
    const started = map.start();
    map.stop();
    release();
    await started;
    expect(told).toEqual([]);
  });

  it('keeps what a good read brought, and nothing else', async () => {
    const cache = new FakeCache();
    const bench = benchOf({ cache });
    bench.source.put(documentOf(3));
    await bench.map.start();
    expect(cache.saved).toEqual({
      place: LOCATION,
      etag: bench.source.etag,
      bytes: bench.source.bytes,
      sha256: sha256(bench.source.bytes),
      signature: undefined,
      confirmedAt: START,
    });
    const { saved } = cache;
    bench.source.put(documentOf(2));
    await ringAndRead(bench);
    bench.source.fail();
    await ringAndRead(bench);
    expect(cache.saved).toBe(saved);
  });

  it('knows when the source confirmed its map last', async () => {
    const cache = new FakeCache();
    const bench = benchOf({ cache });
    bench.source.put(documentOf(3));
    await bench.map.start();
    bench.clock.pass(7000);
    await bench.map.refresh();
    expect(cache.saved?.confirmedAt).toBe(START + 7000);
    bench.source.fail();
    bench.clock.pass(7000);
    await bench.map.refresh();
    expect(cache.saved?.confirmedAt).toBe(START + 7000);
  });

  it('does not take a confirmation for an older map that it could not replace', async () => {
    const cache = new FakeCache();
    const bench = benchOf({ cache });
    bench.source.put(documentOf(3));
    await bench.map.start();
    cache.failure = new Error('no space left');
    bench.clock.pass(7000);
    bench.source.put(documentOf(4));
    await bench.map.refresh();
    await bench.map.refresh();
    expect(bench.told.slice(1)).toEqual([
      'loaded 4 from source +0 -0 ~0',
      'cacheFailed no space left',
      'unchanged',
    ]);
    expect(cache.saved).toMatchObject({ bytes: bytesOf(documentOf(3)), confirmedAt: START });
  });

  it('is written as soon as it can be, where it could not be before, and that is told once', async () => {
    const cache = new FakeCache();
    const bench = benchOf({ cache });
    cache.failure = new Error('no space left');
    bench.source.put(documentOf(3));
    await bench.map.start();
    await bench.map.refresh();
    await bench.map.refresh();
    expect(cache.saved).toBeUndefined();
    cache.failure = undefined;
    bench.clock.pass(7000);
    await bench.map.refresh();
    await turn();
    expect(cache.saved).toMatchObject({
      bytes: bytesOf(documentOf(3)),
      confirmedAt: START + 7000,
    });
    expect(bench.told.filter((line) => line.startsWith('cacheFailed'))).toHaveLength(1);
  });

  it('holds the latest map, however long an earlier one takes to be written', async () => {
    const cache = new FakeCache();
    const bench = benchOf({ cache });
    const release = cache.hold();
    for (const serial of [3, 4, 5]) {
      bench.source.put(documentOf(serial));
      await bench.map.refresh();
    }
    release();
    await turn();
    await bench.map.refresh();
    expect(cache.saved).toMatchObject({ bytes: bytesOf(documentOf(5)) });
  });

  it('gets tables of this build when its map is confirmed', async () => {
    const cache = cacheOf(documentOf(3), { tables: tablesOf(documentOf(3), 'another') });
    const { map, source } = benchOf({ cache });
    source.put(documentOf(3), etag);
    await map.start();
    await turn();
    const tables = new Uint8Array(Buffer.concat(cache.tables ?? []));
    expect(MapStore.restore(tables, BUILD)?.serial).toBe(3);
    expect(cache.saved).toMatchObject({ bytes: source.bytes, etag, confirmedAt: START });
  });

  it('is not used where the place is another one, though it is shown alike', async () => {
    const cache = cacheOf(documentOf(3));
    const { map, source } = benchOf({ cache });
    source.place = 'another version of it';
    source.fail();
    await map.start();
    expect(map.current).toBeUndefined();
    source.heal();
    source.put(documentOf(2));
    await map.refresh();
    expect(cache.saved).toMatchObject({ place: source.place });
  });

  it('is filled when it comes with other settings, though the map is the same', async () => {
    const { map, source } = benchOf();
    source.put(documentOf(3));
    await map.start();
    const cache = new FakeCache();
    await map.reconfigure(source, settingsOf({ cache }));
    expect(cache.saved).toMatchObject({ bytes: source.bytes, etag: source.etag });
  });

  it('may fail to be written; that is told, and the map is in use', async () => {
    const cache = new FakeCache();
    cache.failure = new Error('no space left');
    const { map, source, serial, told } = benchOf({ cache });
    source.put(documentOf(3));
    await map.start();
    await turn();
    expect(serial()).toBe(3);
    expect(map.lastError).toBeUndefined();
    expect(told).toEqual(['loaded 3 from source +4 -0 ~0', 'cacheFailed no space left']);
  });

  it('has tables, which are used in place of reading the bytes', async () => {
    const cache = cacheOf('not a map', { tables: tablesOf(documentOf(3)) });
    const { map, source, serial, told } = benchOf({ cache });
    source.fail();
    await map.start();
    expect(serial()).toBe(3);
    expect(told).toEqual(['loaded 3 from cache +4 -0 ~0', 'stale MAP_UNREACHABLE']);
    expect(map.current?.rules.entries).toEqual(mapOf(documentOf(3)).entries);
  });

  it('has no tables of use where they are those of another build', async () => {
    const tables = tablesOf(documentOf(4), 'another');
    const { map, source, serial } = benchOf({ cache: cacheOf(documentOf(3), { tables }) });
    source.fail();
    await map.start();
    expect(serial()).toBe(3);
  });

  it.each([
    ['allowedTargets', { allowedTargets: [prefixOf('another.example')] }],
    ['maxBytes', { maxBytes: 10 }],
  ])('is not used with tables either where it breaks %s by now', async (_name, settings) => {
    const cache = cacheOf(documentOf(3), { tables: tablesOf(documentOf(3)) });
    const { map, source } = benchOf({ cache, ...settings });
    source.fail();
    await map.start();
    expect(map.current).toBeUndefined();
  });

  it('is a file that outlives the process, unless it is damaged', async () => {
    await using workspace = await Workspace.create();
    const path = workspace.path('image-map.json');
    const first = benchOf({ cache: createCacheFile(path) });
    first.source.put(documentOf(3));
    await first.map.start();
    for (const deadline = Date.now() + 20_000; !existsSync(path) && Date.now() < deadline;) {
      await turn();
    }
    const whole = await readFile(path);

    const restarted = async (): Promise<number | undefined> => {
      const { map, source, serial } = benchOf({ cache: createCacheFile(path) });
      source.fail();
      await map.start();
      return serial();
    };
    expect(await restarted()).toBe(3);
    await workspace.write('image-map.json', whole.subarray(0, whole.length - 1));
    expect(await restarted()).toBeUndefined();
    // Still a map, but not the one that was saved.
    const changed = whole.toString().replace('app-0:1', 'app-0:2');
    await workspace.write('image-map.json', changed);
    expect(await restarted()).toBeUndefined();
    await workspace.write('image-map.json', whole);
    expect(await restarted()).toBe(3);
  });
});

describe('a signed map', () => {
  const [key, otherKey] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
  const keysOf = (...keys: KeyObject[]) => ({ readKeys: () => Promise.resolve(keys) });

  function putSigned(
    source: FakeSource,
    document: unknown,
    privateKey: KeyObject = key.privateKey,
  ): void {
    source.put(document);
    source.signature = bytesOfText(signBytes(source.bytes, privateKey));
  }

  it('is read from its bytes, and from nothing else in the cache', async () => {
    const cache = new FakeCache();
    const bench = benchOf({ cache, ...keysOf(key.publicKey) });
    putSigned(bench.source, documentOf(1));
    await bench.map.start();
    expect(cache.tables).toBeUndefined();
    const tables = new Uint8Array(Buffer.concat(mapOf(documentOf(2)).save(BUILD)));
    cache.saved = cache.saved && { ...cache.saved, tables };
    const restarted = benchOf({ cache, ...keysOf(key.publicKey) });
    restarted.source.fail();
    await restarted.map.start();
    expect(restarted.serial()).toBe(1);
  });

  it('is used with a signature of any of the keys', async () => {
    const bench = benchOf(keysOf(otherKey.publicKey, key.publicKey));
    putSigned(bench.source, documentOf(1));
    await bench.map.start();
    putSigned(bench.source, documentOf(2), otherKey.privateKey);
    await ringAndRead(bench);
    expect(bench.serial()).toBe(2);
    expect(bench.source.requests.every(({ signed }) => signed)).toBe(true);
  });

  it('needs no signature, and is not asked for one, where no key is set', async () => {
    const { map, source, serial } = benchOf();
    source.put(documentOf(1));
    await map.start();
    expect(serial()).toBe(1);
    expect(source.requests.map(({ signed }) => signed)).toEqual([false]);
  });

  it.each<[string, (source: FakeSource) => void]>([
    [
      'unsigned',
      (source) => {
        source.put(documentOf(2));
        source.signature = undefined;
      },
    ],
    ['signed with another key', (source) => putSigned(source, documentOf(2), otherKey.privateKey)],
    ['signed as the map before it was', (source) => void source.put(documentOf(2))],
    [
      'changed by a byte',
      (source) => {
        putSigned(source, documentOf(2));
        source.put(`${Buffer.from(source.bytes).toString()}\n`);
      },
    ],
  ])('is refused when it is %s; the good one stays', async (_name, change) => {
    const bench = benchOf(keysOf(key.publicKey));
    putSigned(bench.source, documentOf(1));
    await bench.map.start();
    const loaded = bench.map.current;
    change(bench.source);
    await ringAndRead(bench);
    expect(bench.told.slice(1)).toEqual(['rejected MAP_SIGNATURE_INVALID']);
    expect(bench.map.current).toBe(loaded);
    expect(bench.map.lastError?.code).toBe('MAP_SIGNATURE_INVALID');
    putSigned(bench.source, documentOf(2));
    await ringAndRead(bench);
    expect(bench.serial()).toBe(2);
  });

  it('is asked for within one interval where its signature fits no more, so that a corrected one is in use soon', async () => {
    const bench = benchOf(keysOf(key.publicKey));
    putSigned(bench.source, documentOf(1));
    await bench.map.start();
    putSigned(bench.source, documentOf(2), otherKey.privateKey);
    await ringAndRead(bench);
    await ringAndRead(bench);
    expect(bench.map.lastError?.code).toBe('MAP_SIGNATURE_INVALID');
    expect(bench.clock.waiting).toBe(60_000);
  });

  it('is neither refused nor used while its signature is still on the way', async () => {
    const bench = benchOf(keysOf(key.publicKey));
    const { source } = bench;
    putSigned(source, documentOf(1));
    await bench.map.start();
    source.put(documentOf(2));
    source.answer = (request) => {
      const reading = source.present(request);
      source.signature = bytesOfText(signBytes(source.bytes, key.privateKey));
      source.heal();
      return reading;
    };
    await ringAndRead(bench);
    expect(bench.told.slice(1)).toEqual(['loaded 2 from source +0 -0 ~0']);
    expect(source.requests).toHaveLength(3);
  });

  it.each([
    ['its time is over', 40, () => undefined],
    ['it is stopped', 60_000, ({ map }: Bench) => map.stop()],
    [
      'it is configured anew',
      60_000,
      ({ map }: Bench) => void map.reconfigure(new FakeSource().put(documentOf(3)), settingsOf()),
    ],
  ])('is asked for no more where %s while its signature is waited for', async (...row) => {
    const [, timeout, end] = row;
    const bench = benchOf({ ...keysOf(key.publicKey), timeout });
    bench.source.put(documentOf(1));
    const read = bench.map.refresh();
    while (bench.source.requests.length === 0) await turn();
    for (let turns = 0; turns < 5; turns += 1) await turn();
    end(bench);
    await read;
    await sleep(SIGNATURE_PAUSE);
    expect(bench.source.requests).toHaveLength(1);
  });

  it('is used without a pause where the signature was written first, beside the one before', async () => {
    const bench = benchOf(keysOf(key.publicKey));
    const { source } = bench;
    putSigned(source, documentOf(1));
    await bench.map.start();
    const next = signBytes(bytesOf(documentOf(2)), key.privateKey);
    source.signature = bytesOfText(joinSignatures(next, source.signature));
    source.etag = 'read again';
    await ringAndRead(bench);
    expect(bench.serial()).toBe(1);
    source.put(documentOf(2));
    await ringAndRead(bench);
    expect(bench.serial()).toBe(2);
    expect(source.requests).toHaveLength(3);
    expect(bench.told.some((line) => line.startsWith('rejected'))).toBe(false);
  });

  it('is not verified by a source that cannot be read, and not refused for that either', async () => {
    const bench = benchOf(keysOf(key.publicKey));
    putSigned(bench.source, documentOf(1));
    await bench.map.start();
    bench.source.fail();
    await ringAndRead(bench);
    expect(bench.told.slice(1)).toEqual(['stale MAP_UNREACHABLE']);
  });

  it('comes from the cache only with a signature that fits', async () => {
    const signature = (privateKey: KeyObject): Uint8Array =>
      bytesOfText(signBytes(bytesOf(documentOf(3)), privateKey));
    const cases = [
      [signature(key.privateKey), 3],
      [signature(otherKey.privateKey), undefined],
      [undefined, undefined],
    ] as const;
    for (const [present, serial] of cases) {
      const cache = new FakeCache();
      const bytes = bytesOf(documentOf(3));
      cache.saved = {
        place: LOCATION,
        etag: 'e',
        bytes,
        sha256: sha256(bytes),
        signature: present,
        confirmedAt: 1,
      };
      const bench = benchOf({ ...keysOf(key.publicKey), cache });
      bench.source.fail();
      await bench.map.start();
      expect(bench.serial()).toBe(serial);
      expect(bench.told[0]).toMatch(
        serial === undefined ? /^cacheUnused MAP_SIGNATURE_INVALID$/ : /^loaded 3 from cache/,
      );
    }
  });

  it('is kept in the cache together with its signature', async () => {
    const cache = new FakeCache();
    const { map, source } = benchOf({ ...keysOf(key.publicKey), cache });
    putSigned(source, documentOf(3));
    await map.start();
    expect(cache.saved?.signature).toEqual(source.signature);
  });

  it('waits for keys that cannot be read; nothing fails but the refresh', async () => {
    let readKeys: () => Promise<readonly KeyObject[]> = () =>
      Promise.reject(new RewriterError('SIGNATURE_KEY_INVALID', 'the key is broken'));
    const cache = new FakeCache();
    const bytes = bytesOf(documentOf(3));
    const signature = bytesOfText(signBytes(bytes, key.privateKey));
    cache.saved = {
      place: LOCATION,
      etag: 'e',
      bytes,
      sha256: sha256(bytes),
      signature,
      confirmedAt: 1,
    };
    const bench = benchOf({ readKeys: () => readKeys(), cache });
    putSigned(bench.source, documentOf(4));
    await bench.map.start();
    expect(bench.map.current).toBeUndefined();
    expect(bench.told).toEqual([
      'cacheUnused SIGNATURE_KEY_INVALID',
      'stale SIGNATURE_KEY_INVALID',
    ]);
    readKeys = () => Promise.resolve([key.publicKey]);
    await ringAndRead(bench);
    expect(bench.serial()).toBe(4);
  });

  it('is verified with the keys of the moment, so that they can be rotated', async () => {
    let keys = [key.publicKey];
    const bench = benchOf({ readKeys: () => Promise.resolve(keys) });
    putSigned(bench.source, documentOf(1));
    await bench.map.start();
    keys = [otherKey.publicKey];
    putSigned(bench.source, documentOf(2), otherKey.privateKey);
    await ringAndRead(bench);
    expect(bench.serial()).toBe(2);
  });
});
