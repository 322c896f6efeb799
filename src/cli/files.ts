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
