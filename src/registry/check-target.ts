import { type Fault, RewriterError } from '../core/errors.ts';
import {
  type ImageManifest,
  type IndexEntry,
  type Platform,
  platformText,
  readConfigPlatform,
  runsOn,
} from '../core/image-manifest.ts';
import type { MapTarget } from '../core/map-targets.ts';
import { algorithmOf, type Reference } from '../core/reference.ts';
import type { RegistryClient } from './registry-client.ts';

type Finding = Omit<Fault, 'path'>;
type Findings = AsyncGenerator<Finding, void, undefined>;

/**
 * What is wrong with a target in its registry; that it cannot be asked is one of the faults. Throws
 * `TARGET_CREDENTIALS_INVALID`, which is no fault of a target.
 */
export async function checkTarget(target: MapTarget, registry: RegistryClient): Promise<Fault[]> {
  const { path } = target;
  const faults: Fault[] = [];
  try {
    const findings =
      target.kind === 'image' ? findInImage(target, registry) : findInRepository(target, registry);
    for await (const finding of findings) {
      faults.push({ ...finding, path });
    }
  } catch (error) {
    if (!(error instanceof RewriterError) || error.code === 'TARGET_CREDENTIALS_INVALID') {
      throw error;
    }
    faults.push({ code: error.code, path, message: error.message });
  }
  return faults;
}

async function* findInRepository({ reference }: MapTarget, registry: RegistryClient): Findings {
  if (!(await registry.hasTags(reference))) {
    const message = `the registry has no repository ${reference.text}, or no tag in it`;
    yield { code: 'TARGET_MISSING', message };
  }
}

async function* findInImage(
  { reference, platforms }: MapTarget,
  registry: RegistryClient,
): Findings {
  const { text, tag, digest } = reference;
  const wanted = digest ?? tag ?? 'latest';
  // The manifest is read where something in it matters, and otherwise only looked for.
  const isRead = platforms.length > 0;
  const manifest = isRead ? await registry.manifest(reference, wanted) : undefined;
  const isThere = isRead
    ? manifest !== undefined
    : (await registry.digestOf(reference, wanted)) !== undefined;
  if (!isThere) {
    yield { code: 'TARGET_MISSING', message: `the registry has no ${text}` };
    return;
  }
  if (tag !== undefined && digest !== undefined) {
    yield* findInTag(reference, tag, digest, registry);
  }
  if (manifest !== undefined) {
    yield* findInPlatforms(reference, platforms, manifest, registry);
  }
}

/** Runtimes pull by the digest alone; but what no tag names, registries delete some day. */
async function* findInTag(
  reference: Reference,
  tag: string,
  digest: string,
  registry: RegistryClient,
): Findings {
  const tagged = await registry.digestOf(reference, tag, algorithmOf(digest));
  if (tagged !== digest) {
    const what = tagged === undefined ? 'is not there' : `stands for ${tagged}`;
    const message = `the digest of ${reference.text} is there, but its tag ${what}`;
    yield { code: 'TARGET_TAG_MOVED', message };
  }
}

async function* findInPlatforms(
  reference: Reference,
  platforms: readonly string[],
  manifest: ImageManifest,
  registry: RegistryClient,
): Findings {
  const { text } = reference;
  if (manifest.kind === 'image') {
    const { configDigest } = manifest;
    const config = await registry.blob(reference, configDigest);
    if (config === undefined) {
      const message = `${text} is there, but the registry has no ${configDigest}, its configuration`;
      yield { code: 'TARGET_MISSING', message };
      return;
    }
    const platform = readConfigPlatform(config);
    yield* findMissing(text, platforms, platform === undefined ? [] : [platform]);
    return;
  }
  const present: Platform[] = [];
  for (const entry of manifest.entries) {
    const platform = entry.platform ?? (await platformOf(reference, entry, registry));
    const isWanted = platform !== undefined && platforms.some((wanted) => runsOn(platform, wanted));
    // A copy of some platforms may keep the index of all, so that its digest stays.
    if (!isWanted || (await registry.digestOf(reference, entry.digest)) !== undefined) {
      present.push(...(platform === undefined ? [] : [platform]));
    }
  }
  yield* findMissing(text, platforms, present);
}

function* findMissing(
  text: string,
  platforms: readonly string[],
  present: readonly Platform[],
): Generator<Finding, void, undefined> {
  for (const wanted of platforms) {
    if (!present.some((platform) => runsOn(platform, wanted))) {
      const has = present.map(platformText).join(', ') || 'none';
      const message = `${text} has no image for ${wanted} in the registry; it has ${has}`;
      yield { code: 'TARGET_PLATFORM_MISSING', message };
    }
  }
}

/** Of an image in an index that does not name its platform, which is optional there. */
async function platformOf(
  reference: Reference,
  { digest }: IndexEntry,
  registry: RegistryClient,
): Promise<Platform | undefined> {
  const manifest = await registry.manifest(reference, digest);
  const config =
    manifest?.kind === 'image' ? await registry.blob(reference, manifest.configDigest) : undefined;
  return config === undefined ? undefined : readConfigPlatform(config);
}
