import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Coverage, type CoverageReport } from '../../src/core/coverage/report.ts';
import { connectApi } from '../../src/kube/api-reader.ts';
import { readCoverage } from '../../src/kube/read-coverage.ts';
import {
  namespaceOf,
  runningPod,
  webhookConfiguration,
  workloadObject,
} from '../support/coverage-objects.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { policyOf } from '../support/policies.ts';
import { Workspace } from '../support/workspace.ts';

const IMAGE = 'atlanhq/a:1.4.2';
const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const KINDS = [
  '/apis/apps/v1/deployments',
  '/apis/apps/v1/replicasets',
  '/apis/apps/v1/statefulsets',
  '/apis/apps/v1/daemonsets',
  '/apis/batch/v1/jobs',
  '/apis/batch/v1/cronjobs',
  '/api/v1/replicationcontrollers',
  '/api/v1/podtemplates',
  '/api/v1/pods',
];

let server: FakeApiServer;
let workspace: Workspace;

beforeEach(async () => {
  server = await FakeApiServer.start();
  workspace = await Workspace.create();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

interface Options {
  readonly namespaces?: readonly string[];
  readonly user?: object;
  readonly cluster?: object;
  readonly context?: string;
  readonly onProgress?: (plural: string, count: number) => void;
}

/** Reads through the real client. */
async function read(options: Options = {}): Promise<CoverageReport> {
  const { namespaces = [], context, onProgress = () => undefined, ...parts } = options;
  const kubeconfig = await workspace.write('kubeconfig', server.kubeconfig(parts));
  const coverage = new Coverage(policyOf({ base: 'r.example/m' }));
  await readCoverage(connectApi({ kubeconfig, context }), coverage, { namespaces, onProgress });
  return coverage.report();
}

function pods(count: number): object[] {
  return Array.from({ length: count }, (_, index) => {
    return { ...runningPod(`p${index}`, IMAGE), apiVersion: undefined, kind: undefined };
  });
}

function podNames({ rows }: CoverageReport): string[] {
  return rows.flatMap((row) => row.pods);
}

/** The requests to a path, without the others. */
function requestsTo(path: string): string[] {
  return server.requests.filter((request) => request.startsWith(`GET ${path}?`));
}

describe('readCoverage', () => {
  it('reads pods, their makers, namespaces and webhooks, with nothing but GET', async () => {
    server.list('/api/v1/pods', 'PodList', pods(1));
    server.list('/apis/apps/v1/deployments', 'DeploymentList', [
      workloadObject('Deployment', 'd', 'atlanhq/b:1.4.2'),
    ]);
    server.list('/api/v1/namespaces', 'NamespaceList', [namespaceOf('sdr')]);
    server.list(WEBHOOKS, 'MutatingWebhookConfigurationList', [webhookConfiguration()]);
    const { rows, notes, isComplete } = await read();
    expect(rows.map(({ state, workload }) => `${state} ${workload}`)).toEqual([
      'unseen Deployment/d',
      'unseen Pod/p0',
    ]);
    expect({ notes, isComplete }).toEqual({ notes: [], isComplete: true });
    expect(server.requests.filter((request) => !request.startsWith('GET '))).toEqual([]);
    for (const path of KINDS) {
      expect(requestsTo(path)).toHaveLength(1);
    }
  });

  it('does not make a connection for each request', async () => {
    await read();
    expect(server.requests.length).toBeGreaterThan(KINDS.length);
    expect(server.connections).toBeLessThan(KINDS.length / 2);
  });

  it('reads a long list page by page and tells how far it is', async () => {
    server.list('/api/v1/pods', 'PodList', pods(1200));
    const told: string[] = [];
    const report = await read({ onProgress: (plural, count) => told.push(`${count} ${plural}`) });
    expect(podNames(report)).toHaveLength(1200);
    expect(requestsTo('/api/v1/pods')).toEqual([
      'GET /api/v1/pods?limit=500',
      'GET /api/v1/pods?limit=500&continue=500',
      'GET /api/v1/pods?limit=500&continue=1000',
    ]);
    expect(told).toEqual(['500 pods', '1000 pods', '1200 pods']);
  });

  it('goes on where it was with the token that comes with 410', async () => {
    server.pageSize = 2;
    server.list('/api/v1/pods', 'PodList', pods(5));
    server.expiries = ['inconsistent'];
    expect(podNames(await read())).toHaveLength(5);
    expect(requestsTo('/api/v1/pods').map((request) => request.split('continue=')[1])).toEqual([
      undefined,
      '2',
      '2%7E',
      '4',
    ]);
  });

  it('begins a list anew after 410 without a token, and counts no pod twice', async () => {
    server.pageSize = 2;
    server.list('/api/v1/pods', 'PodList', pods(5));
    server.expiries = ['restart'];
    const report = await read();
    expect(podNames(report)).toEqual(['p0', 'p1', 'p2', 'p3', 'p4']);
    expect(requestsTo('/api/v1/pods')).toHaveLength(5);
  });

  it('gives up on a list that expires again and again', async () => {
    server.pageSize = 2;
    server.list('/api/v1/pods', 'PodList', pods(5));
    server.expiries = Array.from({ length: 20 }, () => 'restart' as const);
    await expect(read()).rejects.toMatchObject({ code: 'CLUSTER_READ_FAILED' });
  });

  it('notes a kind that may not be listed, and reads the others', async () => {
    server.list('/api/v1/pods', 'PodList', pods(1));
    server.forbid('/apis/apps/v1/deployments');
    const report = await read();
    expect(podNames(report)).toEqual(['p0']);
    expect(report.isComplete).toBe(false);
    expect(report.notes).toEqual([
      '/apis/apps/v1/deployments was not read: /apis/apps/v1/deployments is forbidden: User "reader" cannot list it',
    ]);
  });

  it('takes webhooks and namespaces that may not be listed for unknown, not for absent', async () => {
    server.list('/api/v1/pods', 'PodList', pods(1));
    server.forbid(WEBHOOKS);
    server.forbid('/api/v1/namespaces');
    const { rows, namespaces, notes, isComplete } = await read();
    expect(rows.map(({ state, webhook }) => ({ state, webhook }))).toEqual([
      { state: 'pending', webhook: null },
    ]);
    expect(namespaces).toEqual([]);
    expect(isComplete).toBe(true);
    expect(notes).toEqual([
      expect.stringMatching(/^whether the webhook sees a namespace is not known: .*forbidden/),
      expect.stringMatching(/^the labels of namespaces are not known: .*forbidden/),
    ]);
  });

  it('fails where nothing at all may be listed', async () => {
    for (const path of KINDS) server.forbid(path);
    await expect(read()).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
  });

  it('says that there is no webhook where there is none', async () => {
    server.list('/api/v1/pods', 'PodList', pods(1));
    server.list('/api/v1/namespaces', 'NamespaceList', [namespaceOf('sdr')]);
    server.list(WEBHOOKS, 'MutatingWebhookConfigurationList', []);
    expect((await read()).namespaces).toMatchObject([{ webhook: 'none', reason: 'no-webhook' }]);
  });

  it('reads the kinds of operators where the cluster has them', async () => {
    server.object('/apis', {
      kind: 'APIGroupList',
      groups: [
        { name: 'argoproj.io', preferredVersion: { groupVersion: 'argoproj.io/v1alpha1' } },
        { name: 'example.com', preferredVersion: { groupVersion: 'example.com/v1' } },
      ],
    });
    server.object('/apis/argoproj.io/v1alpha1', {
      kind: 'APIResourceList',
      resources: [
        { name: 'rollouts', kind: 'Rollout', namespaced: true, verbs: ['list'] },
        { name: 'rollouts/status', kind: 'Rollout', namespaced: true, verbs: ['get'] },
        { name: 'clusterworkflowtemplates', kind: 'ClusterWorkflowTemplate', verbs: ['list'] },
        { name: 'applications', kind: 'Application', namespaced: true, verbs: ['list'] },
      ],
    });
    const rollout = {
      ...workloadObject('Rollout', 'r', IMAGE),
      apiVersion: 'argoproj.io/v1alpha1',
    };
    const root = '/apis/argoproj.io/v1alpha1';
    server.list(`${root}/rollouts`, 'RolloutList', [rollout], 'argoproj.io/v1alpha1');
    server.list(`${root}/clusterworkflowtemplates`, 'ClusterWorkflowTemplateList', []);
    expect((await read()).rows.map(({ workload }) => workload)).toEqual(['Rollout/r']);
    const asked = server.requests.filter((request) => request.includes(`${root}/`));
    expect(asked).toEqual([
      `GET ${root}/rollouts?limit=500`,
      `GET ${root}/clusterworkflowtemplates?limit=500`,
    ]);
    // Where single namespaces are read, what has none is left out.
    server.requests.length = 0;
    server.object('/api/v1/namespaces/sdr', namespaceOf('sdr'));
    await read({ namespaces: ['sdr'] });
    expect(server.requests.filter((request) => request.includes(`${root}/`))).toEqual([
      `GET ${root}/namespaces/sdr/rollouts?limit=500`,
    ]);
  });

  it('reads nothing but the namespaces that are asked for', async () => {
    for (const name of ['a', 'b']) {
      server.object(`/api/v1/namespaces/${name}`, namespaceOf(name));
      const pod = runningPod('p', IMAGE, { namespace: name });
      server.list(`/api/v1/namespaces/${name}/pods`, 'PodList', [pod]);
    }
    const { rows } = await read({ namespaces: ['a', 'b'] });
    expect(rows.map(({ namespace }) => namespace)).toEqual(['a', 'b']);
    expect(requestsTo('/api/v1/pods')).toEqual([]);
    expect(requestsTo('/api/v1/namespaces')).toEqual([]);
  });

  it('says that a namespace does not exist', async () => {
    await expect(read({ namespaces: ['sdr-typo'] })).rejects.toMatchObject({
      code: 'USAGE',
      message: 'the cluster has no namespace "sdr-typo"',
    });
  });

  it('asks a busy API server again when it says so', async () => {
    const busy = { status: 429, body: {}, headers: { 'retry-after': '0' } };
    server.script('/api/v1/pods', busy, { ...busy, status: 503 });
    server.list('/api/v1/pods', 'PodList', pods(1));
    expect(podNames(await read())).toEqual(['p0']);
    expect(requestsTo('/api/v1/pods')).toHaveLength(3);
  });

  it.each([
    ['an error', { status: 500, body: { message: 'etcd is gone' } }, '500 etcd is gone'],
    ['a busy server that names no time', { status: 429, body: 'busy' }, '429'],
    ['a page of a proxy', { status: 200, body: '<html>' }, 'something that is not JSON'],
  ])('ends with what the API server said: %s', async (_title, answer, said) => {
    server.script('/api/v1/pods', answer);
    await expect(read()).rejects.toMatchObject({
      code: 'CLUSTER_READ_FAILED',
      message: `the API server ${server.url} answers /api/v1/pods with ${said}`,
    });
  });

  it('says that the credentials are not accepted', async () => {
    await expect(read({ user: { token: 'expired' } })).rejects.toMatchObject({
      code: 'CLUSTER_UNAUTHORIZED',
      message: `the API server ${server.url} does not accept the credentials (401)`,
    });
  });

  it.each([
    ['is not installed', { command: 'no-such-plugin' }, 'spawn no-such-plugin ENOENT'],
    [
      'fails',
      { command: 'sh', args: ['-c', 'echo please log in >&2; echo token >&2; exit 1'] },
      'please log in',
    ],
    ['fails without a word', { command: 'false' }, 'its exec plugin failed'],
  ])('says what is wrong with an exec plugin that %s', async (_title, exec, said) => {
    await expect(read({ user: { exec } })).rejects.toMatchObject({
      code: 'CLUSTER_UNAUTHORIZED',
      message: `the credentials of the kubeconfig cannot be used: ${said}`,
    });
  });

  it('takes the token of an exec plugin', async () => {
    const credential = JSON.stringify({ status: { token: 'a-token' } });
    const exec = { command: 'echo', args: [credential] };
    expect((await read({ user: { exec } })).isComplete).toBe(true);
  });

  it('says that the certificate of the API server is not trusted', async () => {
    const reading = read({ cluster: { 'certificate-authority-data': undefined } });
    await expect(reading).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' });
    await expect(reading).rejects.toThrow(/cannot be reached: .*certificate/);
  });

  it('says that nothing listens', async () => {
    const gone = await FakeApiServer.start();
    const { url } = gone;
    await gone[Symbol.asyncDispose]();
    const reading = read({ cluster: { server: url } });
    await expect(reading).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' });
    await expect(reading).rejects.toThrow(`${url} cannot be reached: connect ECONNREFUSED`);
  });
});

describe('a kubeconfig', () => {
  it.each([
    ['nope', 'the kubeconfig has no context "nope"; it has fake, broken'],
    ['broken', 'the context "broken" is of a cluster that the kubeconfig does not have'],
  ])('is refused for the context %s', async (context, message) => {
    await expect(read({ context })).rejects.toMatchObject({ code: 'KUBECONFIG_INVALID', message });
  });

  it.each([
    ['nothing', '', /^the kubeconfig ".*" cannot be read: /],
    ['no YAML', '{', /^the kubeconfig ".*" cannot be read: [^\n]+$/],
    ['no context', '{}', /^the kubeconfig has no current context; .*\(it has none\)$/],
  ])('is refused where it has %s', async (_title, text, message) => {
    const kubeconfig = await workspace.write('kubeconfig', text);
    expect(() => connectApi({ kubeconfig })).toThrow(message);
    expect(() => connectApi({ kubeconfig })).toThrow(
      expect.objectContaining({ code: 'KUBECONFIG_INVALID' }),
    );
  });

  it('is missed where there is none', () => {
    const { KUBECONFIG, HOME } = process.env;
    delete process.env.KUBECONFIG;
    process.env.HOME = workspace.folder;
    try {
      expect(() => connectApi({})).toThrow(/^there is no kubeconfig: /);
    } finally {
      Object.assign(process.env, { HOME, ...(KUBECONFIG !== undefined && { KUBECONFIG }) });
    }
  });
});
