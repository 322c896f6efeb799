import type { AddOperation, ReplaceOperation } from 'fast-json-patch';
import { isRecord } from './json-value.ts';
import { imageLabel, type PodImage } from './pod-images.ts';

/** The only operations that this program writes: https://www.rfc-editor.org/rfc/rfc6902 */
export type PatchOperation = ReplaceOperation<string> | AddOperation<unknown>;

export const ORIGINAL_IMAGES_ANNOTATION = 'sdr-image-rewriter.io/original-images';
export const DECIDED_BY_ANNOTATION = 'sdr-image-rewriter.io/decided-by';

const ORIGINAL_IMAGES_POINTER = annotationPointer(ORIGINAL_IMAGES_ANNOTATION);
const DECIDED_BY_POINTER = annotationPointer(DECIDED_BY_ANNOTATION);

/** How the value begins where a map decided about an image. */
export const BY_MAP = 'map ';

/** Kubernetes refuses an object whose annotations have more bytes than this, keys included. */
const ANNOTATIONS_LIMIT = 256 * 1024;

export interface Rewrite {
  readonly image: PodImage;
  readonly target: string;
}

export function imageOperations(rewrites: readonly Rewrite[]): PatchOperation[] {
  return rewrites.map(({ image, target }) => {
    return { op: 'replace', path: image.pointer, value: target };
  });
}

/**
 * Says in the pod's annotations what its images were and by what they were decided. Leaves both out
 * where they would make the API server refuse the pod: too many bytes, or metadata of a wrong shape.
 */
export function annotationOperations(
  pod: Record<string, unknown>,
  rewrites: readonly Rewrite[],
  decidedBy: string,
): PatchOperation[] {
  const metadata = pod.metadata;
  const present = isRecord(metadata) ? (metadata.annotations ?? undefined) : null;
  if (present !== undefined && !isRecord(present)) {
    return [];
  }
  const originals = JSON.stringify(originalImages(present?.[ORIGINAL_IMAGES_ANNOTATION], rewrites));
  const deciders = allDeciders(present?.[DECIDED_BY_ANNOTATION], decidedBy);
  const added = {
    [ORIGINAL_IMAGES_ANNOTATION]: originals,
    [DECIDED_BY_ANNOTATION]: deciders,
  };
  if (!fitsLimit({ ...present, ...added })) {
    return [];
  }
  if (present === undefined) {
    return [{ op: 'add', path: '/metadata/annotations', value: added }];
  }
  const operations: PatchOperation[] = [];
  if (present[ORIGINAL_IMAGES_ANNOTATION] !== originals) {
    operations.push({ op: 'add', path: ORIGINAL_IMAGES_POINTER, value: originals });
  }
  if (present[DECIDED_BY_ANNOTATION] !== deciders) {
    operations.push({ op: 'add', path: DECIDED_BY_POINTER, value: deciders });
  }
  return operations;
}

/** Appends the pull secrets that the pod does not name yet; its own list stays as it is. */
export function pullSecretOperations(
  pod: Record<string, unknown>,
  names: readonly string[],
): PatchOperation[] {
  const spec = pod.spec;
  if (!isRecord(spec) || names.length === 0) {
    return [];
  }
  const path = '/spec/imagePullSecrets';
  const wanted = new Set(names);
  const present = spec.imagePullSecrets ?? undefined;
  if (present === undefined) {
    return [{ op: 'add', path, value: [...wanted].map((name) => ({ name })) }];
  }
  if (!Array.isArray(present)) {
    return [];
  }
  const known = new Set(present.map((each: unknown) => (isRecord(each) ? each.name : undefined)));
  return [...wanted]
    .filter((name) => !known.has(name))
    .map((name) => ({ op: 'add', path: `${path}/-`, value: { name } }));
}

/** On reinvocation a map that decided about the first images still did, though only a prefix does now. */
function allDeciders(annotation: unknown, decidedBy: string): string {
  const wasMap = typeof annotation === 'string' && annotation.startsWith(BY_MAP);
  return wasMap && !decidedBy.startsWith(BY_MAP) ? annotation : decidedBy;
}

/** On reinvocation the image in the pod is already ours, so what the annotation says first stays. */
function originalImages(annotation: unknown, rewrites: readonly Rewrite[]): Record<string, string> {
  const originals = readOriginals(annotation);
  for (const { image } of rewrites) {
    originals[imageLabel(image)] ??= image.image;
  }
  return originals;
}

/** The images that the pod had before this program rewrote them, by label. */
export function originalsOf({ metadata }: Record<string, unknown>): Record<string, string> {
  const annotations = isRecord(metadata) ? metadata.annotations : undefined;
  return readOriginals(isRecord(annotations) ? annotations[ORIGINAL_IMAGES_ANNOTATION] : undefined);
}

/** Reads the annotation back; anything but an object of strings counts as absent. */
export function readOriginals(annotation: unknown): Record<string, string> {
  if (typeof annotation !== 'string') {
    return {};
  }
  try {
    const parsed: unknown = JSON.parse(annotation);
    const isOurs =
      isRecord(parsed) && Object.values(parsed).every((value) => typeof value === 'string');
    return isOurs ? (parsed as Record<string, string>) : {};
  } catch {
    return {};
  }
}

function fitsLimit(annotations: Readonly<Record<string, unknown>>): boolean {
  let characters = 0;
  for (const key in annotations) {
    characters += key.length + lengthOf(annotations[key]);
  }
  // One UTF-16 unit is at most three bytes of UTF-8, so most pods need no exact count.
  return characters * 3 <= ANNOTATIONS_LIMIT || bytesIn(annotations) <= ANNOTATIONS_LIMIT;
}

function lengthOf(value: unknown): number {
  return typeof value === 'string' ? value.length : 0;
}

function bytesIn(annotations: Readonly<Record<string, unknown>>): number {
  const texts = Object.entries(annotations)
    .flat()
    .filter((each) => typeof each === 'string');
  return new TextEncoder().encode(texts.join('')).length;
}

function annotationPointer(key: string): string {
  return `/metadata/annotations/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
