import { ApiException, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { apply, copyImage, eventually, getJson, kubectl, run, setting } from './support/cluster.ts';
import {
  createBucket,
  credentialsSecret,
  publishEntry,
  s3OutOfReach,
  s3Settings,
} from './support/bucket.ts';
import { untilRewritten } from './support/decided-image.ts';
import { namespaceObject } from './support/pods.ts';
import { imageValues, uninstall, upgrade } from './support/release.ts';

const RELEASE = 'rollout';
const RELEASE_NAMESPACE = 'rollout-release-e2e';
const NAMESPACE = 'rollout-e2e';
const PODS_PER_SECOND = 25;

const image = setting('LAB_IMAGE');
const registry = setting('LAB_REGISTRY');

const SOURCE = 'docker.io/atlanhq/atlan-mysql-app:1';
const TARGET = 'registry.rollout.example/rebuilt/mysql:1-r1';
const BUCKET = `rollout-${Date.now()}`;
const URL = `s3://${BUCKET}/image-map.json`;

function values(changes: { tag?: string; unmapped?: string; s3?: object } = {}): object {
  return {
    ...imageValues(changes.tag),
    config: {
      apiVersion: 'sdr-image-rewriter/v1',
      procurement: 'map',
      unmapped: changes.unmapped ?? 'warn',
      imageMap: { url: URL, refreshInterval: '2s', s3: changes.s3 ?? s3Settings },
    },
    s3Credentials: { existingSecret: 's3' },
    webhook: { failurePolicy: 'Fail' },
  };
}

interface Tally {
  created: number;
  readonly failures: string[];
  readonly unmirrored: string[];
}

/** Creates pods at a steady pace until told to stop. No scheduler takes them, so only admission is at work. */
async function createPods(core: CoreV1Api, isOver: () => boolean): Promise<Tally> {
  const tally: Tally = { created: 0, failures: [], unmirrored: [] };
  const inFlight = new Set<Promise<void>>();
  while (!isOver()) {
    const call = createPod(core, tally).finally(() => inFlight.delete(call));
    inFlight.add(call);
    await sleep(1000 / PODS_PER_SECOND);
  }
  await Promise.all(inFlight);
  return tally;
}

async function createPod(core: CoreV1Api, tally: Tally): Promise<void> {
  try {
    const pod = await core.createNamespacedPod({
      namespace: NAMESPACE,
      body: {
        metadata: { generateName: 'load-' },
        spec: {
          schedulerName: 'nobody',
          containers: [{ name: 'main', image: SOURCE }],
        },
      },
    });
    tally.created += 1;
    const got = pod.spec?.containers[0]?.image ?? '';
    if (got !== TARGET) {
      tally.unmirrored.push(got);
    }
  } catch (error) {
    tally.failures.push(error instanceof ApiException ? String(error.body) : String(error));
  }
}

async function webhookPods(): Promise<string[]> {
  const { items } = await getJson<{ items: { metadata: { name: string } }[] }>(
    'pods',
    '-n',
    RELEASE_NAMESPACE,
    '-l',
    'app.kubernetes.io/name=sdr-image-rewriter',
  );
  return items.map(({ metadata }) => metadata.name);
}

async function webhookLogs(): Promise<string> {
  const selector = 'app.kubernetes.io/name=sdr-image-rewriter';
  const args = ['logs', '-n', RELEASE_NAMESPACE, '-l', selector, '--tail=-1'];
  // A pod of a rollout may go away between being listed and being asked.
  const { code, stdout, stderr } = await eventually(
    () => run('kubectl', args),
    (answer) => !answer.stderr.includes('(NotFound)'),
  );
  if (code !== 0) {
    throw new Error(stderr);
  }
  return stdout;
}

async function servingAuthority(): Promise<string> {
  const { data } = await getJson<{ data?: Record<string, string> }>(
    'secret',
    `${RELEASE}-tls`,
    '-n',
    RELEASE_NAMESPACE,
  );
  return data?.['ca.crt'] ?? '';
}

async function rolledOut(): Promise<void> {
  await kubectl(
    'rollout',
    'status',
    `deployment/${RELEASE}`,
    '-n',
    RELEASE_NAMESPACE,
    '--timeout=120s',
  );
}

beforeAll(async () => {
  const source = image.slice(image.indexOf('/') + 1);
  await copyImage(registry, source, `${source.split(':')[0] ?? ''}:next`);
  await createBucket(BUCKET);
  await publishEntry(URL, SOURCE, TARGET);
  await apply([
    namespaceObject(RELEASE_NAMESPACE),
    namespaceObject(NAMESPACE, { 'sdr-image-rewriter.io/mode': 'enforce' }),
  ]);
  await apply([credentialsSecret('s3', RELEASE_NAMESPACE)]);
  await upgrade(RELEASE, RELEASE_NAMESPACE, values());
  await untilRewritten(SOURCE, NAMESPACE);
});

afterAll(async () => {
  await uninstall(RELEASE, RELEASE_NAMESPACE);
  await kubectl('delete', 'namespace', NAMESPACE, RELEASE_NAMESPACE, '--wait=false');
});

describe('a release under load, with failurePolicy Fail', () => {
  it('loses no pod and misses no image while everything about it changes', async () => {
    const config = new KubeConfig();
    config.loadFromDefault();
    let isOver = false;
    const load = createPods(config.makeApiClient(CoreV1Api), () => isOver);
    const begun = Date.now();
    try {
      await sleep(2000);
      await upgrade(RELEASE, RELEASE_NAMESPACE, values({ tag: 'next' }));
      await kubectl('rollout', 'restart', `deployment/${RELEASE}`, '-n', RELEASE_NAMESPACE);
      await rolledOut();
      const before = await servingAuthority();
      await kubectl('delete', 'secret', `${RELEASE}-tls`, '-n', RELEASE_NAMESPACE);
      await upgrade(RELEASE, RELEASE_NAMESPACE, values({ tag: 'next', unmapped: 'allow' }));
      const [first = ''] = await webhookPods();
      await kubectl('delete', 'pod', first, '-n', RELEASE_NAMESPACE);
      await rolledOut();
      await eventually(
        servingAuthority,
        (authority) => authority !== '' && authority !== before,
        30,
      );
      await upgrade(RELEASE, RELEASE_NAMESPACE, values({ tag: 'next', s3: s3OutOfReach }));
      // The kubelet takes up to a minute or two to hand an edited ConfigMap to the pods.
      await eventually(webhookLogs, (text) => text.includes('"event":"map.stale"'), 150);
      await sleep(Math.max(5000, begun + 60_000 - Date.now()));
      await upgrade(RELEASE, RELEASE_NAMESPACE, values({ tag: 'next' }));
    } finally {
      isOver = true;
    }
    const { created, failures, unmirrored } = await load;
    expect(failures).toEqual([]);
    expect(unmirrored).toEqual([]);
    expect(created).toBeGreaterThan(60 * 20);
  }, 400_000);

  it('heals by itself when all replicas were gone', async () => {
    const scale = (count: number): Promise<string> =>
      kubectl('scale', `deployment/${RELEASE}`, '-n', RELEASE_NAMESPACE, `--replicas=${count}`);
    await scale(0);
    await eventually(webhookPods, (pods) => pods.length === 0, 90);
    const config = new KubeConfig();
    config.loadFromDefault();
    const core = config.makeApiClient(CoreV1Api);
    const refused: Tally = { created: 0, failures: [], unmirrored: [] };
    await createPod(core, refused);
    expect(refused.failures).toHaveLength(1);
    await scale(2);
    await rolledOut();
    const healed: Tally = { created: 0, failures: [], unmirrored: [] };
    await eventually(
      async () => {
        await createPod(core, healed);
        return healed.created;
      },
      (created) => created > 0,
      30,
    );
    expect(healed.unmirrored).toEqual([]);
  }, 180_000);
});
