import { digestOf } from './digests.ts';

/** A Namespace object. */
export function namespaceOf(name: string, labels: object = {}): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

export interface RunningPodParts {
  readonly namespace?: string;
  readonly labels?: object;
  readonly annotations?: object;
  readonly ownerReferences?: readonly object[];
  readonly phase?: string;
  /** The digit of the digest that was pulled; none: nothing was. */
  readonly pulled?: string;
}

/** A pod as the API has it, with one container `main`; pulled from where it names. */
export function runningPod(name: string, image: string, parts: RunningPodParts = {}): object {
  const { namespace = 'sdr', phase = 'Running', pulled = 'a', ...metadata } = parts;
  const repository = image.replace(/[:@][^/]*$/, '');
  const imageID = pulled === '' ? '' : `${repository}@${digestOf(pulled)}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, ...metadata },
    spec: { containers: [{ name: 'main', image }] },
    status: { phase, containerStatuses: [{ name: 'main', image, imageID }] },
  };
}

export function controlledBy(kind: string, name: string): readonly object[] {
  return [{ apiVersion: 'apps/v1', kind, name, controller: true }];
}

/** A workload whose pods have one container `main`. */
export function workloadObject(
  kind: string,
  name: string,
  image: string,
  parts: { namespace?: string; ownerReferences?: readonly object[]; labels?: object } = {},
): object {
  const { namespace = 'sdr', labels, ...metadata } = parts;
  const template = {
    ...(labels && { metadata: { labels } }),
    spec: { containers: [{ name: 'main', image }] },
  };
  const isBatch = kind === 'Job' || kind === 'CronJob';
  return {
    apiVersion: isBatch ? 'batch/v1' : 'apps/v1',
    kind,
    metadata: { name, namespace, ...metadata },
    spec: kind === 'CronJob' ? { jobTemplate: { spec: { template } } } : { template },
  };
}

function podRules(operation: 'CREATE' | 'UPDATE'): object[] {
  const resources = ['pods', 'pods/ephemeralcontainers'];
  return [{ apiGroups: [''], apiVersions: ['v1'], operations: [operation], resources }];
}

/** One webhook entry as the chart writes it for creations in namespaces with the label of its mode. */
export function webhookEntry(mode: 'enforce' | 'audit', parts: object = {}): object {
  return {
    name: `${mode}.sdr-image-rewriter.io`,
    failurePolicy: 'Ignore',
    clientConfig: {
      caBundle: 'Y2E=',
      service: { name: 'r', namespace: 'r', path: mode === 'audit' ? '/audit' : '/mutate' },
    },
    rules: podRules('CREATE'),
    namespaceSelector: {
      matchExpressions: [{ key: 'sdr-image-rewriter.io/mode', operator: 'In', values: [mode] }],
    },
    objectSelector: {
      matchExpressions: [
        { key: 'sdr-image-rewriter.io/skip', operator: 'NotIn', values: ['true'] },
      ],
    },
    ...parts,
  };
}

/** One as the chart writes it for updates. */
function updateEntry(mode: 'enforce' | 'audit'): object {
  return webhookEntry(mode, {
    name: `${mode}-update.sdr-image-rewriter.io`,
    rules: podRules('UPDATE'),
    matchConditions: [{ name: 'images-change', expression: 'true' }],
  });
}

const CHART_ENTRIES = [
  webhookEntry('enforce'),
  webhookEntry('audit'),
  updateEntry('enforce'),
  updateEntry('audit'),
];

/** The configuration of a release; without entries, those of the chart. */
export function webhookConfiguration(
  entries: readonly object[] = CHART_ENTRIES,
  name = 'rewriter',
): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name, labels: { 'app.kubernetes.io/name': 'sdr-image-rewriter' } },
    webhooks: entries,
  };
}
