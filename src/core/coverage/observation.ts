import { type Controller, controllerOf } from '../controller.ts';
import type { Exemption } from '../exemption.ts';
import { isRecord } from '../json-value.ts';
import type { Labels } from './label-selector.ts';
import { originalsOf } from '../patch.ts';
import { type ImageField, imageLabel, type PodImage } from '../pod-images.ts';
import { hasParameter, type KubernetesObject, listWorkloads, type PodTemplate } from '../workload.ts';

/** One image of a pod or of a template, with what coverage needs to know around it. */
export interface ObservedImage {
  /** `containers/main` */
  readonly container: string;
  readonly image: string;
  /** What the webhook says that it was before. */
  readonly annotated: string | undefined;
  /** `repository@digest` as the container runtime reports it; undefined where nothing was pulled. */
  readonly pulledFrom: string | undefined;
  readonly exemption: Exemption | undefined;
  readonly labels: Labels;
}

/** What is seen of one object that is a pod or makes pods. */
export interface Observation {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  /** Empty in a manifest that has none, as with `generateName`. */
  readonly name: string;
  /** With its trailing `-`: what the API server makes a name of where there is none. */
  readonly generateName: string | undefined;
  readonly controller: Controller | undefined;
  /** A pod that exists, not a template of pods to come. */
  readonly isPod: boolean;
  readonly images: readonly ObservedImage[];
}

const FINISHED_PHASES = new Set(['Succeeded', 'Failed', 'Error']);
const FINISHED_CONDITIONS = new Set(['Complete', 'Failed']);

/**
 * Looks at one Kubernetes object; undefined where it makes no pods, or has finished and so starts no
 * container any more. A pod without a status, as manifests have it, is a template of itself.
 */
export function observe(object: KubernetesObject): Observation | undefined {
  const [workload] = listWorkloads(object);
  const status = isRecord(object.status) ? object.status : {};
  if (workload === undefined || hasFinished(object.kind, status)) {
    return undefined;
  }
  const { apiVersion, kind, namespace, name = '', templates } = workload;
  const metadata = isRecord(object.metadata) ? object.metadata : {};
  const isPod = apiVersion === 'v1' && kind === 'Pod' && typeof status.phase === 'string';
  const originals = isPod ? originalsOf(object) : {};
  const pulled = isPod ? pulledImages(status) : new Map<string, string>();
  return {
    apiVersion,
    kind,
    namespace,
    name,
    generateName: typeof metadata.generateName === 'string' ? metadata.generateName : undefined,
    controller: controllerOf(metadata),
    isPod,
    images: templates.flatMap((template) => {
      return template.images
        .filter(({ image }) => !hasParameter(workload, image.image))
        .map(({ image }) => observedImage(image, template, originals, pulled));
    }),
  };
}

function observedImage(
  image: PodImage,
  { labels, exemption }: PodTemplate,
  originals: Readonly<Record<string, string>>,
  pulled: ReadonlyMap<string, string>,
): ObservedImage {
  const container = imageLabel(image);
  return {
    container,
    image: image.image,
    annotated: Object.hasOwn(originals, container) ? originals[container] : undefined,
    pulledFrom: pulled.get(container),
    exemption,
    labels,
  };
}

const STATUS_FIELDS: Readonly<Record<string, ImageField>> = {
  containerStatuses: 'containers',
  initContainerStatuses: 'initContainers',
  ephemeralContainerStatuses: 'ephemeralContainers',
};

/** By container. The kubelet does not report where the image of a volume was pulled from. */
function pulledImages(status: Record<string, unknown>): Map<string, string> {
  const pulled = new Map<string, string>();
  for (const [list, field] of Object.entries(STATUS_FIELDS)) {
    const statuses = status[list];
    for (const each of Array.isArray(statuses) ? statuses.filter(isRecord) : []) {
      if (typeof each.imageID === 'string' && each.imageID !== '') {
        // Docker writes docker-pullable:// in front.
        const imageId = each.imageID.replace(/^[a-z-]+:\/\//, '');
        pulled.set(imageLabel({ field, name: String(each.name) }), imageId);
      }
    }
  }
  return pulled;
}

function hasFinished(kind: string, { phase, conditions }: Record<string, unknown>): boolean {
  return (
    FINISHED_PHASES.has(String(phase)) ||
    (kind === 'Job' &&
      Array.isArray(conditions) &&
      conditions
        .filter(isRecord)
        .some(({ type, status }) => FINISHED_CONDITIONS.has(String(type)) && status === 'True'))
  );
}
