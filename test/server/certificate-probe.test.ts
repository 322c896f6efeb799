import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CertificateProbe } from '../../src/server/certificate-probe.ts';
import type { Place } from '../../src/server/listen.ts';
import { createAuthority } from '../support/certificates.ts';

const authority = await createAuthority();
const { cert, key } = await authority.issue('webhook', ['localhost']);
const { fingerprint256 } = new X509Certificate(cert);

describe('a certificate probe', () => {
  let server: ReturnType<typeof createServer>;
  let calls: number;

  beforeEach(async () => {
    calls = 0;
    // The probe hangs up as soon as it has seen the certificate.
    server = createServer({ cert, key }, (socket) => socket.on('error', () => undefined).resume());
    server.on('connection', () => {
      calls += 1;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(() => {
    server.close();
  });

  const places = (): Place[] => {
    const { port } = server.address() as AddressInfo;
    return [{ host: '127.0.0.1', port }];
  };

  it('sees which certificate a port shows, and asks once for several answers in a row', async () => {
    const probe = new CertificateProbe();
    for (let call = 0; call < 3; call += 1) {
      expect(await probe.shows(places(), fingerprint256)).toBe(true);
    }
    expect(calls).toBe(1);
  });

  it('asks again for another certificate, and finds that it is not shown', async () => {
    const probe = new CertificateProbe();
    expect(await probe.shows(places(), fingerprint256)).toBe(true);
    expect(await probe.shows(places(), 'AA:BB')).toBe(false);
    expect(await probe.shows(places(), 'AA:BB')).toBe(false);
    expect(calls).toBe(3);
  });

  it('says no where nothing answers', async () => {
    const closed = places();
    server.close();
    await once(server, 'close');
    expect(await new CertificateProbe().shows(closed, fingerprint256)).toBe(false);
  });
});

describe('a port with several addresses', () => {
  const places = ['::1', '127.0.0.1'].map((host) => ({ host, port: 8443 }));
  const failure = (code: string): Error => Object.assign(new Error(code), { code });

  /** A probe of what each address does: it shows a certificate, stays silent or fails. */
  function probeOf(outcomes: Record<string, string | undefined | Error>): {
    shows: (fingerprint: string) => Promise<boolean>;
    asked: string[];
  } {
    const asked: string[] = [];
    const probe = new CertificateProbe(({ host }) => {
      asked.push(host);
      const outcome = outcomes[host];
      return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
    });
    return { shows: (fingerprint) => probe.shows(places, fingerprint), asked };
  }

  it.each([
    'EADDRNOTAVAIL',
    'EAFNOSUPPORT',
    'ENETUNREACH',
    'EHOSTUNREACH',
    'ENETDOWN',
    'EACCES',
    'EPERM',
  ])('is asked at the next one where the first cannot be called: %s', async (code) => {
    const { shows, asked } = probeOf({ '::1': failure(code), '127.0.0.1': 'AA' });
    expect(await shows('AA')).toBe(true);
    expect(await shows('BB')).toBe(false);
    expect(asked).toEqual(['::1', '127.0.0.1', '::1', '127.0.0.1']);
  });

  it('is asked at the first one alone where that answers, with whichever certificate', async () => {
    const { shows, asked } = probeOf({ '::1': 'AA', '127.0.0.1': 'BB' });
    expect(await shows('BB')).toBe(false);
    expect(await shows('AA')).toBe(true);
    expect(asked).toEqual(['::1', '::1']);
  });

  it.each([
    ['nobody listens', failure('ECONNREFUSED')],
    ['the connection breaks', failure('ECONNRESET')],
    ['the handshake fails', failure('ERR_SSL_WRONG_VERSION_NUMBER')],
    ['no answer comes', undefined],
  ])('is not asked elsewhere where at the first %s', async (_what, outcome) => {
    const { shows, asked } = probeOf({ '::1': outcome, '127.0.0.1': 'AA' });
    expect(await shows('AA')).toBe(false);
    expect(asked).toEqual(['::1']);
  });

  it('shows nothing where none can be called', async () => {
    const missing = failure('EADDRNOTAVAIL');
    const { shows, asked } = probeOf({ '::1': missing, '127.0.0.1': missing });
    expect(await shows('AA')).toBe(false);
    expect(asked).toEqual(['::1', '127.0.0.1']);
  });
});
