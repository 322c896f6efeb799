import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { RewriterError } from '../core/errors.ts';
import { printable } from './output.ts';

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Somebody asked the program to end, as with ^C. */
export class Interruption extends Error {
  /** What a shell tells of a program that the signal ended. */
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.exitCode = 128 + constants.signals[signal];
  }
}

/** Keeps a signal from ending the program halfway; who holds it back asks for it between two steps. */
class SignalHold implements Disposable {
  #interruption: Interruption | undefined;

  readonly #note = (signal: NodeJS.Signals): void => {
    this.#interruption ??= new Interruption(signal);
  };

  constructor() {
    for (const signal of ENDING_SIGNALS) process.on(signal, this.#note);
  }

  /** Throws an `Interruption`. */
  throwIfAny(): void {
    if (this.#interruption !== undefined) throw this.#interruption;
  }

  [Symbol.dispose](): void {
    for (const signal of ENDING_SIGNALS) process.off(signal, this.#note);
  }
}

/** A file and the text that it is to have. */
export interface Replacement {
  readonly path: string;
  /** What the file held when the text was made of it. */
  readonly before: string;
  readonly text: string;
}

interface Prepared {
  readonly path: string;
  readonly before: string;
  /** Where the link leads, if the path is one. */
  readonly target: string;
  readonly aside: string;
  readonly stats: Stats;
}

/** A file that has its new text already. */
interface Replaced extends Prepared {
  readonly old: Buffer;
}

/**
 * Puts texts in the place of files, all or none: each is written aside, and once all are, they are
 * renamed, so that a reader or a crash meets the old file or the new one. Where one cannot be renamed, has
 * been changed meanwhile, or a signal comes, those before it are put back. Mode and owner stay, and so does
 * a link. Throws `MANIFEST_WRITE_FAILED`, for a signal with an `Interruption` as its cause.
 */
export async function replaceFiles(
  replacements: readonly Replacement[],
  move: typeof rename = rename,
): Promise<void> {
  const prepared = new Map<string, Prepared>();
  const replaced: Replaced[] = [];
  let current = '';
  using signals = new SignalHold();
  try {
    for (const { path, before, text } of replacements) {
      signals.throwIfAny();
      current = path;
      const target = await realpath(path);
      // Reached a second time, by a link or by its name, it would look like a file that somebody changed.
      if (prepared.has(target)) continue;
      const stats = await stat(target);
      if (!stats.isFile()) {
        throw new Error('it is no regular file');
      }
      const file = { path, before, target, aside: nameAside(target), stats };
      prepared.set(target, file);
      await writeAside(file.aside, text, file.stats);
    }
    for (const file of prepared.values()) {
      signals.throwIfAny();
      current = file.path;
      const old = await readFile(file.target);
      if (!old.equals(Buffer.from(file.before))) {
        throw new Error('it was changed meanwhile; run the command again');
      }
      await move(file.aside, file.target);
      replaced.push({ ...file, old });
    }
    signals.throwIfAny();
  } catch (error) {
    const stuck = await putBack(replaced, move);
    // What went wrong first is told, whatever becomes of the clearing up.
    const asides = Array.from(prepared.values(), ({ aside }) => rm(aside, { force: true }));
    await Promise.allSettled(asides);
    const message = printable(failureText(current, error, stuck));
    throw new RewriterError('MANIFEST_WRITE_FAILED', message, { cause: error });
  }
}

/** Returns the files that could not be put back. */
async function putBack(replaced: readonly Replaced[], move: typeof rename): Promise<string[]> {
  const stuck: string[] = [];
  for (const { path, target, stats, old } of replaced) {
    const aside = nameAside(target);
    try {
      await writeAside(aside, old, stats);
      await move(aside, target);
    } catch {
      stuck.push(path);
      await rm(aside, { force: true }).catch(() => undefined);
    }
  }
  return stuck;
}

/** For a file in the same folder, from which it can be renamed to `target`. */
export function nameAside(target: string): string {
  return join(dirname(target), `.${randomUUID()}.tmp`);
}

function failureText(path: string, error: unknown, stuck: readonly string[]): string {
  const isInterruption = error instanceof Interruption;
  const what = isInterruption ? error.message : `cannot write ${path}: ${faultText(error)}`;
  if (stuck.length > 0) {
    return `${what}; changed already, and could not be put back: ${stuck.join(', ')}`;
  }
  return isInterruption ? `${what}; no file was changed` : what;
}

/** A file that is mounted by itself, as into a container, cannot be renamed to. */
function faultText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'EBUSY'
    ? `${message}; a file that is mounted by itself cannot be replaced: mount its folder, or take standard input to standard output`
    : message;
}

async function writeAside(
  path: string,
  content: string | Buffer,
  { mode, uid, gid }: Stats,
): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(content);
  const own = await file.stat();
  if (own.uid !== uid || own.gid !== gid) {
    await file.chown(uid, gid);
  }
  await file.chmod(mode & 0o7777);
  await file.sync();
}
