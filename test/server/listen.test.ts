import { describe, expect, it } from '@jest/globals';
import { reachable } from '../../src/server/listen.ts';

describe('a port of this process', () => {
  it.each([
    ['::', ['::1', '127.0.0.1']],
    ['0.0.0.0', ['127.0.0.1']],
    ['::1', ['::1']],
    ['192.0.2.7', ['192.0.2.7']],
  ])('that is open on %s is reached at %j, in this order', (address, hosts) => {
    const family = address.includes(':') ? 'IPv6' : 'IPv4';
    const places = reachable({ address, family, port: 8443 });
    expect(places).toEqual(hosts.map((host) => ({ host, port: 8443 })));
  });
});
