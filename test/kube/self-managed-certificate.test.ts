import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { SelfManagedCertificate } from '../../src/kube/self-managed-certificate.ts';
import type { PemPair } from '../../src/kube/x509.ts';
import type { Clock } from '../../src/clock.ts';
import { FakeCluster } from '../support/fake-cluster.ts';

const DAY = 86_400_000;
const SETTINGS = {
  dnsNames: ['rewriter.sdr.svc'],
  authorityLifetime: 360 * DAY,
  leafLifetime: 90 * DAY,
};

class TestClock implements Clock {
  time = Date.now();
  now(): number {
    return this.time;
  }
  after(): () => void {
    return () => undefined;
  }
}

interface Replica {
  readonly certificate: SelfManagedCertificate;
  readonly served: PemPair[];
  readonly changes: string[];
  readonly failures: string[];
}

function startReplica(cluster: FakeCluster, clock: Clock): Replica {
  const served: PemPair[] = [];
  const changes: string[] = [];
  const failures: string[] = [];
  const certificate = new SelfManagedCertificate({
    cluster: cluster.connect(),
    settings: SETTINGS,
    clock,
    observer: {
      issued: (leaf) => void served.push(leaf),
      changed: (what) => void changes.push(what),
      failed: ({ code }) => void failures.push(code),
    },
  });
  return { certificate, served, changes, failures };
}

/** Whether a client that knows only the published bundle of each entry accepts the leaf. */
function isTrusted(leaf: PemPair | undefined, cluster: FakeCluster, now: number): boolean {
  const bundles = cluster.webhook?.bundles ?? [];
  return bundles.every((bundle) =>
    (bundle.match(/-----BEGIN[\s\S]+?END CERTIFICATE-----/g) ?? []).some((pem) => {
      const authority = new X509Certificate(pem);
      const certificate = new X509Certificate(leaf?.cert ?? '');
      return (
        certificate.verify(authority.publicKey) &&
        authority.validToDate.getTime() > now &&
        certificate.validToDate.getTime() > now
      );
    }),
  );
}

function authoritiesIn(bundle: string | undefined): number {
  return bundle?.match(/BEGIN CERTIFICATE/g)?.length ?? 0;
}

describe('a self-managed certificate', () => {
  it('makes authority, bundle and leaf at the first look, in this order, and then rests', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    const replica = startReplica(cluster, clock);
    expect(await replica.certificate.reconcile()).toBe('done');
    expect(replica.changes).toEqual(['authority', 'bundle', 'leaf']);
    expect(replica.served).toHaveLength(1);
    expect(isTrusted(replica.served[0], cluster, clock.time)).toBe(true);
    expect(
      new X509Certificate(replica.served[0]?.cert ?? '').checkHost('rewriter.sdr.svc'),
    ).toBeDefined();
    const { writes } = cluster;
    await replica.certificate.reconcile();
    expect(cluster.writes).toBe(writes);
    expect(replica.certificate.isPublished).toBe(true);
  });

  it('is one and the same for replicas that start at once', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    const replicas = Array.from({ length: 5 }, () => startReplica(cluster, clock));
    await Promise.all(replicas.map(({ certificate }) => certificate.reconcile()));
    clock.time += 10_000;
    await Promise.all(replicas.map(({ certificate }) => certificate.reconcile()));
    const leaves = new Set(replicas.map(({ served }) => served.at(-1)?.cert));
    expect(leaves.size).toBe(1);
    expect(authoritiesIn(cluster.webhook?.bundles[0])).toBe(1);
    expect(replicas.flatMap(({ changes }) => changes).toSorted()).toEqual([
      'authority',
      'bundle',
      'leaf',
    ]);
  });

  it('is renewed after two thirds of its life, under the same authority', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    const replica = startReplica(cluster, clock);
    await replica.certificate.reconcile();
    clock.time += 59 * DAY;
    await replica.certificate.reconcile();
    expect(replica.served).toHaveLength(1);
    clock.time += 2 * DAY;
    await replica.certificate.reconcile();
    expect(replica.changes).toEqual(['authority', 'bundle', 'leaf', 'leaf']);
    expect(replica.served).toHaveLength(2);
    expect(isTrusted(replica.served[1], cluster, clock.time)).toBe(true);
  });

  it('serves no leaf of a new authority before every entry knew it for a while, and keeps the old one until it expires', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    const replica = startReplica(cluster, clock);
    const other = startReplica(cluster, clock);
    await replica.certificate.reconcile();
    await other.certificate.reconcile();
    for (let day = 1; day <= 400; day += 1) {
      clock.time += DAY;
      for (const each of [replica, other]) {
        const first = await each.certificate.reconcile();
        expect(isTrusted(each.served.at(-1), cluster, clock.time)).toBe(true);
        if (first === 'wait') {
          clock.time += 5000;
          expect(await each.certificate.reconcile()).toBe('done');
        }
      }
      for (const each of [replica, other]) {
        expect(isTrusted(each.served.at(-1), cluster, clock.time)).toBe(true);
      }
      const authorities = authoritiesIn(cluster.webhook?.bundles[0]);
      expect(authorities).toBe(day >= 240 && day < 360 ? 2 : 1);
    }
  });

  it('waits while it serves, so that API servers hear of the new authority first', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    const replica = startReplica(cluster, clock);
    await replica.certificate.reconcile();
    cluster.secret = undefined;
    expect(await replica.certificate.reconcile()).toBe('wait');
    expect(authoritiesIn(cluster.webhook?.bundles[1])).toBe(2);
    expect(replica.served).toHaveLength(1);
    clock.time += 5000;
    expect(await replica.certificate.reconcile()).toBe('done');
    expect(replica.served).toHaveLength(2);
    expect(isTrusted(replica.served[1], cluster, clock.time)).toBe(true);
    expect(isTrusted(replica.served[0], cluster, clock.time)).toBe(true);
  });

  it('stays trusted where somebody empties the bundle and deletes the Secret at once', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    const replica = startReplica(cluster, clock);
    await replica.certificate.reconcile();
    cluster.secret = undefined;
    cluster.webhook = { resourceVersion: 'edited', bundles: ['', ''] };
    expect(await replica.certificate.reconcile()).toBe('wait');
    expect(replica.served).toHaveLength(1);
    expect(isTrusted(replica.served[0], cluster, clock.time)).toBe(true);
    clock.time += 5000;
    await replica.certificate.reconcile();
    expect(isTrusted(replica.served[1], cluster, clock.time)).toBe(true);
  });

  it('repairs an emptied bundle and a Secret full of rubbish', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    const replica = startReplica(cluster, clock);
    await replica.certificate.reconcile();
    cluster.webhook = { resourceVersion: 'edited', bundles: ['', 'no certificate'] };
    await replica.certificate.reconcile();
    expect(isTrusted(replica.served[0], cluster, clock.time)).toBe(true);
    cluster.secret = {
      resourceVersion: 'edited',
      data: { 'ca.crt': 'x', 'ca.key': 'y', 'tls.crt': 'z', 'tls.key': '' },
    };
    await replica.certificate.reconcile();
    clock.time += 5000;
    await replica.certificate.reconcile();
    expect(isTrusted(replica.served.at(-1), cluster, clock.time)).toBe(true);
    expect(replica.served).toHaveLength(2);
  });

  it('goes on where the webhook configuration is gone, and comes back with it', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    cluster.webhook = undefined;
    const replica = startReplica(cluster, clock);
    expect(await replica.certificate.reconcile()).toBe('done');
    expect(replica.served).toHaveLength(1);
    cluster.webhook = { resourceVersion: 'new', bundles: [''] };
    await replica.certificate.reconcile();
    expect(isTrusted(replica.served[0], cluster, clock.time)).toBe(true);
  });

  it('stays in service where a repair of the bundle is refused', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    const replica = startReplica(cluster, clock);
    expect(replica.certificate.isPublished).toBe(false);
    await replica.certificate.reconcile();
    cluster.webhook = { resourceVersion: 'edited', bundles: ['', ''] };
    cluster.writeFailure = new Error('forbidden');
    await expect(replica.certificate.reconcile()).rejects.toThrow('forbidden');
    expect(replica.certificate.isPublished).toBe(true);
  });

  it('keeps serving what it serves while the cluster does not answer', async () => {
    const [cluster, clock] = [new FakeCluster(), new TestClock()];
    const replica = startReplica(cluster, clock);
    await replica.certificate.start();
    cluster.failure = new Error('down');
    await replica.certificate.start();
    expect(replica.failures).toEqual(['CLUSTER_FAILED']);
    expect(replica.served).toHaveLength(1);
    replica.certificate.stop();
  });
});
