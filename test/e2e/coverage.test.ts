import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { isRecord } from '../../src/core/json-value.ts';
import { type Finished, runProgram } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';
import {
  apply,
  copyImage,
  eventually,
  getJson,
  kubectl,
  republishImage,
  setting,
} from './support/cluster.ts';
import { untilRewritten } from './support/decided-image.ts';
import { namespaceObject, type PodObject, sleeper } from './support/pods.ts';
import { imageValues, uninstall, upgrade } from './support/release.ts';

const RELEASE = 'coverage';
const RELEASE_NAMESPACE = 'coverage-release-e2e';
const ENFORCED = 'coverage-enforced-e2e';
const AUDITED = 'coverage-audited-e2e';
const DARK = 'coverage-dark-e2e';
const READER = 'coverage-reader';
const MODE = 'sdr-image-rewriter.io/mode';
const ORIGINAL = 'atlanhq/atlan-mysql-app:main-97b8c95';

const registry = setting('LAB_REGISTRY');
const image = setting('LAB_IMAGE');
/** In scope and pullable without us, as Docker Hub is where egress is allowed. */
const DIRECT = `${registry}/coverage-direct/app`;
const CONFIG = {
  apiVersion: 'sdr-image-rewriter/v1',
  procurement: 'prefix',
  sources: ['docker.io/atlanhq', 'ghcr.io/atlanhq', `${registry}/coverage-direct`],
  prefixes: [
    { source: 'docker.io/atlanhq', target: `${registry}/mirror/atlanhq` },
    { source: `${registry}/coverage-direct`, target: `${registry}/mirror/direct` },
  ],
};

let workspace: Workspace;
let config: string;

function pod(name: string, namespace: string, reference: string, parts: object = {}): object {
  const { spec, ...metadata } = parts as { spec?: object };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, ...metadata },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [sleeper('main', reference)],
      ...spec,
    },
  };
}

function deployment(name: string, replicas: number, reference: string): object {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: ENFORCED },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { terminationGracePeriodSeconds: 0, containers: [sleeper('main', reference)] },
      },
    },
  };
}

function coverage(...args: readonly string[]): Promise<Finished> {
  const namespaces = [ENFORCED, AUDITED, DARK].flatMap((name) => ['-n', name]);
  return runProgram(['coverage', '--config', config, ...namespaces, ...args]);
}

type Line = Readonly<Record<string, unknown>>;

async function lines(...args: readonly string[]): Promise<Line[]> {
  const { code, stdout, stderr } = await coverage('--output', 'json', ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

function rowOf(found: readonly Line[], workload: string): Line | undefined {
  return found.find((line) => line.type === 'image' && line.workload === workload);
}

async function isRunning(name: string, namespace: string): Promise<void> {
  await eventually(
    () => getJson<PodObject>('pod', name, '-n', namespace),
    ({ status }) => status.phase === 'Running',
  );
}

beforeAll(async () => {
  workspace = await Workspace.create();
  config = await workspace.write('config.yaml', JSON.stringify(CONFIG));
  const source = image.slice(image.indexOf('/') + 1);
  for (const name of [
    'mirror/atlanhq/atlan-mysql-app:main-97b8c95',
    'mirror-before/atlan-mysql-app:main-97b8c95',
    'coverage-direct/app:1.0.0',
    'coverage-direct/app:latest',
  ]) {
    await copyImage(registry, source, name);
  }
  await apply([namespaceObject(ENFORCED), namespaceObject(AUDITED), namespaceObject(DARK)]);
  // Older than the label of its namespace, and so than the webhook for it.
  await apply([pod('old', ENFORCED, `${DIRECT}:1.0.0`)]);
  await kubectl('label', 'namespace', ENFORCED, `${MODE}=enforce`);
  await kubectl('label', 'namespace', AUDITED, `${MODE}=audit`);
  await upgrade(RELEASE, RELEASE_NAMESPACE, { ...imageValues(), config: CONFIG });
  await untilRewritten(ORIGINAL, ENFORCED);
  const annotations = {
    'sdr-image-rewriter.io/original-images': JSON.stringify({ 'containers/main': ORIGINAL }),
  };
  const moved = `${registry}/mirror-before/atlan-mysql-app:main-97b8c95`;
  await apply([
    deployment('mysql', 2, ORIGINAL),
    deployment('asleep', 0, 'atlanhq/asleep:1.0.0'),
    pod('unmapped', ENFORCED, 'ghcr.io/atlanhq/agent:1.4.2'),
    pod('invalid', ENFORCED, 'atlanhq/Bad:1'),
    pod('skipped', ENFORCED, `${DIRECT}:1.0.0`, {
      labels: { 'sdr-image-rewriter.io/skip': 'true' },
    }),
    // No kubelet has a static pod for it, so none may find it and clear it away.
    pod('static', ENFORCED, 'atlanhq/static:1.0.0', {
      annotations: { 'kubernetes.io/config.mirror': 'e2e' },
      spec: { nodeName: 'coverage-no-such-node', automountServiceAccountToken: false },
    }),
    pod('moved', ENFORCED, moved, { annotations }),
    pod('dark', DARK, `${DIRECT}:latest`),
    pod('audited', AUDITED, `${DIRECT}:1.0.0`),
    pod('foreign', DARK, image),
  ]);
  await kubectl('rollout', 'status', 'deployment/mysql', '-n', ENFORCED, '--timeout=60s');
  await isRunning('old', ENFORCED);
  await isRunning('dark', DARK);
});

afterAll(async () => {
  await uninstall(RELEASE, RELEASE_NAMESPACE);
  await kubectl('delete', 'clusterrole,clusterrolebinding', READER, '--ignore-not-found');
  await kubectl('delete', 'namespace', RELEASE_NAMESPACE, ENFORCED, AUDITED, DARK, '--wait=false');
  await workspace[Symbol.asyncDispose]();
});

describe('coverage of a real cluster', () => {
  it('names a pod of each state, where it was pulled from, and what becomes of it', async () => {
    const found = await lines();
    const states = found
      .filter(({ type }) => type === 'image')
      .map(({ state, workload, reason }) => [workload, state, reason]);
    expect(Object.fromEntries(states.map(([workload, ...rest]) => [workload, rest]))).toEqual({
      'Deployment/mysql': ['mirrored', null],
      'Deployment/asleep': ['covered', null],
      'Pod/old': ['pending', null],
      'Pod/unmapped': ['unmapped', 'no-rule'],
      'Pod/invalid': ['invalid', 'REFERENCE_UPPERCASE'],
      'Pod/skipped': ['exempt', 'skip-label'],
      'Pod/static': ['exempt', 'mirror-pod'],
      'Pod/moved': ['stale', null],
      'Pod/dark': ['unseen', 'namespace-selector'],
      'Pod/audited': ['audited', null],
    });
    expect(states).toHaveLength(10);
    expect(rowOf(found, 'Deployment/mysql')).toMatchObject({
      image: ORIGINAL,
      runs: `${registry}/mirror/${ORIGINAL}`,
      pods: [expect.stringMatching(/^mysql-/), expect.stringMatching(/^mysql-/)],
      pulledFrom: [expect.stringMatching(new RegExp(`^${registry}/.+@sha256:[0-9a-f]{64}$`))],
      target: `${registry}/mirror/${ORIGINAL}`,
      rule: 'prefix',
      webhook: 'enforce',
    });
    expect(rowOf(found, 'Pod/old')).toMatchObject({
      runs: `${DIRECT}:1.0.0`,
      target: `${registry}/mirror/direct/app:1.0.0`,
    });
    expect(rowOf(found, 'Pod/unmapped')).toMatchObject({ pulledFrom: [], target: null });
    expect(rowOf(found, 'Pod/moved')).toMatchObject({ target: `${registry}/mirror/${ORIGINAL}` });
    expect(rowOf(found, 'Pod/dark')).toMatchObject({ moving: 'floating-tag', webhook: 'none' });
  });

  it('names a pod that stays at its source because policy says so', async () => {
    const { apiVersion, sources } = CONFIG;
    const open = JSON.stringify({ apiVersion, sources, procurement: 'public' });
    const path = await workspace.write('public.json', open);
    const args = ['coverage', '--config', path, '-n', ENFORCED, '--output', 'json'];
    const { stdout } = await runProgram(args);
    const found = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    expect(rowOf(found, 'Pod/old')).toMatchObject({ state: 'public', target: null });
  });

  it('says of each namespace what the webhook sees, and why it sees none', async () => {
    const namespaces = (await lines()).filter(({ type }) => type === 'namespace');
    expect(namespaces).toEqual([
      expect.objectContaining({ namespace: AUDITED, webhook: 'audit' }),
      expect.objectContaining({
        namespace: DARK,
        webhook: 'none',
        why: expect.stringContaining(`${MODE} In [enforce], and it is missing`),
      }),
      expect.objectContaining({ namespace: ENFORCED, webhook: 'enforce', failurePolicy: 'Ignore' }),
    ]);
  });

  it('finds a tag that has moved between two pods', async () => {
    await republishImage(registry, 'coverage-direct/app', 'latest');
    await apply([pod('later', DARK, `${DIRECT}:latest`)]);
    await isRunning('later', DARK);
    const found = await lines();
    const rows = ['Pod/dark', 'Pod/later'].map((workload) => rowOf(found, workload));
    expect(rows.map((row) => row?.moving)).toEqual(['moved', 'moved']);
    const [before, after] = rows.map((row) => row?.pulledFrom);
    expect(before).not.toEqual(after);
    await kubectl('delete', 'pod', 'later', '-n', DARK, '--now');
  });

  it('shows the same to people, and ends with 1 only where it is told to', async () => {
    const { code, stdout } = await coverage();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^unmapped +coverage-enforced-e2e +Pod\/unmapped /m);
    expect(stdout).toMatch(/^10 images, 10 pods, 3 namespaces: 1 unmapped, /m);
    expect((await coverage('--fail-on', 'unmapped')).code).toBe(1);
    expect((await coverage('--fail-on', 'incomplete')).code).toBe(0);
  });

  it('reads the whole cluster, and finds the same there', async () => {
    const whole = await runProgram(['coverage', '--config', config, '--output', 'json']);
    expect(whole).toMatchObject({ code: 0, stderr: '' });
    const found = whole.stdout.trimEnd().split('\n');
    const wanted = (await lines()).filter(({ type }) => type === 'image');
    expect(found).toEqual(expect.arrayContaining(wanted.map((line) => JSON.stringify(line))));
  });
});

describe('the ClusterRole of docs/coverage.md', () => {
  /** A kubeconfig for a service account of the release's namespace. */
  async function kubeconfigOf(account: string): Promise<string> {
    const token = await kubectl('create', 'token', account, '-n', RELEASE_NAMESPACE);
    const view = await kubectl('config', 'view', '--raw', '--flatten', '--minify', '-o', 'json');
    const parsed = JSON.parse(view) as { users: { name: string; user: object }[] };
    const users = parsed.users.map(({ name }) => ({ name, user: { token: token.trim() } }));
    return workspace.write(`${account}.json`, JSON.stringify({ ...parsed, users }));
  }

  function account(name: string): object {
    return {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name, namespace: RELEASE_NAMESPACE },
    };
  }

  it('is enough to read everything', async () => {
    const page = await readFile('docs/coverage.md', 'utf8');
    const role: unknown = parse(/```yaml\n(apiVersion: rbac[\s\S]*?)```/.exec(page)?.[1] ?? '');
    const subjects = [{ kind: 'ServiceAccount', name: READER, namespace: RELEASE_NAMESPACE }];
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: READER };
    await apply([
      account(READER),
      { ...(isRecord(role) ? role : {}), metadata: { name: READER } },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: READER },
        subjects,
        roleRef,
      },
    ]);
    const asReader = await lines('--kubeconfig', await kubeconfigOf(READER));
    expect(asReader).toEqual(await lines());
    expect(asReader.at(-1)).toMatchObject({ type: 'summary', complete: true });
  });

  it('is needed', async () => {
    await apply([account('coverage-nobody')]);
    const kubeconfig = await kubeconfigOf('coverage-nobody');
    const { code, stdout, stderr } = await runProgram(['coverage', '--kubeconfig', kubeconfig]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: pods is forbidden: .* \[CLUSTER_FORBIDDEN\]\n$/);
  });
});
