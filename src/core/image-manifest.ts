import { isRecord, parseJson } from './json-path.ts';

/** A platform of an image, and the digest of its manifest where an index lists it. */
export interface ImagePlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
  readonly digest: string | undefined;
}

/** What a manifest says of platforms: an index lists them, an image has them in its configuration. */
export type ImageContent =
  | { readonly kind: 'index'; readonly platforms: readonly ImagePlatform[] }
  | { readonly kind: 'image'; readonly configDigest: string };

/** Undefined where it is neither: no JSON, or a form that runtimes do not pull any more. */
export function readManifest(text: string): ImageContent | undefined {
  const manifest = parseJson(text);
  if (!isRecord(manifest) || manifest.schemaVersion !== 2) {
    return undefined;
  }
  const { manifests, config } = manifest;
  if (Array.isArray(manifests)) {
    return { kind: 'index', platforms: manifests.flatMap(platformOfEntry) };
  }
  const configDigest = isRecord(config) ? config.digest : undefined;
  return typeof configDigest === 'string' ? { kind: 'image', configDigest } : undefined;
}

/** The platform that the configuration of an image names; undefined where it names none. */
export function readConfigPlatform(text: string): ImagePlatform | undefined {
  return platformOf(parseJson(text), undefined);
}

function platformOfEntry(entry: unknown): ImagePlatform[] {
  if (!isRecord(entry)) {
    return [];
  }
  const digest = typeof entry.digest === 'string' ? entry.digest : undefined;
  const platform = platformOf(entry.platform, digest);
  return platform === undefined ? [] : [platform];
}

function platformOf(value: unknown, digest: string | undefined): ImagePlatform | undefined {
  const { os, architecture, variant }: Record<string, unknown> = isRecord(value) ? value : {};
  // Attestations stand in an index as well, with a platform of this name.
  if (typeof os !== 'string' || typeof architecture !== 'string' || os === 'unknown') {
    return undefined;
  }
  const named = typeof variant === 'string' && variant !== '' ? variant : undefined;
  return { os, architecture, variant: named, digest };
}

/** `linux/amd64`, `linux/arm/v7`. */
export function platformText({ os, architecture, variant }: ImagePlatform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}

/** Whether the platform is the wanted one; one that is wanted without a variant may have any. */
export function isPlatform(platform: ImagePlatform, wanted: string): boolean {
  const text = platformText(platform);
  return text === wanted || text === `${wanted}/${platform.variant ?? ''}`;
}
