import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { parseConfig } from '../../src/config/config.ts';
import { type CertificateSource, selfManagedCertificates } from '../../src/server/certificates.ts';
import type { ServingCertificate } from '../../src/server/tls.ts';
import { createAuthority } from '../support/certificates.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import { Workspace } from '../support/workspace.ts';

const FILE = 'client-ca.crt';
const SILENT = {
  write: () => undefined,
  setLevel: () => undefined,
  flush: () => Promise.resolve(true),
};

let source: CertificateSource | undefined;

afterEach(() => source?.stop());

function open(workspace: Workspace): CertificateSource {
  const selfManaged = { namespace: 'n', secret: 's', webhookConfiguration: 'w', dnsNames: ['a'] };
  const config = parseConfig(
    JSON.stringify({
      apiVersion: 'sdr-image-rewriter/v1',
      procurement: 'public',
      server: { tls: { clientCAFile: workspace.path(FILE), selfManaged } },
    }),
  );
  if ('faults' in config) throw new Error(JSON.stringify(config.faults));
  const cluster = new FakeCluster();
  source = selfManagedCertificates(config.server.tls, SILENT, () =>
    Promise.resolve(cluster.connect()),
  );
  return source;
}

describe('a self-managed certificate', () => {
  it('is served with the next authority for clients when their file changes', async () => {
    await using workspace = await Workspace.create();
    const [old, next] = [await createAuthority('old'), await createAuthority('next')];
    await workspace.write(FILE, old.cert);
    const certificates = open(workspace);
    const first = await certificates.first();
    expect(first.context.ca).toBe(old.cert);

    let served: ServingCertificate | undefined;
    certificates.watch((certificate) => {
      served = certificate;
    });
    await workspace.write(FILE, next.cert);
    for (const end = Date.now() + 60_000; served?.context.ca !== next.cert && Date.now() < end;) {
      await sleep(50);
    }
    expect(served?.context.ca).toBe(next.cert);
    expect(served?.fingerprint).toBe(first.fingerprint);
  });

  it('does not start without the file that its clients are checked by', async () => {
    await using workspace = await Workspace.create();
    await expect(open(workspace).first()).rejects.toMatchObject({ code: 'TLS_UNREADABLE' });
  });
});
