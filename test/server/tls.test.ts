import { describe, expect, it } from '@jest/globals';
import {
  checkCertificate,
  checkSuccessor,
  loadCertificate,
  readClientCA,
  type ServingCertificate,
} from '../../src/server/tls.ts';
import { createAuthority } from '../support/certificates.ts';
import { Workspace } from '../support/workspace.ts';

const authority = await createAuthority('one');
const other = await createAuthority('another');
const leaf = await authority.issue('leaf');

async function read(text: string): Promise<string | undefined> {
  await using workspace = await Workspace.create();
  return await readClientCA(await workspace.write('client-ca.crt', text));
}

describe('server.tls.clientCAFile', () => {
  it.each([
    ['one certificate', authority.cert],
    ['several', `${authority.cert}\n${other.cert}\n`],
    ['comments between them', `# one\n${authority.cert}\n# another\n${other.cert}`],
    ['line ends of Windows', authority.cert.replaceAll('\n', '\r\n')],
  ])('may hold %s', async (_name, text) => {
    expect(await read(text)).toBe(text);
  });

  it.each([
    ['nothing', '', /holds no certificate/],
    ['no PEM', 'garbage', /holds no certificate/],
    ['half a certificate', authority.cert.slice(0, 200), /holds no certificate/],
    ['a key', leaf.key, /holds no certificate/],
    ['a key beside a certificate', `${authority.cert}\n${leaf.key}`, /something else/],
    [
      'half a certificate behind a whole one',
      `${authority.cert}\n${other.cert.slice(0, 200)}`,
      /else/,
    ],
    ['two without a line break between', authority.cert.trim() + other.cert, /no cert|else/],
    [
      'a certificate that is none',
      `${authority.cert}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      /does not parse, number 2/,
    ],
  ])('is refused with %s: it would let in nobody', async (_name, text, message) => {
    const refusal = expect(read(text)).rejects;
    await refusal.toMatchObject({ code: 'TLS_CLIENT_CA_INVALID' });
    await expect(read(text)).rejects.toThrow(message);
  });

  it('is checked together with the certificate, so that the ones in use stay', async () => {
    await using workspace = await Workspace.create();
    const files = {
      certFile: await workspace.write('tls.crt', leaf.cert),
      keyFile: await workspace.write('tls.key', leaf.key),
      minVersion: 'TLSv1.2',
      clientCAFile: await workspace.write('client-ca.crt', 'garbage'),
    } as const;
    await expect(loadCertificate(files)).rejects.toMatchObject({ code: 'TLS_CLIENT_CA_INVALID' });
    await workspace.write('client-ca.crt', other.cert);
    expect((await loadCertificate(files)).context.ca).toBe(other.cert);
  });
});

describe('a certificate that would take the place of another one', () => {
  const now = Date.parse('2026-11-23T08:00:00Z');
  const HOUR = 3_600_000;
  const { context, fingerprint } = checkCertificate(leaf.cert, leaf.key, 'TLSv1.2');
  const expiring = (hours: number): ServingCertificate => ({
    context,
    fingerprint,
    notAfter: new Date(now + hours * HOUR),
  });

  it.each([
    ['both are valid', 2, 1],
    ['it expires before the other', 1, 2],
    ['it is valid and the other has expired', 1, -1],
    ['both have expired', -2, -1],
    ['there is no other', -1, undefined],
  ])('may do so where %s', (_what, next, inUse) => {
    const other = inUse === undefined ? undefined : expiring(inUse);
    expect(() => checkSuccessor(expiring(next), other, now)).not.toThrow();
  });

  it('is refused where it alone has expired', () => {
    expect(() => checkSuccessor(expiring(-1), expiring(1), now)).toThrow(
      expect.objectContaining({ code: 'TLS_EXPIRED' }),
    );
  });
});
