import { createPolicy, type Policy, type PolicySettings } from '../../src/core/policy.ts';
import { mapOf } from './maps.ts';
import { prefixOf } from './references.ts';

export const SOURCES = ['docker.io/atlanhq', 'ghcr.io/atlanhq', 'registry.atlan.com'];
export const MIRROR = 'registry.corp.example/mirror';
export const MAP_IDENTITY = {
  location: 's3://sdr-config/image-map.json',
  serial: 42,
  etag: '"6f1ed002"',
};

export interface PolicyOptions extends Partial<
  Omit<PolicySettings, 'sources' | 'containerRegistryBase' | 'prefixes' | 'map'>
> {
  readonly sources?: readonly string[];
  readonly base?: string;
  /** Source to target. */
  readonly prefixes?: Readonly<Record<string, string>>;
  /** A document in any form that a map may have. */
  readonly map?: unknown;
}

/** A policy from plain texts; with a map the procurement is `map`, without one `prefix`. */
export function policyOf(options: PolicyOptions = {}): Policy {
  return createPolicy(settingsOf(options));
}

export function settingsOf(options: PolicyOptions = {}): PolicySettings {
  const { sources = SOURCES, base, prefixes = {}, map, ...settings } = options;
  return {
    procurement: map === undefined ? 'prefix' : 'map',
    unmapped: 'warn',
    imagePullSecrets: [],
    annotate: true,
    sources: sources.map(prefixOf),
    containerRegistryBase: base === undefined ? undefined : prefixOf(base),
    prefixes: Object.entries(prefixes).map(([source, target]) => ({
      source: prefixOf(source),
      target: prefixOf(target),
    })),
    map: map === undefined ? undefined : { rules: mapOf(map), identity: MAP_IDENTITY },
    ...settings,
  };
}

/** The decision in one line: `rewritten target (rule)`, `kept (reason)` and so on. */
export function decisionText(policy: Policy, image: string): string {
  const decision = policy.decide(image);
  return decision.outcome === 'rewritten'
    ? `rewritten ${decision.target} (${decision.rule})`
    : `${decision.outcome} (${decision.reason})`;
}
