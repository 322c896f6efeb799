import { type Command, Option } from 'commander';
import { type Config, environment } from '../config.ts';
import type { Fault } from '../core/errors.ts';
import { hasFaults, type ImageMap, parseImageMap } from '../core/image-map.ts';
import { checkSuccessor } from '../core/map-guard.ts';
import { mapError } from '../source/cached-map.ts';
import { createSource } from '../source/create-source.ts';
import { readInput } from './files.ts';
import { isUrl, shownPlace, withFaultLines } from './policy-options.ts';

export interface MapOptions {
  readonly config?: string;
  readonly output: 'table' | 'json';
}

/** Adds what every map command has; `--config` brings sources, allowedTargets, limits and the S3 settings. */
export function addMapOptions(command: Command): Command {
  return command
    .option('--config <file>', 'configuration with sources, allowedTargets, limits and S3 settings')
    .addOption(
      new Option('--output <format>', 'what to print').choices(['table', 'json']).default('table'),
    );
}

/** Reads a map from a file, `-`, or an s3://, https:// or file:// URL. Throws a `RewriterError`. */
export async function readMapBytes(place: string, { imageMap }: Config): Promise<Uint8Array> {
  if (!isUrl(place)) {
    return readInput(place);
  }
  const { maxBytes, timeout } = imageMap;
  const source = createSource({ ...imageMap, url: place, urlFile: '' }, environment());
  const signal = AbortSignal.timeout(timeout);
  const reading = await source.read({ etag: undefined, maxBytes, signal, signed: false });
  return reading.kind === 'changed' ? reading.bytes : new Uint8Array();
}

export type Checked = { readonly map: ImageMap } | { readonly faults: readonly Fault[] };

/** Parses a map and holds it against `allowedTargets`. */
export function checkMap(bytes: Uint8Array, { imageMap, allowedTargets }: Config): Checked {
  const map = parseImageMap(bytes, imageMap.maxBytes);
  const faults = checkSuccessor(map, undefined, {
    allowedTargets,
    allowRollback: true,
    maxShrink: 1,
  });
  return hasFaults(map) || faults.length > 0 ? { faults } : { map };
}

/** Reads a map that must be good; throws a `RewriterError` with a line for each fault. */
export async function readGoodMap(place: string, config: Config): Promise<ImageMap> {
  return goodMap(await readMapBytes(place, config), place, config);
}

export function goodMap(bytes: Uint8Array, place: string, config: Config): ImageMap {
  const checked = checkMap(bytes, config);
  if ('map' in checked) {
    return checked.map;
  }
  throw withFaultLines(mapError(checked.faults, shownPlace(place)));
}
