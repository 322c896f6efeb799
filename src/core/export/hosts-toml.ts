import { canonicalPrefix, DIGESTS_FOLLOW_NAMES, tomlString } from './format.ts';
import {
  type LeftOut,
  type NameRule,
  prefixesOnly,
  readNameRules,
  ruleText,
  withHubAliases,
} from './rules.ts';
import type { PolicySettings } from '../policy.ts';
import { DOCKER_HUB } from '../reference.ts';

export interface HostsFile {
  /** The registry that it is for: the file belongs into `HOST/hosts.toml` below `config_path`. */
  readonly host: string;
  readonly text: string;
}

export interface HostsExport {
  readonly files: readonly HostsFile[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * containerd: one `hosts.toml` for each registry, which moves all of that registry
 * (https://github.com/containerd/containerd/blob/main/docs/hosts.md).
 */
export function exportHostsToml(settings: PolicySettings): HostsExport {
  const names = readNameRules(settings, DIGESTS_FOLLOW_NAMES);
  const prefixes = prefixesOnly(names);
  const { leftOut } = withHubAliases(prefixes);
  const files: HostsFile[] = [];
  const unsaid: LeftOut[] = [];
  for (const [host, ofHost] of Map.groupBy(prefixes.rules, hostOf)) {
    const [first, ...others] = ofHost;
    if (first?.source === host && first.target !== undefined && others.length === 0) {
      files.push({ host, text: hostsText(canonicalPrefix(first.target)) });
      continue;
    }
    const reason = `hosts.toml moves a registry as a whole, and this is not all that the rules say of ${host}`;
    for (const rule of ofHost.filter(({ target }) => target !== undefined)) {
      unsaid.push({ rule: ruleText(rule), path: undefined, reason });
    }
  }
  return { files, leftOut: [...leftOut, ...unsaid] };
}

function hostOf({ source }: NameRule): string {
  return source.split('/', 1)[0] ?? '';
}

/** The mirror is the `server` itself: what stands under `[host]` would fall back to the public registry. */
function hostsText(target: string): string {
  const slash = target.indexOf('/');
  const host = slash < 0 ? target : target.slice(0, slash);
  const path = slash < 0 ? '' : `/v2${target.slice(slash)}`;
  const server = `https://${host === DOCKER_HUB ? HUB_SERVER : host}${path}`;
  return [
    `server = ${tomlString(server)}`,
    'capabilities = ["pull", "resolve"]',
    ...(path === '' ? [] : ['override_path = true']),
    '',
  ].join('\n');
}

/** Where containerd finds `docker.io`. */
const HUB_SERVER = 'registry-1.docker.io';
