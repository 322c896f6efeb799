import type { PolicySettings } from '../policy.ts';
import { canonicalPrefix, DIGESTS_FOLLOW_NAMES, type TextExport, tomlString } from './format.ts';
import { prefixesOnly, readNameRules, withHubAliases } from './rules.ts';

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
