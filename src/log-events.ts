/** How many faults, or keys, of a map one line lists. */
export const LOGGED_FAULTS = 10;

/**
 * The events of the log and their fields; `docs/observability.md` is generated from this table. Every
 * line has `level`, `time` (ISO 8601), `pid`, `hostname` and `event` as well.
 */
export const LOG_EVENTS = {
  admission: {
    meaning: 'One line for each decision request.',
    fields: {
      mode: '`enforce` or `audit`',
      uid: 'uid of the review, as in the audit log of the API server',
      dryRun: 'whether the API server will not store the pod',
      operation: '`CREATE`, `UPDATE`, …',
      namespace: 'namespace of the request',
      pod: 'name, or the generateName with its trailing `-`',
      owner: 'controlling owner as `Kind/name`',
      user: 'user name of the caller of the API server',
      outcome: '`rewritten`, `kept`, `denied` or `error`',
      reason: 'why the whole request was left alone',
      images:
        'list of `{container, field, source, target, rule, reason}`; `target` and `rule` where it was rewritten',
      imagesOmitted: 'how many more images the pod has, past the first 256',
      map: '`{serial, etag, ageSeconds}` of the map that decided',
      durationMs:
        'time from the complete body to the answer, in milliseconds; absent where the outcome is `error`',
      code: 'error code, where the outcome is `error`',
      error: 'what went wrong, where the outcome is `error`',
    },
  },
  'map.loaded': {
    meaning: 'Another map is in use.',
    fields: {
      location: 'where the map is, without a token',
      serial: 'its serial',
      etag: 'its version at the source',
      from: '`source`, or `cache` at a start',
      sha256: 'SHA-256 of its bytes',
      entries: 'number of its entries',
      added: 'sources that the map before did not have',
      removed: 'sources that only the map before had',
      changed: 'sources with another target or digest',
      unknownKeys: 'paths of keys that have no effect, where there are any',
    },
  },
  'map.rejected': {
    meaning: 'A map was read and refused; the one in use stays.',
    fields: {
      location: 'where the map is',
      code: 'code of the first fault',
      error: 'sentence with the first fault and the number of faults',
      faults: 'the first ten faults as `{code, path, message}`',
    },
  },
  'map.stale': {
    meaning: 'A refresh brought nothing; the map in use stays.',
    fields: {
      location: 'where the map is',
      code: 'code of the error',
      error: 'what went wrong and what to do',
      serial: 'serial of the map in use',
      ageSeconds: 'time since the source last confirmed it, absent where no map was ever loaded',
    },
  },
  'map.cache-failed': {
    meaning: 'The map is in use, but `imageMap.cacheFile` could not be written.',
    fields: { location: 'where the map is', error: 'what went wrong' },
  },
  'map.cache-unused': {
    meaning:
      'There is an `imageMap.cacheFile` at a start, and its map is not used; the source is read without it.',
    fields: {
      location: 'where the map is',
      code: 'code of what is wrong with it',
      error: 'what is wrong with it',
    },
  },
  'config.loaded': {
    meaning: 'A configuration took effect.',
    fields: {
      path: 'the file',
      procurement: '`public`, `prefix` or `map`',
      idle: 'settings that have no effect, where there are any',
    },
  },
  'config.rejected': {
    meaning: 'A changed configuration was refused; the one in use stays.',
    fields: {
      path: 'the file',
      code: 'the code of the first fault',
      error: 'a line for each fault',
      faults:
        'all faults as `{code, path, message}`; the first ten where `allowedTargets` forbids what the map in use has',
    },
  },
  'config.restart-needed': {
    meaning:
      'Settings differ from those at the start that only a restart can apply (`server`, `ops`).',
    fields: { path: 'the file' },
  },
  'tls.loaded': {
    meaning: 'A certificate is served; at level `warn` where it has expired.',
    fields: {
      notAfter: 'its expiry (ISO 8601)',
      fingerprint: 'its SHA-256 fingerprint',
      expired: '`true` where callers refuse it by now',
    },
  },
  'tls.managed': {
    meaning: 'A self-managed certificate changed something in the cluster.',
    fields: { changed: '`authority` (made), `bundle` (published or repaired) or `leaf` (issued)' },
  },
  'tls.rejected': {
    meaning: 'A certificate or key was refused or could not be kept up; the pair in use stays.',
    fields: { code: 'error code', error: 'what is wrong' },
  },
  'server.started': {
    meaning: 'Both ports are open.',
    fields: {
      url: 'HTTPS address',
      opsUrl: 'address of probes and metrics',
      version: 'of this program',
    },
  },
  'server.draining': {
    meaning: 'A signal asked the process to stop; it is not ready any more.',
    fields: { signal: 'the signal' },
  },
  'server.failed': {
    meaning: 'A fault that no request caused; the process ends with code 1.',
    fields: {
      error:
        'the fault with its stack, which names the lines of the source with `NODE_OPTIONS=--enable-source-maps` (`extraEnv` of the chart)',
    },
  },
  'log.lost': {
    meaning: 'Nothing read standard output for so long that lines were dropped; it is read again.',
    fields: { lines: 'how many are missing before this one' },
  },
  'server.stopped': {
    meaning: 'All requests were answered; the process ends.',
    fields: { signal: 'the signal' },
  },
} as const satisfies Record<string, { meaning: string; fields: Record<string, string> }>;

export type LogEvent = keyof typeof LOG_EVENTS;
export type LogFields<Event extends LogEvent> = Readonly<
  Partial<Record<keyof (typeof LOG_EVENTS)[Event]['fields'], unknown>>
>;
