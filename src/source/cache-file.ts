import { randomUUID } from 'node:crypto';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RewriterError } from '../core/errors.ts';
import { isRecord, parseJson } from '../core/json-value.ts';
import { withRegularFile } from '../files/regular-file.ts';
import { fileFaultText, unless } from '../files/text-file.ts';
import { sha256Steps } from './digest.ts';
import { BEFORE_REVIEWS, BESIDE_REVIEWS, type Pace, runInSlices } from './slices.ts';

/** A good map as it was read, kept over a restart. */
export interface CachedBytes {
  /** The place of its source. */
  readonly place: string;
  readonly etag: string;
  readonly bytes: Uint8Array;
  /** Of the bytes, in hex. */
  readonly sha256: string;
  readonly signature: Uint8Array | undefined;
  /** When its source last gave or confirmed it, in milliseconds since the epoch. */
  readonly confirmedAt: number;
  /** What was made of the bytes, at the beginning of a piece of memory. */
  readonly tables?: Uint8Array | undefined;
}

/** Where the last good map outlives the process. To lose it is no fault of the map, so writing never rejects. */
export interface MapCache {
  /** Undefined where there is none. Throws `MAP_CACHE_UNREADABLE` where there is one of no use. */
  load(): Promise<CachedBytes | undefined>;
  /** With pieces of tables to give back as one. Returns what went wrong, if anything. */
  save(
    cached: Omit<CachedBytes, 'tables'>,
    tables?: readonly Uint8Array[],
  ): Promise<Error | undefined>;
  /** Notes that the source still has the map that was saved; where that fails, it is only taken for older. */
  confirm(confirmedAt: number): Promise<void>;
}

interface Header {
  readonly place: string;
  readonly etag: string;
  readonly sha256: string;
  readonly signature: string | null;
  readonly tables?: { readonly size: number; readonly sha256: string } | undefined;
}

const NEWLINE = 0x0a;
const ASIDE_SUFFIX = '.tmp';
/** Milliseconds without a write, after which nobody writes to a file aside any more. */
const ASIDE_LIFETIME = 60_000;
/** Digits of a time in milliseconds, until the year 2286. */
const TIME_LENGTH = 13;
/** Short slices: certificate and ports are waited for at the same time. */
const WHILE_STARTING: Pace = { ...BEFORE_REVIEWS, slice: BESIDE_REVIEWS.slice };

/**
 * The time of the last confirmation, written over in place; then a line of JSON about the map, its tables and
 * its bytes. Written aside and renamed, so a crash leaves the old one.
 */
export function createCacheFile(path: string): MapCache {
  return {
    async load() {
      const file = await readWhole(path);
      return file && (await parseCache(file));
    },
    async save(cached, tables) {
      const aside = `${path}.${randomUUID()}${ASIDE_SUFFIX}`;
      try {
        await removeLeftovers(path);
        await writeDurably(aside, cached, tables);
        await rename(aside, path);
        await syncFolder(dirname(path));
        return undefined;
      } catch (error) {
        await rm(aside, { force: true }).catch(() => undefined);
        return error as Error;
      }
    },
    async confirm(confirmedAt) {
      try {
        await using file = await open(path, 'r+');
        await file.write(timeText(confirmedAt), 0);
      } catch {
        // It is looked after where it is saved.
      }
    },
  };
}

/** Of a cache that is there; the map of the source is read without it. */
export function cacheError(reason: string, cause?: unknown): RewriterError {
  const message = `imageMap.cacheFile cannot be used: ${reason}; the next map that is read takes its place`;
  return new RewriterError('MAP_CACHE_UNREADABLE', message, { cause });
}

async function readWhole(path: string): Promise<Buffer | undefined> {
  try {
    return await unless(
      withRegularFile(path, (file) => file.readFile()),
      'ENOENT',
    );
  } catch (error) {
    throw cacheError(fileFaultText(path, error), error);
  }
}

function timeText(time: number): string {
  return String(time).padStart(TIME_LENGTH, '0');
}

async function writeDurably(
  path: string,
  cached: CachedBytes,
  tables: readonly Uint8Array[] = [],
): Promise<void> {
  const { place, etag, bytes, sha256, signature, confirmedAt } = cached;
  const header: Header = {
    place,
    etag,
    sha256,
    signature: signature === undefined ? null : Buffer.from(signature).toString('base64'),
    tables: tables.length === 0 ? undefined : await describeTables(tables),
  };
  await using file = await open(path, 'w', 0o600);
  await file.writeFile(`${timeText(confirmedAt)}${JSON.stringify(header)}\n`);
  for (const part of [...tables, bytes]) {
    await file.writeFile(part);
  }
  await file.sync();
}

/** Whoever was killed while it saved left a file behind, as big as the map. */
async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const isAside = (name: string): boolean =>
    name.startsWith(`${basename(path)}.`) && name.endsWith(ASIDE_SUFFIX);
  for (const name of (await readdir(folder)).filter(isAside)) {
    const file = join(folder, name);
    const modified = (await stat(file).catch(() => undefined))?.mtimeMs ?? Infinity;
    if (modified < Date.now() - ASIDE_LIFETIME) {
      await rm(file, { force: true });
    }
  }
}

async function describeTables(tables: readonly Uint8Array[]): Promise<Header['tables']> {
  return {
    size: tables.reduce((size, part) => size + part.length, 0),
    sha256: await runInSlices(sha256Steps(...tables), BESIDE_REVIEWS),
  };
}

/** A rename is safe from a crash only when its folder is on the disk. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

async function parseCache(file: Buffer): Promise<CachedBytes> {
  const end = file.indexOf(NEWLINE);
  const confirmedAt = Number(file.toString('latin1', 0, TIME_LENGTH));
  const header = parseJson(file.toString('utf8', TIME_LENGTH, end));
  if (!Number.isSafeInteger(confirmedAt) || !isHeader(header)) {
    throw cacheError('it is cut short, or another file');
  }
  const { place, etag, sha256, signature } = header;
  const start = end + 1 + (header.tables?.size ?? 0);
  const bytes = file.subarray(start);
  if (sha256 !== (await hashOf(bytes))) {
    throw cacheError(
      'it is damaged, since its map has another SHA-256 than the one that was saved',
    );
  }
  const tables = file.subarray(end + 1, start);
  const areGood = tables.length > 0 && header.tables?.sha256 === (await hashOf(tables));
  return {
    place,
    etag,
    bytes,
    sha256,
    signature: signature === null ? undefined : Buffer.from(signature, 'base64'),
    confirmedAt,
    // In memory of their own, since they stay there and the rest does not.
    tables: areGood ? new Uint8Array(tables) : undefined,
  };
}

function hashOf(bytes: Uint8Array): Promise<string> {
  return runInSlices(sha256Steps(bytes), WHILE_STARTING);
}

function isHeader(value: unknown): value is Header {
  return (
    isRecord(value) &&
    ['place', 'etag', 'sha256'].every((key) => typeof value[key] === 'string') &&
    (value.signature === null || typeof value.signature === 'string') &&
    (value.tables === undefined || areTables(value.tables))
  );
}

function areTables(value: unknown): boolean {
  return isRecord(value) && Number.isSafeInteger(value.size) && typeof value.sha256 === 'string';
}
