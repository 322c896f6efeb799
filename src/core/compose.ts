import { isRecord } from './json-value.ts';
import type { Path } from './workload.ts';

/** An image that a Compose file names. */
export interface ComposeImage {
  /** `services/web`, `services/web/volumes/0` or, in a fragment, `x-defaults`. */
  readonly label: string;
  readonly image: string;
  readonly path: Path;
}

/** https://github.com/compose-spec/compose-spec/blob/main/spec.md */
const TOP_LEVEL_KEYS = new Set([
  'version',
  'name',
  'include',
  'services',
  'networks',
  'volumes',
  'configs',
  'secrets',
  'models',
]);
const EXTENSION = 'x-';

/** Whether a document can only be a Compose file; Helm values may have `services`, too, but not only. */
export function isComposeFile(document: unknown): document is Record<string, unknown> {
  return (
    isRecord(document) &&
    isRecord(document.services) &&
    Object.keys(document).every((key) => TOP_LEVEL_KEYS.has(key) || isExtensionKey(key))
  );
}

/** Whether Compose itself ignores what stands under a top-level key, so that it is there to be shared. */
export function isExtensionKey(key: unknown): boolean {
  return typeof key === 'string' && key.startsWith(EXTENSION);
}

/** The images of all services and of all fragments under `x-` keys. */
export function listComposeImages(document: Record<string, unknown>): ComposeImage[] {
  const seen = new Set<object>();
  const services = isRecord(document.services) ? Object.entries(document.services) : [];
  return [
    ...services.flatMap(([name, service]) => serviceImages(service, ['services', name])),
    ...Object.entries(document)
      .filter(([key]) => isExtensionKey(key))
      .flatMap(([key, fragment]) => fragmentImages(fragment, [key], seen)),
  ];
}

/** A fragment may be a service, a map of services, or hold either anywhere. */
function fragmentImages(value: unknown, path: Path, seen: Set<object>): ComposeImage[] {
  if (typeof value !== 'object' || value === null || seen.has(value)) {
    return [];
  }
  // Aliases make one object of several; looking at each once keeps a small file from growing.
  seen.add(value);
  const children: [string | number, unknown][] = Array.isArray(value)
    ? value.map((item: unknown, index) => [index, item])
    : Object.entries(value);
  return [
    ...serviceImages(value, path),
    ...children.flatMap(([key, child]) => fragmentImages(child, [...path, key], seen)),
  ];
}

function serviceImages(service: unknown, path: Path): ComposeImage[] {
  if (!isRecord(service)) {
    return [];
  }
  const images: ComposeImage[] = [];
  if (isImage(service.image)) {
    images.push({ label: path.join('/'), image: service.image, path: [...path, 'image'] });
  }
  const volumes: unknown[] = Array.isArray(service.volumes) ? service.volumes : [];
  for (const [index, volume] of volumes.entries()) {
    if (isRecord(volume) && volume.type === 'image' && isImage(volume.source)) {
      const place = [...path, 'volumes', index];
      images.push({ label: place.join('/'), image: volume.source, path: [...place, 'source'] });
    }
  }
  return images;
}

function isImage(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** Whether Compose fills something in; what it will be is not known before it runs. */
export function hasVariable(image: string): boolean {
  return image.includes('$');
}

/** The default of an image that is one variable as a whole: `${IMAGE:-docker.io/team/app:1}`. */
export function variableDefault(image: string): string | undefined {
  return /^\$\{[A-Za-z_]\w*:?-([^${}]+)\}$/.exec(image)?.[1];
}
