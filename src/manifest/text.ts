import { RewriterError } from '../core/errors.ts';

/** A place in a file; line and column count from 1, columns in UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A piece of a text and what takes its place. */
export interface Edit {
  /** Offset of the first character. */
  readonly start: number;
  /** Offset behind the last one. */
  readonly end: number;
  readonly text: string;
}

/**
 * Decodes UTF-8 so that encoding the result gives the same bytes again. Throws `MANIFEST_NOT_TEXT`
 * for anything else, such as a binary file.
 */
export function decodeText(bytes: Uint8Array, file: string): string {
  const decoded = decodeUtf8(bytes);
  if ('text' in decoded) {
    return decoded.text;
  }
  const { line, column } = decoded.fault;
  throw new RewriterError(
    'MANIFEST_NOT_TEXT',
    `${file}:${line}:${column}: this is no UTF-8 text; only YAML and JSON files can be rewritten`,
  );
}

/** The text of UTF-8 without NUL characters, or the first place that is none. */
export function decodeUtf8(
  bytes: Uint8Array,
): { readonly text: string } | { readonly fault: Position } {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const text = decoder.decode(bytes);
  // What is no UTF-8 was decoded as U+FFFD, and does not come back as it was.
  const encoded = new TextEncoder().encode(text);
  const broken = encoded.findIndex((byte, index) => byte !== bytes[index]);
  const faults = [
    text.indexOf('\0'),
    broken < 0 ? -1 : decoder.decode(bytes.subarray(0, broken)).length,
  ].filter((offset) => offset >= 0);
  if (faults.length === 0) {
    return { text };
  }
  return { fault: new LineIndex(text).position(Math.min(...faults)) };
}

/** Finds the line of an offset in O(log n). */
export class LineIndex {
  readonly #text: string;
  readonly #starts: number[] = [0];

  constructor(text: string) {
    this.#text = text;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) {
      this.#starts.push(at + 1);
    }
  }

  position(offset: number): Position {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#startOf(middle) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.#startOf(low) + 1 };
  }

  /** The number of lines; a last line without a line end counts. */
  get count(): number {
    const hasRest = this.#startOf(this.#starts.length - 1) < this.#text.length;
    return this.#starts.length - (hasRest ? 0 : 1);
  }

  /** The offset at which a line begins; the end of the text for the line behind the last. */
  start(line: number): number {
    return line > this.#starts.length ? this.#text.length : this.#startOf(line - 1);
  }

  #startOf(index: number): number {
    return this.#starts[index] ?? 0;
  }
}

/** Applies edits that do not overlap, in whatever order. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const edit of edits.toSorted((one, other) => one.start - other.start)) {
    parts.push(text.slice(at, edit.start), edit.text);
    at = edit.end;
  }
  return parts.join('') + text.slice(at);
}
