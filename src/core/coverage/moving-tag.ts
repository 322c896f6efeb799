import { isInvalid } from '../errors.ts';
import { canonicalText, parseReference, type Reference } from '../reference.ts';

/** Why what a reference names may be another image tomorrow. */
export const MOVING = {
  moved: 'pods that name this image run different digests: the tag has moved',
  'no-tag': 'neither tag nor digest: the registry gives whatever is `latest`',
  'floating-tag':
    'the tag is one that is set again with each release: `latest`, `main`, `1`, `1.4`',
} as const;
export type Moving = keyof typeof MOVING;

/** The SHA of a commit, or of an image, at the end of a tag: `main-97b8c95`. */
const ENDS_IN_HASH = /[0-9a-f]{7,}$/;
const HAS_DIGIT = /[0-9]/;
/** `1` and `1.4` follow the releases below them; `1.4.2` is one. */
const PARTIAL_VERSION = /^v?[0-9]+(?:\.[0-9]+)?$/;

/** Judges by the text alone; a digest pins the image whatever the tag says. */
export function movingByName({ tag, digest }: Reference): Moving | undefined {
  if (digest !== undefined) {
    return undefined;
  }
  if (tag === undefined) {
    return 'no-tag';
  }
  const floats = !HAS_DIGIT.test(tag) || PARTIAL_VERSION.test(tag);
  return floats && !ENDS_IN_HASH.test(tag) ? 'floating-tag' : undefined;
}

/** Knows which tags pods have pulled with more than one digest. */
export class MovedTags {
  readonly #digests = new Map<string, Set<string>>();

  /** `pulledFrom` is `repository@digest`; an image ID without a repository says nothing of the tag. */
  add(image: string, pulledFrom: string | undefined): void {
    const digest = /@(.+)$/.exec(pulledFrom ?? '')?.[1];
    const reference = parseReference(image);
    if (digest === undefined || isInvalid(reference)) {
      return;
    }
    const key = canonicalText(reference);
    this.#digests.set(key, (this.#digests.get(key) ?? new Set()).add(digest));
  }

  /** Why what an image names may change; undefined where it cannot. */
  movingOf(image: string): Moving | undefined {
    const reference = parseReference(image);
    if (isInvalid(reference) || reference.digest !== undefined) {
      return undefined;
    }
    const digests = this.#digests.get(canonicalText(reference));
    return digests !== undefined && digests.size > 1 ? 'moved' : movingByName(reference);
  }
}
