import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isRecord } from '../core/json-path.ts';
import { sha256Steps } from './digest.ts';
import { BEFORE_REVIEWS, BESIDE_REVIEWS, type Pace, runInSlices } from './slices.ts';

/** A good map as it was read, kept over a restart. */
export interface CachedBytes {
  readonly location: string;
  readonly etag: string;
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array | undefined;
  /** Milliseconds since the epoch. */
  readonly savedAt: number;
}

/** Where the last good map outlives the process. Neither call rejects: a lost cache is no fault of the map. */
export interface MapCache {
  load(): Promise<CachedBytes | undefined>;
  /** Returns what went wrong, if anything. */
  save(cached: CachedBytes): Promise<Error | undefined>;
}

interface Header {
  readonly location: string;
  readonly etag: string;
  readonly sha256: string;
  readonly signature: string | null;
  readonly savedAt: number;
}

const NEWLINE = 0x0a;
/** Short slices: certificate and ports are waited for at the same time. */
const WHILE_STARTING: Pace = { ...BEFORE_REVIEWS, slice: BESIDE_REVIEWS.slice };

/** One line of JSON about the map, then its bytes. Written aside and renamed, so a crash leaves the old one. */
export function createCacheFile(path: string): MapCache {
  return {
    async load() {
      try {
        return await parseCache(await readFile(path));
      } catch {
        return undefined;
      }
    },
    async save(cached) {
      const aside = `${path}.${randomUUID()}.tmp`;
      try {
        await writeDurably(aside, cached);
        await rename(aside, path);
        await syncFolder(dirname(path));
        return undefined;
      } catch (error) {
        await rm(aside, { force: true }).catch(() => undefined);
        return error as Error;
      }
    },
  };
}

async function writeDurably(path: string, cached: CachedBytes): Promise<void> {
  const { location, etag, bytes, signature, savedAt } = cached;
  const header: Header = {
    location,
    etag,
    sha256: await runInSlices(sha256Steps(bytes), BESIDE_REVIEWS),
    signature: signature === undefined ? null : Buffer.from(signature).toString('base64'),
    savedAt,
  };
  await using file = await open(path, 'w', 0o600);
  await file.writeFile(`${JSON.stringify(header)}\n`);
  await file.writeFile(bytes);
  await file.sync();
}

/** A rename is safe from a crash only when its folder is on the disk. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

async function parseCache(file: Buffer): Promise<CachedBytes | undefined> {
  const end = file.indexOf(NEWLINE);
  const header: unknown = JSON.parse(file.toString('utf8', 0, end));
  const bytes = file.subarray(end + 1);
  if (
    !isHeader(header) ||
    header.sha256 !== (await runInSlices(sha256Steps(bytes), WHILE_STARTING))
  ) {
    return undefined;
  }
  const { location, etag, signature, savedAt } = header;
  return {
    location,
    etag,
    bytes,
    signature: signature === null ? undefined : Buffer.from(signature, 'base64'),
    savedAt,
  };
}

function isHeader(value: unknown): value is Header {
  return (
    isRecord(value) &&
    ['location', 'etag', 'sha256'].every((key) => typeof value[key] === 'string') &&
    (value.signature === null || typeof value.signature === 'string') &&
    typeof value.savedAt === 'number'
  );
}
