import type { AddressInfo } from 'node:net';
import { RewriterError } from '../core/errors.ts';

export interface Listener {
  listen(options: { host: string; port: number }): Promise<string>;
}

export interface Place {
  readonly host: string;
  readonly port: number;
}

/**
 * Opens a port and returns its URL. `::` means every address; on a machine without IPv6 that is
 * 0.0.0.0. Throws `LISTEN_FAILED`.
 */
export async function listen(server: Listener, { host, port }: Place): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')) {
      return listen(server, { host: '0.0.0.0', port });
    }
    throw new RewriterError('LISTEN_FAILED', `cannot listen on ${host} port ${port}: ${message}`, {
      cause: error,
    });
  }
}

/**
 * Where this process itself reaches a port that is open on `address`, in the order to try. A socket on `::` takes
 * IPv4 as well, and where IPv6 is switched off by sysctl it can be opened, but there is no `::1` to call.
 */
export function reachable({ address, port }: AddressInfo): readonly Place[] {
  const hosts = LOOPBACKS.get(address) ?? [address];
  return hosts.map((host) => ({ host, port }));
}

const LOOPBACKS: ReadonlyMap<string, readonly string[]> = new Map([
  ['::', ['::1', '127.0.0.1']],
  ['0.0.0.0', ['127.0.0.1']],
]);
