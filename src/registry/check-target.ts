import { type Fault, RewriterError } from '../core/errors.ts';
import {
  type ImagePlatform,
  isPlatform,
  platformText,
  readConfigPlatform,
  readManifest,
} from '../core/image-manifest.ts';
import type { MapTarget } from '../core/map-targets.ts';
import type { Reference } from '../core/reference.ts';
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
  if (!(await registry.hasRepository(reference))) {
    const message = `the registry has no repository ${reference.text}`;
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
  const content = platforms.length > 0 ? await registry.manifest(reference, wanted) : undefined;
  const isThere =
    content !== undefined ||
    (platforms.length === 0 && (await registry.digestOf(reference, wanted)) !== undefined);
  if (!isThere) {
    yield { code: 'TARGET_MISSING', message: `the registry has no ${text}` };
    return;
  }
  if (tag !== undefined && digest !== undefined) {
    yield* findInTag(reference, tag, digest, registry);
  }
  if (content !== undefined) {
    yield* findInPlatforms(reference, platforms, content.bytes, registry);
  }
}

/** Runtimes pull by the digest alone; but what no tag names, registries delete some day. */
async function* findInTag(
  reference: Reference,
  tag: string,
  digest: string,
  registry: RegistryClient,
): Findings {
  const tagged = await registry.digestOf(reference, tag);
  if (tagged !== digest) {
    const what = tagged === undefined ? 'is not there' : `stands for ${tagged}`;
    const message = `the digest of ${reference.text} is there, but its tag ${what}`;
    yield { code: 'TARGET_TAG_MOVED', message };
  }
}

async function* findInPlatforms(
  reference: Reference,
  platforms: readonly string[],
  manifest: Uint8Array,
  registry: RegistryClient,
): Findings {
  const present = await platformsOf(reference, manifest, registry);
  for (const wanted of platforms) {
    const platform = present.find((each) => isPlatform(each, wanted));
    if (platform === undefined) {
      const has = present.map(platformText).join(', ') || 'none that a runtime pulls';
      const message = `${reference.text} has no platform ${wanted}; it has ${has}`;
      yield { code: 'TARGET_PLATFORM_MISSING', message };
    } else if (
      platform.digest !== undefined &&
      (await registry.digestOf(reference, platform.digest)) === undefined
    ) {
      // A copy of some platforms may keep the index of all, so that its digest stays.
      const message = `${reference.text} lists ${wanted}, but the registry has no ${platform.digest}`;
      yield { code: 'TARGET_PLATFORM_MISSING', message };
    }
  }
}

async function platformsOf(
  reference: Reference,
  manifest: Uint8Array,
  registry: RegistryClient,
): Promise<readonly ImagePlatform[]> {
  const content = readManifest(textOf(manifest));
  if (content?.kind !== 'image') {
    return content?.platforms ?? [];
  }
  const config = await registry.blob(reference, content.configDigest);
  const platform = config && readConfigPlatform(textOf(config.bytes));
  return platform === undefined ? [] : [platform];
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
