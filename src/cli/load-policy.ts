import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { policySettings } from '../config/config.ts';
import { environment } from '../environment.ts';
import { RewriterError } from '../core/errors.ts';
import { createPolicy, type Policy, type PolicySettings } from '../core/policy.ts';
import { CachedMap } from '../source/cached-map.ts';
import { createSource } from '../source/create-source.ts';
import { mapSettings } from '../source/map-settings.ts';
import { type MapSource, SIGNATURE_SUFFIX } from '../source/source.ts';
import { readInput, STANDARD_INPUT } from './input.ts';
import { loadConfig } from './load-config.ts';
import { parseMapPlace } from './map-place.ts';
import type { PolicyOptions } from './policy-options.ts';

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
  const stream = await streamOf(options.map);
  if (stream !== undefined && config.imageMap.publicKeyFile !== '') {
    throw new RewriterError(
      'MAP_SIGNATURE_INVALID',
      `a map ${placeOfStream(stream)} has no signature, and imageMap.publicKeyFile asks for one; give --map a file or URL with its signature beside it, under the same name with ${SIGNATURE_SUFFIX} behind`,
    );
  }
  const map = new CachedMap({
    source:
      stream === undefined
        ? createSource(config.imageMap, environment())
        : createStreamSource(stream),
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
  cacheUnused: () => undefined,
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

/** What of `--map` can be read once: standard input, or a pipe such as a shell makes of `<(…)`. */
async function streamOf(map: string | undefined): Promise<string | undefined> {
  const place = map === undefined ? undefined : parseMapPlace(map);
  if (place === undefined || place.kind === 'url') {
    return undefined;
  }
  const isPipe =
    place.kind === 'standard-input' ||
    (await stat(place.text).catch(() => undefined))?.isFIFO() === true;
  return isPipe ? place.text : undefined;
}

function placeOfStream(stream: string): string {
  return stream === STANDARD_INPUT ? 'on standard input' : `from the pipe ${stream}`;
}

/** A map that is read once; nothing stands beside it, so it has no signature. */
function createStreamSource(stream: string): MapSource {
  return {
    location: placeOfStream(stream),
    async read() {
      const bytes = await readInput(stream);
      const etag = createHash('sha256').update(bytes).digest('hex');
      return { kind: 'changed', bytes, etag, signature: undefined };
    },
  };
}
