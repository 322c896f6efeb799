import { pino, type DestinationStream, type Logger } from 'pino';

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
      error: 'sentence',
      faults: 'all faults as `{code, path, message}`',
    },
  },
  'config.restart-needed': {
    meaning: 'Settings changed that only a restart can apply (`server`, `ops`).',
    fields: { path: 'the file' },
  },
  'tls.loaded': {
    meaning: 'A certificate is served.',
    fields: { notAfter: 'its expiry (ISO 8601)', fingerprint: 'its SHA-256 fingerprint' },
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
    fields: { error: 'the fault with its stack' },
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
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Lines wait for so many characters, or so many milliseconds, whichever comes first. */
const WRITE_LENGTH = 65_536;
const WRITE_INTERVAL = 50;
/**
 * Bytes that wait for somebody to read them. What comes then is dropped: without an end to it the process
 * would be killed for its memory, and all that waits would be lost.
 */
const BACKLOG = 32 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Writes events; the compiler holds every field against `LOG_EVENTS`. */
export interface EventLog {
  write<Event extends LogEvent>(level: LogLevel, event: Event, fields: LogFields<Event>): void;
  setLevel(level: string): void;
  /** Resolves when every line is written; await it before the process is made to end. */
  flush(): Promise<void>;
}

/**
 * A JSON log on standard output, written asynchronously, or on a stream of the caller's. `onLost` is told
 * how many lines were dropped, each time that some were.
 */
export function createEventLog(
  level: string,
  { stream, onLost }: { stream?: DestinationStream; onLost?: (lines: number) => void } = {},
): EventLog {
  const standardOutput =
    stream === undefined
      ? createStandardOutput({
          onLost,
          onReadAgain: (lines) => {
            log.write('error', 'log.lost', { lines });
          },
        })
      : undefined;
  const logger: Logger = pino(
    {
      level,
      timestamp: createTimestamp(),
      formatters: { level: (label) => ({ level: label }) },
    },
    stream ?? standardOutput,
  );
  // A child renders its event once, not for each line; it keeps the level that it was made with.
  const children = new Map<LogEvent, Logger>();
  const childOf = (event: LogEvent): Logger => {
    const child = logger.child({ event });
    children.set(event, child);
    return child;
  };
  const log: EventLog = {
    write(at, event, fields) {
      (children.get(event) ?? childOf(event))[at](fields);
    },
    setLevel(next) {
      logger.level = next;
      children.clear();
    },
    async flush() {
      await standardOutput?.flush();
    },
  };
  return log;
}

/** ISO 8601, rendered once a millisecond: many lines share one. */
function createTimestamp(): () => string {
  let rendered = 0;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== rendered) {
      rendered = now;
      text = `,"time":"${new Date(now).toISOString()}"`;
    }
    return text;
  };
}

/** What `pino.destination` gives for `contentMode: 'buffer'`; its types know only of strings. */
interface ByteDestination {
  write(bytes: Buffer): boolean;
  /** Calls back when no write is in flight; lines that came in the meantime may still wait. */
  flush(callback?: () => void): void;
  flushSync: () => void;
  on(event: 'drop', listener: (bytes: Buffer) => void): void;
  on(event: 'drain' | 'error' | 'write', listener: () => void): void;
}

interface LossListeners {
  readonly onLost: ((lines: number) => void) | undefined;
  /** All that waited is written, and so many lines were dropped before. */
  readonly onReadAgain: (lines: number) => void;
}

/**
 * One write for many lines: under load a buffer and a write for each would take as long as all else about
 * a line.
 */
function createStandardOutput({
  onLost,
  onReadAgain,
}: LossListeners): DestinationStream & { flush(): Promise<void> } {
  const output = pino.destination({
    dest: 1,
    sync: false,
    // Of strings it would count the bytes of all that wait again with each write.
    contentMode: 'buffer',
    // Writes at once what it is given; with 0, its flush would not wait for a write in flight.
    minLength: 1,
    maxWrite: 2 * WRITE_LENGTH,
    maxLength: BACKLOG,
  }) as unknown as ByteDestination;
  let lost = 0;
  output.on('drop', (bytes) => {
    const lines = bytes.filter((byte) => byte === NEWLINE).length;
    lost += lines;
    onLost?.(lines);
  });
  output.on('drain', () => {
    if (lost > 0) {
      onReadAgain(lost);
      lost = 0;
    }
  });
  // What could not be written, as on a full disk, is written with what comes next.
  const { flushSync } = output;
  output.on('error', () => {
    // The library would try for ever.
    output.flushSync = () => undefined;
  });
  output.on('write', () => {
    output.flushSync = flushSync;
  });
  let waiting: string[] = [];
  let length = 0;
  let timer: NodeJS.Timeout | undefined;
  const handOver = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (length > 0) {
      output.write(Buffer.from(waiting.join('')));
      waiting = [];
      length = 0;
    }
  };
  process.once('exit', () => {
    handOver();
    output.flushSync();
  });
  return {
    write(line) {
      waiting.push(line);
      length += line.length;
      if (length >= WRITE_LENGTH) {
        handOver();
      } else {
        timer ??= setTimeout(handOver, WRITE_INTERVAL);
      }
    },
    async flush() {
      handOver();
      // Two writes at once would mix their lines.
      await new Promise<void>((resolve) => {
        output.flush(resolve);
      });
      output.flushSync();
    },
  };
}
