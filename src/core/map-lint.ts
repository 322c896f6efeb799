import { type Fault, quote } from './errors.ts';
import type { ImageMap } from './image-map.ts';
import { targetPathOf } from './map-document.ts';
import type { ImageEntry, MapEntry } from './map-entry.ts';
import { covers, type Prefix } from './prefix-rules.ts';
import { isRegistry } from './reference.ts';

/** What `map lint` warns of: legal, but most likely not meant. */
export const LINT_WARNINGS = {
  MAP_EMPTY: {
    meaning: 'The map has no entries.',
    remedy: 'Check the job that writes it.',
  },
  MAP_ENTRY_UNREACHABLE: {
    meaning: 'The source lies outside `sources`, so the entry never applies.',
    remedy: 'Correct the source, or add its prefix to `sources` of the configuration.',
  },
  MAP_KEY_UNKNOWN: {
    meaning: 'The format does not know this key; it has no effect.',
    remedy: 'Correct its spelling or remove it.',
  },
  MAP_TARGET_MUTABLE: {
    meaning: 'The target has no digest, so what is pulled can change without the map.',
    remedy: 'Append the digest: `repository:tag@sha256:…`.',
  },
  MAP_TARGET_UNPINNED: {
    meaning: 'The source is pinned by digest and the target is not, so the entry never applies.',
    remedy: 'Append the digest of the target.',
  },
  MAP_TARGET_WITHOUT_REGISTRY: {
    meaning:
      'The target does not begin with a registry host, so it is pulled from Docker Hub, where the name may be that of anybody.',
    remedy: 'Begin with the host of the mirror; if Docker Hub is meant, write `docker.io/`.',
  },
  MAP_DIGEST_AMBIGUOUS: {
    meaning:
      'The same source digest has different targets; a pod that names only the digest gets the first by name whose target has a digest.',
    remedy: 'Give one target to each source digest.',
  },
} as const satisfies Record<string, { meaning: string; remedy: string }>;
export type LintCode = keyof typeof LINT_WARNINGS;

export interface LintWarning extends Omit<Fault, 'code'> {
  readonly code: LintCode;
}

/** Looks for what is legal but suspicious in a map that loads. */
export function lintImageMap(map: ImageMap, sources: readonly Prefix[]): LintWarning[] {
  const warnings = map.unknownKeys.map((path): LintWarning => {
    return { code: 'MAP_KEY_UNKNOWN', path, message: 'this key has no effect' };
  });
  if (map.entries.length === 0) {
    warnings.push({ code: 'MAP_EMPTY', path: '$', message: 'the map has no entries' });
  }
  for (const entry of map.entries) {
    const { kind, key, path, target } = entry;
    const isReachable =
      key.startsWith('@') || sources.some(({ value }) => meets(value, repositoryOf(key), kind));
    if (!isReachable) {
      const scope = sources.map(({ value }) => value).join(', ');
      const message = `${quote(key)} is in none of the sources (${scope})`;
      warnings.push({ code: 'MAP_ENTRY_UNREACHABLE', path, message });
    }
    if (!beginsWithRegistry(entry)) {
      const message = `the target ${quote(target)} names no registry, so it is ${entry.canonicalTarget}`;
      warnings.push({ code: 'MAP_TARGET_WITHOUT_REGISTRY', path: targetPathOf(path), message });
    }
    if (kind === 'image' && !entry.pinned) {
      const code = key.includes('@') ? 'MAP_TARGET_UNPINNED' : 'MAP_TARGET_MUTABLE';
      warnings.push({ code, path, message: `the target ${quote(target)} has no digest` });
    }
  }
  return [...warnings, ...ambiguousDigests(map)];
}

function meets(scope: string, name: string, kind: string): boolean {
  return covers(scope, name) || (kind === 'prefix' && covers(name, scope));
}

/** A prefix may be a host alone; a repository or an image such as `host:5000` is one of Docker Hub. */
function beginsWithRegistry({ kind, target }: MapEntry): boolean {
  const slash = target.indexOf('/');
  return slash < 0 ? kind === 'prefix' && isRegistry(target) : isRegistry(target.slice(0, slash));
}

/** The name in a lookup key such as `repo:tag@digest`; a registry may have a port. */
function repositoryOf(key: string): string {
  const named = key.split('@', 1)[0] ?? '';
  const colon = named.lastIndexOf(':');
  return colon > named.lastIndexOf('/') && colon >= 0 && named.includes('/')
    ? named.slice(0, colon)
    : named;
}

function ambiguousDigests(map: ImageMap): LintWarning[] {
  const first = new Map<string, ImageEntry>();
  return map.entries.flatMap((entry): LintWarning[] => {
    if (entry.kind !== 'image' || entry.sourceDigest === undefined) {
      return [];
    }
    const twin = first.get(entry.sourceDigest);
    if (twin === undefined) {
      first.set(entry.sourceDigest, entry);
      return [];
    }
    if (digestOf(twin.target) === digestOf(entry.target)) {
      return [];
    }
    const message = `${entry.sourceDigest} has the target ${quote(entry.target)} here and ${quote(twin.target)} at ${twin.path}`;
    return [{ code: 'MAP_DIGEST_AMBIGUOUS', path: entry.path, message }];
  });
}

function digestOf(target: string): string | undefined {
  return target.split('@')[1];
}
