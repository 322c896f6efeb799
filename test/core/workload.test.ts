import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonPath } from '../../src/core/json-path.ts';
import { imageLabel } from '../../src/core/pod-images.ts';
import { isKubernetesObject, listWorkloads, type Path } from '../../src/core/workload.ts';

const SPEC = { containers: [{ name: 'main', image: 'a:1' }] };
const SKIP = { labels: { 'sdr-image-rewriter.io/skip': 'true' } };

/** `label image path` of every image, in order. */
function imagesOf(document: unknown): string[] {
  return listWorkloads(document).flatMap(({ templates }) =>
    templates.flatMap(({ images }) =>
      images.map(({ image, path }) => `${imageLabel(image)} ${image.image} ${jsonPath(path)}`),
    ),
  );
}

function valueAt(document: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => Reflect.get(Object(at) as object, key), document);
}

function workflow(spec: object, kind = 'Workflow'): object {
  return { apiVersion: 'argoproj.io/v1alpha1', kind, metadata: { name: 'crawl' }, spec };
}

describe('listWorkloads', () => {
  it.each([
    ['apps/v1', 'Deployment'],
    ['apps/v1', 'StatefulSet'],
    ['apps/v1', 'DaemonSet'],
    ['apps/v1', 'ReplicaSet'],
    ['batch/v1', 'Job'],
    ['v1', 'ReplicationController'],
    ['extensions/v1beta1', 'Deployment'],
    ['argoproj.io/v1alpha1', 'Rollout'],
    ['serving.knative.dev/v1', 'Service'],
    ['apps.openshift.io/v1', 'DeploymentConfig'],
    ['corp.example/v7', 'Anything'],
  ])('finds the template of %s %s under spec.template', (apiVersion, kind) => {
    const metadata = { name: 'mysql', namespace: 'sdr' };
    const object = { apiVersion, kind, metadata, spec: { template: { spec: SPEC } } };
    expect(listWorkloads(object)).toMatchObject([
      { apiVersion, kind, namespace: 'sdr', name: 'mysql', templates: [{ exemption: undefined }] },
    ]);
    expect(imagesOf(object)).toEqual([
      'containers/main a:1 $.spec.template.spec.containers[0].image',
    ]);
  });

  it('finds the pod itself, and the template of a PodTemplate', () => {
    expect(imagesOf({ apiVersion: 'v1', kind: 'Pod', spec: SPEC })).toEqual([
      'containers/main a:1 $.spec.containers[0].image',
    ]);
    expect(imagesOf({ apiVersion: 'v1', kind: 'PodTemplate', template: { spec: SPEC } })).toEqual([
      'containers/main a:1 $.template.spec.containers[0].image',
    ]);
  });

  it('finds the template of a CronJob in its jobTemplate', () => {
    for (const apiVersion of ['batch/v1', 'batch/v1beta1']) {
      const spec = { jobTemplate: { spec: { template: { spec: SPEC } } } };
      expect(imagesOf({ apiVersion, kind: 'CronJob', spec })).toEqual([
        'containers/main a:1 $.spec.jobTemplate.spec.template.spec.containers[0].image',
      ]);
    }
  });

  it.each([
    ['ScaledJob', { jobTargetRef: { template: { spec: SPEC } } }, 'jobTargetRef.template'],
    [
      'JobSet',
      { replicatedJobs: [{ name: 'w', template: { spec: { template: { spec: SPEC } } } }] },
      'replicatedJobs[0].template.spec.template',
    ],
    [
      'LeaderWorkerSet',
      { leaderWorkerTemplate: { workerTemplate: { spec: SPEC } } },
      'leaderWorkerTemplate.workerTemplate',
    ],
    [
      'AnalysisTemplate',
      { metrics: [{ provider: { job: { spec: { template: { spec: SPEC } } } } }] },
      'metrics[0].provider.job.spec.template',
    ],
  ])('finds the template of a %s, wherever it has it', (kind, spec, place) => {
    expect(imagesOf({ apiVersion: 'x.example/v1', kind, spec })).toEqual([
      `containers/main a:1 $.spec.${place}.spec.containers[0].image`,
    ]);
  });

  it('finds init containers, ephemeral containers and image volumes, too', () => {
    const spec = {
      containers: [{ name: 'main', image: 'a:1' }],
      initContainers: [{ name: 'wait', image: 'b:1' }],
      ephemeralContainers: [{ name: 'debug', image: 'c:1' }],
      volumes: [{ name: 'tmp' }, { name: 'model', image: { reference: 'd:1' } }],
    };
    const object = { apiVersion: 'apps/v1', kind: 'Deployment', spec: { template: { spec } } };
    expect(imagesOf(object)).toEqual([
      'containers/main a:1 $.spec.template.spec.containers[0].image',
      'initContainers/wait b:1 $.spec.template.spec.initContainers[0].image',
      'ephemeralContainers/debug c:1 $.spec.template.spec.ephemeralContainers[0].image',
      'volumes/model d:1 $.spec.template.spec.volumes[1].image.reference',
    ]);
  });

  it('finds what a patch for kustomize names, though it has no containers', () => {
    const spec = { template: { spec: { initContainers: [{ name: 'wait', image: 'b:1' }] } } };
    expect(imagesOf({ apiVersion: 'apps/v1', kind: 'Deployment', spec })).toEqual([
      'initContainers/wait b:1 $.spec.template.spec.initContainers[0].image',
    ]);
  });

  it('finds the objects of a List, of a List in it, and of a typed list', () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: SPEC };
    const list = { apiVersion: 'v1', kind: 'List', items: [null, 'pod', { kind: 7 }, pod] };
    const typed = {
      apiVersion: 'apps/v1',
      kind: 'DeploymentList',
      items: [{ metadata: { name: 'b' }, spec: { template: { spec: SPEC } } }],
    };
    const outer = { apiVersion: 'v1', kind: 'List', items: [list, typed] };
    expect(imagesOf(outer)).toEqual([
      'containers/main a:1 $.items[0].items[3].spec.containers[0].image',
      'containers/main a:1 $.items[1].items[0].spec.template.spec.containers[0].image',
    ]);
    expect(listWorkloads(outer).map(({ kind, name }) => `${kind}/${name ?? ''}`)).toEqual([
      'Pod/a',
      'Deployment/b',
    ]);
  });

  it('says why the webhook would leave the pods of a template alone', () => {
    const annotations = { 'kubernetes.io/config.mirror': 'x' };
    const exemptionOf = (object: object): unknown =>
      listWorkloads(object)[0]?.templates[0]?.exemption;
    expect(exemptionOf({ apiVersion: 'v1', kind: 'Pod', metadata: SKIP, spec: SPEC })).toBe(
      'skip-label',
    );
    expect(
      exemptionOf({ apiVersion: 'v1', kind: 'Pod', metadata: { annotations }, spec: SPEC }),
    ).toBe('mirror-pod');
    const spec = { template: { metadata: SKIP, spec: SPEC } };
    expect(exemptionOf({ apiVersion: 'apps/v1', kind: 'Deployment', spec })).toBe('skip-label');
    // A label of the Deployment is none of its pods.
    const labelled = { metadata: SKIP, spec: { template: { spec: SPEC } } };
    expect(exemptionOf({ apiVersion: 'apps/v1', kind: 'Deployment', ...labelled })).toBeUndefined();
  });

  it.each([
    ['a Service', { apiVersion: 'v1', kind: 'Service', spec: { selector: { image: 'a:1' } } }],
    ['a ConfigMap', { apiVersion: 'v1', kind: 'ConfigMap', data: { image: 'a:1' } }],
    ['a Pod of another group', { apiVersion: 'x.example/v1', kind: 'Pod', spec: SPEC }],
    ['an object without a kind', { apiVersion: 'v1', spec: SPEC }],
    ['an object without an apiVersion', { kind: 'Pod', spec: SPEC }],
    ['a kind that is no text', { apiVersion: 'v1', kind: 1, spec: SPEC }],
    [
      'a template without a pod',
      { apiVersion: 'x.example/v1', kind: 'X', spec: { template: { image: 'a:1' } } },
    ],
    [
      'a CRD with images elsewhere',
      { apiVersion: 'x.example/v1', kind: 'X', spec: { image: 'a:1', ...SPEC } },
    ],
    ['a list of items that is none', { apiVersion: 'v1', kind: 'List', items: { 0: SPEC } }],
    ['null', null],
    ['a list', [{ apiVersion: 'v1', kind: 'Pod', spec: SPEC }]],
  ])('finds nothing in %s', (_title, document) => {
    expect(imagesOf(document)).toEqual([]);
  });
});

describe('listWorkloads of Argo Workflows', () => {
  it.each([
    ['Workflow', '$.spec', (spec: object) => spec],
    ['WorkflowTemplate', '$.spec', (spec: object) => spec],
    ['ClusterWorkflowTemplate', '$.spec', (spec: object) => spec],
    ['CronWorkflow', '$.spec.workflowSpec', (spec: object) => ({ workflowSpec: spec })],
  ])('finds the templates of a %s under %s', (kind, place, wrap) => {
    const spec = { templates: [{ name: 'crawl', container: { image: 'a:1' } }] };
    expect(imagesOf(workflow(wrap(spec), kind))).toEqual([
      `containers/main a:1 ${place}.templates[0].container.image`,
    ]);
  });

  it('finds every field that names an image', () => {
    const volume = (name: string, reference: string): object => ({ name, image: { reference } });
    const spec = {
      volumes: [volume('shared', 'v:0')],
      templateDefaults: { container: { image: 'd:1' }, sidecars: [{ name: 's', image: 'd:2' }] },
      templates: [
        {
          script: { image: 's:1', source: 'echo docker.io/atlanhq/x:1' },
          initContainers: [{ name: 'init', image: 'i:1' }],
          sidecars: [{ name: 'proxy', image: 'p:1' }],
          volumes: [volume('own', 'v:1')],
        },
        {
          containerSet: {
            containers: [
              { name: 'one', image: 'c:1' },
              { name: 'two', image: 'c:2' },
            ],
          },
        },
      ],
    };
    const found = imagesOf(workflow(spec));
    expect(new Set(found)).toEqual(
      new Set([
        'containers/main d:1 $.spec.templateDefaults.container.image',
        'containers/s d:2 $.spec.templateDefaults.sidecars[0].image',
        'volumes/shared v:0 $.spec.volumes[0].image.reference',
        'containers/main s:1 $.spec.templates[0].script.image',
        'containers/proxy p:1 $.spec.templates[0].sidecars[0].image',
        'initContainers/init i:1 $.spec.templates[0].initContainers[0].image',
        'volumes/own v:1 $.spec.templates[0].volumes[0].image.reference',
        'containers/one c:1 $.spec.templates[1].containerSet.containers[0].image',
        'containers/two c:2 $.spec.templates[1].containerSet.containers[1].image',
      ]),
    );
  });

  it('finds the volumes of a workflow that runs a template kept elsewhere', () => {
    const spec = {
      workflowTemplateRef: { name: 'crawl' },
      volumes: [{ name: 'model', image: { reference: 'v:0' } }],
    };
    expect(imagesOf(workflow(spec))).toEqual([
      'volumes/model v:0 $.spec.volumes[0].image.reference',
    ]);
  });

  it('finds templates inline in steps and tasks, and in those again', () => {
    const inner = { container: { image: 'a:1' } };
    const spec = {
      templates: [
        {
          steps: [
            [
              { name: 'a', inline: inner },
              { name: 'b', template: 'x' },
            ],
            [{ inline: inner }],
          ],
        },
        { dag: { tasks: [{ inline: { steps: [[{ inline: inner }]] } }, null] } },
      ],
    };
    expect(imagesOf(workflow(spec))).toEqual([
      'containers/main a:1 $.spec.templates[0].steps[0][0].inline.container.image',
      'containers/main a:1 $.spec.templates[0].steps[1][0].inline.container.image',
      'containers/main a:1 $.spec.templates[1].dag.tasks[0].inline.steps[0][0].inline.container.image',
    ]);
  });

  const container = { image: 'a:1' };
  const WANTED = { labels: { 'sdr-image-rewriter.io/skip': 'false' } };
  it.each([
    ['podMetadata', { podMetadata: SKIP, templates: [{ container }] }, 'skip-label'],
    ['its own metadata', { templates: [{ container, metadata: SKIP }] }, 'skip-label'],
    [
      'templateDefaults',
      { templateDefaults: { metadata: SKIP }, templates: [{ container }] },
      'skip-label',
    ],
    [
      'podMetadata, against its own',
      { podMetadata: SKIP, templates: [{ container, metadata: WANTED }] },
      undefined,
    ],
    [
      'templateDefaults, against its own',
      { templateDefaults: { metadata: SKIP }, templates: [{ container, metadata: WANTED }] },
      undefined,
    ],
    [
      'labels that are text',
      { podMetadata: { labels: 'true' }, templates: [{ container }] },
      undefined,
    ],
  ])('gives the pods of a template the skip label of %s', (_title, spec, exemption) => {
    expect(listWorkloads(workflow(spec))[0]?.templates.at(-1)).toMatchObject({ exemption });
  });

  it('takes no other kind and no other group for a workflow', () => {
    const spec = { templates: [{ container }] };
    expect(imagesOf(workflow(spec, 'AppProject'))).toEqual([]);
    expect(imagesOf({ ...workflow(spec), apiVersion: 'x.example/v1' })).toEqual([]);
  });
});

describe('listWorkloads of anything', () => {
  const kinds = fc.constantFrom(
    ['v1', 'Pod'],
    ['v1', 'PodTemplate'],
    ['v1', 'List'],
    ['v1', 'PodList'],
    ['apps/v1', 'Deployment'],
    ['batch/v1', 'CronJob'],
    ['argoproj.io/v1alpha1', 'Workflow'],
    ['argoproj.io/v1alpha1', 'CronWorkflow'],
  );
  /** Trees that have the right keys at times in the right place. */
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 7, depthSize: 'large' },
      fc.constantFrom('a:1', '', null, 7, true),
      fc.array(tie('tree'), { maxLength: 2 }),
      fc.dictionary(
        fc.constantFrom(
          ...['spec', 'template', 'jobTemplate', 'workflowSpec', 'containers', 'volumes', 'image'],
          ...['reference', 'metadata', 'labels', 'items', 'templates', 'steps', 'dag', 'tasks'],
          ...['inline', 'container', 'script', 'podMetadata', 'templateDefaults', '__proto__'],
        ),
        tie('tree'),
        { maxKeys: 4 },
      ),
    ),
  }));
  const objects = fc
    .tuple(kinds, tree)
    .map(([[apiVersion, kind], rest]) => ({ ...(rest as object | null), apiVersion, kind }));

  it('never throws, and points at an image of the document each time', () => {
    fc.assert(
      fc.property(fc.oneof(objects, fc.jsonValue()), (document) => {
        for (const { templates } of listWorkloads(document)) {
          for (const { image, path } of templates.flatMap(({ images }) => images)) {
            expect(valueAt(document, path)).toBe(image.image);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('isKubernetesObject', () => {
  it('asks for apiVersion and kind, both texts', () => {
    expect(isKubernetesObject({ apiVersion: 'v1', kind: 'Pod' })).toBe(true);
    for (const other of [null, [], 'v1', { kind: 'Pod' }, { apiVersion: 'v1', kind: null }]) {
      expect(isKubernetesObject(other)).toBe(false);
    }
  });
});
