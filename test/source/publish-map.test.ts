import { describe, expect, it } from '@jest/globals';
import { RewriterError } from '../../src/core/errors.ts';
import { type ObjectStore, publishMap } from '../../src/source/publish-map.ts';
import type { GetResult } from '../../src/source/s3-store.ts';
import { bytesOfText, mapOf, MAX_BYTES } from '../support/maps.ts';

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
  const text = '{"atlanhq/a:1": "r.example/a:1"}';
  const outcome = publishMap({
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
  });
  return { outcome, calls };
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
