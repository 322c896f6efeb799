import { type Exemption, findExemption } from './exemption.ts';
import { isRecord } from './json-value.ts';
import { IMAGE_FIELDS, listPodImages, type PodImage } from './pod-images.ts';

/** Keys and indexes from the root of a document to a value in it. */
export type Path = readonly (string | number)[];

/** An image as the pod will have it, and where it stands in the document. */
export interface PlacedImage {
  readonly image: PodImage;
  readonly path: Path;
}

/** What the pods of one template are made from. */
export interface PodTemplate {
  readonly path: Path;
  readonly labels: Readonly<Record<string, unknown>>;
  /** Why the webhook would leave these pods alone. */
  readonly exemption: Exemption | undefined;
  readonly images: readonly PlacedImage[];
}

/** A Kubernetes object that is a pod or makes pods. */
export interface Workload {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly templates: readonly PodTemplate[];
}

interface Placed {
  readonly path: Path;
  readonly value: unknown;
}

export interface KubernetesObject extends Record<string, unknown> {
  readonly apiVersion: string;
  readonly kind: string;
}

/** An object, and where it stands in the document. */
export interface PlacedObject {
  readonly path: Path;
  readonly object: KubernetesObject;
}

/** Whether a document says what kind of Kubernetes object it is. */
export function isKubernetesObject(document: unknown): document is KubernetesObject {
  return (
    isRecord(document) &&
    typeof document.apiVersion === 'string' &&
    typeof document.kind === 'string'
  );
}

/**
 * Finds the pod templates of a Kubernetes object, or of each object in a List. Works on raw JSON and
 * passes over what has the wrong shape, as `listPodImages` does.
 */
export function listWorkloads(document: unknown): Workload[] {
  return listObjects(document).flatMap(workloadOf);
}

/** The Kubernetes object that a document is, or those in it where it is a List. */
export function listObjects(document: unknown): PlacedObject[] {
  return isKubernetesObject(document) ? objectsIn(document, []) : [];
}

function objectsIn(object: KubernetesObject, path: Path): PlacedObject[] {
  const { apiVersion, kind, items } = object;
  if (!kind.endsWith('List') || !Array.isArray(items)) {
    return [{ path, object }];
  }
  return items.flatMap((item: unknown, index) => {
    // The API leaves apiVersion and kind away in the items of a typed list.
    const typed: unknown = isRecord(item)
      ? { apiVersion, kind: kind.slice(0, -'List'.length), ...item }
      : item;
    return isKubernetesObject(typed) ? objectsIn(typed, [...path, 'items', index]) : [];
  });
}

function workloadOf({ path, object }: PlacedObject): Workload[] {
  const { apiVersion, kind, metadata } = object;
  const templates = templatesOf(object, path);
  const { namespace, name } = isRecord(metadata) ? metadata : {};
  return templates.length === 0
    ? []
    : [{ apiVersion, kind, namespace: textOf(namespace), name: textOf(name), templates }];
}

const ARGO_GROUP = 'argoproj.io/';
/** Kinds of Argo Workflows, and where each has its workflow. */
const ARGO_WORKFLOWS: ReadonlyMap<string, readonly string[]> = new Map([
  ['Workflow', ['spec']],
  ['WorkflowTemplate', ['spec']],
  ['ClusterWorkflowTemplate', ['spec']],
  ['CronWorkflow', ['spec', 'workflowSpec']],
]);

/** Whether Argo Workflows fills a parameter into an image; what it will be is not known before it runs. */
export function hasParameter({ apiVersion }: Workload, image: string): boolean {
  return apiVersion.startsWith(ARGO_GROUP) && image.includes('{{');
}

function templatesOf(object: KubernetesObject, path: Path): PodTemplate[] {
  const { apiVersion, kind } = object;
  const argo = apiVersion.startsWith(ARGO_GROUP) ? ARGO_WORKFLOWS.get(kind) : undefined;
  if (argo !== undefined) {
    return workflowTemplates(child({ path, value: object }, ...argo));
  }
  if (apiVersion === 'v1' && kind === 'Pod') {
    return [podTemplate({ path, value: object })];
  }
  return nestedTemplates({ path, value: object }).map(podTemplate);
}

/**
 * The pod templates in a value: `spec.template` of a Deployment and of most others,
 * `spec.jobTemplate.spec.template` of a CronJob, `spec.replicatedJobs[*].template.spec.template` of a JobSet,
 * `spec.leaderWorkerTemplate.workerTemplate` of a LeaderWorkerSet, and whatever else a kind calls a template.
 */
function nestedTemplates(place: Placed): Placed[] {
  const { path, value } = place;
  if (Array.isArray(value)) {
    return elements(place).flatMap(nestedTemplates);
  }
  if (!isRecord(value)) {
    return [];
  }
  const name = path.at(-1);
  if (typeof name === 'string' && name.endsWith('emplate') && isPodTemplate(place)) {
    return [place];
  }
  return Object.keys(value).flatMap((key) => nestedTemplates(child(place, key)));
}

/** What is merged into one, such as a patch for kustomize, may have init containers or volumes only. */
function isPodTemplate(place: Placed): boolean {
  return IMAGE_FIELDS.some((field) => Array.isArray(child(place, 'spec', field).value));
}

function podTemplate({ path, value }: Placed): PodTemplate {
  const metadata = isRecord(value) ? value.metadata : undefined;
  return {
    path,
    labels: labelsOf(metadata),
    exemption: findExemption(metadata),
    images: listPodImages(value).map((image) => {
      return { image, path: [...path, ...pointerSegments(image)] };
    }),
  };
}

/** https://argo-workflows.readthedocs.io/en/latest/fields/#workflowspec */
function workflowTemplates(workflow: Placed): PodTemplate[] {
  const defaults = child(workflow, 'templateDefaults');
  // What every pod gets, each going over what stands before it; the template's own goes over both.
  const metadata = [child(workflow, 'podMetadata').value, child(defaults, 'metadata').value];
  const volumes = elements(child(workflow, 'volumes'));
  return [defaults, ...elements(child(workflow, 'templates'))].flatMap((template) =>
    withInlineTemplates(template).map((each) => workflowTemplate(each, metadata, volumes)),
  );
}

/** Steps and tasks may hold a whole template in place of the name of one. */
function withInlineTemplates(template: Placed): Placed[] {
  const steps = elements(child(template, 'steps')).flatMap(elements);
  const tasks = elements(child(template, 'dag', 'tasks'));
  const inline = [...steps, ...tasks]
    .map((step) => child(step, 'inline'))
    .filter(({ value }) => isRecord(value));
  return [template, ...inline.flatMap(withInlineTemplates)];
}

function workflowTemplate(
  template: Placed,
  sharedMetadata: readonly unknown[],
  sharedVolumes: readonly Placed[],
): PodTemplate {
  const main = [child(template, 'container'), child(template, 'script')].map(({ path, value }) => {
    return { path, value: isRecord(value) ? { name: 'main', ...value } : undefined };
  });
  const fields = {
    containers: [
      ...main,
      ...elements(child(template, 'containerSet', 'containers')),
      ...elements(child(template, 'sidecars')),
    ],
    initContainers: elements(child(template, 'initContainers')),
    volumes: [...elements(child(template, 'volumes')), ...sharedVolumes],
  };
  const spec = Object.fromEntries(
    Object.entries(fields).map(([field, items]) => [field, items.map(({ value }) => value)]),
  );
  const metadata = mergedMetadata([...sharedMetadata, child(template, 'metadata').value]);
  const images = listPodImages({ spec }).flatMap((image): PlacedImage[] => {
    const [, field = '', index, ...rest] = pointerSegments(image);
    const items = (fields as Record<string, readonly Placed[]>)[field];
    const container = items?.[Number(index)];
    return container === undefined ? [] : [{ image, path: [...container.path, ...rest] }];
  });
  return {
    path: template.path,
    labels: labelsOf(metadata),
    exemption: findExemption(metadata),
    images,
  };
}

function mergedMetadata(parts: readonly unknown[]): unknown {
  const merge = (key: string): object =>
    Object.assign({}, ...parts.map((part) => (isRecord(part) ? part[key] : undefined))) as object;
  return { labels: merge('labels'), annotations: merge('annotations') };
}

function labelsOf(metadata: unknown): Record<string, unknown> {
  const labels = isRecord(metadata) ? metadata.labels : undefined;
  return isRecord(labels) ? labels : {};
}

/** The names in pointers of pod images need no unescaping: `/spec/containers/0/image`. */
function pointerSegments({ pointer }: PodImage): (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => (/^\d+$/.test(segment) ? Number(segment) : segment));
}

function child({ path, value }: Placed, ...keys: readonly string[]): Placed {
  let found: unknown = value;
  for (const key of keys) {
    found = isRecord(found) ? found[key] : undefined;
  }
  return { path: [...path, ...keys], value: found };
}

function elements({ path, value }: Placed): Placed[] {
  return Array.isArray(value)
    ? value.map((item: unknown, index) => ({ path: [...path, index], value: item }))
    : [];
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
