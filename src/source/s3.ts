import { quote, RewriterError } from '../core/errors.ts';
import { clientByCa, closedOnAbort, readCa } from './ca-file.ts';
import type { S3Store, S3StoreSettings } from './s3-store.ts';
import {
  type MapReading,
  type MapSource,
  namesVersion,
  type ReadRequest,
  SIGNATURE_LIMIT,
  SIGNATURE_SUFFIX,
} from './source.ts';

export interface S3Location {
  readonly bucket: string;
  readonly key: string;
}

/** Splits `s3://bucket/key`. Throws `MAP_UNREADABLE` where it is none. */
export function parseS3Url(url: string): S3Location {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(url) ?? [];
  if (bucket === undefined || key === undefined) {
    // What stands before an @ or behind a ? may be a secret.
    const shown = url.replace(/^s3:\/\/.*@/s, 's3://').replace(/[?#].*$/s, '');
    throw new RewriterError(
      'MAP_UNREADABLE',
      `the URL of the map, ${quote(shown)}, is not of the form s3://bucket/key`,
    );
  }
  return { bucket, key };
}

export interface S3SourceSettings extends Omit<S3StoreSettings, 'ca'> {
  /** Pins one version of the object; empty: the latest. */
  readonly versionId: string;
  readonly caFile: string;
}

/** Opens a bucket. The SDK takes a while to load, so only those who need it do. */
export async function openStore(
  bucket: string,
  settings: Omit<S3SourceSettings, 'versionId'>,
): Promise<S3Store> {
  return loadStore(bucket, { ...settings, ca: await readCa(settings.caFile) });
}

async function loadStore(bucket: string, settings: S3StoreSettings): Promise<S3Store> {
  const { S3Store: Store } = await import('./s3-store.ts');
  return new Store(bucket, settings);
}

/** A map in S3 or a compatible service, read with the default credential chain of the AWS SDK. */
export function createS3Source(url: string, settings: S3SourceSettings): MapSource {
  const { bucket, key } = parseS3Url(url);
  const versionId = settings.versionId === '' ? undefined : settings.versionId;
  const storeOf = clientByCa(
    settings.caFile,
    (ca) => loadStore(bucket, { ...settings, ca }),
    (store) => store.close(),
  );
  const read = async ({ etag, maxBytes, signal, signed }: ReadRequest): Promise<MapReading> => {
    const objects = await storeOf();
    const map = await objects.get({
      key,
      versionId,
      etag: namesVersion(etag) ? etag : undefined,
      maxBytes,
      signal,
    });
    if (map.kind === 'missing') {
      throw new RewriterError(
        'MAP_NOT_FOUND',
        `there is no object at ${url}; publish a map there, or correct imageMap.url`,
      );
    }
    if (map.kind === 'unchanged' || !signed) {
      return map.kind === 'unchanged' ? map : { ...map, kind: 'changed', signature: undefined };
    }
    const signature = await objects.get({
      key: key + SIGNATURE_SUFFIX,
      maxBytes: SIGNATURE_LIMIT,
      signal,
    });
    return {
      ...map,
      kind: 'changed',
      signature: signature.kind === 'found' ? signature.bytes : undefined,
    };
  };
  return {
    location: url,
    // The SDK asks for credentials without a limit of time, and asks once for all who wait for them.
    read: (request) => closedOnAbort(storeOf, request.signal, () => read(request)),
    close: () => storeOf.close(),
  };
}
