import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** To open a pipe would else last until somebody writes to it, and so long one of four threads of Node.js is lost. */
const READ_WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * Opens a file of some bytes, reads it and closes it. Throws what the system says, and an error that
 * `fileFaultText` shows where it is a pipe, a device or a folder.
 */
export async function withRegularFile<Result>(
  path: string,
  read: (file: FileHandle, size: number) => Promise<Result>,
): Promise<Result> {
  await using file = await open(path, READ_WITHOUT_WAITING);
  const stats = await file.stat();
  if (!stats.isFile()) {
    throw Object.assign(new Error(`${path} is ${kindOf(stats)}, not a file`), { path });
  }
  return await read(file, stats.size);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) {
    return 'a folder';
  }
  return stats.isFIFO() ? 'a pipe' : 'a device';
}
