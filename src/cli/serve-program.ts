import { Command } from 'commander';
import { VERSION } from '../version.ts';
import { EXIT_FINE } from './exit-codes.ts';
import { printable } from './output.ts';

/** Builds the command line with `serve` alone, without running it. */
export function buildServeProgram(): Command {
  const program = new Command('sdr-image-rewriter')
    .description(
      'Makes pods of the Self-Deployed Runtime pull their images from where policy wants them.',
    )
    .version(VERSION)
    // The commands below take it over, as long as they are added after it.
    .configureOutput({ outputError: (text, write) => write(usageLine(text)) })
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
      // As the first process of a container it would not even get these; there is nothing to drain yet.
      const leave = (): never => process.exit(EXIT_FINE);
      process.on('SIGTERM', leave).on('SIGINT', leave);
      const onSignalsTaken = (): void => void process.off('SIGTERM', leave).off('SIGINT', leave);
      // The server's libraries take longer to load than the other commands to run.
      const { serve } = await import('./serve.ts');
      await serve({ ...options, onSignalsTaken });
    });
  return program;
}

/** What the library begins a sentence of its own behind. */
const FIRST_SENTENCE = /(is invalid|^error: too many arguments.*?)\. ([A-Z"])/s;

/** The library's error as those of this program: one sentence on one line that ends in a code. */
function usageLine(text: string): string {
  const [, message = '', suggestion] =
    /^(.*?)\.?(?:\n\((Did you mean .*\?)\))?\n$/s.exec(text) ?? [];
  const sentence = message.replace(
    FIRST_SENTENCE,
    (_, first: string, next: string) => `${first}; ${next.toLowerCase()}`,
  );
  const hints = [suggestion?.replace(/^D/, 'd'), 'add --help for the options'];
  const hint = hints.filter((each) => each !== undefined).join(' ');
  return `${printable(`${sentence} (${hint}) [USAGE]`)}\n`;
}
