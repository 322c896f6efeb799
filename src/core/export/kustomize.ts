import type { ObjectExport } from './format.ts';
import { type LeftOut, readNameRules, ruleText } from './rules.ts';
import { type Decision, REASONS } from '../decision.ts';
import { createPolicy, type Policy, type PolicySettings } from '../policy.ts';
import { isInvalid, quote } from '../errors.ts';
import { DOCKER_HUB, HUB_ALIASES, isRegistry, parseReference } from '../reference.ts';

interface KustomizeImage {
  /** A regular expression to kustomize, which puts it between `^` and the tag unquoted. */
  readonly name: string;
  readonly newName: string;
  readonly newTag?: string;
  readonly digest?: string;
}

const DIGESTS_STAY_THEIRS = 'kustomize knows an image by its name only';

/**
 * The `images` of a kustomization. Kustomize compares names as they are written, and
 * replaces every tag: https://github.com/kubernetes-sigs/kustomize/blob/master/api/internal/image/image.go
 */
export function exportKustomize(settings: PolicySettings): ObjectExport {
  const { prefixes, repositories, leftOut } = readNameRules(settings, DIGESTS_STAY_THEIRS);
  const images = repositories.flatMap(({ source, target }) =>
    target === undefined || settings.map?.rules.repositories.get(source) === undefined
      ? []
      : spellings(source).map((name) => moveName(name, target)),
  );
  const reason = 'kustomize has no prefixes; name the images that are in use as arguments';
  const unsaid = prefixes
    .filter(({ target }) => target !== undefined)
    .map((rule): LeftOut => ({ rule: `${ruleText(rule)} (all below)`, path: undefined, reason }));
  return { objects: [{ images }], leftOut: [...leftOut, ...unsaid] };
}

/** The same for images as they are written in the manifests that it is for. */
export function exportKustomizeFor(
  settings: PolicySettings,
  images: readonly string[],
): ObjectExport {
  const policy = createPolicy(settings);
  const leftOut: LeftOut[] = [];
  const found = new Map<string, KustomizeImage>();
  for (const [name, ofName] of Map.groupBy(new Set(images), nameOf)) {
    const answers = ofName.map((image) => answerFor(policy, name, image));
    const [first] = answers;
    const [one, other] = [ofName[0] ?? '', ofName.find((_, at) => !isSame(answers[at], first))];
    if (other !== undefined) {
      const reason = `${one} and ${other} get different answers, and kustomize replaces all tags of ${name} alike`;
      for (const image of ofName) leftOut.push(leftOutImage(policy, image, reason));
    } else if (first?.image !== undefined) {
      found.set(name, first.image);
    } else {
      for (const image of ofName) leftOut.push(...withoutRule(policy, image));
    }
  }
  // One entry works on what another wrote, and a target must stay as it is.
  for (const [name, { newName }] of found) {
    if (found.has(newName)) {
      const reason = `kustomize would replace ${newName} once more, which is also the name of an image to replace`;
      leftOut.push({ rule: `${name} -> ${newName}`, path: undefined, reason });
      found.delete(name);
    }
  }
  return { objects: [{ images: [...found.values()] }], leftOut };
}

function moveName(name: string, newName: string): KustomizeImage {
  return { name: quoteName(name), newName };
}

/** An unquoted dot would let `a.b` stand for `a-b` as well; no other registry differs in a dot only. */
function quoteName(name: string): string {
  const slash = name.indexOf('/');
  const host = slash >= 0 && isRegistry(name.slice(0, slash)) ? name.slice(0, slash) : '';
  const path = name.slice(host.length);
  return `${host.replaceAll(/[[\]]/g, '\\$&')}${path.replaceAll('.', '\\.')}`;
}

/** All ways to write a repository. */
function spellings(repository: string): string[] {
  const path = repository.slice(DOCKER_HUB.length + 1);
  if (!repository.startsWith(`${DOCKER_HUB}/`)) {
    return [repository];
  }
  const paths = /^library\/[^/]+$/.test(path) ? [path, path.slice('library/'.length)] : [path];
  return paths.flatMap((each) => [
    each,
    ...[DOCKER_HUB, ...HUB_ALIASES].map((registry) => `${registry}/${each}`),
  ]);
}

/** The name as it is written, as kustomize splits it off. */
function nameOf(image: string): string {
  const reference = parseReference(image);
  if (isInvalid(reference)) {
    return image;
  }
  const { tag, digest } = reference;
  const suffix =
    (tag === undefined ? 0 : tag.length + 1) + (digest === undefined ? 0 : digest.length + 1);
  return image.slice(0, image.length - suffix);
}

interface Answer {
  /** Undefined where the image stays. */
  readonly image: KustomizeImage | undefined;
}

function answerFor(policy: Policy, name: string, image: string): Answer {
  const decision = policy.decide(image);
  if (decision.outcome !== 'rewritten') {
    return { image: undefined };
  }
  const moved = moveName(name, nameOf(decision.target));
  const target = parseReference(decision.target);
  if (isInvalid(target) || carriesOver(decision)) {
    return { image: moved };
  }
  const { tag, digest } = target;
  const newTag = tag ?? (digest === undefined ? 'latest' : undefined);
  return {
    image: {
      ...moved,
      ...(newTag !== undefined && { newTag }),
      ...(digest !== undefined && { digest }),
    },
  };
}

function carriesOver({ rule }: Extract<Decision, { outcome: 'rewritten' }>): boolean {
  return rule === 'map-repository' || rule === 'map-prefix' || rule === 'prefix' || rule === 'base';
}

function isSame(one: Answer | undefined, other: Answer | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** An image that stays although somebody expects it to be moved. */
function withoutRule(policy: Policy, image: string): LeftOut[] {
  const decision = policy.decide(image);
  if (decision.outcome === 'invalid') {
    return [{ rule: quote(image), path: undefined, reason: decision.message }];
  }
  return decision.outcome === 'unmapped' && policy.unmapped !== 'allow'
    ? [{ rule: image, path: undefined, reason: REASONS[decision.reason] }]
    : [];
}

function leftOutImage(policy: Policy, image: string, reason: string): LeftOut {
  const decision = policy.decide(image);
  const rule = decision.outcome === 'rewritten' ? `${image} -> ${decision.target}` : image;
  return { rule, path: undefined, reason };
}
