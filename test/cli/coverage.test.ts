import { mkdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  controlledBy,
  namespaceOf,
  runningPod,
  webhookConfiguration,
  workloadObject,
} from '../support/coverage-objects.ts';
import { digestOf } from '../support/digests.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { type Finished, runProgram } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';

const CONFIG = ['--config', 'examples/config-prefixes.yaml'];
const IMAGE = 'atlanhq/a:1.4.2';
const TARGET = 'registry.corp.example/atlan/a:1.4.2';

let workspace: Workspace;

beforeEach(async () => {
  workspace = await Workspace.create();
});

afterEach(() => workspace[Symbol.asyncDispose]());

function coverage(args: readonly string[], input = ''): Promise<Finished> {
  return runProgram(['coverage', ...args], input);
}

/** The lines of `--output json`. */
async function lines(args: readonly string[], input = ''): Promise<Record<string, unknown>[]> {
  const { stdout } = await coverage([...args, '--output', 'json'], input);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function jsonList(...items: readonly object[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

describe('coverage of manifests', () => {
  it('prints one object a line with exactly the documented fields', async () => {
    const deployment = workloadObject('Deployment', 'mysql', IMAGE);
    const file = await workspace.write('mysql.json', JSON.stringify(deployment));
    expect(await lines([...CONFIG, '-f', file])).toEqual([
      {
        type: 'image',
        state: 'covered',
        namespace: 'sdr',
        workload: 'Deployment/mysql',
        containers: ['containers/main'],
        image: IMAGE,
        canonical: `docker.io/${IMAGE}`,
        runs: null,
        pods: [],
        pulledFrom: [],
        target: TARGET,
        rule: 'prefix',
        reason: null,
        webhook: null,
        moving: null,
        file: `${file}:1`,
      },
      {
        type: 'summary',
        images: 1,
        pods: 0,
        namespaces: 1,
        moving: 0,
        complete: true,
        states: {
          unmapped: 0,
          invalid: 0,
          unseen: 0,
          audited: 0,
          pending: 0,
          stale: 0,
          exempt: 0,
          public: 0,
          covered: 1,
          mirrored: 0,
        },
      },
    ]);
  });

  it('reads folders and hidden files, each document of a file, and merge keys, and says at which line', async () => {
    await mkdir(workspace.path('deep'));
    await mkdir(workspace.path('.hidden'));
    const pod = 'apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n';
    await workspace.write('.hidden/no.yaml', `${pod}spec: {containers: [{image: atlanhq/no:1}]}\n`);
    await workspace.write('notes.txt', 'no: [manifest');
    await workspace.write(
      'deep/two.yml',
      `# first\n---\n${pod}spec: {containers: [{image: atlanhq/a:1.0.0}]}\n---\n# second\nx: &x {image: atlanhq/b:1.0.0}\n${pod}spec: {containers: [{<<: *x}]}\n`,
    );
    await workspace.write('b.yaml', `${pod}spec: {containers: [{image: atlanhq/c:1.0.0}]}\n`);
    await workspace.write('.d.yaml', `${pod}spec: {containers: [{image: atlanhq/d:1.0.0}]}\n`);
    const found = await lines([...CONFIG, '-f', workspace.folder]);
    expect(found.map(({ image, file }) => [image, file])).toEqual([
      ['atlanhq/a:1.0.0', `${workspace.path('deep/two.yml')}:3`],
      ['atlanhq/b:1.0.0', `${workspace.path('deep/two.yml')}:9`],
      ['atlanhq/c:1.0.0', `${workspace.path('b.yaml')}:1`],
      ['atlanhq/d:1.0.0', `${workspace.path('.d.yaml')}:1`],
      [undefined, undefined],
    ]);
  });

  it('reads a dump of a cluster from standard input as it reads a cluster', async () => {
    const pods = [
      runningPod('old', IMAGE, { ownerReferences: controlledBy('ReplicaSet', 'mysql-1') }),
      runningPod('new', IMAGE, { pulled: 'b', phase: 'Pending' }),
    ];
    const dump = jsonList(namespaceOf('sdr'), webhookConfiguration(), ...pods);
    const { stdout, stderr, code } = await coverage([...CONFIG, '-f', '-'], dump);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(
      [
        'STATE   NAMESPACE  WORKLOAD            PODS  IMAGE            PULLED FROM  TARGET                               WHY                 TAG    FILE',
        `unseen  sdr        Pod/new             new   ${IMAGE}  docker.io    ${TARGET}  namespace-selector  moved  stdin:1`,
        `unseen  sdr        ReplicaSet/mysql-1  old   ${IMAGE}  docker.io    ${TARGET}  namespace-selector  moved  stdin:1`,
        '',
        'NAMESPACE  WEBHOOK  WHY',
        'sdr        none     rewriter/enforce.sdr-image-rewriter.io wants sdr-image-rewriter.io/mode In [enforce], and it is missing',
        '',
        '2 images, 2 pods, 1 namespace: 2 unseen, 2 may move',
        '',
      ].join('\n'),
    );
  });

  it('names one pod of many, and cuts digests that JSON has in full', async () => {
    const pinned = `atlanhq/a@${digestOf('c')}`;
    const pods = ['a', 'b', 'c'].map((name) =>
      runningPod(name, pinned, { ownerReferences: controlledBy('Workflow', 'w') }),
    );
    const { stdout } = await coverage([...CONFIG, '-f', '-'], jsonList(...pods));
    expect(stdout).toMatch(/ Workflow\/w +a \+2 +atlanhq\/a@sha256:c{12}… /);
    const [row] = await lines([...CONFIG, '-f', '-'], jsonList(...pods));
    expect(row).toMatchObject({ image: pinned, pods: ['a', 'b', 'c'] });
  });

  it('says that nothing is in scope', async () => {
    const { code, stdout } = await coverage([...CONFIG, '-f', '-'], 'a: 1\n');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '0 images, 0 pods, 0 namespaces\n' });
  });

  it.each([
    ['a fault of syntax', 'a: 1\nb: [1\nc: 2\n', /stdin:3:1: /],
    ['a fault in a later document', 'a: 1\n---\nb: "x\n', /stdin:\d+:\d+: /],
    ['an unknown alias', 'a: *b\n', /stdin:1:4: .*b/],
    ['JSON that is cut off', '{"kind": "Pod", "spec": {', /stdin:1:\d+: /],
  ])('names file, line and column of %s', async (_title, text, place) => {
    const { code, stdout, stderr } = await coverage([...CONFIG, '-f', '-'], text);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(place);
    expect(stderr).toMatch(/^error: [^\n]+ \[MANIFEST_NOT_YAML\]\n$/);
  });

  it.each([
    ['nothing that is asked for', [], 0],
    ['an unmapped image', ['--fail-on', 'unmapped'], 1],
    ['one of several', ['--fail-on', 'stale,unmapped'], 1],
    ['one of several, given apart', ['--fail-on', 'unmapped', '--fail-on', 'stale'], 1],
    ['none of several', ['--fail-on', 'stale,invalid'], 0],
  ])('ends as it should with %s', async (_title, args, code) => {
    const pod = runningPod('p', 'registry.atlan.com/internal/tool:1.0.0');
    const options = ['--map', 'examples/image-map.json', '-f', '-', ...args];
    expect(await coverage(options, JSON.stringify(pod))).toMatchObject({ code, stderr: '' });
  });

  it.each([
    ['a file that is not there', ['-f', 'no-such-file.yaml']],
    ['a folder without manifests', ['-f', 'src/kube']],
    ['files and a cluster at once', ['-f', 'examples', '--context', 'x']],
    ['an unknown state to fail on', ['--fail-on', 'unmapped,broken']],
    ['a kubeconfig that is not there', ['--kubeconfig', 'no-such-file']],
  ])('ends with 2 for %s', async (_title, args) => {
    const { code, stdout, stderr } = await coverage(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
  });
});

describe('coverage of a cluster', () => {
  it('reads it through the kubeconfig, and tells no progress where nobody watches', async () => {
    await using server = await FakeApiServer.start();
    const kubeconfig = await workspace.write('kubeconfig', server.kubeconfig());
    server.list('/api/v1/pods', 'PodList', [runningPod('p', IMAGE)]);
    const { code, stdout, stderr } = await coverage([...CONFIG, '--kubeconfig', kubeconfig]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`pending  sdr        Pod/p     p     ${IMAGE}`);
  });

  it('shows what could not be read, and can fail for it', async () => {
    await using server = await FakeApiServer.start();
    const kubeconfig = await workspace.write('kubeconfig', server.kubeconfig());
    server.forbid('/api/v1/pods');
    const args = [...CONFIG, '--kubeconfig', kubeconfig];
    const { code, stdout } = await coverage(args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^note {2}\/api\/v1\/pods was not read: /);
    expect(stdout).toMatch(/; not everything could be read\n$/);
    expect((await coverage([...args, '--fail-on', 'incomplete'])).code).toBe(1);
  });

  it.each([
    ['unknown credentials', { user: { token: 'x' } }, 'CLUSTER_UNAUTHORIZED'],
    [
      'an untrusted server',
      { cluster: { 'certificate-authority-data': '' } },
      'CLUSTER_UNREACHABLE',
    ],
  ])('ends with 1 and one sentence for %s', async (_title, parts, errorCode) => {
    await using server = await FakeApiServer.start();
    const kubeconfig = await workspace.write('kubeconfig', server.kubeconfig(parts));
    const { code, stdout, stderr } = await coverage(['--kubeconfig', kubeconfig]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^error: [^\\n]+ \\[${errorCode}\\]\\n$`));
  });
});
