import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
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
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && MANIFEST_FILE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !relative(path, file).split(sep).some(isPassedOver))
    .sort();
  if (files.length === 0) {
    throw new RewriterError('USAGE', `the folder ${path} has no .yaml, .yml or .json file`);
  }
  return files;
}

function isPassedOver(name: string): boolean {
  return name.startsWith('.') || name === 'node_modules';
}

/**
 * Puts a text in the place of a file: written aside and renamed, so that a reader or a crash meets the
 * old one or the new one. Mode and owner stay, and so does a link. Throws `MANIFEST_WRITE_FAILED`.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  let aside: string | undefined;
  try {
    const target = await realpath(path);
    const old = await stat(target);
    aside = `${target}.${randomUUID()}.tmp`;
    await writeAside(aside, text, old);
    await rename(aside, target);
  } catch (error) {
    if (aside !== undefined) await rm(aside, { force: true });
    const { message } = error as Error;
    throw new RewriterError('MANIFEST_WRITE_FAILED', `cannot write ${path}: ${message}`, {
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
