import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rename, stat, utimes } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { type CachedBytes, createCacheFile } from '../../src/source/cache-file.ts';
import { acceptCoreErrors } from '../support/core-errors.ts';
import { sha256 } from '../support/digests.ts';
import { bytesOfText } from '../support/maps.ts';
import { Workspace } from '../support/workspace.ts';

const FILE = 'image-map.json';
const UNUSABLE = { code: 'MAP_CACHE_UNREADABLE' };

function cachedOf(overrides: Partial<CachedBytes> = {}): CachedBytes {
  const text = '{"docker.io/atlanhq/mysql:1":\n"registry.corp.example/mysql:1"}\n';
  const bytes = overrides.bytes ?? bytesOfText(text);
  return {
    place: 's3://sdr-config/image-map.json',
    etag: '6f1ed002',
    bytes,
    sha256: sha256(bytes),
    signature: undefined,
    confirmedAt: 1_700_000_000_000,
    ...overrides,
  };
}

/** With plain byte arrays, so that a Buffer compares equal. */
function plain(cached: CachedBytes | undefined): unknown {
  return (
    cached && {
      ...cached,
      bytes: [...cached.bytes],
      signature: cached.signature && [...cached.signature],
    }
  );
}

describe('the cache file', () => {
  acceptCoreErrors();

  it.each([
    ['without a signature', cachedOf()],
    ['with one', cachedOf({ signature: Uint8Array.from([0, 10, 255]) })],
    ['with bytes that are no text', cachedOf({ bytes: Uint8Array.from([10, 0, 255, 10]) })],
    ['with no bytes', cachedOf({ bytes: new Uint8Array() })],
    ['with a place that needs escapes', cachedOf({ place: 'file:///a "b"\n/c', etag: '' })],
  ])('gives back what was saved %s', async (_name, cached) => {
    await using workspace = await Workspace.create();
    expect(await createCacheFile(workspace.path(FILE)).save(cached)).toBeUndefined();
    const loaded = await createCacheFile(workspace.path(FILE)).load();
    expect(plain(loaded)).toEqual(plain(cached));
  });

  it('replaces the one before and leaves nothing beside it', async () => {
    await using workspace = await Workspace.create();
    const cache = createCacheFile(workspace.path(FILE));
    await cache.save(cachedOf({ bytes: bytesOfText('a'.repeat(10_000)) }));
    await cache.save(cachedOf({ etag: 'next' }));
    expect(plain(await cache.load())).toEqual(plain(cachedOf({ etag: 'next' })));
    expect(await readdir(workspace.folder)).toEqual([FILE]);
  });

  it('notes in its place when the map was confirmed', async () => {
    await using workspace = await Workspace.create();
    const cache = createCacheFile(workspace.path(FILE));
    await cache.save(cachedOf());
    const { ino, size } = await stat(workspace.path(FILE));
    await cache.confirm(1_800_000_000_000);
    expect(plain(await cache.load())).toEqual(plain(cachedOf({ confirmedAt: 1_800_000_000_000 })));
    expect(await stat(workspace.path(FILE))).toMatchObject({ ino, size });
  });

  it('is not made by a confirmation', async () => {
    await using workspace = await Workspace.create();
    await createCacheFile(workspace.path(FILE)).confirm(1_800_000_000_000);
    expect(await readdir(workspace.folder)).toEqual([]);
  });

  it('can be read by nobody else', async () => {
    await using workspace = await Workspace.create();
    await createCacheFile(workspace.path(FILE)).save(cachedOf());
    expect((await stat(workspace.path(FILE))).mode & 0o777).toBe(0o600);
  });

  it('holds nothing where there is no file, and is of no use where there is a folder', async () => {
    await using workspace = await Workspace.create();
    expect(await createCacheFile(workspace.path(FILE)).load()).toBeUndefined();
    await mkdir(workspace.path(FILE));
    await expect(createCacheFile(workspace.path(FILE)).load()).rejects.toMatchObject({
      ...UNUSABLE,
      message: expect.stringContaining('is a folder, not a file') as unknown,
    });
  });

  it('is of no use where there is a pipe, and does not wait for who writes to it', async () => {
    await using workspace = await Workspace.create();
    await promisify(execFile)('mkfifo', [workspace.path(FILE)]);
    const cache = createCacheFile(workspace.path(FILE));
    await expect(cache.load()).rejects.toMatchObject(UNUSABLE);
    expect(await cache.save(cachedOf())).toBeUndefined();
    expect(plain(await cache.load())).toEqual(plain(cachedOf()));
  });

  it('is of no use when it is cut at any place', async () => {
    await using workspace = await Workspace.create();
    const cache = createCacheFile(workspace.path(FILE));
    await cache.save(cachedOf({ signature: bytesOfText('signature') }));
    const whole = await readFile(workspace.path(FILE));
    for (let length = 0; length < whole.length; length += 1) {
      await workspace.write(FILE, whole.subarray(0, length));
      await expect(cache.load()).rejects.toMatchObject(UNUSABLE);
    }
  });

  it('is of no use when a bit of the map has changed', async () => {
    await using workspace = await Workspace.create();
    const cache = createCacheFile(workspace.path(FILE));
    const cached = cachedOf();
    await cache.save(cached);
    const whole = await readFile(workspace.path(FILE));
    for (let index = whole.length - cached.bytes.length; index < whole.length; index += 1) {
      const changed = Buffer.from(whole);
      changed[index] = (changed[index] ?? 0) ^ 4;
      await workspace.write(FILE, changed);
      await expect(cache.load()).rejects.toMatchObject(UNUSABLE);
    }
  });

  it('gives back tables in one piece, at the beginning of its memory', async () => {
    await using workspace = await Workspace.create();
    const cache = createCacheFile(workspace.path(FILE));
    const parts = [[1, 2, 3], [], [10, 0, 255]].map((bytes) => Uint8Array.from(bytes));
    await cache.save(cachedOf(), parts);
    const { tables, ...cached } = (await cache.load()) ?? {};
    expect(tables).toEqual(Uint8Array.from(parts.flatMap((part) => [...part])));
    expect(tables?.byteOffset).toBe(0);
    expect(plain(cached as CachedBytes)).toEqual(plain(cachedOf()));
  });

  it('holds the map without its tables when a bit of those has changed', async () => {
    await using workspace = await Workspace.create();
    const cache = createCacheFile(workspace.path(FILE));
    await cache.save(cachedOf(), [bytesOfText('tables')]);
    const whole = await readFile(workspace.path(FILE), 'latin1');
    await workspace.write(FILE, whole.replace(/(?<=\n)tables/, 'tablet'));
    expect(plain(await cache.load())).toEqual(plain(cachedOf()));
  });

  it('is of no use when it is cut at any place, tables included', async () => {
    await using workspace = await Workspace.create();
    const cache = createCacheFile(workspace.path(FILE));
    await cache.save(cachedOf(), [bytesOfText('tables')]);
    const whole = await readFile(workspace.path(FILE));
    for (let length = 0; length < whole.length; length += 1) {
      await workspace.write(FILE, whole.subarray(0, length));
      await expect(cache.load()).rejects.toMatchObject(UNUSABLE);
    }
  });

  it.each([null, [], {}, { size: 1 }, { size: '1', sha256: '' }, { size: 0.5, sha256: '' }])(
    'is of no use when it says of its tables %j',
    async (tables) => {
      await using workspace = await Workspace.create();
      const { bytes, confirmedAt, ...rest } = cachedOf();
      const header = JSON.stringify({ ...rest, signature: null, tables });
      await workspace.write(FILE, `${confirmedAt}${header}\n${Buffer.from(bytes).toString()}`);
      await expect(createCacheFile(workspace.path(FILE)).load()).rejects.toMatchObject(UNUSABLE);
    },
  );

  it.each(
    ['\n', '{}\n', 'null\n{}', '[]\n', 'garbage', '{"place":1,"etag":"","sha256":""}\n'].flatMap(
      (text) => [text, `1700000000000${text}`],
    ),
  )('is of no use when it reads %j', async (text) => {
    await using workspace = await Workspace.create();
    await workspace.write(FILE, text);
    await expect(createCacheFile(workspace.path(FILE)).load()).rejects.toMatchObject(UNUSABLE);
  });

  it('removes what was left aside by somebody who was killed, and nothing that is still written', async () => {
    await using workspace = await Workspace.create();
    const long = new Date(Date.now() - 3_600_000);
    for (const name of [`${FILE}.old.tmp`, 'another.json.old.tmp', `${FILE}.sig`]) {
      await utimes(await workspace.write(name, 'half'), long, long);
    }
    await workspace.write(`${FILE}.new.tmp`, 'half');
    await createCacheFile(workspace.path(FILE)).save(cachedOf());
    expect((await readdir(workspace.folder)).sort()).toEqual(
      ['another.json.old.tmp', FILE, `${FILE}.new.tmp`, `${FILE}.sig`].sort(),
    );
  });

  it('returns why it could not be saved', async () => {
    await using workspace = await Workspace.create();
    const cache = createCacheFile(workspace.path('no-such-folder/image-map.json'));
    expect(await cache.save(cachedOf())).toMatchObject({ code: 'ENOENT' });
  });

  it('keeps the one before when the next cannot be saved', async () => {
    await using workspace = await Workspace.create();
    // The longest name that a file may have leaves no room for a longer one aside. Root may write anywhere.
    const path = workspace.path('c'.repeat(255));
    await createCacheFile(workspace.path(FILE)).save(cachedOf());
    await rename(workspace.path(FILE), path);
    const cache = createCacheFile(path);
    expect(await cache.save(cachedOf({ etag: 'next' }))).toMatchObject({ code: 'ENAMETOOLONG' });
    expect(plain(await cache.load())).toEqual(plain(cachedOf()));
  });

  it('holds one of two maps whole that are saved at once', async () => {
    await using workspace = await Workspace.create();
    const cache = createCacheFile(workspace.path(FILE));
    const [one, other] = [
      cachedOf({ etag: 'one', bytes: bytesOfText('1'.repeat(20_000)) }),
      cachedOf({ etag: 'other', bytes: bytesOfText('2'.repeat(30_000)) }),
    ];
    for (let round = 0; round < 3; round += 1) {
      const failures = await Promise.all([cache.save(one), cache.save(other)]);
      expect(failures).toEqual([undefined, undefined]);
      const loaded = await cache.load();
      expect(plain(loaded)).toEqual(plain(loaded?.etag === 'one' ? one : other));
    }
    expect(await readdir(workspace.folder)).toEqual([FILE]);
  });
});
