import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** Milliseconds to wait for a line of the log before the test fails with what there is. */
const PATIENCE = 20_000;
const PROGRAM = 'dist/sdr-image-rewriter.js';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the bundled program to its end, as a user would. */
export async function runProgram(args: readonly string[], input = ''): Promise<Finished> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: 'pipe',
    // Jest gives tests an environment of their own, which children do not inherit by themselves.
    env: process.env,
  });
  // A program may end before it has read its input.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

export interface LogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** The bundled `serve` in a process of its own. */
export class ServeProcess {
  readonly #child: ChildProcess;
  readonly lines: LogLine[] = [];
  readonly exited: Promise<number | null>;
  /** The signal that ended it, if one did. */
  readonly killedBy: Promise<NodeJS.Signals | null>;
  stderr = '';
  #wake: (() => void) | undefined;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#child = spawn(process.execPath, [PROGRAM, 'serve', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    });
    let rest = '';
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      this.lines.push(...parts.map((part) => JSON.parse(part) as LogLine));
      this.#wake?.();
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.#wake?.();
    });
    const ended = once(this.#child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    this.exited = ended.then(([code]) => {
      this.#wake?.();
      return code;
    });
    this.killedBy = ended.then(([, signal]) => signal);
  }

  /** The first line that fits, past or to come; fails if the process ends before. */
  line(event: string, fits: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return this.#await(event, () => this.lines.find((line) => line.event === event && fits(line)));
  }

  /** What it says on standard error, once that matches. */
  said(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#await(String(pattern), () => pattern.exec(this.stderr) ?? undefined);
  }

  async #await<Found>(what: string, find: () => Found | undefined): Promise<Found> {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const found = find();
      if (found !== undefined) {
        return found;
      }
      if (this.#child.exitCode !== null) {
        throw new Error(`the server ended before ${what}: ${this.stderr}`);
      }
      if (Date.now() > deadline) {
        throw new Error(`no ${what}; last lines: ${JSON.stringify(this.lines.slice(-5))}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 1000).unref();
      });
    }
  }

  /** Leaves the log unread from now on, as a collector that hangs. */
  stopReading(): void {
    this.#child.stdout?.pause();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
