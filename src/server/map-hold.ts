import { RewriterError } from '../core/errors.ts';
import { mapError } from '../core/map-error.ts';
import { successorSteps } from '../core/map-guard.ts';
import { LOGGED_FAULTS } from '../log-events.ts';
import type { CachedMapSettings, LoadedMap } from '../source/cached-map.ts';
import { mapSteps } from '../source/map-steps.ts';
import { SignedReader } from '../source/signed-read.ts';
import { BESIDE_REVIEWS, runInSlices } from '../source/slices.ts';
import { type MapReading, type MapSource, placeOf } from '../source/source.ts';

export interface NextMap {
  readonly source: MapSource;
  readonly settings: CachedMapSettings;
  readonly abandoned: AbortSignal;
}

/**
 * Settings that forbid what the map in use has would not change what is rewritten: a map stays in use until a good
 * one takes its place. So they need another place for that one, or one that fits them at this place. Returns the
 * source to take into use. Throws `MAP_TARGET_FORBIDDEN`, with a cause where nobody knows what is at the place.
 */
export async function sourceBeside(loaded: LoadedMap, next: NextMap): Promise<MapSource> {
  const { source, settings } = next;
  // Some know their place only then; what cannot be read now is told when the map is read.
  await source.prepare?.().catch(() => undefined);
  if (loaded.place !== placeOf(source)) {
    return source;
  }
  const guards = { ...settings, allowRollback: true, maxShrink: 1 };
  const steps = successorSteps(loaded.rules, undefined, guards);
  const faults = await runInSlices(steps, BESIDE_REVIEWS);
  if (faults.length === 0) {
    return source;
  }
  const { message, code } = mapError(faults, loaded.identity.location);
  const refusal = (cause?: unknown): RewriterError =>
    new RewriterError(
      code,
      `allowedTargets forbids what is in use: ${message}; publish a map without such targets first`,
      { cause, faults: faults.slice(0, LOGGED_FAULTS) },
    );
  const reading = await readSuccessor(loaded, next).catch((error: unknown) => {
    throw refusal(error);
  });
  if (reading === undefined) {
    throw refusal();
  }
  return withReading(source, reading);
}

/** What the source has by now, if it may take the place of the map in use by the next settings. */
async function readSuccessor(
  { rules }: LoadedMap,
  { source, settings, abandoned }: NextMap,
): Promise<MapReading | undefined> {
  const reader = new SignedReader(source);
  const reading = await reader.read(settings, { etag: undefined, abandoned });
  if (reading.kind === 'unchanged') {
    return undefined;
  }
  const map = await runInSlices(mapSteps(reading.bytes, settings.maxBytes), BESIDE_REVIEWS);
  const faults = await runInSlices(successorSteps(map, rules, settings), BESIDE_REVIEWS);
  return faults.length === 0 ? reading : undefined;
}

/** The source, which gives first what it gave just now: asked again, it may fail or give something else. */
function withReading(source: MapSource, reading: MapReading): MapSource {
  let given: MapReading | undefined = reading;
  return {
    get location() {
      return source.location;
    },
    get place() {
      return source.place;
    },
    read(request) {
      const first = given;
      given = undefined;
      return first === undefined ? source.read(request) : Promise.resolve(first);
    },
    prepare: async () => source.prepare?.(),
    watch: (onChange) => source.watch?.(onChange) ?? (() => undefined),
    close: () => source.close?.(),
  };
}
