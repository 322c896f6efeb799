import { type LeftOut, prefixesOnly, readNameRules, withHubAliases } from './rules.ts';
import type { PolicySettings } from '../policy.ts';
import { parsePrefix } from '../prefix-rules.ts';
import { isInvalid } from '../errors.ts';

/** What a format says, as text behind a comment. */
export interface TextExport {
  /** Empty where there is nothing to say. */
  readonly text: string;
  readonly leftOut: readonly LeftOut[];
}

/**
 * Podman, CRI-O, Buildah and Skopeo: containers-registries.conf(5). `location` and not a mirror, which
 * would fall back to the public registry. Tables are chosen by name only, whatever the manual page says
 * of tags: https://github.com/containers/image/blob/main/docker/docker_image_src.go
 */
export function exportRegistriesConf(settings: PolicySettings): TextExport {
  const names = readNameRules(settings, DIGESTS_FOLLOW_NAMES);
  const { rules, leftOut } = withHubAliases(prefixesOnly(names));
  const tables = rules.map(({ source, target }) => {
    const remark = target === undefined ? '# stays as it is written\n' : '';
    const location = target === undefined ? source : canonicalPrefix(target);
    return `${remark}[[registry]]\nprefix = ${tomlString(source)}\nlocation = ${tomlString(location)}\n`;
  });
  return { text: tables.join('\n'), leftOut };
}

export const DIGESTS_FOLLOW_NAMES =
  'a pull of it by digest from another repository gets the same bytes by the rule of that repository';

/** With `docker.io` for its aliases, which the runtimes refuse as a target. */
export function canonicalPrefix(target: string): string {
  const prefix = parsePrefix(target);
  return isInvalid(prefix) ? target : prefix.value;
}

/** A basic string; names are ASCII, so JSON and TOML quote them alike. */
export function tomlString(text: string): string {
  return JSON.stringify(text);
}
