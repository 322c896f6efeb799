import { resolve } from 'node:path';
import { expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { Workspace } from '../support/workspace.ts';
import { must } from './support/cluster.ts';

const PROGRAM = [process.execPath, resolve('dist/sdr-image-rewriter.js')];
const CONFIG = `--config=${resolve('examples/config.yaml')}`;
const CHART = ['template', 'apps', 'charts/sdr-image-rewriter', '--kube-version', '1.36.0'];

interface KubernetesObject {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

function objectsOf(manifests: string): KubernetesObject[] {
  return parseAllDocuments(manifests).map((document) => document.toJS() as KubernetesObject);
}

function mirrored(object: KubernetesObject): KubernetesObject {
  const text = JSON.stringify(object).replaceAll(
    '"image":"docker.io/',
    '"image":"registry.corp.example/mirror/',
  );
  return JSON.parse(text) as KubernetesObject;
}

it('the post-renderer of the examples rewrites the images of a chart, in hooks with Helm 4 only', async () => {
  await using workspace = await Workspace.create();
  const helm = (...args: readonly string[]): Promise<string> =>
    must('env', [
      ...[`HELM_DATA_HOME=${workspace.folder}`, `SDR_IMAGE_REWRITER=${PROGRAM.join(' ')}`],
      ...['helm', ...args],
    ]);
  const isHelm3 = (await helm('version', '--short')).startsWith('v3');
  if (!isHelm3) await helm('plugin', 'install', 'examples/helm');
  const renderer = isHelm3 ? 'examples/helm/post-renderer.sh' : 'sdr-image-rewriter';

  const plain = objectsOf(await helm(...CHART));
  const rendered = objectsOf(
    await helm(...CHART, '--post-renderer', renderer, '--post-renderer-args', CONFIG),
  );

  const expected = plain.map((object) => {
    const isHook = object.metadata.annotations?.['helm.sh/hook'] !== undefined;
    return isHook && isHelm3 ? object : mirrored(object);
  });
  expect(rendered).toEqual(expected);
  expect(rendered).not.toEqual(plain);
});

it('rewrite takes what kustomize builds', async () => {
  const [command = '', ...args] = PROGRAM;
  const built = await must('kubectl', ['kustomize', 'examples/kustomize']);
  const rewritten = await must(command, [...args, 'rewrite', CONFIG, '-'], built);
  expect(rewritten).toContain('image: registry.corp.example/mirror/atlanhq/atlan-oracle-app:2.1.0');
  expect(rewritten).toContain('reference: registry.corp.example/mirror/atlanhq/models:2026.1');
  expect(rewritten).toContain('image: docker.io/library/busybox:1.36');
});
