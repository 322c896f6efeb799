import { isRecord } from './json-value.ts';

/** Where a pod names images. Volumes hold theirs in `image.reference`. */
export const IMAGE_FIELDS = [
  'containers',
  'initContainers',
  'ephemeralContainers',
  'volumes',
] as const;
export type ImageField = (typeof IMAGE_FIELDS)[number];

export interface PodImage {
  readonly field: ImageField;
  /** Name of the container or volume; undefined where a broken pod gives none. */
  readonly name: string | undefined;
  readonly image: string;
  /** JSON pointer (RFC 6901) of the image below the pod. */
  readonly pointer: string;
}

/**
 * Lists the images of a pod on its raw JSON, so that fields this program has never heard of survive.
 * What has the wrong shape is passed over: the API server or the kubelet will say so.
 */
export function listPodImages(pod: unknown): PodImage[] {
  const spec = isRecord(pod) ? pod.spec : undefined;
  if (!isRecord(spec)) {
    return [];
  }
  const images: PodImage[] = [];
  for (const field of IMAGE_FIELDS) {
    const items = spec[field];
    if (!Array.isArray(items)) {
      continue;
    }
    for (const [index, item] of items.entries()) {
      const found = field === 'volumes' ? volumeImage(item) : containerImage(item);
      if (typeof found?.image === 'string' && found.image !== '') {
        const pointer = `/spec/${field}/${index}/${found.key}`;
        images.push({ field, name: nameOf(item), image: found.image, pointer });
      }
    }
  }
  return images;
}

/** What the log and the annotation call an image: `containers/main`. */
export function imageLabel({ field, name }: Pick<PodImage, 'field' | 'name'>): string {
  return `${field}/${name ?? ''}`;
}

interface FoundImage {
  readonly image: unknown;
  readonly key: string;
}

function containerImage(item: unknown): FoundImage | undefined {
  return isRecord(item) ? { image: item.image, key: 'image' } : undefined;
}

function volumeImage(item: unknown): FoundImage | undefined {
  const source = isRecord(item) ? item.image : undefined;
  return isRecord(source) ? { image: source.reference, key: 'image/reference' } : undefined;
}

function nameOf(item: unknown): string | undefined {
  const name = isRecord(item) ? item.name : undefined;
  return typeof name === 'string' ? name : undefined;
}
