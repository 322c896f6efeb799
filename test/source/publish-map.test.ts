import { describe, expect, it } from '@jest/globals';
import { RewriterError } from '../../src/core/errors.ts';
import { type ObjectStore, publishMap, type PublishRequest } from '../../src/source/publish-map.ts';
import { tooLarge } from '../../src/source/read-body.ts';
import type { GetResult } from '../../src/source/s3-store.ts';
import { bytesOfText, faultsOfBytes, mapDocument, mapOf, MAX_BYTES } from '../support/maps.ts';

/** Publishes to a store whose every write is refused for its condition; `get` is told how often it was asked for the map. */
function publishTo(get: (reads: number, written: Uint8Array) => GetResult): {
  readonly outcome: ReturnType<typeof publishMap>;
  readonly calls: string[];
} {
  const calls: string[] = [];
  let written: Uint8Array = new Uint8Array();
  const store: ObjectStore = {
    location: (key) => `s3://maps/${key}`,
    get: ({ key }) => {
      calls.push(`GET ${key}`);
      return Promise.resolve().then(() =>
        key.endsWith('.sig')
          ? { kind: 'missing' }
          : get(calls.filter((call) => call === `GET ${key}`).length, written),
      );
    },
    put: ({ key, bytes }) => {
      calls.push(`PUT ${key}`);
      written = bytes;
      return Promise.resolve({ kind: 'lost' });
    },
  };
  return { outcome: publishMap(requestTo(store, '{"atlanhq/a:1": "r.example/a:1"}')), calls };
}

function requestTo(
  store: ObjectStore,
  text: string,
  rest: Partial<PublishRequest> = {},
): PublishRequest {
  return {
    store,
    key: 'map.json',
    text,
    map: mapOf(JSON.parse(text)),
    maxBytes: MAX_BYTES,
    timeout: 1000,
    signKey: undefined,
    allowShrink: false,
    dryRun: false,
    now: new Date(0),
    ...rest,
  };
}

describe('publishMap, told by the store that somebody else was first', () => {
  it('has published where the object has exactly its bytes, and asks for it once', async () => {
    const { outcome, calls } = publishTo((reads, bytes) =>
      reads === 1 ? { kind: 'missing' } : { kind: 'found', bytes, etag: 'now' },
    );
    expect(await outcome).toMatchObject({ kind: 'published', serial: 1, etag: 'now' });
    expect(calls).toEqual(['GET map.json', 'GET map.json.sig', 'PUT map.json', 'GET map.json']);
  });

  it.each<[string, GetResult]>([
    ['other bytes', { kind: 'found', bytes: bytesOfText('{}'), etag: 'theirs' }],
    ['no object', { kind: 'missing' }],
  ])('has lost where it finds %s', async (_title, found) => {
    const { outcome, calls } = publishTo((reads) => (reads === 1 ? { kind: 'missing' } : found));
    expect(await outcome).toEqual({ kind: 'lost' });
    expect(calls).toHaveLength(4);
  });

  it('has lost where it finds a larger map', async () => {
    const { outcome } = publishTo((reads) => {
      if (reads === 1) return { kind: 'missing' };
      throw new RewriterError('MAP_TOO_LARGE', 'too large');
    });
    expect(await outcome).toMatchObject({ kind: 'lost' });
  });

  it('says neither that it won nor that it lost where the object cannot be read', async () => {
    const { outcome } = publishTo((reads) => {
      if (reads === 1) return { kind: 'missing' };
      throw new RewriterError('MAP_TIMEOUT', 'it took too long');
    });
    await expect(outcome).rejects.toMatchObject({
      code: 'MAP_TIMEOUT',
      message: expect.stringContaining('it is not known who wrote s3://maps/map.json') as unknown,
    });
  });
});

/** A bucket with one map, which refuses what is over the limit of a read, as S3 is read. */
class MapStore implements ObjectStore {
  text: string | undefined;
  #version = 1;

  constructor(text?: string) {
    this.text = text;
  }

  location(key: string): string {
    return `s3://maps/${key}`;
  }

  get({ key, maxBytes }: Parameters<ObjectStore['get']>[0]): ReturnType<ObjectStore['get']> {
    if (key !== 'map.json' || this.text === undefined) {
      return Promise.resolve({ kind: 'missing' });
    }
    const bytes = bytesOfText(this.text);
    return bytes.length > maxBytes
      ? Promise.reject(tooLarge(this.location(key), bytes.length, maxBytes))
      : Promise.resolve({ kind: 'found', bytes, etag: `v${this.#version}` });
  }

  put({ bytes, replaces }: Parameters<ObjectStore['put']>[0]): ReturnType<ObjectStore['put']> {
    if (replaces !== (this.text === undefined ? undefined : `v${this.#version}`)) {
      return Promise.resolve({ kind: 'lost' });
    }
    this.text = new TextDecoder().decode(bytes);
    this.#version += 1;
    return Promise.resolve({ kind: 'written', etag: `v${this.#version}`, versionId: undefined });
  }
}

/** The text of a map of so many images. */
function textOf(count: number, head: Record<string, unknown> = {}, indent = 0): string {
  const images = Array.from({ length: count }, (_, index) => {
    return { source: `atlanhq/a:${index}`, target: `r.example/a:${index}` };
  });
  return JSON.stringify(mapDocument({ ...head, images }), null, indent);
}

const HIGHEST = Number.MAX_SAFE_INTEGER;

describe('publishMap, of a map near the limit of its readers', () => {
  it.each([
    ['on one line', 0],
    ['indented', 2],
  ])('publishes one that is below it %s, and readers take it', async (_title, indent) => {
    const store = new MapStore();
    const text = textOf(50, {}, indent);
    const maxBytes = text.length + 100;
    expect(await publishMap(requestTo(store, text, { maxBytes }))).toMatchObject({
      kind: 'published',
    });
    expect(faultsOfBytes(bytesOfText(store.text ?? ''), maxBytes)).toEqual([]);
  });

  it.each([
    ['and writes nothing', false],
    ['also in a dry run', true],
  ])('refuses one that its serial makes too large, %s', async (_title, dryRun) => {
    const store = new MapStore();
    const text = textOf(50);
    const request = requestTo(store, text, { maxBytes: text.length, dryRun });
    await expect(publishMap(request)).rejects.toMatchObject({
      code: 'MAP_TOO_LARGE',
      message: expect.stringMatching(
        / \d+ bytes as it would be published.* limit is \d+/,
      ) as unknown,
    });
    expect(store.text).toBeUndefined();
  });
});

describe('publishMap, of rules that are published already', () => {
  const image = { source: 'docker.io/atlanhq/a:1', target: 'r.example/a:1' };
  const textWith = (head: object, images: readonly object[] = [image]): string =>
    JSON.stringify(mapDocument({ ...head, images }));

  it.each([
    ['the same serial', textWith({ serial: 4 })],
    ['a lower one', textWith({ serial: 1 })],
    ['none', textWith({})],
    ['the flat form', '{"atlanhq/a:1": "r.example/a:1"}'],
  ])('has nothing to do for %s', async (_title, text) => {
    const store = new MapStore(textWith({ serial: 4 }));
    const publication = await publishMap(requestTo(store, text));
    expect(publication).toMatchObject({ kind: 'nothing-new', serial: 4 });
  });

  it('publishes a higher serial, which replicas may be waiting for', async () => {
    const store = new MapStore(textWith({ serial: 4 }));
    const publication = await publishMap(requestTo(store, textWith({ serial: 51 })));
    expect(publication).toMatchObject({ kind: 'published', serial: 51 });
  });

  it('publishes platforms, also those of a list', async () => {
    const store = new MapStore(textWith({ serial: 4 }));
    const list = JSON.stringify([{ ...image, platforms: ['linux/amd64'] }]);
    expect(await publishMap(requestTo(store, list))).toMatchObject({
      kind: 'published',
      serial: 5,
    });
    expect(JSON.parse(store.text ?? '')).toMatchObject({
      images: [{ platforms: ['linux/amd64'] }],
    });
    expect(await publishMap(requestTo(store, list))).toMatchObject({ kind: 'nothing-new' });
  });
});

describe('publishMap, over a published map that no reader takes', () => {
  it('takes the place of one that is too large with the next serial, although the rules are the same', async () => {
    const text = textOf(50);
    const maxBytes = text.length + 100;
    const store = new MapStore(textOf(50, { serial: 7 }, 2));
    expect(faultsOfBytes(bytesOfText(store.text ?? ''), maxBytes)).toEqual(['MAP_TOO_LARGE $']);
    const first = await publishMap(requestTo(store, text, { maxBytes }));
    expect(first).toMatchObject({ kind: 'published', serial: 8 });
    const second = await publishMap(requestTo(store, text, { maxBytes }));
    expect(second).toMatchObject({ kind: 'nothing-new', serial: 8 });
  });

  it('loses no source of one that is too large, unless that is said', async () => {
    const text = textOf(49);
    const store = new MapStore(textOf(50, { serial: 7 }));
    const request = requestTo(store, text, { maxBytes: text.length + 60 });
    await expect(publishMap(request)).rejects.toMatchObject({ code: 'MAP_LOSES_ENTRIES' });
    expect(await publishMap({ ...request, allowShrink: true })).toMatchObject({
      kind: 'published',
      serial: 8,
    });
  });

  it.each([
    ['counts a serial of 16 digits', '1234567890123456', 1_234_567_890_123_457],
    ['does not count a serial that no map can have', '9007199254740993', 1],
    ['does not count a serial of more digits than any can have', '12345678901234567', 1],
  ])('%s of one with faults', async (_title, published, serial) => {
    const store = new MapStore(`{"apiVersion":"v0","serial":${published}}`);
    const publication = await publishMap(requestTo(store, textOf(1)));
    expect(publication).toMatchObject({ kind: 'published', serial });
  });
});

describe('publishMap, over what is no map at all', () => {
  const REMAINS = ['', '{"a', '<html>sign in</html>', '<Error><Code>SlowDown</Code></Error>'];

  it.each(REMAINS)(
    'does not begin anew at 1 over %j, which replicas would refuse',
    async (remains) => {
      const store = new MapStore(remains);
      await expect(publishMap(requestTo(store, textOf(1)))).rejects.toMatchObject({
        code: 'MAP_SERIAL_UNKNOWN',
        message: expect.stringContaining('s3://maps/map.json') as unknown,
      });
      expect(store.text).toBe(remains);
    },
  );

  it.each(REMAINS)('takes the serial that the map has, over %j', async (remains) => {
    const store = new MapStore(remains);
    const publication = await publishMap(requestTo(store, textOf(1, { serial: 43 })));
    expect(publication).toMatchObject({ kind: 'published', serial: 43 });
  });

  it('goes on from the serial that stands in what is left of a map', async () => {
    const store = new MapStore(textOf(9, { serial: 42 }).slice(0, 200));
    expect(await publishMap(requestTo(store, textOf(1)))).toMatchObject({ serial: 43 });
  });
});

describe('publishMap, at the highest serial', () => {
  it('publishes a map that has it', async () => {
    const store = new MapStore(textOf(1, { serial: HIGHEST - 1 }));
    expect(await publishMap(requestTo(store, textOf(2)))).toMatchObject({ serial: HIGHEST });
  });

  it.each([
    ['a map', textOf(1, { serial: HIGHEST })],
    ['a map with faults', `{"apiVersion":"v0","serial":${HIGHEST}}`],
  ])('refuses to follow %s that has it, since no reader takes a higher one', async (_t, text) => {
    const store = new MapStore(text);
    for (const dryRun of [true, false]) {
      const request = requestTo(store, textOf(2), { dryRun });
      await expect(publishMap(request)).rejects.toMatchObject({
        code: 'MAP_SHAPE_INVALID',
        message: expect.stringContaining(`s3://maps/map.json has the serial ${HIGHEST}`) as unknown,
      });
    }
    expect(store.text).toBe(text);
  });

  it('has nothing to publish where the rules are the same', async () => {
    const store = new MapStore(textOf(1, { serial: HIGHEST }));
    expect(await publishMap(requestTo(store, textOf(1)))).toMatchObject({ kind: 'nothing-new' });
  });
});
