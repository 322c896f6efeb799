import type { Command } from 'commander';
import jsonpatch from 'fast-json-patch';
import { admit, type Admission } from '../core/admission.ts';
import { type ErrorCode, isInvalid } from '../core/errors.ts';
import { isRecord } from '../core/json-value.ts';
import { imageLabel } from '../core/pod-images.ts';
import type { Policy } from '../core/policy.ts';
import { decodeReview, encodeReview } from '../server/review-codec.ts';
import { EXIT_FAULT, EXIT_FINE } from './exit-codes.ts';
import { readInput } from './input.ts';
import { outcomeStyle, printable, renderTable } from './output.ts';
import { loadPolicy } from './load-policy.ts';
import { addPolicyOptions, type PolicyOptions } from './policy-options.ts';

type Answered = Extract<Admission, { kind: 'answered' }>;

interface ReplayOptions extends PolicyOptions {
  readonly output: 'table' | 'json';
  readonly preview: boolean;
}

export function addReplayCommand(program: Command, finish: (exitCode: number) => void): void {
  const command = program
    .command('replay')
    .description(
      'Decides saved AdmissionReviews and prints the response review of each, one a line.',
    )
    .argument('<review...>', 'JSON files with one review, or one a line; - for standard input')
    .option('--preview', 'print the object with the patch applied in place of the response', false);
  addPolicyOptions(command, 'json').action(async (files: string[], options: ReplayOptions) => {
    const policy = await loadPolicy(options);
    for (const file of files) {
      for (const { place, body } of splitReviews(file, await readInput(file))) {
        finish(replay(place, body, policy, options));
      }
    }
  });
}

function replay(place: string, body: Buffer, policy: Policy, options: ReplayOptions): number {
  const decoded = decodeReview(body);
  const refuse = (message: string, code: ErrorCode): number => {
    process.stderr.write(`error: ${printable(`${place}: ${message}`)} [${code}]\n`);
    return EXIT_FAULT;
  };
  if (isInvalid(decoded)) {
    return refuse(decoded.message, decoded.invalid);
  }
  const admission = admit(decoded.review, policy, 'enforce');
  if (admission.kind === 'refused') {
    return refuse(admission.message, admission.code);
  }
  const text = options.preview
    ? previewText(decoded.review, admission)
    : render(admission, options);
  if (text === undefined) {
    return refuse('the object is nested too deeply to be shown', 'REVIEW_INVALID');
  }
  process.stdout.write(text);
  return EXIT_FINE;
}

/** Undefined where the object is nested so deeply that there is no text of it; `admit` never looks that deep. */
function previewText(review: unknown, admission: Answered): string | undefined {
  try {
    return `${JSON.stringify(patchedObject(review, admission))}\n`;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function render(admission: Answered, { output }: ReplayOptions): string {
  return output === 'json' ? `${encodeReview(admission.response)}\n` : verdictTable(admission);
}

/** The object of the request as the API server would have it after the patch. */
function patchedObject(review: unknown, { response }: Answered): unknown {
  const request = isRecord(review) ? review.request : undefined;
  const object = isRecord(request) ? request.object : undefined;
  return response.patch.length === 0
    ? object
    : jsonpatch.applyPatch(object, response.patch, true, false).newDocument;
}

interface PlacedReview {
  /** The file, and the line where it has one review a line. */
  readonly place: string;
  readonly body: Buffer;
}

const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

/** A file holds one review in any layout, or one review a line; an empty one is a bad review. */
function splitReviews(file: string, bytes: Buffer): PlacedReview[] {
  const hasMark = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
  const body = hasMark ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
  if (!isInvalid(decodeReview(body))) {
    return [{ place: file, body }];
  }
  const lines = body
    .toString('utf8')
    .split('\n')
    .map((line, index) => ({ place: `${file}: line ${index + 1}`, body: Buffer.from(line) }))
    .filter((line) => line.body.toString().trim() !== '');
  return lines.length > 0 && isOneALine(lines) ? lines : [{ place: file, body }];
}

/** One bad line does not make one review of the others; lines of a review that is broken are none. */
function isOneALine(lines: readonly PlacedReview[]): boolean {
  const decoded = lines.map(({ body }) => decodeReview(body));
  const isReview = (line: (typeof decoded)[number]): boolean =>
    !isInvalid(line) && isRecord(line.review) && line.review.kind === 'AdmissionReview';
  return decoded.some(isReview) || decoded.every((line) => !isInvalid(line));
}

function verdictTable({ record }: Answered): string {
  const { operation, namespace, pod, outcome, reason, verdicts } = record;
  const why = reason === undefined ? '' : ` (${reason})`;
  const title = `${printable(`${operation} ${namespace ?? '-'}/${pod ?? '-'}`)}: ${outcome}${why}\n`;
  if (verdicts.length === 0) {
    return title;
  }
  const rows = verdicts.map(({ image, decision }) => {
    const isRewritten = decision.outcome === 'rewritten';
    return [
      imageLabel(image),
      image.image,
      decision.outcome,
      isRewritten ? decision.target : '-',
      isRewritten ? decision.rule : decision.reason,
    ];
  });
  const columns = [
    { title: 'WHERE' },
    { title: 'IMAGE' },
    { title: 'OUTCOME', style: outcomeStyle },
    { title: 'TARGET' },
    { title: 'WHY' },
  ];
  return `${title}${renderTable(columns, rows)}`;
}
