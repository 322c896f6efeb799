import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createBucket,
  credentialsSecret,
  publishEntry,
  s3OutOfReach,
  s3Settings,
} from './support/bucket.ts';
import { apply, copyImage, eventually, getJson, kubectl, setting } from './support/cluster.ts';
import { decidedImage, untilRewritten } from './support/decided-image.ts';
import { namespaceObject, type PodObject, sleeper } from './support/pods.ts';
import { imageValues, uninstall, upgrade } from './support/release.ts';

const RELEASE = 'cluster-map';
const RELEASE_NAMESPACE = 'cluster-map-release-e2e';
const NAMESPACE = 'cluster-map-e2e';
const BUCKET = `cluster-map-${Date.now()}`;
const URL = `s3://${BUCKET}/image-map.json`;
const ORIGINAL = 'atlanhq/atlan-mysql-app:main-97b8c95';

const registry = setting('LAB_REGISTRY');
const image = setting('LAB_IMAGE');
const CONFIG = {
  apiVersion: 'sdr-image-rewriter/v1',
  procurement: 'map',
  allowedTargets: [registry],
  imageMap: { url: URL, refreshInterval: '1s', s3: s3Settings },
};

const publish = (target: string): Promise<void> =>
  publishEntry(URL, `docker.io/${ORIGINAL}`, target);

/** Starts a pod of its own and says what it runs. */
async function runPod(name: string): Promise<PodObject> {
  await apply([
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: NAMESPACE },
      spec: { terminationGracePeriodSeconds: 0, containers: [sleeper('main', ORIGINAL)] },
    },
  ]);
  const get = (): Promise<PodObject> => getJson<PodObject>('pod', name, '-n', NAMESPACE);
  return eventually(get, ({ status }) => status.phase === 'Running');
}

beforeAll(async () => {
  await createBucket(BUCKET);
  await apply([
    namespaceObject(RELEASE_NAMESPACE),
    namespaceObject(NAMESPACE, { 'sdr-image-rewriter.io/mode': 'enforce' }),
  ]);
  await apply([credentialsSecret('s3', RELEASE_NAMESPACE)]);
});

afterAll(async () => {
  await uninstall(RELEASE, RELEASE_NAMESPACE);
  await kubectl('delete', 'namespace', RELEASE_NAMESPACE, NAMESPACE, '--wait=false');
});

describe('a cluster whose image map lives in S3', () => {
  it('runs renamed, re-tagged, digest-pinned images, and the next ones after the map changed', async () => {
    const source = image.slice(image.indexOf('/') + 1);
    const digest = await copyImage(registry, source, 'rebuilt/mysql:0.4.25-r1');
    await copyImage(registry, source, 'rebuilt/mysql:0.4.25-r2');
    const first = `${registry}/rebuilt/mysql:0.4.25-r1@${digest}`;
    await publish(first);
    await upgrade(RELEASE, RELEASE_NAMESPACE, {
      ...imageValues(),
      config: CONFIG,
      s3Credentials: { existingSecret: 's3' },
    });
    await untilRewritten(ORIGINAL, NAMESPACE);
    const { spec, metadata } = await runPod('first');
    expect(spec.containers[0]?.image).toBe(first);
    expect(metadata.annotations?.['sdr-image-rewriter.io/decided-by']).toMatch(
      /^map serial=1 etag=\w+/,
    );

    const second = `${registry}/rebuilt/mysql:0.4.25-r2@${digest}`;
    await publish(second);
    await eventually(
      () => decidedImage(ORIGINAL, NAMESPACE),
      (target) => target === second,
      15,
    );
    expect((await runPod('second')).spec.containers[0]?.image).toBe(second);
  });

  it('decides the same while S3 is out of reach', async () => {
    const before = (await runPod('before')).spec.containers[0]?.image;
    const unreachable = { ...CONFIG.imageMap, s3: s3OutOfReach };
    await upgrade(RELEASE, RELEASE_NAMESPACE, {
      ...imageValues(),
      config: { ...CONFIG, imageMap: unreachable },
      s3Credentials: { existingSecret: 's3' },
    });
    const logs = (): Promise<string> =>
      kubectl('logs', `deployment/${RELEASE}`, '-n', RELEASE_NAMESPACE, '--tail=200');
    // The kubelet takes up to a minute or two to hand an edited ConfigMap to the pods.
    await eventually(logs, (text) => text.includes('"event":"map.stale"'), 150);
    expect((await runPod('during')).spec.containers[0]?.image).toBe(before);
    await kubectl(
      'rollout',
      'status',
      `deployment/${RELEASE}`,
      '-n',
      RELEASE_NAMESPACE,
      '--timeout=10s',
    );
  }, 240_000);
});
