import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseAllDocuments } from 'yaml';
import { exportAdmissionPolicy } from '../../src/core/export/admission-policy.ts';
import { createPolicy, type PolicySettings } from '../../src/core/policy.ts';
import { imageTexts, policyOptions } from '../support/arbitraries.ts';
import { digestOf } from '../support/digests.ts';
import { mapDocument } from '../support/maps.ts';
import { settingsOf } from '../support/policies.ts';
import { runProgram } from '../support/program.ts';
import { referenceOf } from '../support/references.ts';
import { Workspace } from '../support/workspace.ts';
import {
  apply,
  copyImage,
  eventually,
  getJson,
  kubectl,
  must,
  run,
  setting,
} from './support/cluster.ts';
import { namespaceObject, type PodObject, sleeper } from './support/pods.ts';

const registry = setting('LAB_REGISTRY');
const image = setting('LAB_IMAGE');
const NAMESPACE = 'export-e2e-pods';
const OTHER_NAMESPACE = 'export-e2e-other';
const ORIGINAL = 'atlanhq/export-e2e-app:1';
const MIRROR = `${registry}/export-e2e`;
const mirrored = (name: string): string => `${MIRROR}/${name}`;

/** What a command line exports; it must say all of it. */
async function exported(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(['export', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

beforeAll(async () => {
  const source = image.slice(image.indexOf('/') + 1);
  for (const name of ['export-e2e-app:1', 'export-e2e-app:2', 'export-e2e-tools:1']) {
    await copyImage(registry, source, `export-e2e/atlanhq/${name}`);
  }
  await apply([namespaceObject(NAMESPACE), namespaceObject(OTHER_NAMESPACE)]);
});

afterAll(async () => {
  await kubectl('delete', 'namespace', NAMESPACE, OTHER_NAMESPACE, '--wait=false');
});

interface AdmissionObject {
  readonly kind: string;
  readonly spec: { readonly matchResources?: object };
}

/** The objects under another name, for the namespace of this test only: the cluster is shared. */
function bound(objects: readonly object[], name: string): object[] {
  return (objects as AdmissionObject[]).map((object) => {
    const isBinding = object.kind === 'MutatingAdmissionPolicyBinding';
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': NAMESPACE } };
    const spec = isBinding
      ? { policyName: name, matchResources: { namespaceSelector } }
      : { ...object.spec, failurePolicy: 'Fail' };
    return { ...object, metadata: { name }, spec };
  });
}

async function removePolicy(name: string): Promise<void> {
  const objects = [`mutatingadmissionpolicybinding/${name}`, `mutatingadmissionpolicy/${name}`];
  await kubectl('delete', '--ignore-not-found', ...objects);
}

function podOf(name: string, spec: object, metadata: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, ...metadata },
    spec: { terminationGracePeriodSeconds: 0, ...spec },
  };
}

/** The images that the API server would store for containers with these. */
async function admitted(
  images: readonly string[],
  metadata: object = {},
  spec: object = {},
): Promise<string[]> {
  const containers = images.map((each, index) => ({ name: `c${index}`, image: each }));
  const args = ['create', '--dry-run=server', '-o', 'json', '-f', '-'];
  const pod = await must(
    'kubectl',
    args,
    JSON.stringify(podOf('table', { ...spec, containers }, metadata)),
  );
  return (JSON.parse(pod) as PodObject).spec.containers.map((each) => each.image);
}

describe('the exported MutatingAdmissionPolicy', () => {
  const POLICY = 'export-e2e-policy';
  const getPod = (name: string): Promise<PodObject> =>
    getJson<PodObject>('pod', name, '-n', NAMESPACE);

  beforeAll(async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write(
      'config.yaml',
      JSON.stringify({
        apiVersion: 'sdr-image-rewriter/v1',
        procurement: 'prefix',
        containerRegistryBase: MIRROR,
        imagePullSecrets: ['corp-registry'],
      }),
    );
    const text = await exported('mutating-admission-policy', '--config', config);
    const objects = parseAllDocuments(text).map((document) => document.toJS() as object);
    await apply(bound(objects, POLICY));
    await eventually(
      () => admitted([ORIGINAL]),
      ([first]) => first === mirrored(ORIGINAL),
    );
  });

  afterAll(() => removePolicy(POLICY));

  it('runs a pod from the mirror that could not be pulled without it', async () => {
    await apply([
      podOf('fields', {
        imagePullSecrets: [{ name: 'theirs' }],
        initContainers: [{ ...sleeper('sidecar', ORIGINAL), restartPolicy: 'Always' }],
        containers: [
          sleeper('main', `docker.io/${ORIGINAL}`),
          sleeper('second', mirrored(ORIGINAL)),
        ],
        volumes: [
          { name: 'scratch', emptyDir: {} },
          { name: 'tools', image: { reference: 'docker.io/atlanhq/export-e2e-tools:1' } },
        ],
      }),
    ]);
    const { spec } = await eventually(
      () => getPod('fields'),
      ({ status }) => status.phase === 'Running',
    );
    expect(spec.initContainers?.[0]?.image).toBe(mirrored(ORIGINAL));
    expect(spec.containers.map((each) => each.image)).toEqual([
      mirrored(ORIGINAL),
      mirrored(ORIGINAL),
    ]);
    expect(spec.volumes?.map((volume) => volume.image?.reference)).toContain(
      mirrored('atlanhq/export-e2e-tools:1'),
    );
    expect(spec.imagePullSecrets).toEqual([{ name: 'theirs' }, { name: 'corp-registry' }]);
  });

  it('rewrites what kubectl set image and kubectl debug change in a running pod, and only that', async () => {
    const skip = { labels: { 'sdr-image-rewriter.io/skip': 'true' } };
    await apply([
      podOf(
        'edited',
        { containers: [sleeper('main', ORIGINAL), sleeper('other', ORIGINAL)] },
        skip,
      ),
    ]);
    // The label goes, and the pod still names what it named.
    await kubectl('label', 'pod', 'edited', 'sdr-image-rewriter.io/skip-', '-n', NAMESPACE);
    expect((await getPod('edited')).spec.containers[0]?.image).toBe(ORIGINAL);
    const change = 'other=docker.io/atlanhq/export-e2e-app:2';
    await kubectl('set', 'image', 'pod/edited', change, '-n', NAMESPACE);
    await kubectl(
      ...['debug', 'edited', '-n', NAMESPACE, '--image=atlanhq/export-e2e-tools:1'],
      ...['--target=main', '--profile=general', '--', '/nodejs/bin/node', '-e', '0'],
    );
    const { spec } = await getPod('edited');
    expect(spec.containers.map((each) => each.image)).toEqual([
      ORIGINAL,
      mirrored('atlanhq/export-e2e-app:2'),
    ]);
    expect(spec.ephemeralContainers?.[0]?.image).toBe(mirrored('atlanhq/export-e2e-tools:1'));
  });

  it('leaves alone a pod with the skip label, a mirror pod, and other namespaces', async () => {
    const skip = { labels: { 'sdr-image-rewriter.io/skip': 'true' } };
    const containers = [sleeper('main', ORIGINAL)];
    await apply([
      podOf('skipped', { containers }, skip),
      podOf('outside', { containers }, { namespace: OTHER_NAMESPACE }),
    ]);
    expect((await getPod('skipped')).spec.containers[0]?.image).toBe(ORIGINAL);
    const outside = await getJson<PodObject>('pod', 'outside', '-n', OTHER_NAMESPACE);
    expect(outside.spec.containers[0]?.image).toBe(ORIGINAL);
    const mirror = { annotations: { 'kubernetes.io/config.mirror': 'e2e' } };
    expect(await admitted([ORIGINAL], mirror, { nodeName: 'e2e' })).toEqual([ORIGINAL]);
  });
});

describe('the decisions of the exported MutatingAdmissionPolicy', () => {
  const POLICY = 'export-e2e-table';

  afterAll(() => removePolicy(POLICY));

  function wanted(settings: PolicySettings, images: readonly string[]): string[] {
    const policy = createPolicy(settings);
    return images.map((each) => {
      const decision = policy.decide(each);
      return decision.outcome === 'rewritten' ? decision.target : each;
    });
  }

  const DIGEST = digestOf('a');
  const NAMES = [
    ...[
      'atlanhq/a',
      'docker.io/atlanhq/a',
      'index.docker.io/atlanhq/a',
      'registry-1.docker.io/atlanhq/a',
    ],
    ...[
      'registry.hub.docker.com/atlanhq/a',
      'ghcr.io/atlanhq/a/worker',
      'ghcr.io/atlanhq',
      'ghcr.io/a',
    ],
    ...[
      'atlanhq2/a',
      'atlanhq',
      'nginx',
      'library/nginx',
      'docker.io/nginx',
      'registry-1.docker.io/nginx',
    ],
    ...[
      'registry.atlan.com/public/base',
      'registry.atlan.com:5000/public/base',
      'localhost/atlanhq/a',
    ],
    ...['localhost:5000/atlanhq/a', 'docker.io.evil.example/atlanhq/a', 'Docker.io/atlanhq/a'],
    ...[
      'registry.corp.example/mirror/atlanhq/a',
      'registry.corp.example/mirror2/a',
      '[::1]:5000/a',
    ],
    ...['atlanhq/kept', 'atlanhq/moved', 'ghcr.io/atlanhq/moved', 'quay.io/atlanhq/a'],
    ...[
      `atlanhq/${'a'.repeat(240)}`,
      `atlanhq/${'a'.repeat(248)}`,
      'atlanhq//a',
      'atlanhq/a-',
      'atlanhq/A',
    ],
    ...[
      'a_b.c/atlanhq/a',
      'atlanhq/a__b',
      'atlanhq/a___b',
      'atlanhq/a..b',
      'atlanhq/a--b.c',
      'ATLANHQ/a',
    ],
  ];
  const SUFFIXES = ['', ':1', ':latest', `@${DIGEST}`, `:1@${DIGEST}`, ':', '@sha256:1', ':-a'];
  const ODD = [
    'f'.repeat(64),
    'atlanhq/a:1:2',
    'atlanhq/a@b/c',
    '@',
    '/',
    ':',
    'docker.io/',
    '/atlanhq/a',
  ];
  const TABLE = [...NAMES.flatMap((name) => SUFFIXES.map((suffix) => `${name}${suffix}`)), ...ODD];

  async function check(settings: PolicySettings, images: readonly string[]): Promise<void> {
    const { objects } = exportAdmissionPolicy(settings);
    const expected = wanted(settings, images);
    if (objects.length === 0) {
      expect(expected).toEqual(images);
      return;
    }
    await apply(bound(objects, POLICY));
    await eventually(
      () => admitted(images),
      (found) => JSON.stringify(found) === JSON.stringify(expected),
      20,
    );
  }

  it.each([
    ['a base', settingsOf({ base: 'registry.corp.example/mirror' })],
    [
      'a base without a path',
      settingsOf({ base: 's.example', sources: ['docker.io', 'ghcr.io/atlanhq'] }),
    ],
    ['a base on Docker Hub', settingsOf({ base: 'index.docker.io/corp' })],
    [
      'prefixes',
      settingsOf({
        base: 'registry.corp.example/mirror',
        prefixes: {
          'docker.io/atlanhq': 'registry.corp.example/atlan',
          'ghcr.io/atlanhq/a': 's.example',
          'docker.io/library': 'r.example/hub',
        },
        sources: ['docker.io', 'ghcr.io/atlanhq', 'registry.atlan.com'],
      }),
    ],
    [
      'repositories and prefixes of a map',
      settingsOf({
        base: 'registry.corp.example/mirror',
        map: mapDocument({
          repositories: [
            { source: 'docker.io/atlanhq/moved', target: 'r.example/other' },
            { source: 'ghcr.io/atlanhq/moved', target: 'r.example/other' },
          ],
          prefixes: [{ source: 'registry.atlan.com/public', target: 'r.example/p' }],
        }),
      }),
    ],
  ])('are those of the webhook for %s and every spelling of an image', async (_title, settings) => {
    await check(settings, TABLE);
  });

  it('are those of the webhook for policies and images of any kind', async () => {
    const withoutImages = policyOptions.map(({ map, ...options }) =>
      map === undefined ? options : { ...options, map: { ...map, images: [] } },
    );
    const texts = imageTexts.filter(
      (text) => text !== '' && text.trim() === text && !/[\0\u{D800}-\u{DFFF}]/u.test(text),
    );
    for (const options of fc.sample(withoutImages, { numRuns: 12, seed: 42 })) {
      await check(settingsOf(options), fc.sample(texts, { numRuns: 300, seed: 42 }));
    }
  });

  it('leave alone what single images of a map are about, and everything else is decided', async () => {
    const settings = settingsOf({
      base: 'registry.corp.example/mirror',
      map: mapDocument({
        images: [
          { source: 'atlanhq/kept:1', target: 'r.example/kept:2', sourceDigest: digestOf('b') },
        ],
        repositories: [{ source: 'docker.io/atlanhq/moved', target: 'r.example/other' }],
      }),
    });
    const policy = createPolicy(settings);
    const { objects, leftOut } = exportAdmissionPolicy(settings);
    expect(leftOut.map(({ path }) => path)).toEqual(['$.images[0].source']);
    await apply(bound(objects, POLICY));
    const expected = TABLE.map((each) => {
      const decision = policy.decide(each);
      const isSaid =
        decision.outcome === 'rewritten' &&
        decision.reference.digest === undefined &&
        referenceOf(each).repository !== 'docker.io/atlanhq/kept';
      return isSaid ? decision.target : each;
    });
    await eventually(
      () => admitted(TABLE),
      (found) => JSON.stringify(found) === JSON.stringify(expected),
      20,
    );
  });

  it('stay within the cost that the API server allows for a thousand repositories', async () => {
    const repositories = Array.from({ length: 1000 }, (_, index) => ({
      source: `docker.io/atlanhq/app-${index}`,
      target: `r.example/app-${index}`,
    }));
    const settings = settingsOf({ map: mapDocument({ repositories }) });
    const images = Array.from({ length: 50 }, (_, index) => `atlanhq/app-${index * 19}:1`);
    await check(settings, images);
  });
});

const [engine = '', ...runOptions] = setting('LAB_CONTAINER_RUN').split(' ');

(engine.endsWith('podman') ? describe : describe.skip)('the exported registries.conf', () => {
  const engineOptions = runOptions.slice(0, runOptions.indexOf('run'));
  const pulledNames: string[] = [];

  afterAll(async () => {
    await run(engine, [...engineOptions, 'rmi', '--force', ...pulledNames]);
  });

  /** Pulls as Podman does with this file; returns what it said. */
  async function pull(conf: string, name: string): Promise<string> {
    pulledNames.push(name);
    // What stays goes to a registry that may be out of reach; the log has said so by then.
    const { code, stdout, stderr } = await run('timeout', [
      ...['20', 'env', `CONTAINERS_REGISTRIES_CONF=${conf}`],
      ...[engine, ...engineOptions, '--log-level', 'debug'],
      ...['pull', '--tls-verify=false', name],
    ]);
    return `${code === 0 ? 'pulled' : 'failed'}\n${stderr}${stdout}`;
  }

  it('makes podman pull from the mirror, by tag and by digest and under every host of Docker Hub', async () => {
    await using workspace = await Workspace.create();
    const text = await exported('registries.conf', '--base', MIRROR);
    const conf = await workspace.write('registries.conf', text);
    const source = image.slice(image.indexOf('/') + 1);
    const digest = await copyImage(registry, source, 'export-e2e/atlanhq/export-e2e-app:1');
    for (const name of [
      `docker.io/${ORIGINAL}`,
      `index.docker.io/${ORIGINAL}`,
      `registry-1.docker.io/${ORIGINAL}`,
      `registry.hub.docker.com/${ORIGINAL}`,
      `ghcr.io/${ORIGINAL}`,
      `docker.io/atlanhq/export-e2e-app@${digest}`,
    ]) {
      expect(await pull(conf, name)).toMatch(/^pulled\n/);
    }
  });

  it('moves a renamed repository, and leaves alone what it says to leave alone', async () => {
    await using workspace = await Workspace.create();
    const map = await workspace.write(
      'map.json',
      JSON.stringify(
        mapDocument({
          images: [{ source: 'atlanhq/export-e2e-tools:1', target: 'r.example/tools:2' }],
          repositories: [{ source: 'atlanhq/renamed', target: `${MIRROR}/atlanhq/export-e2e-app` }],
        }),
      ),
    );
    const args = ['registries.conf', '--map', map, '--base', MIRROR, '--partial'];
    const { code, stdout, stderr } = await runProgram(['export', ...args]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^left out: docker\.io\/atlanhq\/export-e2e-tools:1 -> /);
    const conf = await workspace.write('registries.conf', stdout);
    expect(await pull(conf, 'docker.io/atlanhq/renamed:2')).toMatch(/^pulled\n/);
    const kept = await pull(conf, 'docker.io/atlanhq/export-e2e-tools:1');
    expect(kept).toMatch(/^failed\n/);
    expect(kept).toContain('Trying to access \\"docker.io/atlanhq/export-e2e-tools:1\\"');
    expect(kept).not.toContain(registry);
  });
});

/** containerd's client with its address: `ctr -a /run/containerd/containerd.sock`; not every lab has one. */
const [ctr, ...ctrOptions] = process.env.LAB_CTR?.split(' ') ?? [];

(ctr === undefined ? describe.skip : describe)('the exported hosts.toml', () => {
  const CONTAINERD_NAMESPACE = 'export-e2e';
  const client = (...args: readonly string[]): ReturnType<typeof run> =>
    run(ctr ?? '', [...ctrOptions, '--namespace', CONTAINERD_NAMESPACE, 'images', ...args]);
  const NAMES = [`registry.atlan.com/${ORIGINAL}`, `ghcr.io/export-e2e/${ORIGINAL}`];

  afterAll(async () => {
    await client('rm', '--sync', ...NAMES);
    await run(ctr ?? '', [...ctrOptions, 'namespaces', 'rm', CONTAINERD_NAMESPACE]);
  });

  it('makes containerd pull from the mirror, with and without a path, and nowhere else', async () => {
    await using workspace = await Workspace.create();
    const prefixes = [{ source: 'ghcr.io', target: registry }];
    const config = await workspace.write(
      'config.yaml',
      JSON.stringify({
        apiVersion: 'sdr-image-rewriter/v1',
        procurement: 'prefix',
        sources: ['ghcr.io', 'registry.atlan.com'],
        containerRegistryBase: MIRROR,
        prefixes,
      }),
    );
    const folder = workspace.path('certs.d');
    expect(await exported('hosts.toml', '--config', config, '--directory', folder)).toBe('');
    for (const host of ['ghcr.io', 'registry.atlan.com']) {
      // The registry of the lab speaks plain HTTP.
      const path = join(folder, host, 'hosts.toml');
      await writeFile(path, (await readFile(path, 'utf8')).replace('https://', 'http://'));
    }
    for (const name of NAMES) {
      expect(await client('pull', '--hosts-dir', folder, name)).toMatchObject({ code: 0 });
    }
    const none = await client('pull', '--hosts-dir', folder, 'registry.atlan.com/atlanhq/none:1');
    expect(none.stderr).toContain('registry.atlan.com/atlanhq/none:1: not found');
  });
});

describe('the exported images of a kustomization', () => {
  async function build(
    workspace: Workspace,
    list: string,
    images: readonly string[],
  ): Promise<string[]> {
    const containers = images.map((each, index) => ({ name: `c${index}`, image: each }));
    await workspace.write('pod.yaml', JSON.stringify(podOf('kustomized', { containers })));
    await workspace.write('kustomization.yaml', `resources: [pod.yaml]\n${list}`);
    const [built] = parseAllDocuments(await kubectl('kustomize', workspace.folder));
    return (built?.toJS() as PodObject).spec.containers.map((each) => each.image);
  }

  it('builds with the repositories of a map, in every spelling and for no other name', async () => {
    await using workspace = await Workspace.create();
    const map = await workspace.write(
      'map.json',
      '{"atlanhq/a.b": "r.example/c", "docker.io/library/nginx": "r.example/nginx"}',
    );
    const config = await workspace.write(
      'config.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: map\nsources: [docker.io]\nimageMap: {url: "file:///dev/null"}\n',
    );
    const list = await exported('kustomize', '--config', config, '--map', map);
    const digest = digestOf('a');
    expect(
      await build(workspace, list, [
        ...[
          'atlanhq/a.b:1',
          `docker.io/atlanhq/a.b:1@${digest}`,
          'registry-1.docker.io/atlanhq/a.b',
        ],
        ...[
          'nginx',
          'library/nginx:1',
          'docker.io/nginx:1',
          'atlanhq/a-b:1',
          'ghcr.io/atlanhq/a.b:1',
        ],
      ]),
    ).toEqual([
      ...['r.example/c:1', `r.example/c:1@${digest}`, 'r.example/c'],
      ...[
        'r.example/nginx',
        'r.example/nginx:1',
        'r.example/nginx:1',
        'atlanhq/a-b:1',
        'ghcr.io/atlanhq/a.b:1',
      ],
    ]);
  });

  it('gives the images that are named exactly what resolve says', async () => {
    await using workspace = await Workspace.create();
    const options = ['--config', 'examples/config-map.yaml', '--map', 'examples/image-map.json'];
    const images = [
      'atlanhq/atlan-mysql-app:0.4.25',
      'docker.io/atlanhq/atlan-snowflake-app:1.8.0',
      `atlanhq/atlan-oracle-app@${digestOf('3')}`,
      'docker.io/atlanhq/atlan-oracle-app:19',
      'registry.atlan.com/public/base:3',
      'nginx:1',
    ];
    const list = await exported('kustomize', ...options, ...images);
    const { stdout } = await runProgram(['resolve', '--output', 'json', ...options, ...images]);
    const targets = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { image: string; target: string | null })
      .map((resolution) => resolution.target ?? resolution.image);
    expect(await build(workspace, list, images)).toEqual(targets);
  });
});
