import { isRecord, parseJson } from './json-value.ts';
import { parseDigest } from './reference.ts';

/** What a manifest leads to: an index lists manifests, an image has its platform in its configuration. */
export type ImageManifest =
  | { readonly kind: 'index'; readonly entries: readonly IndexEntry[] }
  | { readonly kind: 'image'; readonly configDigest: string };

export interface IndexEntry {
  readonly digest: string;
  /** Undefined where the index does not name it; the image does. */
  readonly platform: Platform | undefined;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

/** Undefined where it is neither: no JSON, or a form that runtimes do not pull any more. */
export function readManifest(text: string): ImageManifest | undefined {
  const manifest = parseJson(text);
  if (!isRecord(manifest) || manifest.schemaVersion !== 2) {
    return undefined;
  }
  const { manifests, config } = manifest;
  if (Array.isArray(manifests)) {
    return { kind: 'index', entries: manifests.flatMap(entryOf) };
  }
  const configDigest = digestOf(config);
  return configDigest === undefined ? undefined : { kind: 'image', configDigest };
}

/** The platform that the configuration of an image names; undefined where it names none. */
export function readConfigPlatform(text: string): Platform | undefined {
  return platformOf(parseJson(text));
}

function entryOf(entry: unknown): IndexEntry[] {
  const digest = digestOf(entry);
  if (!isRecord(entry) || digest === undefined) {
    return [];
  }
  const platform = platformOf(entry.platform);
  // Attestations stand in an index as well, for a platform of this name.
  return platform?.os === 'unknown' ? [] : [{ digest, platform }];
}

/** It becomes a part of a URL. */
function digestOf(descriptor: unknown): string | undefined {
  const digest = isRecord(descriptor) ? descriptor.digest : undefined;
  const parsed = typeof digest === 'string' ? parseDigest(digest) : undefined;
  return typeof parsed === 'string' ? parsed : undefined;
}

function platformOf(value: unknown): Platform | undefined {
  const { os, architecture, variant }: Record<string, unknown> = isRecord(value) ? value : {};
  if (typeof os !== 'string' || typeof architecture !== 'string') {
    return undefined;
  }
  return { os, architecture, variant: typeof variant === 'string' ? variant : undefined };
}

/** `linux/amd64`, `linux/arm/v7`. */
export function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant ?? ''].filter((part) => part !== '').join('/');
}

/** Names of one architecture, and the variant that none stands for, as containerd has them. */
const ARCHITECTURE_NAMES = new Map([
  ['aarch64', 'arm64'],
  ['x86_64', 'amd64'],
  ['x86-64', 'amd64'],
]);
const USUAL_VARIANTS = new Map([
  ['amd64', 'v1'],
  ['arm', 'v7'],
  ['arm64', 'v8'],
]);

/** Whether an image of this platform runs where `wanted` (`os/architecture/variant`) is: also of a lower variant. */
export function runsOn(platform: Platform, wanted: string): boolean {
  const [present, asked] = [normalised(platformText(platform)), normalised(wanted)];
  return (
    present.os === asked.os &&
    present.architecture === asked.architecture &&
    (present.variant === asked.variant || levelOf(present.variant) <= levelOf(asked.variant))
  );
}

function normalised(text: string): { os: string; architecture: string; variant: string } {
  const [os = '', name = '', variant] = text.toLowerCase().split('/');
  const architecture = ARCHITECTURE_NAMES.get(name) ?? name;
  return { os, architecture, variant: variant ?? USUAL_VARIANTS.get(architecture) ?? '' };
}

/** `v7` is 7; NaN, which is not comparable, of other names. */
function levelOf(variant: string): number {
  return /^v\d+$/.test(variant) ? Number(variant.slice(1)) : NaN;
}
