import { imageLabel, type PodImage } from './pod-images.ts';
import { REASONS } from './decision.ts';
import type { MapIdentity, Policy } from './policy.ts';
import { canonicalText } from './reference.ts';
import type { Rewrite } from './patch.ts';
import { type ImageVerdict, isUnmapped, type Mode } from './verdict.ts';

/** What the API server's documentation advises; it cuts longer ones. */
export const WARNING_LIMIT = 120;
/** The API server drops warnings past 4096 characters in all. */
const WARNINGS_LIMIT = 20;
const WARNING_START = 'sdr-image-rewriter: ';
/** Characters of a label that are shown however long the image is. */
const LABEL_LEAST = 24;
/** Longer than any that a pod can have, but its names are checked after this. */
const LABEL_MOST = 100;
const SUMMARY_LIMIT = 2048;
const DENIED_NAMED = 5;

/** `serial=42 etag=…` as annotations and audit annotations have it. */
export function identityText({ serial, etag }: MapIdentity): string {
  return serial === undefined ? `etag=${etag}` : `serial=${serial} etag=${etag}`;
}

/** One warning for each image that the author of the pod should know of. */
export function warningsFor(
  verdicts: readonly ImageVerdict[],
  { unmapped }: Pick<Policy, 'unmapped'>,
  mode: Mode,
): string[] {
  const doubtful = verdicts.filter((verdict): verdict is Doubtful => {
    switch (verdict.decision.outcome) {
      case 'kept':
        return false;
      case 'rewritten':
        return mode === 'audit';
      case 'invalid':
        return true;
      case 'unmapped':
        return unmapped !== 'allow';
    }
  });
  if (doubtful.length <= WARNINGS_LIMIT) {
    return doubtful.map((verdict) => warningOf(verdict, unmapped, mode));
  }
  const rest = doubtful.length - WARNINGS_LIMIT + 1;
  return [
    ...doubtful.slice(0, WARNINGS_LIMIT - 1).map((verdict) => warningOf(verdict, unmapped, mode)),
    `${WARNING_START}${rest} more images of this pod have warnings`,
  ];
}

interface Doubtful extends ImageVerdict {
  readonly decision: Exclude<ImageVerdict['decision'], { readonly outcome: 'kept' }>;
}

function warningOf(
  { image, decision }: Doubtful,
  unmapped: Policy['unmapped'],
  mode: Mode,
): string {
  const label = shownLabel(image);
  switch (decision.outcome) {
    case 'rewritten':
      return warning(label, ' would be pulled from', decision.target);
    case 'unmapped': {
      const verb = unmapped === 'warn' ? 'no rule' : mode === 'audit' ? 'would deny' : 'denied';
      return warning(
        label,
        `: ${verb} (${decision.reason}) for`,
        canonicalText(decision.reference),
      );
    }
    case 'invalid':
      return warning(label, ` has an invalid image (${decision.reason}):`, image.image);
  }
}

/** Fits the limit by cutting the label, and the middle of the image, whose two ends say most. */
function warning(label: string, says: string, image: string): string {
  const rest = WARNING_LIMIT - WARNING_START.length - says.length - 1;
  const name = cut(label, Math.max(LABEL_LEAST, rest - image.length));
  const start = `${WARNING_START}${name}${says} `;
  const room = WARNING_LIMIT - start.length;
  const shown = printable(
    image.length > WARNING_LIMIT ? `${image.slice(0, 60)}${image.slice(-60)}` : image,
  );
  if (shown.length <= room && image.length <= WARNING_LIMIT) {
    return start + shown;
  }
  const half = Math.floor((room - 1) / 2);
  // A cut may leave half of a surrogate pair.
  return `${start}${shown.slice(0, half)}…${shown.slice(-half)}`.toWellFormed();
}

/** The sentence of a 403: names every image (up to five), the map and what to do. */
export function denialMessage(verdicts: readonly ImageVerdict[], { map }: Policy): string {
  const named: string[] = [];
  let count = 0;
  for (const { image, decision } of verdicts) {
    if (decision.outcome !== 'unmapped') {
      continue;
    }
    count += 1;
    if (count <= DENIED_NAMED) {
      const reason = REASONS[decision.reason];
      named.push(
        `${cut(shownLabel(image), LABEL_MOST)} wants ${canonicalText(decision.reference)} (${decision.reason}: ${reason})`,
      );
    }
  }
  const more = count > DENIED_NAMED ? ` and ${count - DENIED_NAMED} more images` : '';
  const rules =
    map === undefined
      ? 'the configured prefixes'
      : `the image map ${map.location} (serial ${map.serial ?? 'none'})`;
  return `sdr-image-rewriter: ${named.join('; ')}${more}: not covered by ${rules}; add a rule, or ask whoever publishes the map to`;
}

/** These end up in the API server's own audit log, behind the name of the webhook. */
export function auditAnnotations(
  verdicts: readonly ImageVerdict[],
  rewrites: readonly Rewrite[],
  { map }: Policy,
): Readonly<Record<string, string>> {
  const annotations: Record<string, string> = {};
  if (rewrites.length > 0) {
    annotations.rewritten = summary(
      rewrites,
      ({ image, target }) => `${shownLabel(image)}: ${image.image} -> ${target}`,
    );
  }
  const unmapped = verdicts.filter(isUnmapped);
  if (unmapped.length > 0) {
    annotations.unmapped = summary(
      unmapped,
      ({ image, decision: { reference, reason } }) =>
        `${shownLabel(image)}: ${canonicalText(reference)} (${reason})`,
    );
  }
  if (map !== undefined && rewrites.length + unmapped.length > 0) {
    annotations.map = identityText(map);
  }
  return annotations;
}

/** Joins what there is to say of each item for an audit annotation, bounded in length. */
export function summary<Item>(items: readonly Item[], describe: (item: Item) => string): string {
  let text = '';
  for (const [index, item] of items.entries()) {
    const line = describe(item);
    const next = index === 0 ? line : `${text}, ${line}`;
    if (next.length > SUMMARY_LIMIT) {
      const rest = items.length - index;
      return index === 0 ? cut(line, SUMMARY_LIMIT) : `${text}, and ${rest} more`;
    }
    text = next;
  }
  return text;
}

function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1).toWellFormed()}…`;
}

/** The label of an image, safe to show: it has a name that nobody has checked yet. */
export function shownLabel(image: PodImage): string {
  return printable(cut(imageLabel(image), SUMMARY_LIMIT));
}

/** A warning travels in an HTTP header, where control characters would make the API server drop it. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Cs}/gu, '?');
}
