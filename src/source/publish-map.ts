import { createPublicKey, type KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { RewriterError } from '../core/errors.ts';
import { hasFaults, type ImageMap } from '../core/image-map.ts';
import { parseImageMap } from '../core/parse-image-map.ts';
import { parseJson } from '../core/json-value.ts';
import { compareMaps, type MapDiff } from '../core/map-diff.ts';
import { platformsAt, tooLargeToWrite, withSerial } from '../core/map-writer.ts';
import type { GetResult, PutRequest, PutResult, S3Store } from './s3-store.ts';
import { joinSignatures, signBytes, verifyBytes } from './signature.ts';
import { SIGNATURE_LIMIT, SIGNATURE_SUFFIX } from './source.ts';

/** Bytes; a published map that readers find too large is still read, so that it can be replaced. */
const REPLACED_LIMIT = 67_108_864;

/** The part of a store that publishing needs. */
export type ObjectStore = Pick<S3Store, 'get' | 'put' | 'location'>;

export interface PublishRequest {
  readonly store: ObjectStore;
  readonly key: string;
  /** The map to publish; it has no faults. */
  readonly text: string;
  readonly map: ImageMap;
  readonly maxBytes: number;
  /** Milliseconds that each read and each write may take. */
  readonly timeout: number;
  readonly signKey: KeyObject | undefined;
  readonly allowShrink: boolean;
  readonly dryRun: boolean;
  readonly now: Date;
}

export interface Publication {
  readonly kind: 'published' | 'planned' | 'nothing-new';
  readonly serial: number | undefined;
  readonly etag: string | undefined;
  readonly versionId: string | undefined;
  readonly diff: MapDiff;
}

/** Somebody else published in the meantime, and what is there is not this map. */
interface Lost {
  readonly kind: 'lost';
}

/**
 * Publishes a map with the next serial in the place of the one that was read, and of no other. The
 * signature is written first and keeps the earlier ones, so that a reader in between never finds a map
 * without a signature that fits. Throws a `RewriterError` where the map must not be published.
 */
export async function publishMap(request: PublishRequest): Promise<Publication | Lost> {
  const { store, key, map, maxBytes, signKey, allowShrink, dryRun } = request;
  const present = await readPresent(request, key, Math.max(maxBytes, REPLACED_LIMIT));
  const signature = await readPresent(request, key + SIGNATURE_SUFFIX, SIGNATURE_LIMIT);
  const published = present.bytes === undefined ? undefined : readPublished(present.bytes);
  if (published?.isUnreadable === true && map.serial === undefined) {
    throw new RewriterError(
      'MAP_SERIAL_UNKNOWN',
      `what is at ${store.location(key)} is cut short or no map at all, so the serial that replicas have is not known, and they refuse a lower one; give the map a higher \`serial\` than the one in use, which sdr_image_rewriter_map_serial and /status say`,
    );
  }
  const diff = compareMaps(published?.map, map);

  if (signature.bytes !== undefined && signKey === undefined) {
    throw new RewriterError(
      'MAP_SIGNATURE_REQUIRED',
      `there is a signature at ${store.location(key + SIGNATURE_SUFFIX)}; give --sign-key to sign this map as well`,
    );
  }
  if (diff.removed.length > 0 && !allowShrink) {
    throw new RewriterError(
      'MAP_LOSES_ENTRIES',
      `the map lacks ${diff.removed.length} sources that are published, for example ${diff.removed[0]?.key ?? ''}; add them, or say --allow-shrink`,
    );
  }
  const isSame =
    diff.added.length + diff.removed.length + diff.changed.length === 0 &&
    (map.serial ?? 0) <= (published?.serial ?? 0) &&
    isDeepStrictEqual(platformsOf(present.bytes, published?.map), platformsOf(request.text, map));
  const isSigned = signKey === undefined || fits(present.bytes, signature.bytes, signKey);
  const fitsReaders = (present.bytes?.length ?? 0) <= maxBytes;
  if (published?.map !== undefined && fitsReaders && isSame && isSigned) {
    return {
      kind: 'nothing-new',
      serial: published.serial,
      etag: present.etag,
      versionId: undefined,
      diff,
    };
  }
  const serial = nextSerial(request, published?.serial);
  const bytes = nextBytes(request, serial);
  if (dryRun) {
    return { kind: 'planned', serial, etag: undefined, versionId: undefined, diff };
  }

  if (signKey !== undefined) {
    const signed = await writeSignature({ ...request, bytes, signKey }, signature);
    if (signed.kind === 'lost') {
      return refuseHidden(signature);
    }
  }
  const written = await write(request, {
    key,
    bytes,
    contentType: 'application/json',
    replaces: present.etag,
  });
  return written.kind === 'lost'
    ? refuseHidden(present)
    : { kind: 'published', serial, etag: written.etag, versionId: written.versionId, diff };
}

/** `platforms` are no part of the rules, and yet what `map verify` goes by. */
function platformsOf(text: Uint8Array | string = '', map: ImageMap | undefined): string[] {
  const document = parseJson(Buffer.from(text).toString());
  const images = map?.entries.filter(({ kind }) => kind === 'image') ?? [];
  return images
    .map(({ key, path }) => `${key} ${(platformsAt(document, path) ?? []).join()}`)
    .sort();
}

function nextSerial({ store, key, map }: PublishRequest, published = 0): number {
  if (published === Number.MAX_SAFE_INTEGER) {
    throw new RewriterError(
      'MAP_SHAPE_INVALID',
      `the map at ${store.location(key)} has the serial ${published}, and there is no higher one; to begin anew, set imageMap.allowRollback: true where it is read, delete it, and publish again`,
    );
  }
  return Math.max(published + 1, map.serial ?? 1);
}

/** The map as it is written, which may be larger than the file that it was made of. */
function nextBytes({ text, map, maxBytes, now }: PublishRequest, serial: number): Buffer {
  const bytes = Buffer.from(withSerial(text, map, { serial, now, maxBytes }));
  if (bytes.length > maxBytes) {
    throw tooLargeToWrite(
      `the map has ${bytes.length} bytes as it would be published, with its serial`,
      maxBytes,
    );
  }
  return bytes;
}

export interface SignatureRequest {
  readonly store: ObjectStore;
  readonly key: string;
  /** The map that stands there. */
  readonly bytes: Uint8Array;
  readonly signKey: KeyObject;
  /** Milliseconds that each read and each write may take. */
  readonly timeout: number;
}

/** Puts a signature in front of those beside a map, unless one of them fits. Throws a `RewriterError`. */
export async function publishSignature(
  request: SignatureRequest,
): Promise<'signed' | 'nothing-new' | 'lost'> {
  const { key, bytes, signKey } = request;
  const present = await readPresent(request, key + SIGNATURE_SUFFIX, SIGNATURE_LIMIT);
  if (fits(bytes, present.bytes, signKey)) {
    return 'nothing-new';
  }
  const written = await writeSignature(request, present);
  if (written.kind === 'lost' && present.denial !== undefined) {
    throw present.denial;
  }
  return written.kind === 'lost' ? 'lost' : 'signed';
}

/** The earlier signatures stay, for readers that have an earlier map. */
function writeSignature(request: SignatureRequest, present: Present): Promise<PutResult> {
  const { key, bytes, signKey } = request;
  return write(request, {
    key: key + SIGNATURE_SUFFIX,
    bytes: Buffer.from(joinSignatures(signBytes(bytes, signKey), present.bytes)),
    contentType: 'text/plain',
    replaces: present.etag,
  });
}

type Reader = Pick<PublishRequest, 'store' | 'timeout'>;

/**
 * Writes an object over the version that was read. Where the answer to a write is lost, the SDK writes
 * again and is told that somebody else was first; the bytes that are there say who it was.
 */
async function write(reader: Reader, put: Omit<PutRequest, 'signal'>): Promise<PutResult> {
  const signal = AbortSignal.timeout(reader.timeout);
  const written = await reader.store.put({ ...put, signal });
  if (written.kind === 'written') {
    return written;
  }
  try {
    const { bytes, etag } = await readPresent(reader, put.key, put.bytes.length);
    const isOurs = bytes !== undefined && Buffer.compare(bytes, put.bytes) === 0;
    return isOurs ? { kind: 'written', etag: etag ?? '', versionId: undefined } : written;
  } catch (error) {
    if (!(error instanceof RewriterError)) {
      throw error;
    }
    if (error.code === 'MAP_TOO_LARGE') {
      return written;
    }
    throw new RewriterError(
      error.code,
      `it is not known who wrote ${reader.store.location(put.key)}: ${error.message}; run the command again`,
      { cause: error },
    );
  }
}

interface Present {
  readonly bytes: Uint8Array | undefined;
  readonly etag: string | undefined;
  /** Why it could not be read: without s3:ListBucket a missing object looks like a forbidden one. */
  readonly denial: RewriterError | undefined;
}

async function readPresent(
  { store, timeout }: Reader,
  key: string,
  maxBytes: number,
): Promise<Present> {
  let result: GetResult;
  try {
    result = await store.get({ key, maxBytes, signal: AbortSignal.timeout(timeout) });
  } catch (error) {
    if (error instanceof RewriterError && error.code === 'MAP_ACCESS_DENIED') {
      return { bytes: undefined, etag: undefined, denial: error };
    }
    throw error;
  }
  return result.kind === 'found'
    ? { bytes: result.bytes, etag: result.etag, denial: undefined }
    : { bytes: undefined, etag: undefined, denial: undefined };
}

/** What could not be read was taken to be missing; if it is there after all, that was no race. */
function refuseHidden({ denial }: Present): Lost {
  if (denial !== undefined) {
    throw denial;
  }
  return { kind: 'lost' };
}

interface Published {
  readonly map: ImageMap | undefined;
  readonly serial: number | undefined;
  /** Whether it is no JSON in which there would be a serial if it had one. */
  readonly isUnreadable: boolean;
}

/**
 * A published map with faults is replaced, but its serial still counts. Of one that is only too large
 * the sources count as well: who publishes with a smaller limit must not lose them unasked.
 */
function readPublished(bytes: Uint8Array): Published {
  const map = parseImageMap(bytes, Infinity);
  if (!hasFaults(map)) {
    return { map, serial: map.serial, isUnreadable: false };
  }
  const text = Buffer.from(bytes).toString();
  const [, digits] = /"serial"\s*:\s*(\d{1,16})\b/.exec(text) ?? [];
  const serial = Number(digits);
  return {
    map: undefined,
    serial: Number.isSafeInteger(serial) ? serial : undefined,
    isUnreadable: digits === undefined && parseJson(text) === undefined,
  };
}

function fits(
  bytes: Uint8Array | undefined,
  signature: Uint8Array | undefined,
  signKey: KeyObject,
): boolean {
  return (
    bytes !== undefined &&
    signature !== undefined &&
    verifyBytes(bytes, signature, [createPublicKey(signKey)])
  );
}
