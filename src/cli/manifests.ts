import { RewriterError } from '../core/errors.ts';
import { parseJson } from '../core/json-value.ts';
import { readDocument, splitDocuments } from '../manifest/document.ts';
import { decodeText, LineIndex } from '../manifest/text.ts';
import { readInput } from './input.ts';
import { listInputFiles } from './manifest-files.ts';

/** One document of a manifest. */
export interface PlacedDocument {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly document: unknown;
}

/**
 * Reads the documents of files, folders and standard input, as `rewrite` does. Throws `USAGE`,
 * `MANIFEST_NOT_TEXT` and `MANIFEST_NOT_YAML`.
 */
export async function* readManifests(
  paths: readonly string[],
): AsyncGenerator<PlacedDocument, void> {
  for (const path of await listInputFiles(paths)) {
    const file = path === '-' ? 'stdin' : path;
    yield* parseManifest(file, decodeText(await readInput(path), file));
  }
}

/** Reads the documents of one text. Throws `MANIFEST_NOT_YAML`, with line and column. */
export function* parseManifest(file: string, text: string): Generator<PlacedDocument, void> {
  // A dump of a cluster is JSON of many megabytes, which the YAML parser takes minutes for.
  const json = text.trimStart().startsWith('{') ? parseJson(text) : undefined;
  if (json !== undefined) {
    yield { file, line: 1, document: json };
    return;
  }
  const index = new LineIndex(text);
  for (const { source, offset } of splitDocuments(text)) {
    const document = readDocument(source);
    if ('fault' in document) {
      const { line, column } = index.position(offset + document.fault.offset);
      const { message } = document.fault;
      throw new RewriterError('MANIFEST_NOT_YAML', `${file}:${line}:${column}: ${message}`);
    }
    const { line } = index.position(offset + document.start);
    yield { file, line, document: document.value };
  }
}
