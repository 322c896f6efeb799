import type { KeyObject } from 'node:crypto';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { RewriterError } from '../core/errors.ts';
import { stillReadError, timeoutError, unaskedError } from './read-body.ts';
import { untilAborted } from './until-aborted.ts';
import { verifyInBackground } from './signature.ts';
import { type MapReading, type MapSource, namesVersion, SIGNATURE_SUFFIX } from './source.ts';

/** For a publisher that writes map and signature one after the other. */
const SIGNATURE_RETRIES = 2;
const SIGNATURE_PAUSE = 500;
/** Reads the keys to verify with, for each new map so that they can be rotated; undefined: no signature is asked for. */
export type KeyReader = (() => Promise<readonly KeyObject[]>) | undefined;

export interface SignedReadSettings {
  /** Milliseconds for the whole read, the signature and its repetitions included. */
  readonly timeout: number;
  readonly maxBytes: number;
  readonly readKeys?: KeyReader;
}

export interface ReadChoice {
  /** The version that is there already. */
  readonly etag: string | undefined;
  /** Aborts where nobody wants the map any more. */
  readonly abandoned: AbortSignal;
}

export interface SignedBytes {
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array | undefined;
}

/**
 * Reads the map of one source together with its signature. Whoever has given up a read begins no other one
 * before that has ended: a read of a file cannot be called off, and each of them holds a thread.
 */
export class SignedReader {
  readonly #source: MapSource;
  #isReading = false;

  constructor(source: MapSource) {
    this.#source = source;
  }

  /**
   * Reads another version of a map than the one that is there, with a signature that fits if one is asked for. Throws
   * `MAP_SIGNATURE_INVALID`, and whatever the source throws.
   */
  async read(settings: SignedReadSettings, { etag, abandoned }: ReadChoice): Promise<MapReading> {
    const { location } = this.#source;
    const [end, over] = [new AbortController(), new AbortController()];
    const giveUp = (): void => {
      end.abort();
      // A source that heeds the signal says by then what it waited for.
      setImmediate(() => over.abort());
    };
    const timer = setTimeout(giveUp, settings.timeout).unref();
    abandoned.addEventListener('abort', giveUp);
    try {
      // Also for a source that does not heed it.
      return await untilAborted(this.#occupy(settings, etag, end.signal), over.signal, () =>
        timeoutError(location),
      );
    } finally {
      clearTimeout(timer);
      abandoned.removeEventListener('abort', giveUp);
    }
  }

  async #occupy(
    settings: SignedReadSettings,
    etag: string | undefined,
    signal: AbortSignal,
  ): Promise<MapReading> {
    if (this.#isReading) {
      // A read that heeds its signal is over with the next turn.
      await turn();
    }
    if (this.#isReading) {
      throw stillReadError(this.#source.location);
    }
    this.#isReading = true;
    try {
      return await readUntilSigned(this.#source, settings, etag, signal);
    } catch (error) {
      const isOfSignal = signal.aborted && !(error instanceof RewriterError);
      throw isOfSignal ? timeoutError(this.#source.location) : error;
    } finally {
      this.#isReading = false;
    }
  }
}

/** Reads until map and signature fit, a few times: the two are written one after the other. */
async function readUntilSigned(
  source: MapSource,
  { maxBytes, readKeys }: SignedReadSettings,
  etag: string | undefined,
  signal: AbortSignal,
): Promise<MapReading> {
  const { location } = source;
  const signed = readKeys !== undefined;
  for (let attempt = 0; attempt <= SIGNATURE_RETRIES; attempt += 1) {
    if (attempt > 0) {
      await sleep(SIGNATURE_PAUSE, undefined, { signal });
    }
    // Nobody wants the map any more.
    signal.throwIfAborted();
    const reading = await source.read({ etag, maxBytes, signal, signed });
    if (reading.kind === 'unchanged' && !namesVersion(etag)) {
      throw unaskedError(location);
    }
    if (reading.kind === 'unchanged' || (await isSigned(reading, readKeys))) {
      return reading;
    }
  }
  throw new RewriterError(
    'MAP_SIGNATURE_INVALID',
    `the image map ${location} has no signature at ${location}${SIGNATURE_SUFFIX} that fits it and a key of imageMap.publicKeyFile; sign it with map publish --sign-key or map sign`,
  );
}

/** Whether a signature fits, or none is asked for. */
export async function isSigned(
  { bytes, signature }: SignedBytes,
  readKeys: KeyReader,
): Promise<boolean> {
  if (readKeys === undefined) {
    return true;
  }
  return signature !== undefined && (await verifyInBackground(bytes, signature, await readKeys()));
}
