import { readdirSync, readFileSync } from 'node:fs';
import { sum } from './statistics.ts';

/**
 * Time that the threads of a process ran so far, in seconds; exact where they rest, and else up to a tick
 * of the kernel late. /proc/PID/stat counts in hundredths of a second, which is too coarse for a turn.
 */
export function cpuSeconds(pid: number): number {
  return runTime(pid, threadsOf(pid)) / 1000;
}

/**
 * Time that all threads but the first one ran so far, in milliseconds: mostly V8, which compiles and
 * collects garbage in the background.
 */
export function backgroundTime(pid: number): number {
  return runTime(
    pid,
    threadsOf(pid).filter((thread) => thread !== String(pid)),
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

function threadsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`);
}

/** In milliseconds. */
function runTime(pid: number, threads: readonly string[]): number {
  return sum(
    threads.map((thread) =>
      parseRunTime(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')),
    ),
  );
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
