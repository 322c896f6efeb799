import { identityText } from '../core/admission-text.ts';
import { explain, type ExplainedStep, type Found } from '../core/explain.ts';
import type { Policy } from '../core/policy.ts';
import { parseMapPlace } from './map-place.ts';
import { outcomeStyle, paint, printable } from './output.ts';
import type { PolicyOptions } from './policy-options.ts';
import type { Resolution } from './resolve.ts';

/** One line of `resolve --explain --output json`. */
export interface ExplainedResolution extends Resolution {
  /** What decides, then every step in order; the last one applied. */
  readonly explanation: readonly (ExplainedStep | PolicyStep)[];
}

/** Names the map and the configuration that answered. */
interface PolicyStep extends Omit<ExplainedStep, 'step'> {
  readonly step: 'policy';
}

export function explainResolution(
  resolution: Resolution,
  policy: Policy,
  options: PolicyOptions,
): ExplainedResolution {
  const { steps } = explain(policy, resolution.image);
  const why = policyText(policy, options);
  const policyStep = { step: 'policy', applied: false, key: null, found: null, why } as const;
  return { ...resolution, explanation: [policyStep, ...steps] };
}

function policyText({ procurement, map }: Policy, options: PolicyOptions): string {
  const { config, base } = options;
  const configuration = config === undefined ? 'no configuration file' : `configuration ${config}`;
  const parts = [`procurement: ${procurement}`, configuration];
  if (base !== undefined) {
    parts.push(`--base ${base}`);
  }
  if (map !== undefined) {
    const place = options.map === undefined ? undefined : parseMapPlace(options.map);
    const shown = place?.kind === 'file' ? place.shown : map.location;
    parts.push(`map ${shown} ${identityText(map)}`);
  }
  return parts.join(', ');
}

/** What becomes of an image, and below it each step. */
export function explanationText(explained: ExplainedResolution): string {
  const { image, outcome, target, rule, reason, explanation } = explained;
  const style = outcomeStyle(outcome);
  const what = style === undefined ? outcome : paint(style, outcome);
  const head = `${paint('bold', printable(image))}: ${what}${target === null ? '' : ` to ${target}`} (${rule ?? reason ?? ''})`;

  const width = Math.max(...explanation.map(({ step }) => step.length));
  const lines = explanation.flatMap(({ step, applied, why, found }) => {
    const mark = applied ? paint('green', 'yes') : step === 'policy' ? '   ' : 'no ';
    const line = `  ${mark}  ${step.padEnd(width)}  ${printable(why)}`;
    return found === null
      ? [line]
      : [line, paint('dim', `${' '.repeat(width + 9)}${printable(place(found))}`)];
  });
  return [head, ...lines].map((line) => `${line}\n`).join('');
}

function place({ in: document, path, source, target }: Found): string {
  const rule = [source, target].filter((part) => part !== null).join(' → ');
  return `${path} of the ${document}: ${rule}`;
}
