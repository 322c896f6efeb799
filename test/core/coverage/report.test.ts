import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Coverage, type CoverageReport } from '../../../src/core/coverage/report.ts';
import type { CoverageRow } from '../../../src/core/coverage/row.ts';
import { listPodImages } from '../../../src/core/pod-images.ts';
import type { Policy } from '../../../src/core/policy.ts';
import { pods, policyOptions } from '../../support/arbitraries.ts';
import {
  controlledBy,
  namespaceOf,
  runningPod,
  webhookConfiguration,
  webhookEntry,
  workloadObject,
} from '../../support/coverage-objects.ts';
import { digestOf } from '../../support/digests.ts';
import { policyOf } from '../../support/policies.ts';

const POLICY = policyOf({ prefixes: { 'docker.io/atlanhq': 'r.example/atlan' } });
const IMAGE = 'atlanhq/a:1.4.2';
const TARGET = 'r.example/atlan/a:1.4.2';
const ENFORCED = namespaceOf('sdr', { 'sdr-image-rewriter.io/mode': 'enforce' });
const ANNOTATIONS = {
  'sdr-image-rewriter.io/original-images': JSON.stringify({ 'containers/main': IMAGE }),
};

function coverageOf(documents: readonly unknown[], policy: Policy = POLICY): Coverage {
  const coverage = new Coverage(policy);
  for (const document of documents) coverage.add(document);
  return coverage;
}

function report(...documents: readonly unknown[]): CoverageReport {
  return coverageOf([ENFORCED, webhookConfiguration(), ...documents]).report();
}

/** `state workload [pods] image` of each row. */
function rowTexts(...documents: readonly unknown[]): string[] {
  return report(...documents).rows.map(rowText);
}

function rowText({ state, workload, pods, image }: CoverageRow): string {
  return `${state} ${workload} [${pods.join(',')}] ${image}`;
}

/** A Deployment with its ReplicaSet and pods. */
function deployment(image: string, pods: readonly object[]): object[] {
  return [
    workloadObject('Deployment', 'mysql', image),
    workloadObject('ReplicaSet', 'mysql-1', image, {
      ownerReferences: controlledBy('Deployment', 'mysql'),
    }),
    ...pods,
  ];
}

function podOfSet(name: string, image: string, annotations?: object): object {
  const ownerReferences = controlledBy('ReplicaSet', 'mysql-1');
  return runningPod(name, image, { ownerReferences, ...(annotations && { annotations }) });
}

describe('the rows of a report', () => {
  it('have every field of an image that was rewritten', () => {
    const pods = [
      podOfSet('mysql-1-b', TARGET, ANNOTATIONS),
      podOfSet('mysql-1-a', TARGET, ANNOTATIONS),
    ];
    expect(report(...deployment(IMAGE, pods)).rows).toEqual([
      {
        state: 'mirrored',
        namespace: 'sdr',
        workload: 'Deployment/mysql',
        containers: ['containers/main'],
        image: IMAGE,
        canonical: `docker.io/${IMAGE}`,
        runs: TARGET,
        pods: ['mysql-1-a', 'mysql-1-b'],
        pulledFrom: [`r.example/atlan/a@${digestOf('a')}`],
        target: TARGET,
        rule: 'prefix',
        reason: null,
        webhook: 'enforce',
        moving: null,
        file: null,
      },
    ]);
  });

  it('name pods under their Deployment, and a template only where no pod has its image', () => {
    expect(rowTexts(...deployment(IMAGE, [podOfSet('mysql-1-a', IMAGE)]))).toEqual([
      `pending Deployment/mysql [mysql-1-a] ${IMAGE}`,
    ]);
    expect(rowTexts(...deployment(IMAGE, []))).toEqual([`covered Deployment/mysql [] ${IMAGE}`]);
    expect(rowTexts(...deployment('atlanhq/a:2.0.0', [podOfSet('mysql-1-a', IMAGE)]))).toEqual([
      `pending Deployment/mysql [mysql-1-a] ${IMAGE}`,
      'covered Deployment/mysql [] atlanhq/a:2.0.0',
    ]);
  });

  it('know the pods of a template also where annotations are off', () => {
    expect(rowTexts(...deployment(IMAGE, [podOfSet('mysql-1-a', TARGET)]))).toEqual([
      `mirrored Deployment/mysql [mysql-1-a] ${TARGET}`,
    ]);
  });

  it('keep the states of the pods of one workload apart', () => {
    const pods = [podOfSet('new', TARGET, ANNOTATIONS), podOfSet('old', IMAGE)];
    expect(rowTexts(...deployment(IMAGE, pods))).toEqual([
      `pending Deployment/mysql [old] ${IMAGE}`,
      `mirrored Deployment/mysql [new] ${IMAGE}`,
    ]);
  });

  it('leave out what a controller that was read makes, and keep what an unknown one makes', () => {
    const owned = (kind: string, name: string): object =>
      workloadObject('Job', 'j', IMAGE, { ownerReferences: controlledBy(kind, name) });
    expect(rowTexts(workloadObject('CronJob', 'c', IMAGE), owned('CronJob', 'c'))).toEqual([
      `covered CronJob/c [] ${IMAGE}`,
    ]);
    expect(rowTexts(owned('Database', 'db'))).toEqual([`covered Job/j [] ${IMAGE}`]);
  });

  it('name the controller of a pod that was not read, but not the node of a static pod', () => {
    const pod = (kind: string): object =>
      runningPod('p', IMAGE, { ownerReferences: controlledBy(kind, 'x') });
    expect(rowTexts(pod('Workflow'))).toEqual([`pending Workflow/x [p] ${IMAGE}`]);
    expect(rowTexts(pod('Node'))).toEqual([`pending Pod/p [p] ${IMAGE}`]);
    expect(rowTexts(runningPod('p', IMAGE))).toEqual([`pending Pod/p [p] ${IMAGE}`]);
  });

  it('make one of the containers of a pod that share an image', () => {
    const pod = runningPod('p', IMAGE) as { spec: object };
    const spec = { ...pod.spec, initContainers: [{ name: 'wait', image: IMAGE }] };
    const { rows } = report({ ...pod, spec });
    expect(rows.map(({ containers }) => containers)).toEqual([
      ['containers/main', 'initContainers/wait'],
    ]);
  });

  it('come in the order of what needs attention, then of place', () => {
    const image = (name: string): string => `atlanhq/${name}:1.0.0`;
    expect(
      rowTexts(
        runningPod('d', TARGET),
        runningPod('c', image('c')),
        runningPod('b', image('b')),
        runningPod('a', 'ghcr.io/atlanhq/x:1.0.0'),
      ).map((text) => text.split(' ', 2).join(' ')),
    ).toEqual(['unmapped Pod/a', 'pending Pod/b', 'pending Pod/c', 'mirrored Pod/d']);
  });

  it('count once what is added twice', () => {
    const documents = deployment(IMAGE, [podOfSet('mysql-1-a', IMAGE)]);
    expect(rowTexts(...documents, ...documents)).toEqual(rowTexts(...documents));
  });

  it('take the last version of a pod that is added twice', () => {
    expect(rowTexts(runningPod('p', IMAGE), runningPod('p', TARGET))).toEqual([
      `mirrored Pod/p [p] ${TARGET}`,
    ]);
    expect(rowTexts(runningPod('p', IMAGE), runningPod('p', 'nginx'))).toEqual([]);
  });

  it('do not take objects for one that have no name, or another group', () => {
    const pod = (image: string): object => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { generateName: 'x-' },
      spec: { containers: [{ image }] },
    });
    expect(rowTexts(pod('atlanhq/a:1.0.0'), pod('atlanhq/b:1.0.0'))).toEqual([
      'covered Pod/x- [] atlanhq/a:1.0.0',
      'covered Pod/x- [] atlanhq/b:1.0.0',
    ]);
    const other = workloadObject('StatefulSet', 's', 'atlanhq/b:1.0.0');
    const apiVersion = 'apps.kruise.io/v1beta1';
    expect(
      rowTexts(workloadObject('StatefulSet', 's', 'atlanhq/a:1.0.0'), { ...other, apiVersion }),
    ).toEqual([
      'covered StatefulSet/s [] atlanhq/a:1.0.0',
      'covered StatefulSet/s [] atlanhq/b:1.0.0',
    ]);
  });

  it('go by the beginning of the name that the API server is to make', () => {
    const workflow = (metadata: object): object => ({
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Workflow',
      metadata,
      spec: { templates: [{ container: { image: IMAGE } }] },
    });
    expect(rowTexts(workflow({ generateName: 'etl-' }), workflow({}))).toEqual([
      `covered Workflow/- [] ${IMAGE}`,
      `covered Workflow/etl- [] ${IMAGE}`,
    ]);
  });

  it('read Lists, whose items may lack a kind', () => {
    const { metadata, spec, status } = runningPod('p', IMAGE) as Record<string, unknown>;
    const item = { metadata, spec, status };
    const list = { apiVersion: 'v1', kind: 'PodList', items: [item] };
    expect(rowTexts({ apiVersion: 'v1', kind: 'List', items: [list] })).toEqual([
      `pending Pod/p [p] ${IMAGE}`,
    ]);
  });

  it('keep namespaces apart, and files', () => {
    const coverage = coverageOf([]);
    for (const file of ['a.yaml:1', 'b.yaml:1']) {
      coverage.add(workloadObject('Deployment', 'd', IMAGE), file);
      coverage.add(workloadObject('Deployment', 'd', IMAGE, { namespace: 'other' }), file);
    }
    const { rows } = coverage.report();
    expect(rows.map(({ namespace, file }) => `${namespace ?? ''} ${file ?? ''}`)).toEqual([
      'other a.yaml:1',
      'other b.yaml:1',
      'sdr a.yaml:1',
      'sdr b.yaml:1',
    ]);
  });

  it.each([[null], [7], ['text'], [{}], [{ kind: 'Pod' }], [{ apiVersion: 'v1', kind: 'Pod' }]])(
    'pass over a document such as %j',
    (document) => {
      expect(rowTexts(document)).toEqual([]);
    },
  );
});

describe('a report', () => {
  const documents = [
    ENFORCED,
    namespaceOf('dark'),
    webhookConfiguration(),
    webhookConfiguration([webhookEntry('enforce', { failurePolicy: 'Fail' })], 'second'),
    ...deployment(IMAGE, [
      podOfSet('mysql-1-a', TARGET, ANNOTATIONS),
      podOfSet('mysql-1-b', IMAGE),
      podOfSet('mysql-1-c', 'r.example/old/a:1.4.2', ANNOTATIONS),
      podOfSet('mysql-1-d', 'r.example/older/a:1.4.2', ANNOTATIONS),
    ]),
    workloadObject('CronJob', 'c', 'atlanhq/c:latest', { namespace: 'dark' }),
    runningPod('p', IMAGE, { namespace: 'dark', pulled: 'b' }),
    runningPod('q', 'ghcr.io/atlanhq/x:1'),
  ];

  it('is the same in whatever order objects are added', () => {
    const expected = coverageOf(documents).report();
    const orders = fc.shuffledSubarray(documents, { minLength: documents.length });
    fc.assert(
      fc.property(orders, (order) => {
        const { rows, namespaces } = coverageOf(order).report();
        expect(rows).toEqual(expected.rows);
        expect(namespaces.map(({ namespace, webhook }) => [namespace, webhook])).toEqual(
          expected.namespaces.map(({ namespace, webhook }) => [namespace, webhook]),
        );
      }),
    );
  });

  it('is there for pods of any shape, with no more rows than images', () => {
    fc.assert(
      fc.property(fc.array(pods, { maxLength: 4 }), policyOptions.map(policyOf), (list, policy) => {
        const images = list.flatMap(listPodImages);
        expect(coverageOf(list, policy).report().rows.length).toBeLessThanOrEqual(images.length);
      }),
    );
  });
});

describe('a tag that moves', () => {
  it('is found by the digests that pods pulled', () => {
    const [row] = report(
      runningPod('a', IMAGE, { pulled: 'a' }),
      runningPod('b', IMAGE, { pulled: 'b' }),
    ).rows;
    expect(row?.moving).toBe('moved');
  });

  it('is looked for in what is pulled: the target of a template, the text of a pod', () => {
    const image = 'atlanhq/b:latest';
    const target = `r.example/b:1.0.0@${digestOf('c')}`;
    const policy = policyOf({ map: { [image]: target } });
    const documents = [ENFORCED, webhookConfiguration()];
    const rows = (object: object): readonly CoverageRow[] =>
      coverageOf([...documents, object], policy).report().rows;
    expect(rows(workloadObject('Deployment', 'd', image))[0]?.moving).toBeNull();
    expect(rows(runningPod('p', image))[0]?.moving).toBe('floating-tag');
    expect(rows(runningPod('p', target))[0]?.moving).toBeNull();
  });
});

describe('the sight of the webhooks', () => {
  it('is told for each namespace with an image of ours, and no other', () => {
    const { rows, namespaces } = report(
      namespaceOf('dark'),
      namespaceOf('audited', { 'sdr-image-rewriter.io/mode': 'audit' }),
      namespaceOf('empty'),
      ...['sdr', 'dark', 'audited'].map((namespace) => runningPod('p', IMAGE, { namespace })),
      runningPod('p', 'nginx', { namespace: 'empty' }),
    );
    expect(rows.map(({ state, namespace }) => `${state} ${namespace ?? ''}`)).toEqual([
      'unseen dark',
      'audited audited',
      'pending sdr',
    ]);
    expect(namespaces).toEqual([
      {
        namespace: 'audited',
        webhook: 'audit',
        failurePolicy: 'Ignore',
        reason: null,
        why: 'rewriter/audit.sdr-image-rewriter.io only audits',
      },
      {
        namespace: 'dark',
        webhook: 'none',
        failurePolicy: null,
        reason: 'namespace-selector',
        why: 'rewriter/enforce.sdr-image-rewriter.io wants sdr-image-rewriter.io/mode In [enforce], and it is missing',
      },
      {
        namespace: 'sdr',
        webhook: 'enforce',
        failurePolicy: 'Ignore',
        reason: null,
        why: 'rewriter/enforce.sdr-image-rewriter.io, failurePolicy Ignore: a pod that starts while it is away keeps its images',
      },
    ]);
  });

  it('is unknown until webhooks and namespaces were read', () => {
    const pod = runningPod('p', IMAGE);
    const sight = (coverage: Coverage): unknown => coverage.report().rows[0]?.webhook;
    expect(sight(coverageOf([pod, ENFORCED]))).toBeNull();
    expect(sight(coverageOf([pod, webhookConfiguration()]))).toBeNull();
    const read = coverageOf([pod, ENFORCED]);
    read.webhooksAreRead();
    expect(sight(read)).toBe('none');
    expect(read.report().namespaces[0]).toMatchObject({ reason: 'no-webhook' });
  });

  it('knows the name of a namespace as its label', () => {
    const byName = { matchLabels: { 'kubernetes.io/metadata.name': 'sdr' } };
    const configuration = webhookConfiguration([
      webhookEntry('enforce', { namespaceSelector: byName }),
    ]);
    const { rows } = coverageOf([
      runningPod('p', IMAGE),
      namespaceOf('sdr'),
      configuration,
    ]).report();
    expect(rows[0]?.webhook).toBe('enforce');
  });

  it('comes from all releases together', () => {
    const other = webhookEntry('enforce', {
      namespaceSelector: { matchLabels: { team: 'data' } },
      failurePolicy: 'Fail',
    });
    const { namespaces } = report(
      namespaceOf('data', { team: 'data' }),
      webhookConfiguration([other], 'second'),
      runningPod('p', IMAGE),
      runningPod('p', IMAGE, { namespace: 'data' }),
    );
    expect(namespaces.map(({ why }) => why.replace(/,.*/, ''))).toEqual([
      'second/enforce.sdr-image-rewriter.io',
      'rewriter/enforce.sdr-image-rewriter.io',
    ]);
  });
});

describe('the notes of a report', () => {
  it('tell of conditions that are not evaluated and of a missing authority', () => {
    const entry = webhookEntry('enforce', {
      matchConditions: [{ name: 'team' }],
      clientConfig: { service: { path: '/mutate' } },
    });
    const { notes, isComplete } = coverageOf([webhookConfiguration([entry])]).report();
    expect(notes).toEqual([
      'rewriter/enforce.sdr-image-rewriter.io has matchConditions that are not evaluated: team',
      'rewriter/enforce.sdr-image-rewriter.io has no caBundle: the API server cannot call it, and failurePolicy decides',
    ]);
    expect(isComplete).toBe(true);
  });

  it('say whether something is missing', () => {
    const coverage = coverageOf([]);
    coverage.note('good to know');
    expect(coverage.report()).toMatchObject({ notes: ['good to know'], isComplete: true });
    coverage.noteMissing('pods were not read');
    expect(coverage.report().isComplete).toBe(false);
  });
});
