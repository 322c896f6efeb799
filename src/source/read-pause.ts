/** After failures the interval doubles, up to so many times itself, and 5 minutes in all. */
const BACKOFF_FACTOR = 5;
const BACKOFF_LIMIT = 300_000;
/** Whoever asks more often than this wants to know soon that an outage is over. */
const BACKOFF_LEAST_INTERVAL = 10_000;
const FIRST_INTERVAL = 2000;
const JITTER = 0.2;

export interface ReadHistory {
  /** Milliseconds. */
  readonly refreshInterval: number;
  readonly hasMap: boolean;
  /** In a row. */
  readonly failures: number;
  /** 0 to 1, for the jitter: replicas are not to ask all at once. */
  readonly random: number;
}

/** Milliseconds from the end of one read of a map to the next read. */
export function pauseBetweenReads({
  refreshInterval,
  hasMap,
  failures,
  random,
}: ReadHistory): number {
  // Without any map pods wait, so the first one is asked for more often.
  const interval = hasMap ? refreshInterval : Math.min(refreshInterval, FIRST_INTERVAL);
  const limit = Math.min(BACKOFF_FACTOR * interval, Math.max(BACKOFF_LIMIT, interval));
  const doublings = refreshInterval < BACKOFF_LEAST_INTERVAL ? 0 : Math.min(failures, 16);
  const jitter = 1 + JITTER * (2 * random - 1);
  return Math.min(interval * 2 ** doublings, limit) * jitter;
}
