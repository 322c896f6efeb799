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

/** Where this process itself reaches a port that is open on `address`. */
export function reachable({ address, port }: AddressInfo): Place {
  const loopback = new Map([
    ['::', '::1'],
    ['0.0.0.0', '127.0.0.1'],
  ]);
  return { host: loopback.get(address) ?? address, port };
}
