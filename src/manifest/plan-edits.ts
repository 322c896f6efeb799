import type { Scalar } from 'yaml';
import { isFragment, type ManifestImage } from '../core/manifest-images.ts';
import type { FoundScalar, ManifestDocument } from './document.ts';
import { replaceScalar } from './scalar-edit.ts';
import type { Edit } from './text.ts';

/** An image and the text in the document that gives it. */
export type FoundImage = ManifestImage & FoundScalar;

export interface EditPlan {
  /** Offsets count from the beginning of the document. */
  readonly edits: readonly Edit[];
  /** Images that would have to differ although they share one text, so that it was left alone. */
  readonly conflicts: ReadonlySet<FoundImage>;
}

/**
 * Finds the least edits after which every image is what it should be. Where an anchor and its aliases
 * agree, only the anchor's text changes; an alias that should differ, such as one in a place that names no
 * image, is replaced by its text.
 */
export function planEdits(document: ManifestDocument, images: readonly FoundImage[]): EditPlan {
  const edits: Edit[] = [];
  const conflicts = new Set<FoundImage>();

  /** The one text that all of these want, or undefined where they differ. */
  const agree = (group: readonly FoundImage[]): string | undefined => {
    const wanted = new Set(group.map(wantedText));
    return wanted.size === 1 ? [...wanted][0] : undefined;
  };
  const settle = (group: readonly FoundImage[], old: string): string => {
    const text = agree(group);
    if (text === undefined) {
      group.forEach((image) => conflicts.add(image));
    }
    return text ?? old;
  };

  for (const [scalar, group] of Map.groupBy(images, (image) => image.scalar)) {
    const old = String(scalar.value);
    const direct = group.filter(({ alias }) => alias === undefined);
    const byAlias = Map.groupBy(
      group.filter(({ alias }) => alias !== undefined),
      ({ alias }) => alias,
    );
    const others = document.aliasesOf(scalar).filter((alias) => !byAlias.has(alias));
    const mayMove = others.length === 0 && isShareOnly(document, scalar);
    const text =
      direct.length > 0 ? settle(direct, old) : ((mayMove ? agree(group) : undefined) ?? old);
    if (text !== old) {
      edits.push(replaceScalar(document.source, scalar, text));
      for (const alias of others) edits.push(replaceScalar(document.source, alias, old));
    }
    for (const [alias, uses] of byAlias) {
      const wanted = settle(uses, old);
      if (alias !== undefined && wanted !== text) {
        edits.push(replaceScalar(document.source, alias, wanted));
      }
    }
  }
  return { edits, conflicts };
}

function wantedText({ verdict, image }: ManifestImage): string {
  return verdict.outcome === 'rewritten' ? verdict.target : image;
}

function isShareOnly(document: ManifestDocument, scalar: Scalar): boolean {
  return isFragment(document.value, document.topLevelKey(scalar));
}
