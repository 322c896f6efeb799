import { fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { RewriterError } from '../core/errors.ts';
import { fileFaultText } from '../files/text-file.ts';
import { printable } from './output.ts';

/** Stands for standard input in the place of a file. */
export const STANDARD_INPUT = '-';

/** Reads a file, or standard input for `-`. Throws `USAGE` where there is none. */
export async function readInput(path: string): Promise<Buffer> {
  try {
    return path === STANDARD_INPUT ? await readStandardInput() : await readFile(path);
  } catch (error) {
    const message = `cannot read the input: ${fileFaultText(inputName(path), error)}`;
    throw new RewriterError('USAGE', printable(message), { cause: error });
  }
}

/** What a message calls a file, or `-`. */
export function inputName(path: string): string {
  return path === STANDARD_INPUT ? 'standard input' : path;
}

async function readStandardInput(): Promise<Buffer> {
  // Node.js takes a folder there for an input without content.
  if (fstatSync(process.stdin.fd).isDirectory()) {
    throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
  }
  return Buffer.concat(await Array.fromAsync(process.stdin as AsyncIterable<Buffer>));
}

/** The images of a command line; `-` stands for those on standard input, one a line. */
export async function expandInput(images: readonly string[]): Promise<string[]> {
  const expanded = await Array.fromAsync(images, (image) =>
    image === STANDARD_INPUT ? readLines() : [image],
  );
  // Not pushed with a spread: each line would be an argument of the call, and a call takes only so many.
  return expanded.flat();
}

/** The lines of standard input that are not blank. */
async function readLines(): Promise<string[]> {
  const lines = (await readInput(STANDARD_INPUT)).toString('utf8').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}
