import { Command, CommanderError } from 'commander';
import { RewriterError } from '../core/errors.ts';
import { VERSION } from '../version.ts';
import { addCoverageCommand } from './coverage.ts';
import { addExportCommand } from './export.ts';
import { addMapCommand } from './map.ts';
import { addReplayCommand } from './replay.ts';
import { addResolveCommand } from './resolve.ts';
import { addRewriteCommand } from './rewrite.ts';

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

/** Builds the command line without running it. `finish` is told the exit code of a command. */
export function buildProgram(finish: (exitCode: number) => void): Command {
  const program = new Command('sdr-image-rewriter')
    .description(
      'Makes pods of the Self-Deployed Runtime pull their images from where policy wants them.',
    )
    .version(VERSION)
    .showHelpAfterError('(add --help for the options)')
    .exitOverride();
  program
    .command('serve')
    .description('Runs the admission webhook.')
    .requiredOption('--config <file>', 'configuration file')
    .option(
      '--self-signed',
      'serve an ephemeral certificate for a trial, and say how to call',
      false,
    )
    .action(async (options: { config: string; selfSigned: boolean }) => {
      // The server's libraries take longer to load than the other commands to run.
      const { serve } = await import('./serve.ts');
      await serve(options);
    });
  addResolveCommand(program, finish);
  addRewriteCommand(program, finish);
  addReplayCommand(program, finish);
  addMapCommand(program, finish);
  addExportCommand(program);
  addCoverageCommand(program, finish);
  return program;
}

/** Runs one command line; returns the exit code. Errors go to standard error as one sentence with a code. */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode = EXIT_FINE;
  // A reader that has seen enough, such as head, is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(exitCode);
  });
  const program = buildProgram((code) => {
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
