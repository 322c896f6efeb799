import { randomUUID } from 'node:crypto';
import type { Dirent, Stats } from 'node:fs';
import { open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { RewriterError } from '../core/errors.ts';

/** Reads a configuration file. Throws `CONFIG_UNREADABLE`. */
export async function readTextFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { message } = error as Error;
    throw new RewriterError('CONFIG_UNREADABLE', `cannot read the configuration: ${message}`, {
      cause: error,
    });
  }
}

/** Reads a file, or standard input for `-`. Throws `USAGE` where there is none. */
export async function readInput(path: string): Promise<Buffer> {
  if (path === '-') {
    return Buffer.concat(await Array.fromAsync(process.stdin as AsyncIterable<Buffer>));
  }
  try {
    return await readFile(path);
  } catch (error) {
    const { message } = error as Error;
    throw new RewriterError('USAGE', `cannot read the input: ${message}`, { cause: error });
  }
}

const MANIFEST_FILE = /\.(?:ya?ml|json)$/i;

/**
 * The files that paths name: a file itself, and for a folder every YAML and JSON file below it, sorted.
 * Hidden folders and `node_modules` are passed over. Throws `USAGE` where there is none.
 */
export async function listInputFiles(paths: readonly string[]): Promise<string[]> {
  const files = await Promise.all(paths.map(listInput));
  return files.flat();
}

async function listInput(path: string): Promise<string[]> {
  const isFolder =
    path !== '-' && (await stat(path).catch(() => undefined))?.isDirectory() === true;
  if (!isFolder) {
    return [path];
  }
  const entries = await readFolder(path);
  const files = entries
    // A link counts as what it leads to; a mounted ConfigMap is made of them.
    .filter((entry) => !entry.isDirectory() && MANIFEST_FILE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !relative(path, file).split(sep).some(isPassedOver))
    .sort();
  if (files.length === 0) {
    throw new RewriterError('USAGE', `the folder ${path} has no .yaml, .yml or .json file`);
  }
  return files;
}

async function readFolder(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { recursive: true, withFileTypes: true });
  } catch (error) {
    const { message } = error as Error;
    throw new RewriterError('USAGE', `cannot read the folder: ${message}`, { cause: error });
  }
}

function isPassedOver(name: string): boolean {
  return name.startsWith('.') || name === 'node_modules';
}

/** A file and the text that it is to have. */
export interface Replacement {
  readonly path: string;
  readonly text: string;
}

/**
 * Puts texts in the place of files, all or none: each is written aside, and once all are, they are
 * renamed, so that a reader or a crash meets the old file or the new one. Mode and owner stay, and so
 * does a link. Throws `MANIFEST_WRITE_FAILED`.
 */
export async function replaceFiles(replacements: readonly Replacement[]): Promise<void> {
  const written: { readonly path: string; readonly aside: string; readonly target: string }[] = [];
  let current = '';
  try {
    for (const { path, text } of replacements) {
      current = path;
      const target = await realpath(path);
      const aside = join(dirname(target), `.${randomUUID()}.tmp`);
      written.push({ path, aside, target });
      await writeAside(aside, text, await stat(target));
    }
    for (const { path, aside, target } of written) {
      current = path;
      await rename(aside, target);
    }
  } catch (error) {
    // What went wrong first is told, whatever becomes of the clearing up.
    await Promise.allSettled(written.map(({ aside }) => rm(aside, { force: true })));
    const { message } = error as Error;
    throw new RewriterError('MANIFEST_WRITE_FAILED', `cannot write ${current}: ${message}`, {
      cause: error,
    });
  }
}

async function writeAside(path: string, text: string, { mode, uid, gid }: Stats): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  const own = await file.stat();
  if (own.uid !== uid || own.gid !== gid) {
    await file.chown(uid, gid);
  }
  await file.chmod(mode & 0o7777);
  await file.sync();
}

/** The images of a command line; `-` stands for those on standard input, one a line. */
export async function expandInput(images: readonly string[]): Promise<string[]> {
  const expanded: string[] = [];
  for (const image of images) {
    if (image === '-') {
      const lines = (await readInput('-')).toString('utf8').split(/\r?\n/);
      expanded.push(...lines.filter((line) => line.trim() !== ''));
    } else {
      expanded.push(image);
    }
  }
  return expanded;
}
