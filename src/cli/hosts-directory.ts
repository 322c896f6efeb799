import { mkdir, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RewriterError } from '../core/errors.ts';
import type { HostsFile } from '../core/export/hosts-toml.ts';
import { unless } from '../files/text-file.ts';
import { count, printable } from './output.ts';
import { nameAside } from './replace-files.ts';

/** The first line of whatever an export writes; a file that does not begin with it belongs to somebody else. */
export const WRITTEN_BY =
  '# Written by sdr-image-rewriter export; write it anew when the rules change.\n';

/**
 * Writes `HOST/hosts.toml` below the folder that is the `config_path` of containerd. Throws `USAGE` where one of them
 * was not written by an export, before any is written, and where one cannot be written.
 */
export async function writeHosts(directory: string, files: readonly HostsFile[]): Promise<void> {
  try {
    await refuseForeign(files.map(({ host }) => hostsPath(directory, host)));
    await makeFolder(directory);
    for (const { host, text } of files) {
      await makeFolder(join(directory, host));
      await replaceFile(hostsPath(directory, host), text);
    }
  } catch (error) {
    const message = printable((error as Error).message);
    throw new RewriterError('USAGE', `cannot write hosts.toml: ${message}`, { cause: error });
  }
}

/** The files below the folder that an earlier export wrote for hosts other than these. Throws `USAGE`. */
export async function leftOverHosts(
  directory: string,
  files: readonly HostsFile[],
): Promise<string[]> {
  const written = new Set(files.map(({ host }) => host));
  const leftOver: string[] = [];
  const names = await readdir(directory).catch((error: unknown) => {
    const message = `cannot look for hosts.toml of an earlier export: ${printable((error as Error).message)}`;
    throw new RewriterError('USAGE', message, { cause: error });
  });
  for (const host of names.filter((name) => !written.has(name)).sort()) {
    const path = hostsPath(directory, host);
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text.startsWith(WRITTEN_BY)) {
      leftOver.push(path);
    }
  }
  return leftOver;
}

function hostsPath(directory: string, host: string): string {
  return join(directory, host, 'hosts.toml');
}

/** An operator may have written one for a proxy, a CA or credentials, and nothing else would know of them. */
async function refuseForeign(paths: readonly string[]): Promise<void> {
  const foreign: string[] = [];
  for (const path of paths) {
    const text = await unless(readFile(path, 'utf8'), 'ENOENT');
    if (text?.startsWith(WRITTEN_BY) === false) {
      foreign.push(path);
    }
  }
  if (foreign.length > 0) {
    throw new Error(
      `${count(foreign.length, 'file')} that no export wrote would be lost: ${foreign.join(', ')}; move away what is there, or take over by hand what is printed without --directory; nothing was written`,
    );
  }
}

/** As `mkdir -p`. That of Node.js never ends where a folder is there and takes no other, such as /proc. */
async function makeFolder(path: string): Promise<void> {
  if ((await unless(stat(path), 'ENOENT')) === undefined) {
    const parent = dirname(path);
    if (parent !== path) await makeFolder(parent);
    // Another process may have made it meanwhile; if it is no folder, what is written into it fails.
    await unless(mkdir(path), 'EEXIST');
  }
}

/** containerd sees changes at once, and must not read half a file. A link stays one. */
async function replaceFile(path: string, text: string): Promise<void> {
  const target = (await unless(realpath(path), 'ENOENT')) ?? path;
  const aside = nameAside(target);
  try {
    await writeFile(aside, text, { flag: 'wx', flush: true });
    await rename(aside, target);
  } catch (error) {
    // What went wrong first is told, whatever becomes of the clearing up.
    await rm(aside, { force: true }).catch(() => undefined);
    throw error;
  }
}
