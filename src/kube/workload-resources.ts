import { RewriterError } from '../core/errors.ts';
import { isRecord } from '../core/json-value.ts';
import { type ApiReader, messageOf } from './api-reader.ts';

/** A kind of object, and where the API server has it. */
export interface Resource {
  /** `/api/v1` or `/apis/GROUP/VERSION` */
  readonly root: string;
  /** `deployments` */
  readonly plural: string;
  readonly isNamespaced: boolean;
}

/** What every cluster has; pods last, since they are the most. */
export const BUILT_IN_RESOURCES: readonly Resource[] = [
  ...builtIn('/apis/apps/v1', 'deployments', 'replicasets', 'statefulsets', 'daemonsets'),
  ...builtIn('/apis/batch/v1', 'jobs', 'cronjobs'),
  ...builtIn('/api/v1', 'replicationcontrollers', 'podtemplates', 'pods'),
];

/** Kinds with pod templates that a cluster may have, by API group. */
const OPTIONAL: ReadonlyMap<string, readonly string[]> = new Map([
  [
    'argoproj.io',
    ['Rollout', 'Workflow', 'CronWorkflow', 'WorkflowTemplate', 'ClusterWorkflowTemplate'],
  ],
  ['serving.knative.dev', ['Service']],
  ['apps.openshift.io', ['DeploymentConfig']],
  ['apps.kruise.io', ['CloneSet', 'StatefulSet', 'DaemonSet']],
]);

function builtIn(root: string, ...plurals: readonly string[]): Resource[] {
  return plurals.map((plural) => ({ root, plural, isNamespaced: true }));
}

/** The optional kinds that the cluster has. Throws `CLUSTER_FORBIDDEN`, or what `get` throws. */
export async function findOptionalResources(api: ApiReader): Promise<Resource[]> {
  const { status, body } = await api.get('/apis');
  if (status === 403) {
    throw new RewriterError('CLUSTER_FORBIDDEN', messageOf(body));
  }
  const found: Resource[] = [];
  for (const { name, preferredVersion } of records(body, 'groups')) {
    const kinds = OPTIONAL.get(String(name));
    const version = isRecord(preferredVersion) ? preferredVersion.groupVersion : undefined;
    if (kinds !== undefined && typeof version === 'string') {
      found.push(...(await resourcesOf(api, `/apis/${version}`, kinds)));
    }
  }
  return found;
}

async function resourcesOf(
  api: ApiReader,
  root: string,
  kinds: readonly string[],
): Promise<Resource[]> {
  const { body } = await api.get(root);
  return records(body, 'resources').flatMap(({ name, kind, namespaced, verbs }): Resource[] => {
    const isListed = Array.isArray(verbs) && verbs.includes('list');
    return isListed && kinds.includes(String(kind)) && typeof name === 'string'
      ? [{ root, plural: name, isNamespaced: namespaced === true }]
      : [];
  });
}

function records(body: unknown, key: string): Record<string, unknown>[] {
  const list = isRecord(body) ? body[key] : undefined;
  return Array.isArray(list) ? list.filter(isRecord) : [];
}
