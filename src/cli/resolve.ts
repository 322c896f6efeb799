import type { Command } from 'commander';
import type { ErrorCode } from '../core/errors.ts';
import type { Decision, Reason, Rule } from '../core/decision.ts';
import type { Policy } from '../core/policy.ts';
import { canonicalText } from '../core/reference.ts';
import { EXIT_FAULT, EXIT_FINE } from './exit-codes.ts';
import { explainResolution, explanationText } from './explanation.ts';
import { expandInput } from './input.ts';
import { outcomeStyle, renderJsonLines, renderTable } from './output.ts';
import { loadPolicy } from './load-policy.ts';
import { addPolicyOptions, type PolicyOptions } from './policy-options.ts';

/** One line of `resolve --output json`. */
export interface Resolution {
  readonly image: string;
  /** Full form with registry and tag; null where the image is invalid. */
  readonly canonical: string | null;
  readonly outcome: Decision['outcome'];
  /** What to pull in place of the image; null where it stays. */
  readonly target: string | null;
  readonly rule: Rule | null;
  /** Why it stays; null where it was rewritten. */
  readonly reason: Reason | ErrorCode | null;
}

export function resolveImage(policy: Policy, image: string): Resolution {
  const decision = policy.decide(image);
  const isRewritten = decision.outcome === 'rewritten';
  return {
    image,
    canonical: decision.outcome === 'invalid' ? null : canonicalText(decision.reference),
    outcome: decision.outcome,
    target: isRewritten ? decision.target : null,
    rule: isRewritten ? decision.rule : null,
    reason: isRewritten ? null : decision.reason,
  };
}

interface ResolveOptions extends PolicyOptions {
  readonly output: 'table' | 'json';
  readonly explain: boolean;
}

export function addResolveCommand(program: Command, finish: (exitCode: number) => void): void {
  const command = program
    .command('resolve')
    .description('Says what each image becomes and why.')
    .argument('<image...>', 'images, or - for one a line on standard input')
    .option('--explain', 'tell every rule that was looked at, and why it applies or not', false);
  addPolicyOptions(command, 'table').action(async (images: string[], options: ResolveOptions) => {
    const policy = await loadPolicy(options);
    const resolutions = (await expandInput(images)).map((image) => resolveImage(policy, image));
    process.stdout.write(render(resolutions, policy, options));
    const hasFault = resolutions.some(
      ({ outcome }) =>
        outcome === 'invalid' || (outcome === 'unmapped' && policy.unmapped !== 'allow'),
    );
    finish(hasFault ? EXIT_FAULT : EXIT_FINE);
  });
}

function render(
  resolutions: readonly Resolution[],
  policy: Policy,
  options: ResolveOptions,
): string {
  const isJson = options.output === 'json';
  if (!options.explain) {
    return isJson ? renderJsonLines(resolutions) : resolutionTable(resolutions);
  }
  const explained = resolutions.map((each) => explainResolution(each, policy, options));
  return isJson ? renderJsonLines(explained) : explained.map(explanationText).join('\n');
}

function resolutionTable(resolutions: readonly Resolution[]): string {
  return renderTable(
    [
      { title: 'IMAGE' },
      { title: 'OUTCOME', style: outcomeStyle },
      { title: 'TARGET' },
      { title: 'WHY' },
    ],
    resolutions.map(({ image, outcome, target, rule, reason }) => [
      image,
      outcome,
      target ?? '-',
      rule ?? reason ?? '',
    ]),
  );
}
