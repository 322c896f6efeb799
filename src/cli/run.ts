import { type Command, CommanderError } from 'commander';
import { RewriterError } from '../core/errors.ts';
import { buildServeProgram } from './serve-program.ts';

export const EXIT_FINE = 0;
export const EXIT_FAULT = 1;
export const EXIT_USAGE = 2;

/** Errors of whoever called the command, not of what it looked at. */
const USAGE_CODES = new Set<string>([
  'USAGE',
  'CONFIG_UNREADABLE',
  'MAP_UNREADABLE',
  'KUBECONFIG_INVALID',
]);

/** Runs one command line; returns the exit code. Errors go to standard error as one sentence with a code. */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode = EXIT_FINE;
  // A reader that has seen enough, such as head, is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(exitCode);
  });
  const program = await programFor(argv, (code) => {
    exitCode = Math.max(exitCode, code);
  });
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? EXIT_FINE : EXIT_USAGE;
    }
    if (error instanceof RewriterError) {
      process.stderr.write(`error: ${error.message} [${error.code}]\n`);
      return USAGE_CODES.has(error.code) ? EXIT_USAGE : EXIT_FAULT;
    }
    throw error;
  }
}

/** What a server has loaded stays in memory as long as it runs, so it loads none of the other commands. */
async function programFor(
  argv: readonly string[],
  finish: (exitCode: number) => void,
): Promise<Command> {
  if (argv[2] === 'serve') {
    return buildServeProgram();
  }
  const { buildProgram } = await import('./program.ts');
  return buildProgram(finish);
}
