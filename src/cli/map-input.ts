import { type Command, Option } from 'commander';
import type { Config } from '../config/schema.ts';
import { environment } from '../environment.ts';
import type { Fault } from '../core/errors.ts';
import { hasFaults, type ImageMap } from '../core/image-map.ts';
import { parseImageMap } from '../core/parse-image-map.ts';
import { checkSuccessor } from '../core/map-guard.ts';
import { mapError } from '../core/map-error.ts';
import { createSource } from '../source/create-source.ts';
import { readInput } from './input.ts';
import { withFaultLines } from './load-policy.ts';
import type { MapPlace } from './map-place.ts';

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
export async function readMapBytes(
  { kind, text }: MapPlace,
  { imageMap }: Config,
): Promise<Uint8Array> {
  if (kind !== 'url') {
    return readInput(text);
  }
  const { maxBytes, timeout } = imageMap;
  const source = createSource({ ...imageMap, url: text, urlFile: '' }, environment());
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
export async function readGoodMap(
  place: MapPlace,
  config: Config,
): Promise<{ readonly bytes: Uint8Array; readonly map: ImageMap }> {
  const bytes = await readMapBytes(place, config);
  const checked = checkMap(bytes, config);
  if ('faults' in checked) {
    throw withFaultLines(mapError(checked.faults, place.shown));
  }
  return { bytes, map: checked.map };
}
