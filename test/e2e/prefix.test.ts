import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAuthority } from '../support/certificates.ts';
import { apply, copyImage, eventually, getJson, kubectl, setting } from './support/cluster.ts';
import { untilRewritten } from './support/decided-image.ts';
import { namespaceObject, type PodObject, sleeper } from './support/pods.ts';
import { imageValues, uninstall, upgrade } from './support/release.ts';

const RELEASE = 'rewriter';
const RELEASE_NAMESPACE = 'sdr-rewriter-e2e';
const NAMESPACE = 'sdr-e2e';
const OTHER_NAMESPACE = 'other-e2e';
const ORIGINAL = 'atlanhq/atlan-mysql-app:main-97b8c95';

const registry = setting('LAB_REGISTRY');
const image = setting('LAB_IMAGE');
const mirrored = (name: string): string => `${registry}/mirror/${name}`;

function pod(name: string, spec: object, metadata: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, ...metadata },
    spec: { terminationGracePeriodSeconds: 0, ...spec },
  };
}

const getPod = (name: string): Promise<PodObject> =>
  getJson<PodObject>('pod', name, '-n', NAMESPACE);

beforeAll(async () => {
  const source = image.slice(image.indexOf('/') + 1);
  for (const name of [
    'atlanhq/atlan-mysql-app:main-97b8c95',
    'atlanhq/atlan-mysql-app:next',
    'atlanhq/tools:1',
  ]) {
    await copyImage(registry, source, `mirror/${name}`);
  }
  const authority = await createAuthority('e2e CA');
  const { cert, key } = await authority.issue('webhook', [`${RELEASE}.${RELEASE_NAMESPACE}.svc`]);
  await apply([
    namespaceObject(RELEASE_NAMESPACE, { 'pod-security.kubernetes.io/enforce': 'restricted' }),
    namespaceObject(NAMESPACE, { 'sdr-image-rewriter.io/mode': 'enforce' }),
    namespaceObject(OTHER_NAMESPACE),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: 'webhook-tls', namespace: RELEASE_NAMESPACE },
      stringData: { 'tls.crt': cert, 'tls.key': key },
    },
  ]);
  await upgrade(RELEASE, RELEASE_NAMESPACE, {
    ...imageValues(),
    tls: { mode: 'existingSecret', existingSecret: 'webhook-tls', caBundle: authority.cert },
    config: {
      apiVersion: 'sdr-image-rewriter/v1',
      procurement: 'prefix',
      prefixes: [{ source: 'docker.io/atlanhq', target: mirrored('atlanhq') }],
      imagePullSecrets: ['corp-registry'],
    },
  });
  await untilRewritten(ORIGINAL, NAMESPACE);
});

afterAll(async () => {
  await uninstall(RELEASE, RELEASE_NAMESPACE);
  await kubectl(
    'delete',
    'namespace',
    RELEASE_NAMESPACE,
    NAMESPACE,
    OTHER_NAMESPACE,
    '--wait=false',
  );
});

describe('a cluster with a prefix rule', () => {
  it('runs a Deployment that could not be pulled without us from the mirror', async () => {
    const labels = { app: 'mysql' };
    await apply([
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'mysql', namespace: NAMESPACE },
        spec: {
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: { terminationGracePeriodSeconds: 0, containers: [sleeper('main', ORIGINAL)] },
          },
        },
      },
    ]);
    await kubectl('rollout', 'status', 'deployment/mysql', '-n', NAMESPACE, '--timeout=60s');
    const { items } = await getJson<{ items: PodObject[] }>(
      'pods',
      '-n',
      NAMESPACE,
      '-l',
      'app=mysql',
    );
    expect(items.map(({ spec }) => spec.containers[0]?.image)).toEqual([mirrored(ORIGINAL)]);
    expect(items[0]?.metadata.annotations).toMatchObject({
      'sdr-image-rewriter.io/original-images': JSON.stringify({ 'containers/main': ORIGINAL }),
      'sdr-image-rewriter.io/decided-by': 'prefix',
    });
  });

  it('rewrites init containers, native sidecars and image volumes of a bare pod', async () => {
    await apply([
      pod('fields', {
        initContainers: [{ ...sleeper('sidecar', ORIGINAL), restartPolicy: 'Always' }],
        containers: [sleeper('main', ORIGINAL)],
        volumes: [{ name: 'tools', image: { reference: 'docker.io/atlanhq/tools:1' } }],
      }),
    ]);
    const { spec } = await getPod('fields');
    expect(spec.initContainers?.[0]?.image).toBe(mirrored(ORIGINAL));
    expect(spec.volumes?.[0]?.image?.reference).toBe(mirrored('atlanhq/tools:1'));
    await eventually(
      () => getPod('fields'),
      ({ status }) => status.phase === 'Running',
    );
  });

  it('rewrites what kubectl set image and kubectl debug change in a running pod, and only that', async () => {
    await apply([
      pod('edited', { containers: [sleeper('main', ORIGINAL), sleeper('other', ORIGINAL)] }),
    ]);
    await eventually(
      () => getPod('edited'),
      ({ status }) => status.phase === 'Running',
    );
    await kubectl(
      'set',
      'image',
      'pod/edited',
      'other=docker.io/atlanhq/atlan-mysql-app:next',
      '-n',
      NAMESPACE,
    );
    await kubectl(
      'debug',
      'edited',
      '-n',
      NAMESPACE,
      '--image=atlanhq/tools:1',
      '--target=main',
      '--profile=general',
      '--',
      '/nodejs/bin/node',
      '-e',
      '0',
    );
    const { spec } = await getPod('edited');
    expect(spec.containers.map((each) => each.image)).toEqual([
      mirrored(ORIGINAL),
      mirrored('atlanhq/atlan-mysql-app:next'),
    ]);
    expect(spec.ephemeralContainers?.[0]?.image).toBe(mirrored('atlanhq/tools:1'));
  });

  it('does not touch a pod with the skip label, not even when its label is edited', async () => {
    const skip = { labels: { 'sdr-image-rewriter.io/skip': 'true' } };
    await apply([pod('skipped', { containers: [sleeper('main', ORIGINAL)] }, skip)]);
    await kubectl('label', 'pod', 'skipped', 'touched=1', '-n', NAMESPACE);
    const { spec, metadata } = await getPod('skipped');
    expect(spec.containers[0]?.image).toBe(ORIGINAL);
    expect(metadata.annotations).not.toHaveProperty(['sdr-image-rewriter.io/original-images']);
    // The label goes, and the pod still runs what it ran.
    await kubectl('label', 'pod', 'skipped', 'sdr-image-rewriter.io/skip-', '-n', NAMESPACE);
    expect((await getPod('skipped')).spec.containers[0]?.image).toBe(ORIGINAL);
  });

  it('leaves namespaces alone that are not selected', async () => {
    const outside = { namespace: OTHER_NAMESPACE };
    await apply([pod('outside', { containers: [sleeper('main', ORIGINAL)] }, outside)]);
    const { spec } = await getJson<PodObject>('pod', 'outside', '-n', OTHER_NAMESPACE);
    expect(spec.containers[0]?.image).toBe(ORIGINAL);
  });

  it('tells the author of a pod about an image without a rule', async () => {
    const said = await apply([
      pod('unmapped', { containers: [sleeper('main', 'ghcr.io/atlanhq/agent:1')] }),
    ]);
    expect(said).toMatch(
      /Warning: sdr-image-rewriter: containers\/main: no rule .* ghcr\.io\/atlanhq\/agent:1/,
    );
  });
});
