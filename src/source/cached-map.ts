import { type Clock, systemClock } from '../clock.ts';
import { RewriterError } from '../core/errors.ts';
import { hasFaults, type ImageMap } from '../core/image-map.ts';
import { countChanges, type MapChangeCounts } from '../core/map-diff.ts';
import { type MapGuards, successorSteps } from '../core/map-guard.ts';
import { MapStore } from '../core/map-store.ts';
import { mapError } from '../core/map-error.ts';
import type { MapIdentity } from '../core/policy.ts';
import type { Steps } from '../core/steps.ts';
import { BUILD } from '../version.ts';
import type { CachedBytes } from './cache-file.ts';
import { CacheKeeper, type KeepableMap } from './cache-keeper.ts';
import { sha256Steps } from './digest.ts';
import { mapSteps } from './map-steps.ts';
import { type CacheSettings, keepsTables, readCache } from './read-cache.ts';
import { pauseBetweenReads } from './read-pause.ts';
import { SignedReader, type SignedBytes, type SignedReadSettings } from './signed-read.ts';
import { BEFORE_REVIEWS, BESIDE_REVIEWS, runInSlices } from './slices.ts';
import { type MapReading, type MapSource, placeOf } from './source.ts';

export interface CachedMapSettings extends MapGuards, SignedReadSettings, CacheSettings {
  /** Milliseconds between reads, ±20 %. */
  readonly refreshInterval: number;
}

/** A map in use. Immutable; a refresh that finds another one replaces it whole. */
export interface LoadedMap {
  readonly rules: ImageMap;
  readonly identity: MapIdentity;
  readonly sha256: string;
  /** Where it is from: tells places apart that are shown as one location. */
  readonly place: string;
  /** Milliseconds since the epoch. */
  readonly loadedAt: number;
}

export interface MapChange extends MapChangeCounts {
  readonly loaded: LoadedMap;
  readonly from: 'source' | 'cache';
}

/** Told of everything that happens to the map; logs and counts it. */
export interface MapObserver {
  loaded(change: MapChange): void;
  unchanged(): void;
  /** The bytes were read and are no map to use; what was in use stays. */
  rejected(error: RewriterError): void;
  /** Nothing new could be had; what was in use stays. */
  stale(error: RewriterError): void;
  /** The map is in use, but would not outlive the process. */
  cacheFailed(error: Error): void;
  /** There is a cache, and its map is not taken. */
  cacheUnused(error: RewriterError): void;
}

/** Milliseconds from when the map of the cache is in use to the first read. */
const FIRST_READ_PAUSE = 100;

export interface CachedMapOptions {
  readonly source: MapSource;
  readonly settings: CachedMapSettings;
  readonly observer: MapObserver;
  /** Whether reviews are answered already, and so wait while a map is checked. */
  readonly isServing?: () => boolean;
  readonly clock?: Clock;
  /** 0 to 1, for the jitter. */
  readonly random?: () => number;
}

/**
 * The image map, kept fresh in the background. Whoever asks gets the last good one at once; a source
 * that is slow, gone or faulty changes nothing but the age. One read is in flight at a time.
 */
export class CachedMap {
  #source: MapSource;
  #reader: SignedReader;
  #settings: CachedMapSettings;
  readonly #observer: MapObserver;
  readonly #isServing: () => boolean;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #keeper: CacheKeeper;

  #current: LoadedMap | undefined;
  /** The version read last, good or with faults, so that those are not found again every time. */
  #seen: { readonly etag: string; readonly fault: RewriterError | undefined } | undefined;
  #lastSuccess: number | undefined;
  /** Ends when the map of the cache is in use, or was found to be of none; no read begins before. */
  #cacheTried: Promise<void> = Promise.resolve();
  #lastError: RewriterError | undefined;
  #failures = 0;
  /** Counts reconfigurations: a read that began before the latest one is thrown away. */
  #generation = 0;
  #inFlight: Promise<void> | undefined;
  /** Ends the read in flight. */
  #abandon: AbortController | undefined;
  /** The read that follows the one in flight, where somebody knows of something newer. */
  #next: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #stopWatching: (() => void) | undefined;
  #isRunning = false;

  constructor({ source, settings, observer, isServing, clock, random }: CachedMapOptions) {
    this.#source = source;
    this.#reader = new SignedReader(source);
    this.#settings = settings;
    this.#observer = observer;
    this.#isServing = isServing ?? (() => true);
    this.#clock = clock ?? systemClock;
    this.#random = random ?? Math.random;
    this.#keeper = new CacheKeeper(settings, {
      confirmedAt: () => this.#lastSuccess ?? this.#clock.now(),
      onFailure: (error) => this.#observer.cacheFailed(error),
    });
  }

  get current(): LoadedMap | undefined {
    return this.#current;
  }

  get location(): string {
    return this.#source.location;
  }

  /** When the source last confirmed or replaced the map in use, in milliseconds since the epoch. */
  get lastSuccess(): number | undefined {
    return this.#lastSuccess;
  }

  /** Why the latest read brought nothing; undefined after a good one. */
  get lastError(): RewriterError | undefined {
    return this.#lastError;
  }

  /** Milliseconds since the source last confirmed the map in use. */
  get age(): number | undefined {
    return this.#lastSuccess === undefined ? undefined : this.#clock.now() - this.#lastSuccess;
  }

  /**
   * Begins to read and to keep fresh; resolves after the first read, whatever it brought. A map in the
   * cache is in use before that.
   */
  async start(): Promise<void> {
    this.#isRunning = true;
    const generation = this.#generation;
    this.#watch();
    this.#cacheTried = this.#tryCache();
    await this.#cacheTried;
    if (this.#current !== undefined) {
      // To load the client of a source can take 90 ms at once, in which nobody learns that this one is ready.
      await new Promise<void>((resolve) => this.#clock.after(FIRST_READ_PAUSE, resolve));
    }
    // Whoever stopped or reconfigured it meanwhile has taken care of that.
    if (generation === this.#generation) {
      await this.refresh();
    }
  }

  stop(): void {
    this.#isRunning = false;
    this.#generation += 1;
    this.#abandon?.abort();
    this.#cancelTimer?.();
    this.#stopWatching?.();
    this.#source.close?.();
  }

  /** Reads now; joins the read in flight if there is one. Never rejects. */
  refresh(): Promise<void> {
    this.#inFlight ??= this.#readOnce().finally(() => {
      this.#inFlight = undefined;
      this.#scheduleNext();
    });
    return this.#inFlight;
  }

  /**
   * Reads what is there by now: a read in flight may have begun before that, so another one follows it.
   * Never rejects.
   */
  refreshAnew(): Promise<void> {
    if (this.#inFlight === undefined) {
      return this.refresh();
    }
    this.#next ??= this.#inFlight.then(() => {
      this.#next = undefined;
      return this.#isRunning ? this.refresh() : undefined;
    });
    return this.#next;
  }

  /** Takes another source or other settings and reads at once. The map in use stays until a good one is read. */
  async reconfigure(source: MapSource, settings: CachedMapSettings): Promise<void> {
    const replaced = this.#source;
    this.#abandon?.abort();
    this.#source = source;
    this.#reader = new SignedReader(source);
    this.#settings = settings;
    this.#keeper.reconfigure(settings);
    this.#generation += 1;
    this.#seen = undefined;
    this.#failures = 0;
    this.#watch();
    if (this.#current === undefined) {
      this.#cacheTried = this.#cacheTried.then(() => this.#tryCache());
    }
    const generation = this.#generation;
    await this.#inFlight;
    replaced.close?.();
    // Whoever stopped or reconfigured it meanwhile has taken care of the rest.
    if (generation === this.#generation) {
      await this.refresh();
    }
  }

  #watch(): void {
    this.#stopWatching?.();
    this.#stopWatching = this.#source.watch?.(() => void this.refreshAnew());
  }

  #scheduleNext(): void {
    this.#cancelTimer?.();
    if (!this.#isRunning) {
      return;
    }
    const pause = pauseBetweenReads({
      refreshInterval: this.#settings.refreshInterval,
      hasMap: this.#current !== undefined,
      failures: this.#failures,
      random: this.#random(),
    });
    this.#cancelTimer = this.#clock.after(pause, () => void this.refresh());
  }

  /** A cache that cannot be used is as good as none, but for what is said of it. */
  async #tryCache(): Promise<void> {
    const generation = this.#generation;
    try {
      await this.#useCache();
    } catch (error) {
      if (generation === this.#generation) {
        this.#observer.cacheUnused(asRewriterError(error));
      }
    }
  }

  async #useCache(): Promise<void> {
    const generation = this.#generation;
    const cached = await readCache(this.#source, this.#settings, this.#clock);
    if (cached === undefined) {
      return;
    }
    const restored = this.#restore(cached);
    const loaded = await this.#accept(cached, restored);
    if (loaded instanceof RewriterError) {
      throw loaded;
    }
    const counts = await this.#run(countChanges(undefined, loaded.rules));
    if (generation === this.#generation) {
      this.#seen = { etag: cached.etag, fault: undefined };
      // A clock may have been put back since.
      this.#lastSuccess = Math.min(cached.confirmedAt, this.#clock.now());
      this.#keeper.found(keepable(cached, loaded), restored !== undefined);
      this.#use({ loaded, from: 'cache', ...counts });
    }
  }

  async #readOnce(): Promise<void> {
    const generation = this.#generation;
    // What the cache holds is what the guards compare a map with.
    await this.#cacheTried;
    if (generation !== this.#generation) {
      return;
    }
    try {
      this.#abandon = new AbortController();
      const reading = await this.#reader.read(this.#settings, {
        etag: this.#seen?.etag,
        abandoned: this.#abandon.signal,
      });
      if (generation === this.#generation) {
        // Also where it is refused: its correction is to be in use within one interval.
        this.#failures = 0;
        await this.#take(reading);
      }
    } catch (error) {
      if (generation === this.#generation) {
        const failure = asRewriterError(error);
        const isRefusal = failure.code === 'MAP_SIGNATURE_INVALID';
        this.#failures = isRefusal ? 0 : this.#failures + 1;
        this.#fail(failure, isRefusal);
      }
    }
  }

  /** The map of some bytes, or the one `restored` of them, if it may take the place of the one in use. */
  async #accept(
    { bytes, etag, sha256 }: ReadBytes,
    restored?: ImageMap,
  ): Promise<LoadedMap | RewriterError> {
    const settings = this.#settings;
    const rules = restored ?? (await this.#run(mapSteps(bytes, settings.maxBytes)));
    // Serials and sizes of another place say nothing about this one.
    const place = placeOf(this.#source);
    const current = this.#current?.place === place ? this.#current.rules : undefined;
    const faults = await this.#run(successorSteps(rules, current, settings));
    if (hasFaults(rules) || faults.length > 0) {
      return mapError(faults, this.location);
    }
    const digest = sha256 ?? (await this.#run(sha256Steps(bytes)));
    return {
      rules,
      identity: {
        location: this.location,
        serial: rules.serial,
        etag: (etag || digest).replaceAll('"', ''),
      },
      sha256: digest,
      place,
      loadedAt: this.#clock.now(),
    };
  }

  /** The map that this build made of the bytes when it checked them, in a hundredth of the time. */
  #restore({ bytes, tables }: CachedBytes): ImageMap | undefined {
    return tables === undefined ||
      !keepsTables(this.#settings) ||
      bytes.length > this.#settings.maxBytes
      ? undefined
      : MapStore.restore(tables, BUILD);
  }

  #run<Result>(steps: Steps<Result>): Promise<Result> {
    return runInSlices(steps, this.#isServing() ? BESIDE_REVIEWS : BEFORE_REVIEWS);
  }

  async #take(reading: MapReading): Promise<void> {
    if (reading.kind === 'unchanged') {
      const fault = this.#seen?.fault;
      if (fault === undefined) {
        this.#confirm();
      } else {
        this.#fail(fault, false);
      }
      return;
    }
    const generation = this.#generation;
    const outcome = await this.#accept(reading);
    if (generation !== this.#generation) {
      return;
    }
    const isRefused = outcome instanceof RewriterError;
    // What is no JSON may be half of a good map under its ETag, so it is read again.
    const isDamaged = isRefused && outcome.code === 'MAP_NOT_JSON';
    this.#seen = isDamaged
      ? undefined
      : { etag: reading.etag, fault: isRefused ? outcome : undefined };
    if (isRefused) {
      this.#fail(outcome, true);
      return;
    }
    if (isSameMap(outcome, this.#current)) {
      this.#confirm();
      if (!this.#keeper.isKept) {
        // The cache is another one since then.
        this.#keeper.keep(keepable(reading, outcome));
      }
      return;
    }
    const counts = await this.#run(countChanges(this.#current?.rules, outcome.rules));
    if (generation === this.#generation) {
      this.#succeed();
      this.#use({ loaded: outcome, from: 'source', ...counts });
      this.#keeper.keep(keepable(reading, outcome));
    }
  }

  #succeed(): void {
    this.#lastError = undefined;
    this.#lastSuccess = this.#clock.now();
  }

  /** The source still has the map in use. */
  #confirm(): void {
    this.#succeed();
    this.#keeper.confirm();
    this.#observer.unchanged();
  }

  #fail(error: RewriterError, isRefusal: boolean): void {
    this.#lastError = error;
    if (isRefusal) {
      this.#observer.rejected(error);
    } else {
      this.#observer.stale(error);
    }
  }

  #use(change: MapChange): void {
    this.#current = change.loaded;
    this.#observer.loaded(change);
  }
}

/** ETags are opaque, and some sources have none: only the bytes tell. */
function isSameMap(one: LoadedMap, other: LoadedMap | undefined): boolean {
  return (
    one.sha256 === other?.sha256 &&
    one.identity.etag === other.identity.etag &&
    one.place === other.place
  );
}

interface ReadBytes {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly sha256?: string;
}

function keepable(
  { bytes, etag, signature }: SignedBytes & ReadBytes,
  { rules, sha256, place }: LoadedMap,
): KeepableMap {
  return { bytes, etag, signature, rules, sha256, place };
}

function asRewriterError(error: unknown): RewriterError {
  return error instanceof RewriterError
    ? error
    : new RewriterError('MAP_UNREADABLE', String(error), { cause: error });
}
