import { canonicalPrefix, DIGESTS_FOLLOW_NAMES, type ObjectExport } from './format.ts';
import {
  type LeftOut,
  type NameRule,
  prefixesOnly,
  readNameRules,
  ruleText,
  withHubAliases,
} from './rules.ts';
import type { PolicySettings } from '../policy.ts';
import { covers } from '../prefix-rules.ts';

interface MovingRule {
  readonly source: string;
  readonly target: string;
}

/**
 * OpenShift: an ImageDigestMirrorSet and an ImageTagMirrorSet that say the same. A source that is to
 * stay cannot be said: a mirror set without a mirror is dropped, and the one above it would apply
 * (https://github.com/openshift/runtime-utils/blob/master/pkg/registries/registries.go).
 */
export function exportMirrorSets(settings: PolicySettings): ObjectExport {
  const names = readNameRules(settings, DIGESTS_FOLLOW_NAMES);
  const { rules, leftOut } = withHubAliases(prefixesOnly(names));
  const staying = rules.filter(({ target }) => target === undefined);
  const mirrors: MovingRule[] = [];
  const unsaid: LeftOut[] = [];
  for (const rule of rules.filter(isMoving)) {
    const inside = staying.find(({ source }) => covers(rule.source, source));
    if (inside === undefined) {
      mirrors.push(rule);
    } else {
      const reason = `${inside.source} inside it has to stay as it is written, and a mirror set has no exceptions`;
      unsaid.push({ rule: ruleText(rule), path: undefined, reason });
    }
  }
  const sets = mirrors.map(({ source, target }) => {
    const mirrorSourcePolicy = 'NeverContactSource';
    return { source, mirrors: [canonicalPrefix(target)], mirrorSourcePolicy };
  });
  const metadata = { name: 'sdr-image-rewriter' };
  const apiVersion = 'config.openshift.io/v1';
  const objects =
    sets.length === 0
      ? []
      : [
          {
            apiVersion,
            kind: 'ImageDigestMirrorSet',
            metadata,
            spec: { imageDigestMirrors: sets },
          },
          { apiVersion, kind: 'ImageTagMirrorSet', metadata, spec: { imageTagMirrors: sets } },
        ];
  return { objects, leftOut: [...leftOut, ...unsaid] };
}

function isMoving(rule: NameRule): rule is MovingRule {
  return rule.target !== undefined;
}
