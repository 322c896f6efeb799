import { checkConfig, policySettings } from '../config/config.ts';
import { idleSettings } from '../config/relations.ts';
import type { Config, ImageMapConfig } from '../config/schema.ts';
import { RewriterError } from '../core/errors.ts';
import { successorSteps } from '../core/map-guard.ts';
import { createPolicy, type Policy } from '../core/policy.ts';
import type { EventLog } from '../log.ts';
import { forgetMap, type Metrics } from '../metrics.ts';
import { mapError } from '../core/map-error.ts';
import { CachedMap, type MapObserver } from '../source/cached-map.ts';
import { mapSettings } from '../source/map-settings.ts';
import { BESIDE_REVIEWS, runInSlices } from '../source/slices.ts';
import { type MapSource, placeOf } from '../source/source.ts';
import { oneAtATime } from './one-at-a-time.ts';

const LOGGED_FAULTS = 10;

export interface RuntimeOptions {
  readonly path: string;
  readonly readConfig: () => Promise<string>;
  readonly createSource: (settings: ImageMapConfig) => MapSource;
  readonly log: EventLog;
  readonly metrics: Metrics;
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
  #configError: RewriterError | undefined;

  private constructor(options: RuntimeOptions, text: string, config: Config) {
    this.#options = options;
    this.#configText = text;
    this.#config = config;
    this.#fixed = fixedPart(config);
    this.#source = openSource(options, config);
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
    return this.#configError;
  }

  /** Puts the configuration into use; resolves after the first read of the map, whatever it brought. */
  start(): Promise<void> {
    return this.#apply();
  }

  stop(): void {
    this.#map?.stop();
  }

  /** Reads the configuration again and takes it into use if it is good and new. Never rejects. */
  async reload(): Promise<void> {
    const change = await this.#takeFile();
    await change?.applied;
  }

  /** Takes what the file says by now; its map may take a while, in which the file may change again. */
  readonly #takeFile = oneAtATime(async (): Promise<{ applied: Promise<void> } | undefined> => {
    const { path, log, metrics } = this.#options;
    try {
      const text = await this.#options.readConfig();
      if (text === this.#configText && this.#configError === undefined) {
        return undefined;
      }
      const next = checkConfig(text, path);
      // Before anything is replaced: a source that cannot be opened is a bad edit, too.
      const source = openSource(this.#options, next);
      await this.#holdAgainstMapInUse(next, source);
      this.#configText = text;
      this.#config = next;
      this.#source = source;
      this.#configError = undefined;
      if (fixedPart(next) !== this.#fixed) {
        log.write('warn', 'config.restart-needed', { path });
      }
    } catch (error) {
      const refusal = asConfigError(error);
      this.#configError = refusal;
      metrics.configLoads.inc({ result: 'rejected' });
      const { code, message, faults } = refusal;
      log.write('error', 'config.rejected', { path, code, error: message, faults });
      return undefined;
    }
    return { applied: this.#apply() };
  });

  /**
   * An edit that forbids what the map in use has would not change what is rewritten: a map stays in use until a
   * good one takes its place. So it is refused, unless it names another place for that one. Throws
   * `MAP_TARGET_FORBIDDEN`.
   */
  async #holdAgainstMapInUse(next: Config, source: MapSource | undefined): Promise<void> {
    const loaded = this.#map?.current;
    if (loaded === undefined || source === undefined) {
      return;
    }
    // Some know their place only then; what cannot be read now is told when the map is read.
    await source.prepare?.().catch(() => undefined);
    if (loaded.place !== placeOf(source)) {
      return;
    }
    const guards = { ...mapSettings(next), allowRollback: true, maxShrink: 1 };
    const faults = await runInSlices(
      successorSteps(loaded.rules, undefined, guards),
      BESIDE_REVIEWS,
    );
    if (faults.length > 0) {
      source.close?.();
      const { message, code } = mapError(faults, loaded.identity.location);
      throw new RewriterError(
        code,
        `allowedTargets forbids what is in use: ${message}; publish a map without such targets first`,
        { faults: faults.slice(0, LOGGED_FAULTS) },
      );
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
      },
      cacheFailed: ({ message }) => {
        log.write('warn', 'map.cache-failed', { location: this.#map?.location, error: message });
      },
      cacheUnused: ({ code, message }) => {
        const { location } = this.#map ?? {};
        log.write('warn', 'map.cache-unused', { location, code, error: message });
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
