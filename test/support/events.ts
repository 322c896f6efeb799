import { createEventLog, type EventLog } from '../../src/log.ts';
import type { LogLine } from './program.ts';

export interface RecordedLog {
  readonly log: EventLog;
  readonly lines: LogLine[];
}

/** A log that keeps its lines in memory. */
export function recordLog(): RecordedLog {
  const lines: LogLine[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) };
  return { log: createEventLog('trace', { stream }), lines };
}
