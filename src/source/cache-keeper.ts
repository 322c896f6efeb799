import { freeMemory } from '../core/free-memory.ts';
import type { ImageMap } from '../core/image-map.ts';
import { BUILD } from '../version.ts';
import type { MapCache } from './cache-file.ts';
import { type CacheSettings, keepsTables } from './read-cache.ts';
import type { SignedBytes } from './signed-read.ts';

/** A map in use, and the bytes that it was made of. */
export interface KeepableMap extends SignedBytes {
  readonly etag: string;
  /** Of the bytes, in hex. */
  readonly sha256: string;
  /** The place of its source. */
  readonly place: string;
  readonly rules: ImageMap;
}

export interface CacheKeeperOptions {
  /** When its source last gave or confirmed the map in use, in milliseconds since the epoch. */
  readonly confirmedAt: () => number;
  /** Told once of each map that could not be saved. */
  readonly onFailure: (error: Error) => void;
}

interface Unsaved {
  readonly map: KeepableMap;
  /** Whether it was told that it could not be saved. */
  isTold: boolean;
}

/** Sees to it that the cache holds the map in use: saves in the background, and again where that failed. */
export class CacheKeeper {
  readonly #options: CacheKeeperOptions;
  #settings: CacheSettings;
  /** Whether the cache holds the map in use. */
  #isKept = false;
  /** What the cache shall hold and does not yet. */
  #unsaved: Unsaved | undefined;
  #isSaving = false;
  /** The cache in which a confirmation is being noted. */
  #confirming: MapCache | undefined;

  constructor(settings: CacheSettings, options: CacheKeeperOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  get isKept(): boolean {
    return this.#isKept;
  }

  /** Takes another cache, which holds nothing of the map in use. */
  reconfigure(settings: CacheSettings): void {
    this.#settings = settings;
    this.#isKept = false;
    this.#unsaved = undefined;
  }

  /** The map in use is the one that the cache holds; `withTables` of this build. */
  found(map: KeepableMap, withTables: boolean): void {
    this.#isKept = true;
    // With tables, which are saved when it is confirmed, the next start need not read the bytes.
    this.#unsaved = withTables || !keepsTables(this.#settings) ? undefined : { map, isTold: false };
  }

  /** Saves the map in use, which the cache does not hold; its bytes are given up to this. */
  keep(map: KeepableMap): void {
    this.#isKept = false;
    if (this.#settings.cache === undefined) {
      freeMemory(map.bytes);
      return;
    }
    this.#unsaved = { map, isTold: false };
    void this.#save();
  }

  /** The source still has the map in use. */
  confirm(): void {
    if (this.#isKept) {
      void this.#confirm();
    }
    void this.#save();
  }

  /** One at a time: in a folder that hangs, each would hold another thread of Node.js. */
  async #confirm(): Promise<void> {
    const { cache } = this.#settings;
    if (this.#confirming === cache) {
      return;
    }
    this.#confirming = cache;
    await cache?.confirm(this.#options.confirmedAt());
    if (this.#confirming === cache) {
      this.#confirming = undefined;
    }
  }

  /** Saves the latest, one after the other; what could not be saved is tried again when it is confirmed. */
  async #save(): Promise<void> {
    if (this.#isSaving) {
      return;
    }
    this.#isSaving = true;
    let error: Error | undefined;
    while (this.#unsaved !== undefined && error === undefined) {
      const unsaved = this.#unsaved;
      const { cache } = this.#settings;
      const { rules, ...read } = unsaved.map;
      error = await cache?.save(
        { ...read, confirmedAt: this.#options.confirmedAt() },
        keepsTables(this.#settings) ? rules.save(BUILD) : undefined,
      );
      if (this.#unsaved !== unsaved || this.#settings.cache !== cache) {
        // There is another one to save by now, or another place for it.
        error = undefined;
      } else if (error === undefined) {
        this.#unsaved = undefined;
        this.#isKept = true;
        freeMemory(read.bytes);
      } else if (!unsaved.isTold) {
        unsaved.isTold = true;
        this.#options.onFailure(error);
      }
    }
    this.#isSaving = false;
  }
}
