import { readFile } from 'node:fs/promises';
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
