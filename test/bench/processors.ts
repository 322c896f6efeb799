import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A processor for what is measured, and another for all that measures. */
export interface Processors {
  readonly server: number;
  readonly load: number;
}

/**
 * Moves this process to a processor of its own and returns it with one for the server; undefined where
 * `taskset` is missing or fewer than two processors are allowed.
 */
export function claimProcessors(): Processors | undefined {
  const status = readFileSync('/proc/self/status', 'utf8');
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)/m.exec(status) ?? [];
  const [server, load] = parseProcessorList(list);
  if (server === undefined || load === undefined) {
    return undefined;
  }
  const move = spawnSync('taskset', ['-acp', String(load), String(process.pid)]);
  return move.status === 0 ? { server, load } : undefined;
}

/** Reads a list as the kernel writes it, such as `0-2,5`. */
export function parseProcessorList(list: string): number[] {
  return list
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

/** The command that runs Node.js on some processors; none: where this process runs. */
export function nodeCommand(
  processors: readonly number[],
  args: readonly string[],
): readonly [command: string, args: readonly string[]] {
  return processors.length === 0
    ? [process.execPath, args]
    : ['taskset', ['-c', processors.join(','), process.execPath, ...args]];
}
