import { readFile } from 'node:fs/promises';
import { type ErrorCode, RewriterError } from '../core/errors.ts';

/** Reads a file that is `what` to the program. Throws a `RewriterError` with the code. */
export async function readText(path: string, what: string, code: ErrorCode): Promise<string> {
  return (await readBytes(path, what, code)).toString('utf8');
}

/** As `readText`, for one who looks at the encoding. */
export async function readBytes(path: string, what: string, code: ErrorCode): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new RewriterError(code, `cannot read ${what}: ${fileFaultText(path, error)}`, {
      cause: error,
    });
  }
}

/** Whether an error says that there is no such file. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** What comes of a call of the file system; undefined where it fails with that code. */
export async function unless<Result>(
  result: Promise<Result>,
  code: string,
): Promise<Result | undefined> {
  try {
    return await result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return undefined;
    throw error;
  }
}

/** Why a file cannot be read. Node.js names the one that cannot be opened, and not the one that is open. */
export function fileFaultText(file: string, error: unknown): string {
  const { code, message, path } = error as NodeJS.ErrnoException;
  if (code === 'EISDIR') {
    return `${file} is a folder, not a file`;
  }
  return path === undefined ? `${message} '${file}'` : message;
}
