import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  apply,
  copyImage,
  eventually,
  getJson,
  kubectl,
  must,
  setting,
} from './support/cluster.ts';
import { untilRewritten } from './support/decided-image.ts';
import { injectingHandler, installOtherWebhook } from './support/other-webhook.ts';
import { namespaceObject, type PodObject, sleeper } from './support/pods.ts';
import { helmTest, imageValues, uninstall, upgrade } from './support/release.ts';

const RELEASE = 'workloads';
const RELEASE_NAMESPACE = 'workloads-release-e2e';
const NAMESPACE = 'workloads-e2e';
const AUDITED = 'workloads-audited-e2e';
const OUTSIDE = 'workloads-outside-e2e';
const INJECTOR = 'zz-injector-e2e';
const ORIGINAL = 'atlanhq/atlan-mysql-app:main-97b8c95';

const registry = setting('LAB_REGISTRY');
const image = setting('LAB_IMAGE');
const auditLog = setting('LAB_AUDIT_LOG');
const mirrored = (name: string): string => `${registry}/mirror/${name}`;
/** In scope and pullable without us: what ran before the webhook was installed. */
const DIRECT = `${registry}/direct/app:1`;

const VALUES = {
  ...imageValues(),
  config: {
    apiVersion: 'sdr-image-rewriter/v1',
    procurement: 'prefix',
    sources: ['docker.io/atlanhq', 'ghcr.io/atlanhq', `${registry}/direct`],
    prefixes: [
      { source: 'docker.io/atlanhq', target: mirrored('atlanhq') },
      { source: `${registry}/direct`, target: mirrored('direct') },
    ],
  },
  validatingAdmissionPolicy: { enabled: true },
};

function template(labels: object, containers: readonly object[], spec: object = {}): object {
  return { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers, ...spec } };
}

function workload(kind: string, name: string, spec: object): object {
  const apiVersion = ['Job', 'CronJob'].includes(kind) ? 'batch/v1' : 'apps/v1';
  return { apiVersion, kind, metadata: { name, namespace: NAMESPACE }, spec };
}

function pod(name: string, namespace: string, containers: readonly object[]): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: { terminationGracePeriodSeconds: 0, containers },
  };
}

const getPod = (name: string, namespace = NAMESPACE): Promise<PodObject> =>
  getJson<PodObject>('pod', name, '-n', namespace);

async function podsWith(label: string): Promise<PodObject[]> {
  return (await getJson<{ items: PodObject[] }>('pods', '-n', NAMESPACE, '-l', label)).items;
}

let installSeconds: number;

beforeAll(async () => {
  const source = image.slice(image.indexOf('/') + 1);
  for (const name of [
    `mirror/${ORIGINAL}`,
    'mirror/atlanhq/tools:1',
    'direct/app:1',
    'mirror/direct/app:1',
  ]) {
    await copyImage(registry, source, name);
  }
  await apply([
    namespaceObject(RELEASE_NAMESPACE, { 'pod-security.kubernetes.io/enforce': 'restricted' }),
    namespaceObject(NAMESPACE, { 'sdr-image-rewriter.io/mode': 'enforce' }),
    namespaceObject(AUDITED, { 'sdr-image-rewriter.io/mode': 'audit' }),
    namespaceObject(OUTSIDE),
  ]);
  await apply([pod('old', NAMESPACE, [sleeper('main', DIRECT)])]);
  await eventually(
    () => getPod('old'),
    ({ status }) => status.phase === 'Running',
  );
  const begun = Date.now();
  await upgrade(RELEASE, RELEASE_NAMESPACE, VALUES);
  installSeconds = (Date.now() - begun) / 1000;
  await untilRewritten(ORIGINAL, NAMESPACE);
});

afterAll(async () => {
  await kubectl(
    'delete',
    'namespace',
    RELEASE_NAMESPACE,
    NAMESPACE,
    AUDITED,
    OUTSIDE,
    INJECTOR,
    '--wait=false',
    '--ignore-not-found',
  );
  await kubectl('delete', 'mutatingwebhookconfiguration', INJECTOR, '--ignore-not-found');
});

describe('a default installation with a prefix rule', () => {
  it('is ready in under 30 s without any prerequisite', () => {
    expect(installSeconds).toBeLessThan(30);
  });

  it('runs the pods of a Deployment, Job, CronJob, DaemonSet and StatefulSet from the mirror', async () => {
    const labels = (app: string): object => ({ matchLabels: { app } });
    const main = [sleeper('main', ORIGINAL)];
    const once = [{ name: 'main', image: ORIGINAL, command: ['/nodejs/bin/node', '-e', '0'] }];
    const jobSpec = { template: template({ app: 'job' }, once, { restartPolicy: 'Never' }) };
    await apply([
      workload('Deployment', 'deployment', {
        selector: labels('deployment'),
        template: template({ app: 'deployment' }, main),
      }),
      workload('DaemonSet', 'daemon', {
        selector: labels('daemon'),
        template: template({ app: 'daemon' }, main),
      }),
      workload('StatefulSet', 'stateful', {
        selector: labels('stateful'),
        serviceName: 'none',
        template: template({ app: 'stateful' }, main),
      }),
      workload('Job', 'job', jobSpec),
      workload('CronJob', 'cron', { schedule: '0 0 1 1 *', jobTemplate: { spec: jobSpec } }),
    ]);
    await kubectl('create', 'job', 'from-cron', '--from=cronjob/cron', '-n', NAMESPACE);
    await kubectl(
      'wait',
      '--for=condition=complete',
      'job/job',
      'job/from-cron',
      '-n',
      NAMESPACE,
      '--timeout=60s',
    );
    for (const kind of ['deployment/deployment', 'daemonset/daemon', 'statefulset/stateful']) {
      await kubectl('rollout', 'status', kind, '-n', NAMESPACE, '--timeout=60s');
    }
    for (const app of ['deployment', 'daemon', 'stateful', 'job']) {
      const pods = await podsWith(`app=${app}`);
      expect(pods.length).toBeGreaterThan(0);
      for (const { spec } of pods) {
        expect(spec.containers[0]?.image).toBe(mirrored(ORIGINAL));
      }
    }
  });

  it('leaves what it does not see to the public registry, where it cannot be pulled', async () => {
    await apply([pod('outside', OUTSIDE, [sleeper('main', ORIGINAL)])]);
    const { spec } = await eventually(
      () => getPod('outside', OUTSIDE),
      ({ status }) =>
        ['ErrImagePull', 'ImagePullBackOff'].includes(
          status.containerStatuses?.[0]?.state.waiting?.reason ?? '',
        ),
    );
    expect(spec.containers[0]?.image).toBe(ORIGINAL);
  });

  it('answers a dry run with the image that the pod would have', async () => {
    const list = JSON.stringify(pod('dry', NAMESPACE, [sleeper('main', ORIGINAL)]));
    const answer = await must(
      'kubectl',
      ['apply', '--dry-run=server', '-o', 'json', '-f', '-'],
      list,
    );
    expect((JSON.parse(answer) as PodObject).spec.containers[0]?.image).toBe(mirrored(ORIGINAL));
  });

  it('neither patches nor restarts a pod from before the install when its label is edited', async () => {
    await kubectl('label', 'pod', 'old', 'edited=yes', '-n', NAMESPACE);
    const { spec, status, metadata } = await getPod('old');
    expect(spec.containers[0]?.image).toBe(DIRECT);
    expect(status.containerStatuses?.[0]).toMatchObject({ restartCount: 0, ready: true });
    expect(metadata.annotations ?? {}).not.toHaveProperty([
      'sdr-image-rewriter.io/original-images',
    ]);
  });

  it('says in an audited namespace what it would do, and does not do it', async () => {
    const said = await apply([pod('audited', AUDITED, [sleeper('main', ORIGINAL)])]);
    expect(said).toContain('Warning: sdr-image-rewriter: containers/main would be pulled from');
    expect((await getPod('audited', AUDITED)).spec.containers[0]?.image).toBe(ORIGINAL);
  });

  it('leaves its decision in the audit log of the API server', async () => {
    const key = 'enforce.sdr-image-rewriter.io/rewritten';
    const lines = (await readFile(auditLog, 'utf8'))
      .split('\n')
      .filter((line) => line.includes(key));
    const annotations = lines.map(
      (line) => (JSON.parse(line) as { annotations: Record<string, string> }).annotations[key],
    );
    expect(annotations).toContain(`containers/main: ${ORIGINAL} -> ${mirrored(ORIGINAL)}`);
  });

  it('rewrites a sidecar that a second webhook injects after it, and remembers both originals', async () => {
    // Called after ours, by its name.
    await installOtherWebhook({
      name: INJECTOR,
      image,
      namespace: NAMESPACE,
      handler: injectingHandler(sleeper('injected', 'docker.io/atlanhq/tools:1')),
    });
    await apply([pod('injected', NAMESPACE, [sleeper('main', ORIGINAL)])]);
    const { spec, metadata } = await getPod('injected');
    expect(spec.containers.map((each) => each.image)).toEqual([
      mirrored(ORIGINAL),
      mirrored('atlanhq/tools:1'),
    ]);
    const originals = metadata.annotations?.['sdr-image-rewriter.io/original-images'] ?? '{}';
    expect(JSON.parse(originals)).toEqual({
      'containers/main': ORIGINAL,
      'containers/injected': 'docker.io/atlanhq/tools:1',
    });
    await kubectl('delete', 'mutatingwebhookconfiguration', INJECTOR);
  });

  it('keeps its caBundle where somebody empties it', async () => {
    const path = '/webhooks/0/clientConfig/caBundle';
    await kubectl(
      'patch',
      'mutatingwebhookconfiguration',
      RELEASE,
      '--type=json',
      '-p',
      JSON.stringify([{ op: 'remove', path }]),
    );
    const bundle = (): Promise<string> =>
      kubectl(
        'get',
        'mutatingwebhookconfiguration',
        RELEASE,
        '-o',
        'jsonpath={.webhooks[0].clientConfig.caBundle}',
      );
    await eventually(bundle, (text) => text !== '', 30);
  });

  it('admits pods while all replicas are gone, and the policy reports them', async () => {
    await kubectl('scale', `deployment/${RELEASE}`, '-n', RELEASE_NAMESPACE, '--replicas=0');
    await eventually(
      () => getJson<{ items: unknown[] }>('pods', '-n', RELEASE_NAMESPACE),
      ({ items }) => items.length === 0,
      90,
    );
    const said = await apply([pod('alone', NAMESPACE, [sleeper('main', ORIGINAL)])]);
    expect((await getPod('alone')).spec.containers[0]?.image).toBe(ORIGINAL);
    expect(said).toMatch(/Warning: Validation failed for ValidatingAdmissionPolicy/);
    await kubectl('scale', `deployment/${RELEASE}`, '-n', RELEASE_NAMESPACE, '--replicas=2');
    await kubectl(
      'rollout',
      'status',
      `deployment/${RELEASE}`,
      '-n',
      RELEASE_NAMESPACE,
      '--timeout=60s',
    );
  });

  it('passes helm test, and leaves nothing behind when it is uninstalled', async () => {
    await helmTest(RELEASE, RELEASE_NAMESPACE);
    await uninstall(RELEASE, RELEASE_NAMESPACE);
    const kinds =
      'all,configmap,secret,serviceaccount,role,rolebinding,networkpolicy,poddisruptionbudget';
    const clusterKinds =
      'clusterrole,clusterrolebinding,mutatingwebhookconfiguration,validatingadmissionpolicy,validatingadmissionpolicybinding';
    const mine = ['-l', `app.kubernetes.io/instance=${RELEASE}`, '-o', 'name'];
    await eventually(
      async () => [
        await kubectl('get', kinds, '-n', RELEASE_NAMESPACE, ...mine),
        await kubectl('get', clusterKinds, ...mine),
      ],
      (left) => left.every((names) => names === ''),
      30,
    );
    expect(await kubectl('get', 'secret', '-n', RELEASE_NAMESPACE, '-o', 'name')).toBe('');
  });
});
