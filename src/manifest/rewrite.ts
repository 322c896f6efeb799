import type { Alias, Scalar } from 'yaml';
import { type ErrorCode, type Fault, RewriterError } from '../core/errors.ts';
import type { Exemption } from '../core/exemption.ts';
import {
  findImageTexts,
  listManifestImages,
  manifestKind,
  type UnhandledReason,
} from '../core/manifest-images.ts';
import type { Reason, Rule } from '../core/decision.ts';
import type { Policy } from '../core/policy.ts';
import { type ManifestDocument, readDocument, RENDER_FIRST, splitDocuments } from './document.ts';
import { type EditPlan, type FoundImage, planEdits } from './plan-edits.ts';
import { applyEdits, type Edit, LineIndex, type Position } from './text.ts';

/** What became of one image. */
export interface ImageResult {
  /** Of the object, such as `Deployment`; `Compose`; null for a text in any other document. */
  readonly kind: string | null;
  readonly namespace: string | null;
  readonly name: string | null;
  /** `containers/main`, `services/web`; null for a text that stands in no image field. */
  readonly where: string | null;
  readonly image: string;
  readonly outcome: 'rewritten' | 'kept' | 'unmapped' | 'invalid' | 'unhandled';
  /** What to pull in place of the image; null where it stays. */
  readonly target: string | null;
  readonly rule: Rule | null;
  /** Why it stays; null where it was rewritten. */
  readonly reason: Reason | Exemption | ErrorCode | UnhandledReason | null;
}

/** An `ImageResult` with its place; `document` counts from 1. */
export type Finding = ImageResult & Position & { readonly document: number };

/** Something that the author of the file should know. */
export interface Remark extends Position {
  readonly message: string;
}

export interface ManifestRewrite {
  readonly text: string;
  /** Against the text that was given, in its order. */
  readonly edits: readonly Edit[];
  readonly findings: readonly Finding[];
  readonly remarks: readonly Remark[];
}

export interface RewriteOptions {
  readonly policy: Policy;
  /** Also look for texts that read like images in scope in places that name no image. */
  readonly reportUnhandled: boolean;
}

/**
 * Rewrites the images of every document of a file and changes no other byte. Throws `MANIFEST_NOT_YAML`
 * with a fault for each document that cannot be read; the path of a fault is `file:line:column`.
 */
export function rewriteManifest(
  text: string,
  file: string,
  options: RewriteOptions,
): ManifestRewrite {
  const index = new LineIndex(text);
  const edits: Edit[] = [];
  const findings: Finding[] = [];
  const remarks: Remark[] = [];
  const faults: Fault[] = [];
  for (const [number, { source, offset }] of splitDocuments(text).entries()) {
    const document = readDocument(source);
    if ('fault' in document) {
      const { line, column } = index.position(offset + document.fault.offset);
      const path = `${file}:${line}:${column}`;
      faults.push({ code: 'MANIFEST_NOT_YAML', path, message: document.fault.message });
      continue;
    }
    const rewrite = rewriteDocument(document, options);
    for (const { offset: at, image } of rewrite.results.filter(isTemplated)) {
      const { line, column } = index.position(offset + at);
      const message = `${JSON.stringify(image)} is no image; ${RENDER_FIRST}`;
      faults.push({ code: 'MANIFEST_NOT_YAML', path: `${file}:${line}:${column}`, message });
    }
    for (const { start, end, text: replacement } of rewrite.edits) {
      edits.push({ start: offset + start, end: offset + end, text: replacement });
    }
    for (const { offset: at, ...result } of rewrite.results) {
      findings.push({ document: number + 1, ...index.position(offset + at), ...result });
    }
    for (const { offset: at, message } of rewrite.remarks) {
      remarks.push({ ...index.position(offset + at), message });
    }
  }
  const [first] = faults;
  if (first !== undefined) {
    throw new RewriterError(first.code, `${first.path}: ${first.message}`, { faults });
  }
  return { text: applyEdits(text, edits), edits, findings, remarks };
}

/** Whether a quoted template expression stands for an image, which makes a template look like YAML. */
function isTemplated({ outcome, image }: ImageResult): boolean {
  return outcome === 'invalid' && image.includes('{{');
}

/** Offsets count from the beginning of the document. */
interface DocumentRewrite {
  readonly edits: readonly Edit[];
  readonly results: readonly (ImageResult & { readonly offset: number })[];
  readonly remarks: readonly { readonly offset: number; readonly message: string }[];
}

function rewriteDocument(
  document: ManifestDocument,
  { policy, reportUnhandled }: RewriteOptions,
): DocumentRewrite {
  const images = listManifestImages(document.value, policy).flatMap((image): FoundImage[] => {
    const found = document.find(image.path);
    return found === undefined ? [] : [{ ...image, ...found }];
  });
  const plan = planEdits(document, images);
  const results = [
    ...images.map((image) => {
      return { offset: startOf(image.alias ?? image.scalar), ...imageResult(image, plan) };
    }),
    ...(reportUnhandled ? findUnhandled(document, images, policy) : []),
  ];
  const remarks: { offset: number; message: string }[] = [];
  if (manifestKind(document.value) === 'other' && document.value !== null) {
    const message =
      'this document is neither a Kubernetes object nor a Compose file; nothing in it was rewritten';
    remarks.push({ offset: document.start, message });
  }
  return {
    edits: plan.edits,
    results: results.toSorted((one, other) => one.offset - other.offset),
    remarks,
  };
}

function imageResult(found: FoundImage, { conflicts }: EditPlan): ImageResult {
  const { kind, where, image, verdict } = found;
  const common = {
    kind,
    namespace: found.namespace ?? null,
    name: found.name ?? null,
    where,
    image,
  };
  if (conflicts.has(found)) {
    return { ...common, outcome: 'unhandled', target: null, rule: null, reason: 'shared' };
  }
  return verdict.outcome === 'rewritten'
    ? { ...common, outcome: 'rewritten', target: verdict.target, rule: verdict.rule, reason: null }
    : { ...common, outcome: verdict.outcome, target: null, rule: null, reason: verdict.reason };
}

function findUnhandled(
  document: ManifestDocument,
  images: readonly FoundImage[],
  policy: Policy,
): (ImageResult & { readonly offset: number })[] {
  const handled = new Set<Scalar>(images.map(({ scalar }) => scalar));
  return document
    .texts()
    .filter((scalar) => !handled.has(scalar))
    .flatMap((scalar) =>
      findImageTexts(scalar.value, policy).map((image) => {
        // Escapes and folding may keep the words from standing in the file as they read.
        const at = document.source.indexOf(image, startOf(scalar));
        const isInside = at >= 0 && at < (scalar.range?.[1] ?? 0);
        return {
          offset: isInside ? at : startOf(scalar),
          kind: null,
          namespace: null,
          name: null,
          where: null,
          image,
          outcome: 'unhandled' as const,
          target: null,
          rule: null,
          reason: 'not-an-image-field' as const,
        };
      }),
    );
}

function startOf(node: Scalar | Alias): number {
  return node.range?.[0] ?? 0;
}
