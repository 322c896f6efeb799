import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { listWorkloads } from '../../src/core/workload.ts';
import { manifestFixtures, readDocuments } from '../support/manifests.ts';
import { runProgram } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';
import {
  apply,
  copyImage,
  eventually,
  getJson,
  kubectl,
  must,
  setting,
} from './support/cluster.ts';
import { namespaceObject, type PodObject, sleeper } from './support/pods.ts';

const NAMESPACE = 'post-renderer-e2e';
const ORIGINAL = 'docker.io/atlanhq/post-rendered:1';
// Helm asks the cluster for its version in `install`, and takes an old one for granted in `template`.
const KUBE_VERSION = '1.36.0';

const registry = setting('LAB_REGISTRY');
const mirrored = `${registry}/mirror/atlanhq/post-rendered:1`;
let workspace: Workspace;
let config: string;

function deployment(name: string): object {
  const labels = { app: name };
  const containers = [sleeper('main', ORIGINAL)];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers } },
    },
  };
}

function rewrite(input: string): ReturnType<typeof runProgram> {
  return runProgram(['rewrite', '--config', config, '-'], input);
}

/** All images of the pods that a document makes, in order. */
function imagesOf(document: unknown): string[] {
  return listWorkloads(document).flatMap(({ templates }) =>
    templates.flatMap(({ images }) => images.map(({ image }) => image.image)),
  );
}

beforeAll(async () => {
  const image = setting('LAB_IMAGE');
  await copyImage(registry, image.slice(image.indexOf('/') + 1), 'mirror/atlanhq/post-rendered:1');
  workspace = await Workspace.create();
  config = await workspace.write(
    'config.yaml',
    `apiVersion: sdr-image-rewriter/v1\nprocurement: prefix\ncontainerRegistryBase: ${registry}/mirror\n`,
  );
  const script = await workspace.write(
    'post-renderer',
    `#!/bin/sh\nexec '${process.execPath}' '${resolve('dist/sdr-image-rewriter.js')}' rewrite --config '${config}' -\n`,
  );
  await chmod(script, 0o755);
  await mkdir(workspace.path('chart/templates'), { recursive: true });
  await workspace.write('chart/Chart.yaml', 'apiVersion: v2\nname: mysql\nversion: 0.1.0\n');
  await workspace.write('chart/values.yaml', `image: ${ORIGINAL}\n`);
  const template = JSON.stringify(deployment('helm'), undefined, 2);
  await workspace.write(
    'chart/templates/deployment.yaml',
    `# a comment of the chart\n${template.replace(ORIGINAL, '{{ .Values.image }}')}\n`,
  );
  await mkdir(workspace.path('kustomization'));
  await writeFile(
    workspace.path('kustomization/kustomization.yaml'),
    `namespace: ${NAMESPACE}\nnamePrefix: built-\nresources: [deployment.json]\n`,
  );
  await writeFile(
    workspace.path('kustomization/deployment.json'),
    JSON.stringify(deployment('kustomize')),
  );
  await apply([namespaceObject(NAMESPACE)]);
});

afterAll(async () => {
  await kubectl('delete', 'namespace', NAMESPACE, '--wait=false');
  await workspace[Symbol.asyncDispose]();
});

describe('helm with rewrite as its post-renderer', () => {
  it('renders a chart with mirrored images, and all else as without', async () => {
    const args = ['template', 'e2e', workspace.path('chart'), '--kube-version', KUBE_VERSION];
    const without = await must('helm', args);
    const rendered = await must('helm', [
      ...args,
      '--post-renderer',
      workspace.path('post-renderer'),
    ]);
    expect(rendered).toContain(mirrored);
    expect(rendered.replace(mirrored, ORIGINAL)).toBe(without);
  });

  it('installs a chart whose images could not be pulled without', async () => {
    const script = workspace.path('post-renderer');
    await must('helm', [
      ...['install', 'e2e', workspace.path('chart'), '-n', NAMESPACE],
      ...['--post-renderer', script, '--wait', '--timeout', '60s'],
    ]);
    const { items } = await getJson<{ items: PodObject[] }>(
      'pods',
      '-n',
      NAMESPACE,
      '-l',
      'app=helm',
    );
    expect(items.map(({ spec }) => spec.containers[0]?.image)).toEqual([mirrored]);
    await must('helm', ['uninstall', 'e2e', '-n', NAMESPACE, '--wait', '--timeout', '60s']);
  });

  it('fails the command where a manifest is broken, and says where', async () => {
    await workspace.write('chart/templates/broken.yaml', 'a: 1\na: 2\n');
    const script = workspace.path('post-renderer');
    const args = ['template', 'e2e', workspace.path('chart'), '--kube-version', KUBE_VERSION];
    await expect(must('helm', [...args, '--post-renderer', script])).rejects.toThrow(
      /stdin:\d+:1: the key "a" stands twice/,
    );
  });
});

describe('kubectl with rewrite in a pipe', () => {
  it('applies what kustomize built, with mirrored images', async () => {
    const built = await kubectl('kustomize', workspace.path('kustomization'));
    const { code, stdout, stderr } = await rewrite(built);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(built.replace(ORIGINAL, mirrored));
    const dryRun = ['apply', '--dry-run=server', '-o', 'json', '-f', '-'];
    expect(imagesOf(JSON.parse(await must('kubectl', dryRun, stdout)))).toEqual([mirrored]);
    await must('kubectl', ['apply', '-f', '-'], stdout);
    const path = ['pods', '-n', NAMESPACE, '-l', 'app=kustomize'];
    const { items } = await eventually(
      () => getJson<{ items: PodObject[] }>(...path),
      ({ items: pods }) => pods.some(({ status }) => status.phase === 'Running'),
    );
    expect(items[0]?.spec.containers[0]?.image).toBe(mirrored);
  });

  it.each(manifestFixtures().filter(({ name }) => /^(?:anchors|pretty|styles)\./.test(name)))(
    'reads the images of $name as they were meant',
    async ({ text }) => {
      const { stdout } = await rewrite(text);
      const args = ['create', '--dry-run=client', '--validate=false', '-o', 'json', '-f', '-'];
      const read = await must('kubectl', args, stdout);
      const images = readDocuments(stdout).flatMap(imagesOf);
      // `kubectl` prints one document for each, one behind the other.
      const seen = read.split(/(?<=^\})\n/m).filter((each) => each.trim() !== '');
      expect(seen.flatMap((each) => imagesOf(JSON.parse(each)))).toEqual(images);
      expect(images.some((image) => image.startsWith(`${registry}/mirror/`))).toBe(true);
    },
  );

  it('reads a stream of several files as all of their documents', async () => {
    const pods = ['one', 'two'].map((name) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { containers: [{ name: 'main', image: ORIGINAL }] },
    }));
    const paths = await Promise.all(
      pods.map((pod) => workspace.write(`${pod.metadata.name}.json`, JSON.stringify(pod))),
    );
    const { stdout } = await runProgram(['rewrite', '--config', config, ...paths]);
    const args = ['create', '--dry-run=client', '-o', 'name', '-f', '-'];
    expect(await must('kubectl', args, stdout)).toBe('pod/one\npod/two\n');
  });
});
