import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import {
  checkConfig,
  type Config,
  CONFIG_API_VERSION,
  environment,
  isMapUrl,
  MAP_URL_FORMS,
  policySettings,
} from '../config.ts';
import { readConfigDocument } from '../config-document.ts';
import { isInvalid, quote, RewriterError } from '../core/errors.ts';
import { isRecord } from '../core/json-path.ts';
import { createPolicy, type Policy, type PolicySettings } from '../core/policy.ts';
import { parseTargetPrefix } from '../core/prefix-rules.ts';
import { CachedMap } from '../source/cached-map.ts';
import { createSource } from '../source/create-source.ts';
import { mapSettings } from '../source/map-settings.ts';
import { type MapSource, SIGNATURE_SUFFIX } from '../source/source.ts';
import { readInput, readTextFile } from './files.ts';

export interface PolicyOptions {
  readonly config?: string;
  readonly map?: string;
  readonly base?: string;
}

const STANDARD_INPUT = '-';
const WITHOUT_FILE = `apiVersion: ${CONFIG_API_VERSION}\nprocurement: public\n`;

/** Adds the options that every deciding command has; `--output` where it prints more than one format. */
export function addPolicyOptions(
  command: Command,
  defaultOutput?: string,
  formats: readonly string[] = ['table', 'json'],
): Command {
  command
    .option('--config <file>', 'configuration file; without one everything has its default')
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

/** The configuration with the command line's options in it. Throws a `RewriterError`. */
export async function loadConfig({ config, map, base }: PolicyOptions): Promise<Config> {
  const target = base === undefined ? undefined : parseTargetPrefix(base);
  if (target !== undefined && isInvalid(target)) {
    throw new RewriterError('USAGE', `--base cannot be used: ${target.message}`);
  }
  const url = map === undefined ? undefined : mapUrl(map);
  const text = config === undefined ? WITHOUT_FILE : await readTextFile(config);
  const name = config ?? 'of the command line';
  const document = map === undefined && base === undefined ? undefined : readValue(text);
  if (!isRecord(document)) {
    return checkConfig(text, name);
  }
  if (base !== undefined) {
    document.containerRegistryBase = base;
    if (document.procurement === 'public') {
      document.procurement = 'prefix';
    }
  }
  if (url !== undefined) {
    document.procurement = 'map';
    const { imageMap = {} } = document;
    // Anything else than an object is a fault of the file, and stays one.
    if (isRecord(imageMap)) {
      document.imageMap = { ...imageMap, url, urlFile: '' };
    }
  }
  try {
    return checkConfig(stringify(document, { aliasDuplicateObjects: false }), name);
  } catch (error) {
    throw (base === undefined ? undefined : foreignBaseError(error, name)) ?? error;
  }
}

/** Among the faults of the file it would be sought in the file, where it does not stand. */
function foreignBaseError(error: unknown, name: string): RewriterError | undefined {
  const faults = error instanceof RewriterError ? error.faults : [];
  const fault = faults.find(({ path }) => path === '$.containerRegistryBase');
  return (
    fault &&
    new RewriterError(
      fault.code,
      `--base ${fault.message} of the configuration ${name}; give a base under one of these, or add its prefix there`,
      { cause: error },
    )
  );
}

/** Undefined where the text is no good YAML; `checkConfig` says why. */
function readValue(text: string): unknown {
  const document = readConfigDocument(text);
  return 'value' in document ? document.value : undefined;
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
  const isInput = options.map === STANDARD_INPUT;
  if (isInput && config.imageMap.publicKeyFile !== '') {
    throw new RewriterError(
      'MAP_SIGNATURE_INVALID',
      `a map on standard input has no signature, and imageMap.publicKeyFile asks for one; give --map a file or URL with its signature beside it, under the same name with ${SIGNATURE_SUFFIX} behind`,
    );
  }
  const map = new CachedMap({
    source: isInput ? createInputSource() : createSource(config.imageMap, environment()),
    // The cache is that of the webhook, which holds its guards over a restart: whoever only asks leaves it alone.
    settings: { ...mapSettings(config), cache: undefined },
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

/** A map that is read once; nothing stands beside it, so it has no signature. */
function createInputSource(): MapSource {
  return {
    location: 'on standard input',
    async read() {
      const bytes = await readInput(STANDARD_INPUT);
      const etag = createHash('sha256').update(bytes).digest('hex');
      return { kind: 'changed', bytes, etag, signature: undefined };
    },
  };
}

/** The URL of what `--map` names. Throws `USAGE`: in the configuration it would be a fault of the file. */
function mapUrl(map: string): string {
  const url = isUrl(map) ? map : pathToFileURL(resolve(map)).href;
  if (!isMapUrl(url)) {
    throw new RewriterError(
      'USAGE',
      `--map ${quote(withoutSecrets(map))} cannot be read: write a file, - for standard input, ${MAP_URL_FORMS}`,
    );
  }
  return url;
}

/**
 * Errors end up in logs of builds: a user and its password, and a query with a token, are left out. A
 * password may hold any character.
 */
export function withoutSecrets(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1').replace(/[?#].*$/s, '');
}

/** A place as it may be shown: only a web server is asked with secrets in the URL. */
export function shownPlace(place: string): string {
  return /^https?:/i.test(place) ? withoutSecrets(place) : place;
}

/** Whether a place is written as a URL and not as a path. */
export function isUrl(place: string): boolean {
  return /^[a-z0-9]+:\/\//.test(place);
}
