import { type DestinationStream, type Logger, pino } from 'pino';
import type { LogEvent, LogFields } from './log-events.ts';
import { createStandardOutput } from './standard-output.ts';

export type LogLevel = 'info' | 'warn' | 'error';

/** Writes events; the compiler holds every field against `LOG_EVENTS`. */
export interface EventLog {
  write<Event extends LogEvent>(level: LogLevel, event: Event, fields: LogFields<Event>): void;
  setLevel(level: string): void;
  /**
   * Whether every line is written; await it before the process is made to end. False where nobody reads for
   * `deadline` milliseconds: a write is in flight then that Node.js waits for at its end, without a limit.
   */
  flush(deadline: number): Promise<boolean>;
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
    async flush(deadline) {
      return (await standardOutput?.flush(deadline)) ?? true;
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
