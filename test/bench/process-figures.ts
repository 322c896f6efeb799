import { readdirSync, readFileSync } from 'node:fs';

/** Of user and system time in /proc, on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;

/** User and system time that all threads of a process took so far, in seconds. */
export function cpuSeconds(pid: number): number {
  return parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/**
 * Time that all threads but the first one ran so far, in milliseconds: mostly V8, which compiles and
 * collects garbage in the background.
 */
export function backgroundTime(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`).filter((thread) => thread !== String(pid));
  return threads.reduce(
    (sum, thread) =>
      sum + parseRunTime(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')),
    0,
  );
}

/** Time that the first thread of a process was ready to run and waited for a processor so far, in milliseconds. */
export function waitingTime(pid: number): number {
  return parseWaitingTime(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8'));
}

/** Resident memory now, and at its highest since the process began, in MiB. */
export function residentMemory(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return { now: parseMebibytes(status, 'VmRSS'), peak: parseMebibytes(status, 'VmHWM') };
}

/** Reads proc_pid_stat(5); the name in its second field may hold blanks and parentheses. */
export function parseCpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Reads the first field of /proc/PID/schedstat, in milliseconds. */
export function parseRunTime(schedstat: string): number {
  return Number(schedstat.split(' ')[0]) / 1e6;
}

/** Reads the second field of /proc/PID/schedstat, in milliseconds. */
export function parseWaitingTime(schedstat: string): number {
  return Number(schedstat.split(' ')[1]) / 1e6;
}

/** Reads one line of proc_pid_status(5). */
export function parseMebibytes(status: string, key: 'VmRSS' | 'VmHWM'): number {
  const [, kibibytes] = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  return Number(kibibytes) / 1024;
}
