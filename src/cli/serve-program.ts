import { Command } from 'commander';
import { VERSION } from '../version.ts';

/** Builds the command line with `serve` alone, without running it. */
export function buildServeProgram(): Command {
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
      // It asks for a refresh; while there is nothing to refresh, it must not end the process.
      process.on('SIGHUP', () => undefined);
      // The server's libraries take longer to load than the other commands to run.
      const { serve } = await import('./serve.ts');
      await serve(options);
    });
  return program;
}
