import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { stringify } from 'yaml';
import { checkConfig } from '../config/config.ts';
import { type Config, CONFIG_API_VERSION } from '../config/schema.ts';
import { readConfigDocument } from '../config/document.ts';
import { isMapUrl, MAP_URL_FORMS } from '../config/map-url.ts';
import { isInvalid, quote, RewriterError } from '../core/errors.ts';
import { isRecord } from '../core/json-value.ts';
import { parseTargetPrefix } from '../core/prefix-rules.ts';
import { readConfigFile } from './config-file.ts';
import { parseMapPlace, withoutSecrets } from './map-place.ts';
import type { PolicyOptions } from './policy-options.ts';

const WITHOUT_FILE = `apiVersion: ${CONFIG_API_VERSION}\nprocurement: public\n`;

/** The configuration with the command line's options in it. Throws a `RewriterError`. */
export async function loadConfig({ config, map, base }: PolicyOptions): Promise<Config> {
  const target = base === undefined ? undefined : parseTargetPrefix(base);
  if (target !== undefined && isInvalid(target)) {
    throw new RewriterError('USAGE', `--base cannot be used: ${target.message}`);
  }
  const url = map === undefined ? undefined : mapUrl(map);
  const text = config === undefined ? WITHOUT_FILE : await readConfigFile(config);
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

/** The URL of what `--map` names. Throws `USAGE`: in the configuration it would be a fault of the file. */
function mapUrl(map: string): string {
  const { kind, text } = parseMapPlace(map);
  const url = kind === 'url' ? text : pathToFileURL(resolve(text)).href;
  if (!isMapUrl(url)) {
    throw new RewriterError(
      'USAGE',
      `--map ${quote(withoutSecrets(map))} cannot be read: write a file, - for standard input, ${MAP_URL_FORMS}`,
    );
  }
  return url;
}
