import { type Command, Option } from 'commander';
import { RewriterError } from '../core/errors.ts';
import { STANDARD_INPUT } from './input.ts';

export interface PolicyOptions {
  readonly config?: string;
  readonly map?: string;
  readonly base?: string;
}

/** Adds the options that every deciding command has; `--output` where it prints more than one format. */
export function addPolicyOptions(
  command: Command,
  defaultOutput?: string,
  formats: readonly string[] = ['table', 'json'],
): Command {
  command
    .option(
      '--config <file>',
      'configuration file; without one procurement is public, unless --map or --base is given, and all else has its default',
    )
    .option('--map <file|url>', 'map to decide by in place of imageMap.url; - for standard input')
    .option(
      '--base <prefix>',
      'containerRegistryBase to decide by, in place of the configured one',
    );
  takesInputOnce(command);
  return defaultOutput === undefined
    ? command
    : command.addOption(
        new Option('--output <format>', 'what to print').choices(formats).default(defaultOutput),
      );
}

/** Refuses a command line on which `-` stands for two inputs. */
export function takesInputOnce(command: Command): Command {
  return command.hook('preAction', (_, called) => refuseSharedInput(called.args, called.opts()));
}

/** Standard input can be read once: whoever reads it second finds nothing, and takes that for the input. */
function refuseSharedInput(args: readonly string[], options: Record<string, unknown>): void {
  const places = [args, ...Object.values(options)].filter((value) => Array.isArray(value)).flat();
  const times = places.filter((place) => place === STANDARD_INPUT).length;
  const isMap = options.map === STANDARD_INPUT;
  if (times + (isMap ? 1 : 0) > 1) {
    const what = isMap
      ? '--map - reads standard input, and so does the argument -'
      : 'the argument - stands twice, and standard input can be read only once';
    throw new RewriterError('USAGE', `${what}; put one of the two into a file`);
  }
}
