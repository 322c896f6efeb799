import { hasVariable, isComposeFile, isExtensionKey, listComposeImages } from './compose.ts';
import type { Exemption } from './exemption.ts';
import { imageLabel } from './pod-images.ts';
import type { Decision } from './decision.ts';
import type { Policy } from './policy.ts';
import { hasParameter, isKubernetesObject, listWorkloads, type Path } from './workload.ts';

/** Why an image in a file, or what reads like one, stays although a rule may cover it. */
export const UNHANDLED_REASONS = {
  'not-an-image-field': 'a text that reads like an image in scope, in a place that names no image',
  variable: 'Compose or Argo Workflows fills something in; the image is known only when it runs',
  shared: 'one text gives the image of several pods, and some of them are to be left alone',
} as const;
export type UnhandledReason = keyof typeof UNHANDLED_REASONS;

export type ManifestVerdict =
  | Decision
  | { readonly outcome: 'kept'; readonly reason: Exemption }
  | { readonly outcome: 'unhandled'; readonly reason: UnhandledReason };

/** One place of a document that names an image, and what the webhook would make of it. */
export interface ManifestImage {
  /** Of the object, such as `Deployment`; `Compose` for a Compose file. */
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  /** `containers/main`, `services/web`. */
  readonly where: string;
  readonly image: string;
  readonly path: Path;
  readonly verdict: ManifestVerdict;
}

/** What a document is taken for. */
export type ManifestKind = 'kubernetes' | 'compose' | 'other';

export function manifestKind(document: unknown): ManifestKind {
  if (isKubernetesObject(document)) {
    return 'kubernetes';
  }
  return isComposeFile(document) ? 'compose' : 'other';
}

/** Decides about every image of a Kubernetes object, a List or a Compose file. */
export function listManifestImages(document: unknown, policy: Policy): ManifestImage[] {
  return isComposeFile(document)
    ? composeImages(document, policy)
    : kubernetesImages(document, policy);
}

function kubernetesImages(document: unknown, policy: Policy): ManifestImage[] {
  return listWorkloads(document).flatMap((workload) => {
    const { kind, namespace, name, templates } = workload;
    const verdictOn = (image: string, exemption: Exemption | undefined): ManifestVerdict => {
      if (exemption !== undefined) {
        return { outcome: 'kept', reason: exemption };
      }
      return hasParameter(workload, image)
        ? { outcome: 'unhandled', reason: 'variable' }
        : policy.decide(image);
    };
    return templates.flatMap(({ exemption, images }) =>
      images.map(({ image, path }): ManifestImage => {
        const where = imageLabel(image);
        const verdict = verdictOn(image.image, exemption);
        return { kind, namespace, name, where, image: image.image, path, verdict };
      }),
    );
  });
}

function composeImages(document: Record<string, unknown>, policy: Policy): ManifestImage[] {
  const name = typeof document.name === 'string' ? document.name : undefined;
  return listComposeImages(document).map(({ label, image, path }): ManifestImage => {
    const verdict: ManifestVerdict = hasVariable(image)
      ? { outcome: 'unhandled', reason: 'variable' }
      : policy.decide(image);
    return { kind: 'Compose', namespace: undefined, name, where: label, image, path, verdict };
  });
}

/** Whether a value under this path is there only to be shared by anchors: an `x-` fragment of Compose. */
export function isFragment(document: unknown, topLevelKey: unknown): boolean {
  return isComposeFile(document) && isExtensionKey(topLevelKey);
}

/** Texts inside a text that read like an image in scope, such as in `--image=docker.io/team/app:1`. */
export function findImageTexts(text: string, policy: Policy): string[] {
  // Letters and signs by turns: a class that holds both would take quadratic time on `[[[[…`.
  const words = text.match(/[A-Za-z0-9[]+(?:[._:@/\]-]+[A-Za-z0-9[]+)*/g) ?? [];
  return words
    .map((word) => word.replace(/^[a-z-]+:\/\//, ''))
    .filter((word) => word.includes('/') && isInScope(word, policy));
}

function isInScope(image: string, policy: Policy): boolean {
  const decision = policy.decide(image);
  return (
    decision.outcome === 'rewritten' ||
    decision.outcome === 'unmapped' ||
    (decision.outcome === 'kept' && decision.reason === 'procurement-public')
  );
}
