import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Command, Option } from 'commander';
import { parseDocument } from 'yaml';
import { type Config, CONFIG_API_VERSION, environment, policySettings } from '../config.ts';
import { RewriterError } from '../core/errors.ts';
import { createPolicy, type Policy, type PolicySettings } from '../core/policy.ts';
import { checkConfig, mapSettings } from '../server/runtime.ts';
import { CachedMap } from '../source/cached-map.ts';
import { createSource } from '../source/create-source.ts';
import { readTextFile } from './files.ts';

export interface PolicyOptions {
  readonly config?: string;
  readonly map?: string;
  readonly base?: string;
}

const WITHOUT_FILE = `apiVersion: ${CONFIG_API_VERSION}\nprocurement: public\n`;

/** Adds the options that every deciding command has; `--output` where it prints more than one format. */
export function addPolicyOptions(
  command: Command,
  defaultOutput?: string,
  formats: readonly string[] = ['table', 'json'],
): Command {
  command
    .option('--config <file>', 'configuration file; without one everything has its default')
    .option('--map <file|url>', 'image map to decide by, in place of imageMap.url')
    .option(
      '--base <prefix>',
      'containerRegistryBase to decide by, in place of the configured one',
    );
  return defaultOutput === undefined
    ? command
    : command.addOption(
        new Option('--output <format>', 'what to print').choices(formats).default(defaultOutput),
      );
}

/** The configuration with the command line's options in it. Throws a `RewriterError`. */
export async function loadConfig({ config, map, base }: PolicyOptions): Promise<Config> {
  const text = config === undefined ? WITHOUT_FILE : await readTextFile(config);
  const document = parseDocument(text);
  const name = config ?? 'of the command line';
  if (document.errors.length > 0 || (map === undefined && base === undefined)) {
    return checkConfig(text, name);
  }
  if (base !== undefined) {
    document.set('containerRegistryBase', base);
    if (document.get('procurement') === 'public') {
      document.set('procurement', 'prefix');
    }
  }
  if (map !== undefined) {
    document.set('procurement', 'map');
    document.setIn(['imageMap', 'url'], mapUrl(map));
    document.deleteIn(['imageMap', 'urlFile']);
  }
  return checkConfig(document.toString(), name);
}

/** The same policy that the webhook would have. Reads the map once; throws where it cannot be used. */
export async function loadPolicy(options: PolicyOptions): Promise<Policy> {
  return createPolicy(await loadSettings(options));
}

/** What that policy is made of. */
export async function loadSettings(options: PolicyOptions): Promise<PolicySettings> {
  const config = await loadConfig(options);
  const settings = policySettings(config);
  if (config.procurement !== 'map') {
    return settings;
  }
  const map = new CachedMap({
    source: createSource(config.imageMap, environment()),
    settings: mapSettings(config),
    observer: SILENT,
  });
  await map.refresh();
  if (map.current === undefined) {
    throw withFaultLines(map.lastError);
  }
  return { ...settings, map: map.current };
}

const SILENT = {
  loaded: () => undefined,
  unchanged: () => undefined,
  rejected: () => undefined,
  stale: () => undefined,
  cacheFailed: () => undefined,
};

/** The error with a line for each further fault, as a person reads it. */
export function withFaultLines(error: RewriterError | undefined): RewriterError {
  if (error === undefined) {
    return new RewriterError('MAP_UNREADABLE', 'the image map could not be read');
  }
  const { code, faults } = error;
  const rest = faults.slice(1).map(({ path, message }) => `\n  ${path}: ${message}`);
  return new RewriterError(code, `${error.message}${rest.join('')}`, { faults });
}

function mapUrl(map: string): string {
  return isUrl(map) ? map : pathToFileURL(resolve(map)).href;
}

/** Whether a place is written as a URL and not as a path. */
export function isUrl(place: string): boolean {
  return /^[a-z0-9]+:\/\//.test(place);
}
