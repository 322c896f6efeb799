/** A reading of the map's bytes, before anything is known of what they hold. */
export type MapReading =
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'changed';
      readonly bytes: Uint8Array;
      /** Opaque; names this version of the bytes at its source. */
      readonly etag: string;
      /** The object beside the map, where it was asked for and is there. */
      readonly signature: Uint8Array | undefined;
      /** SHA-256 of the bytes in hex, where the source has computed it. */
      readonly sha256?: string;
    };

export interface ReadRequest {
  /** The etag of the version that the caller has. */
  readonly etag: string | undefined;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** Whether to read the signature as well. */
  readonly signed: boolean;
}

/** Whether an etag names a version; some sources have none. */
export function namesVersion(etag: string | undefined): etag is string {
  return etag !== undefined && etag !== '';
}

/** The detached signature of a map is at its own location with this behind the path. */
export const SIGNATURE_SUFFIX = '.sig';
/** Bytes; room for a few signatures. */
export const SIGNATURE_LIMIT = 4096;

/**
 * A place that an image map is read from. `read` throws a `RewriterError` that says what an operator
 * must do; it reads at most `maxBytes` and gives up when `signal` aborts.
 */
export interface MapSource {
  /** For logs and messages: never holds a token. */
  readonly location: string;
  /** Tells apart what has one `location` and is not the same; absent: `location` does. Holds no token either. */
  readonly place?: string | undefined;
  read(request: ReadRequest): Promise<MapReading>;
  /** Finds out what `location` needs; the place of a map may be known only after some I/O. */
  prepare?(): Promise<void>;
  /** Where the source can tell by itself: calls back when the map may have changed. Returns the way to stop. */
  watch?(onChange: () => void): () => void;
  /** Closes its connections; it opens them again where it is still read from. */
  close?(): void;
}

/** Tells places apart that are shown as one location. */
export function placeOf({ place, location }: MapSource): string {
  return place ?? location;
}
