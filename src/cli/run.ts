import { type Command, CommanderError } from 'commander';
import { type ErrorCode, RewriterError } from '../core/errors.ts';
import { EXIT_FAULT, EXIT_FINE, EXIT_USAGE } from './exit-codes.ts';
import { printable } from './output.ts';
import { Interruption } from './replace-files.ts';
import { buildServeProgram } from './serve-program.ts';

/** Errors of whoever called the command, not of what it looked at. */
const USAGE_CODES = new Set<ErrorCode>([
  'USAGE',
  'CONFIG_UNREADABLE',
  'MAP_UNREADABLE',
  'SIGNATURE_KEY_UNREADABLE',
  'KUBECONFIG_INVALID',
  'TARGET_CREDENTIALS_INVALID',
]);

/** Runs one command line; returns the exit code. Errors go to standard error, as one sentence with a code. */
export async function run(commandLine: readonly string[]): Promise<number> {
  const argv = withoutHelpCommand(commandLine);
  let exitCode = EXIT_FINE;
  // A reader that has seen enough, such as head, is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCode);
    const fault = new RewriterError('USAGE', `cannot write the result: ${error.message}`);
    process.exit(tell(fault));
  });
  // What it would say is lost, but not what it does.
  process.stderr.on('error', () => undefined);
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
    return error instanceof RewriterError ? tell(error) : tellInternal(error);
  }
}

/** `help map lint` is `map lint --help`; by itself commander would show the help of `map`. */
function withoutHelpCommand(argv: readonly string[]): readonly string[] {
  const [node = '', program = '', first, ...rest] = argv;
  return first === 'help' ? [node, program, ...rest, '--help'] : argv;
}

/** Puts an error on standard error; returns the exit code. */
function tell(error: RewriterError): number {
  process.stderr.write(`error: ${withCode(error)}\n`);
  if (error.cause instanceof Interruption) {
    return error.cause.exitCode;
  }
  return USAGE_CODES.has(error.code) ? EXIT_USAGE : EXIT_FAULT;
}

/** The stack says nothing to who called the command; who asks for the names of the source in it wants to see it. */
function tellInternal(error: unknown): number {
  const message = `the program has a fault: ${printable(String(error))}; NODE_OPTIONS=--enable-source-maps shows where`;
  const exitCode = tell(new RewriterError('INTERNAL', message));
  if (process.sourceMapsEnabled && error instanceof Error) {
    process.stderr.write(`${error.stack ?? 'it has no stack'}\n`);
  }
  return exitCode;
}

/** The faults of a configuration have a code each, and a message that lists them ends in one already. */
function withCode({ message, code, faults }: RewriterError): string {
  const last = faults.at(-1);
  const endsInCode = last !== undefined && message.endsWith(` [${last.code}]`);
  return endsInCode ? message : `${message} [${code}]`;
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
