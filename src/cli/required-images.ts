import type { Config } from '../config/schema.ts';
import { Decider } from '../core/decider.ts';
import type { Fault } from '../core/errors.ts';
import type { MapRules } from '../core/map-rules.ts';

interface RequiredImages {
  /** What the map makes of those that it has a rule for. */
  readonly rewritten: readonly { readonly image: string; readonly target: string }[];
  /** Of those that this map alone, without the configured prefixes, would leave where they are. */
  readonly faults: readonly Fault[];
}

/** What a map makes of images that it must have a rule for. */
export function requireImages(
  rules: MapRules,
  { sources }: Config,
  required: readonly string[],
): RequiredImages {
  const decider = new Decider({ procurement: 'map', sources, map: { rules } });
  const rewritten: { image: string; target: string }[] = [];
  const faults: Fault[] = [];
  for (const image of required) {
    const decision = decider.decide(image);
    if (decision.outcome === 'rewritten') {
      rewritten.push({ image, target: decision.target });
    } else {
      const message = `${image} must have a rule and stays as it is (${decision.reason})`;
      faults.push({ code: 'MAP_REQUIRED_MISSING', path: '$', message });
    }
  }
  return { rewritten, faults };
}
