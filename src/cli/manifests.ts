import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { LineCounter, parseAllDocuments } from 'yaml';
import { RewriterError } from '../core/errors.ts';
import { readInput } from './files.ts';

/** One document of a manifest. */
export interface ManifestDocument {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly document: unknown;
}

const MANIFEST_NAME = /\.(?:ya?ml|json)$/;

/**
 * Reads the documents of files, of all *.yaml, *.yml and *.json below directories (hidden ones and
 * node_modules are passed over), and of standard input for `-`. Throws `MANIFEST_NOT_YAML` where one does not parse, `USAGE` where there is none.
 */
export async function* readManifests(
  paths: readonly string[],
): AsyncGenerator<ManifestDocument, void> {
  for (const path of paths) {
    for (const file of await listFiles(path)) {
      yield* parseManifest(file, (await readInput(file)).toString('utf8'));
    }
  }
}

async function listFiles(path: string): Promise<string[]> {
  const isFolder = path !== '-' && (await isDirectory(path));
  if (!isFolder) {
    return [path];
  }
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && MANIFEST_NAME.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !relative(path, file).split(sep).some(isPassedOver));
  if (files.length === 0) {
    throw new RewriterError('USAGE', `${path} has no file that ends in .yaml, .yml or .json`);
  }
  return files.sort();
}

function isPassedOver(name: string): boolean {
  return name.startsWith('.') || name === 'node_modules';
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // Reading it will say what is wrong.
    return false;
  }
}

function* parseManifest(file: string, text: string): Generator<ManifestDocument, void> {
  const json = parseJson(text);
  if (json !== undefined) {
    yield { file, line: 1, document: json };
    return;
  }
  const lineCounter = new LineCounter();
  for (const parsed of parseAllDocuments(text, { lineCounter, merge: true, logLevel: 'error' })) {
    const [fault] = parsed.errors;
    if (fault !== undefined) {
      const { line, col } = lineCounter.linePos(fault.pos[0]);
      const [message = ''] = fault.message.split(/ at line |\n/);
      throw new RewriterError('MANIFEST_NOT_YAML', `${file}:${line}:${col}: ${message}`);
    }
    const start = parsed.contents?.range[0] ?? 0;
    const { line } = lineCounter.linePos(start);
    yield { file, line, document: toValue(parsed, `${file}:${line}`) };
  }
}

/** A dump of a cluster is JSON of many megabytes, which the YAML parser takes minutes for. */
function parseJson(text: string): unknown {
  if (!text.trimStart().startsWith('{')) {
    return undefined;
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Aliases are resolved here, where an unknown or an endless one is found. */
function toValue(parsed: { toJS(): unknown }, place: string): unknown {
  try {
    return parsed.toJS();
  } catch (error) {
    const { message } = error as Error;
    throw new RewriterError('MANIFEST_NOT_YAML', `${place}: ${message}`, { cause: error });
  }
}
