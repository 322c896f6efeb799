import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

const PREFIX = 'sdr_image_rewriter_';

/** Seconds. An answer takes well under a millisecond, and the API server waits for each. */
const DURATION_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export interface Metrics {
  readonly registry: Registry;
  readonly requests: Counter<'operation' | 'outcome'>;
  readonly requestDuration: Histogram;
  readonly images: Counter<'outcome' | 'rule' | 'field'>;
  readonly mapEntries: Gauge;
  readonly mapSerial: Gauge;
  readonly mapLastSuccess: Gauge;
  readonly mapLoads: Counter<'result'>;
  readonly configLoads: Counter<'result'>;
  readonly tlsNotAfter: Gauge;
}

/** The metrics of one process. No label carries the name of an image, pod or namespace. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const metrics: Metrics = {
    registry,
    requests: new Counter({
      name: `${PREFIX}requests_total`,
      help: 'Admission requests by operation and outcome (rewritten, kept, denied, error).',
      labelNames: ['operation', 'outcome'],
      registers,
    }),
    requestDuration: new Histogram({
      name: `${PREFIX}request_duration_seconds`,
      help: 'Time from the complete request body to the answer.',
      buckets: DURATION_BUCKETS,
      registers,
    }),
    images: new Counter({
      name: `${PREFIX}images_total`,
      help: 'Images decided about by outcome (rewritten, kept, unmapped, invalid), rule and field.',
      labelNames: ['outcome', 'rule', 'field'],
      registers,
    }),
    mapEntries: new Gauge({
      name: `${PREFIX}map_entries`,
      help: 'Entries of the image map in use.',
      registers,
    }),
    mapSerial: new Gauge({
      name: `${PREFIX}map_serial`,
      help: 'Serial of the image map in use.',
      registers,
    }),
    mapLastSuccess: new Gauge({
      name: `${PREFIX}map_last_success_timestamp_seconds`,
      help: 'When the source last confirmed or replaced the image map, in seconds since the epoch.',
      registers,
    }),
    mapLoads: new Counter({
      name: `${PREFIX}map_loads_total`,
      help: 'Reads of the image map by result (loaded, unchanged, rejected, failed).',
      labelNames: ['result'],
      registers,
    }),
    configLoads: new Counter({
      name: `${PREFIX}config_loads_total`,
      help: 'Reads of the configuration by result (loaded, rejected).',
      labelNames: ['result'],
      registers,
    }),
    tlsNotAfter: new Gauge({
      name: `${PREFIX}tls_not_after_timestamp_seconds`,
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
