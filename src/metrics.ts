import {
  collectDefaultMetrics,
  Counter,
  type CounterConfiguration,
  Gauge,
  Histogram,
  Registry,
} from 'prom-client';

export const METRIC_PREFIX = 'sdr_image_rewriter_';

/** Seconds. An answer takes well under a millisecond, and the API server waits for each. */
const DURATION_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export interface Metrics {
  readonly registry: Registry;
  /** By operation and outcome. */
  readonly requests: Tally;
  readonly requestDuration: Histogram;
  /** By outcome, rule and field. */
  readonly images: Tally;
  readonly mapEntries: Gauge;
  readonly mapSerial: Gauge;
  readonly mapLastSuccess: Gauge;
  readonly mapLoads: Counter<'result'>;
  readonly configLoads: Counter<'result'>;
  readonly logLinesLost: Counter;
  readonly tlsNotAfter: Gauge;
}

/** A counter whose cost is one look-up; the registry gets the sums when it is read. */
export interface Tally {
  /** Counts one; the values of the labels in the order of their names. */
  add(...values: string[]): void;
}

function createTally(
  configuration: Pick<CounterConfiguration<string>, 'name' | 'help' | 'registers'> & {
    readonly labelNames: readonly string[];
  },
): Tally {
  const sums = new Map<string, { readonly values: readonly string[]; count: number }>();
  const { labelNames } = configuration;
  new Counter({
    ...configuration,
    collect() {
      for (const { values, count } of sums.values()) {
        this.inc(
          Object.fromEntries(labelNames.map((name, index) => [name, values[index] ?? ''])),
          count,
        );
      }
      sums.clear();
    },
  });
  return {
    add(...values) {
      const key = values.join(' ');
      const sum = sums.get(key);
      if (sum === undefined) {
        sums.set(key, { values, count: 1 });
      } else {
        sum.count += 1;
      }
    },
  };
}

/** The metrics of one process. No label carries the name of an image, pod or namespace. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const metrics: Metrics = {
    registry,
    requests: createTally({
      name: `${METRIC_PREFIX}requests_total`,
      help: 'Admission requests by operation and outcome (rewritten, kept, denied, error).',
      labelNames: ['operation', 'outcome'],
      registers,
    }),
    requestDuration: new Histogram({
      name: `${METRIC_PREFIX}request_duration_seconds`,
      help: 'Time from the complete request body to the answer.',
      buckets: DURATION_BUCKETS,
      registers,
    }),
    images: createTally({
      name: `${METRIC_PREFIX}images_total`,
      help: 'Images decided about by outcome (rewritten, kept, unmapped, invalid), rule and field.',
      labelNames: ['outcome', 'rule', 'field'],
      registers,
    }),
    mapEntries: new Gauge({
      name: `${METRIC_PREFIX}map_entries`,
      help: 'Entries of the image map in use.',
      registers,
    }),
    mapSerial: new Gauge({
      name: `${METRIC_PREFIX}map_serial`,
      help: 'Serial of the image map in use.',
      registers,
    }),
    mapLastSuccess: new Gauge({
      name: `${METRIC_PREFIX}map_last_success_timestamp_seconds`,
      help: 'When the source last confirmed or replaced the image map, in seconds since the epoch.',
      registers,
    }),
    mapLoads: new Counter({
      name: `${METRIC_PREFIX}map_loads_total`,
      help: 'Reads of the image map by result (loaded, unchanged, rejected, failed).',
      labelNames: ['result'],
      registers,
    }),
    configLoads: new Counter({
      name: `${METRIC_PREFIX}config_loads_total`,
      help: 'Reads of the configuration by result (loaded, rejected).',
      labelNames: ['result'],
      registers,
    }),
    logLinesLost: new Counter({
      name: `${METRIC_PREFIX}log_lines_lost_total`,
      help: 'Lines of the log that were dropped, since nothing read standard output.',
      registers,
    }),
    tlsNotAfter: new Gauge({
      name: `${METRIC_PREFIX}tls_not_after_timestamp_seconds`,
      help: 'Expiry of the served certificate, in seconds since the epoch.',
      registers,
    }),
  };
  forgetMap(metrics);
  return metrics;
}

/** Without a map there is no age to alert on: a gauge at 0 would be one of 1970. */
export function forgetMap(
  metrics: Pick<Metrics, 'mapEntries' | 'mapSerial' | 'mapLastSuccess'>,
): void {
  metrics.mapEntries.remove();
  metrics.mapSerial.remove();
  metrics.mapLastSuccess.remove();
}
