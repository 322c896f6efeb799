import { type Clock, systemClock } from '../clock.ts';
import { checkConfig, policySettings } from '../config/config.ts';
import { idleSettings } from '../config/relations.ts';
import type { Config, ImageMapConfig } from '../config/schema.ts';
import { RewriterError } from '../core/errors.ts';
import { createPolicy, type Policy } from '../core/policy.ts';
import type { EventLog } from '../log.ts';
import { LOGGED_FAULTS } from '../log-events.ts';
import { forgetMap, type Metrics } from '../metrics.ts';
import { CachedMap, type MapObserver } from '../source/cached-map.ts';
import { mapSettings } from '../source/map-settings.ts';
import type { MapSource } from '../source/source.ts';
import { sourceBeside } from './map-hold.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { ReadAgain } from './read-again.ts';

export interface RuntimeOptions {
  readonly path: string;
  readonly readConfig: () => Promise<string>;
  readonly createSource: (settings: ImageMapConfig) => MapSource;
  readonly log: EventLog;
  readonly metrics: Metrics;
  readonly clock?: Clock;
}

/** What the map in use has is forbidden by an edit, and nothing else is wrong with that. */
const HELD_BY_MAP = 'MAP_TARGET_FORBIDDEN';

interface Refusal {
  readonly error: RewriterError;
  /** Undefined where it could not be read. */
  readonly text: string | undefined;
  /** How many maps had been read when it was looked at. */
  readonly mapsRead: number;
}

/**
 * What is in use right now: configuration, map and the policy made of both. Each is replaced whole by
 * the next good one; a bad edit or a faulty map changes nothing.
 */
export class Runtime {
  readonly #options: RuntimeOptions;
  /** What stays as it was at the start, whatever the file says by now. */
  readonly #fixed: string;
  #config: Config;
  #configText: string;
  /** Undefined outside of map mode. */
  #source: MapSource | undefined;
  #policy: Policy | undefined;
  #map: CachedMap | undefined;
  #refusal: Refusal | undefined;
  /** Whether somebody else than the runtime itself wants the file to be read. */
  #isAsked = false;
  /** How many maps were read and taken into use, or refused. */
  #mapsRead = 0;
  readonly #again: ReadAgain;
  readonly #stopped = new AbortController();

  private constructor(options: RuntimeOptions, text: string, config: Config) {
    this.#options = options;
    this.#configText = text;
    this.#config = config;
    this.#fixed = fixedPart(config);
    this.#source = openSource(options, config);
    this.#again = new ReadAgain(() => void this.#readAgain(), options.clock ?? systemClock);
  }

  /** Reads the configuration; throws a `RewriterError` with every fault if it cannot be used. */
  static async create(options: RuntimeOptions): Promise<Runtime> {
    const text = await options.readConfig();
    return new Runtime(options, text, checkConfig(text, options.path));
  }

  get config(): Config {
    return this.#config;
  }

  /** Undefined in map mode before the first map. */
  get policy(): Policy | undefined {
    return this.#policy;
  }

  get map(): CachedMap | undefined {
    return this.#map;
  }

  /** Why the latest edit of the configuration was refused. */
  get configError(): RewriterError | undefined {
    return this.#refusal?.error;
  }

  /**
   * Puts the configuration into use; resolves after the first read of the map, whatever it brought. Call it when the
   * file is watched: an edit between `create` and the watch is taken into use as well.
   */
  async start(): Promise<void> {
    const applied = this.#apply();
    await this.reload();
    await applied;
  }

  stop(): void {
    this.#stopped.abort();
    this.#again.stop();
    this.#map?.stop();
  }

  /** Reads the configuration again and takes it into use if it is good and new. Never rejects. */
  reload(): Promise<void> {
    this.#isAsked = true;
    return this.#readAgain();
  }

  /** As `reload`, by itself: a refusal is told only where it is not the one before. */
  async #readAgain(): Promise<void> {
    const change = await this.#takeFile();
    await change?.applied;
  }

  /** Takes what the file says by now; its map may take a while, in which the file may change again. */
  readonly #takeFile = oneAtATime(async (): Promise<{ applied: Promise<void> } | undefined> => {
    const { path, log } = this.#options;
    const [isAsked, mapsRead] = [this.#isAsked, this.#mapsRead];
    this.#isAsked = false;
    let text: string | undefined;
    try {
      text = await this.#options.readConfig();
      if (text === this.#configText && this.#refusal === undefined) {
        return undefined;
      }
      const next = checkConfig(text, path);
      // Before anything is replaced: a source that cannot be opened is a bad edit, too.
      this.#source = await this.#openBesideMapInUse(next);
      this.#configText = text;
      this.#config = next;
      this.#refusal = undefined;
      this.#again.stop();
      if (fixedPart(next) !== this.#fixed) {
        log.write('warn', 'config.restart-needed', { path });
      }
    } catch (error) {
      this.#refuse({ error: asConfigError(error), text, mapsRead }, isAsked);
      return undefined;
    }
    return { applied: this.#apply() };
  });

  #refuse(refusal: Refusal, isAsked: boolean): void {
    const { path, log, metrics } = this.#options;
    const { code, message, faults, cause } = refusal.error;
    const before = this.#refusal;
    this.#refusal = refusal;
    if (isAsked || before?.text !== refusal.text || before?.error.code !== code) {
      metrics.configLoads.inc({ result: 'rejected' });
      log.write('error', 'config.rejected', { path, code, error: message, faults });
    }
    const isHeld = code === HELD_BY_MAP;
    if (code === 'CONFIG_UNREADABLE' || (isHeld && cause !== undefined)) {
      this.#again.failed();
    } else {
      this.#again.stop();
    }
    if (isHeld) {
      this.#retryHeld();
    }
  }

  /** What the map in use forbade may be good by now, or beside what was read in its place. */
  #retryHeld(): void {
    const { error, mapsRead } = this.#refusal ?? {};
    if (error?.code === HELD_BY_MAP && mapsRead !== this.#mapsRead) {
      void this.#readAgain();
    }
  }

  #noteMapRead(): void {
    this.#mapsRead += 1;
    this.#retryHeld();
  }

  /** Throws `MAP_TARGET_FORBIDDEN`. */
  async #openBesideMapInUse(config: Config): Promise<MapSource | undefined> {
    const source = openSource(this.#options, config);
    if (source === undefined) {
      return undefined;
    }
    const next = { source, settings: mapSettings(config), abandoned: this.#stopped.signal };
    try {
      for (;;) {
        const loaded = this.#map?.current;
        const usable = loaded === undefined ? source : await sourceBeside(loaded, next);
        // Another map may have come meanwhile.
        if (loaded === this.#map?.current) {
          return usable;
        }
      }
    } catch (error) {
      source.close?.();
      throw error;
    }
  }

  async #apply(): Promise<void> {
    const { path, log, metrics } = this.#options;
    const { procurement } = this.#config;
    log.setLevel(this.#config.log.level);
    metrics.configLoads.inc({ result: 'loaded' });
    const idle = idleSettings(this.#config);
    const hasIdle = idle.length > 0;
    const level = hasIdle ? 'warn' : 'info';
    log.write(level, 'config.loaded', { path, procurement, ...(hasIdle && { idle }) });

    const source = this.#source;
    if (source === undefined) {
      this.#map?.stop();
      this.#map = undefined;
      forgetMap(metrics);
      this.#makePolicy();
      return;
    }
    this.#makePolicy();
    const settings = mapSettings(this.#config);
    if (this.#map === undefined) {
      this.#map = new CachedMap({
        source,
        settings,
        observer: this.#observer(),
        isServing: () => this.#policy !== undefined,
      });
      await this.#map.start();
    } else {
      await this.#map.reconfigure(source, settings);
    }
  }

  #makePolicy(): void {
    const settings = policySettings(this.#config);
    if (settings.procurement !== 'map') {
      this.#policy = createPolicy(settings);
      return;
    }
    // Until the first map is there, what was decided by before stays in use.
    const loaded = this.#map?.current;
    if (loaded !== undefined) {
      this.#policy = createPolicy({ ...settings, map: loaded });
    }
  }

  #observer(): MapObserver {
    const { log, metrics } = this.#options;
    const succeeded = (): void => {
      metrics.mapLastSuccess.set((this.#map?.lastSuccess ?? 0) / 1000);
    };
    return {
      loaded: ({ loaded, from, added, removed, changed }) => {
        this.#makePolicy();
        const { rules, identity, sha256 } = loaded;
        metrics.mapLoads.inc({ result: 'loaded' });
        metrics.mapEntries.set(rules.table.size);
        if (rules.serial === undefined) metrics.mapSerial.remove();
        else metrics.mapSerial.set(rules.serial);
        succeeded();
        log.write('info', 'map.loaded', {
          ...identity,
          from,
          sha256,
          entries: rules.table.size,
          added,
          removed,
          changed,
          ...(rules.unknownKeys.length > 0 && {
            unknownKeys: rules.unknownKeys.slice(0, LOGGED_FAULTS),
          }),
        });
        this.#noteMapRead();
      },
      unchanged: () => {
        metrics.mapLoads.inc({ result: 'unchanged' });
        succeeded();
      },
      rejected: ({ code, message, faults }) => {
        metrics.mapLoads.inc({ result: 'rejected' });
        log.write('error', 'map.rejected', {
          location: this.#map?.location,
          code,
          error: message,
          faults: faults.slice(0, LOGGED_FAULTS),
        });
        this.#noteMapRead();
      },
      cacheFailed: ({ message }) => {
        log.write('warn', 'map.cache-failed', { location: this.#map?.location, error: message });
      },
      cacheUnused: ({ code, message }) => {
        log.write('warn', 'map.cache-unused', {
          location: this.#map?.location,
          code,
          error: message,
        });
      },
      stale: ({ code, message }) => {
        metrics.mapLoads.inc({ result: 'failed' });
        const age = this.#map?.age;
        log.write('warn', 'map.stale', {
          location: this.#map?.location,
          code,
          error: message,
          serial: this.#map?.current?.identity.serial,
          ...(age !== undefined && { ageSeconds: Math.round(age / 1000) }),
        });
      },
    };
  }
}

function openSource(
  { createSource }: RuntimeOptions,
  { procurement, imageMap }: Config,
): MapSource | undefined {
  return procurement === 'map' ? createSource(imageMap) : undefined;
}

/** The part of a configuration that is in use from the start to the end. */
function fixedPart({ server, ops }: Config): string {
  return JSON.stringify([server, ops]);
}

function asConfigError(error: unknown): RewriterError {
  return error instanceof RewriterError
    ? error
    : new RewriterError('CONFIG_UNREADABLE', String(error), { cause: error });
}
