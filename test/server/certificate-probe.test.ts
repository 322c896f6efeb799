import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CertificateProbe } from '../../src/server/certificate-probe.ts';
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

  const place = (): { host: string; port: number } => {
    const { port } = server.address() as AddressInfo;
    return { host: '127.0.0.1', port };
  };

  it('sees which certificate a port shows, and asks once for several answers in a row', async () => {
    const probe = new CertificateProbe();
    for (let call = 0; call < 3; call += 1) {
      expect(await probe.shows(place(), fingerprint256)).toBe(true);
    }
    expect(calls).toBe(1);
  });

  it('asks again for another certificate, and finds that it is not shown', async () => {
    const probe = new CertificateProbe();
    expect(await probe.shows(place(), fingerprint256)).toBe(true);
    expect(await probe.shows(place(), 'AA:BB')).toBe(false);
    expect(await probe.shows(place(), 'AA:BB')).toBe(false);
    expect(calls).toBe(3);
  });

  it('says no where nothing answers', async () => {
    const closed = place();
    server.close();
    await once(server, 'close');
    expect(await new CertificateProbe().shows(closed, fingerprint256)).toBe(false);
  });
});
