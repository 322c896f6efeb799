import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RewriterError } from '../core/errors.ts';
import { STANDARD_INPUT } from './input.ts';
import { printable } from './output.ts';

const MANIFEST_FILE = /\.(?:ya?ml|json)$/i;

/**
 * The files that paths name: a file itself, and for a folder every YAML and JSON file below it, sorted.
 * Hidden folders, `node_modules`, links to folders and what is no file, such as a pipe, are passed over.
 * Throws `USAGE` where there is none.
 */
export async function listInputFiles(paths: readonly string[]): Promise<string[]> {
  const files = await Promise.all(paths.map(listInput));
  return files.flat();
}

async function listInput(path: string): Promise<string[]> {
  const isFolder =
    path !== STANDARD_INPUT && (await stat(path).catch(() => undefined))?.isDirectory() === true;
  if (!isFolder) {
    return [path];
  }
  const files = await listFolder(path);
  if (files.length === 0) {
    const message = `the folder ${printable(path)} has no .yaml, .yml or .json file`;
    throw new RewriterError('USAGE', message);
  }
  return files.sort();
}

/** Level by level: a folder that is passed over may be one that nobody may read. */
async function listFolder(folder: string): Promise<string[]> {
  const entries = await readFolder(folder);
  const files = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        return isPassedOver(entry.name) ? [] : listFolder(path);
      }
      return MANIFEST_FILE.test(entry.name) && (await isFile(entry, path)) ? [path] : [];
    }),
  );
  return files.flat();
}

/** A link counts as what it leads to; a mounted ConfigMap is made of them. */
async function isFile(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) {
    return entry.isFile();
  }
  const stats = await stat(path).catch(() => undefined);
  // One that leads nowhere is not passed over in silence: who reads it says what is wrong.
  return stats?.isFile() ?? true;
}

async function readFolder(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    const { message } = error as Error;
    const text = printable(`cannot read the folder: ${message}`);
    throw new RewriterError('USAGE', text, { cause: error });
  }
}

function isPassedOver(folder: string): boolean {
  return folder.startsWith('.') || folder === 'node_modules';
}
