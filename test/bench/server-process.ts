import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { backgroundTime, cpuSeconds, residentMemory, waitingTime } from './process-figures.ts';
import { nodeCommand } from './processors.ts';

const NEWLINE = 0x0a;
const PATIENCE = 60_000;
const POLL_INTERVAL = 1;
/** What a machine of developers sets and a container does not: memory and time for certificates. */
const NOT_INHERITED = { NODE_EXTRA_CA_CERTS: undefined, NODE_OPTIONS: undefined };

export interface StartOptions {
  /** Arguments of Node.js. */
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Those to run on; none: where this process runs. */
  readonly processors: readonly number[];
  /** Whether it is to be talked to by messages, which nothing but a probe does. */
  readonly hasChannel?: boolean;
  /** Asked again and again until it says yes. */
  readonly isReady: () => Promise<boolean>;
}

/** A server as a process of its own. What it writes to standard output is read, counted and thrown away. */
export class ServerProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  /** Lines on standard output so far. */
  lines = 0;
  /** The bytes of all that. */
  bytes = 0;
  /** From exec to ready, in milliseconds, and what background threads took of that. */
  readyAfter = NaN;
  backgroundUntilReady = NaN;
  readonly #exited: Promise<unknown>;

  private constructor({ args, env, processors, hasChannel = false }: StartOptions) {
    const [command, rest] = nodeCommand(processors, args);
    const stdio: StdioOptions = [
      'ignore',
      'pipe',
      'inherit',
      ...(hasChannel ? ['ipc' as const] : []),
    ];
    this.child = spawn(command, rest, { stdio, env: { ...process.env, ...NOT_INHERITED, ...env } });
    this.#exited = once(this.child, 'exit');
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) {
        this.lines += 1;
      }
    });
  }

  /** Resolves when the server is ready; rejects if it ends before or takes a minute. */
  static async start(options: StartOptions): Promise<ServerProcess> {
    const begun = performance.now();
    const server = new ServerProcess(options);
    while (!(await options.isReady())) {
      if (server.child.exitCode !== null || performance.now() - begun > PATIENCE) {
        server.child.kill('SIGKILL');
        throw new Error(`${options.args.join(' ')} did not become ready`);
      }
      await sleep(POLL_INTERVAL);
    }
    server.readyAfter = performance.now() - begun;
    server.backgroundUntilReady = server.background();
    return server;
  }

  /** Sends a message to the probe that was loaded into the server; resolves to its answer. */
  async ask(message: string): Promise<unknown> {
    this.child.send(message);
    const [answer] = (await once(this.child, 'message')) as [unknown];
    return answer;
  }

  get #pid(): number {
    return this.child.pid ?? 0;
  }

  /** Processor time so far, in seconds. */
  readonly cpu = (): number => cpuSeconds(this.#pid);

  /** Time of all threads but the first one so far, in milliseconds. */
  readonly background = (): number => backgroundTime(this.#pid);

  /** Time that the first thread was ready and waited for its processor so far, in milliseconds. */
  readonly waiting = (): number => waitingTime(this.#pid);

  /** In MiB. */
  memory(): { readonly now: number; readonly peak: number } {
    return residentMemory(this.#pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGINT');
    await this.#exited;
  }
}
