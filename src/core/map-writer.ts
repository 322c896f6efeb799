import { RewriterError } from './errors.ts';
import type { ImageMap } from './image-map.ts';
import type { ImageEntry, MapEntry } from './map-entry.ts';
import { isRecord } from './json-value.ts';
import { MAP_API_VERSION } from './map-document.ts';

/** A map in the structured form, as it is published. */
export interface StructuredMap {
  readonly apiVersion: typeof MAP_API_VERSION;
  readonly serial?: number;
  readonly generatedAt?: string;
  readonly images: readonly StructuredImage[];
  readonly repositories: readonly StructuredName[];
  readonly prefixes: readonly StructuredName[];
}

interface StructuredName {
  readonly source: string;
  readonly target: string;
}

interface StructuredImage extends StructuredName {
  readonly sourceDigest?: string;
  readonly platforms?: readonly string[];
}

/**
 * The structured form of any map; sources are written in full, sorted by name. A map in use does not know
 * `platforms`: they come from the `document` that it was read from, where that is given.
 */
export function structuredMap(map: ImageMap, document?: unknown): StructuredMap {
  const entries = map.entries.toSorted((one, other) => (one.key < other.key ? -1 : 1));
  const ofKind = (kind: MapEntry['kind']): StructuredImage[] => {
    const ofThatKind = entries
      .filter((entry) => entry.kind === kind)
      .map((entry) =>
        entry.kind === 'image'
          ? structuredImage(entry, document)
          : { source: entry.key, target: entry.target },
      );
    return withoutRepeats(ofThatKind);
  };
  return {
    apiVersion: MAP_API_VERSION,
    ...(map.serial !== undefined && { serial: map.serial }),
    ...(map.generatedAt !== undefined && { generatedAt: map.generatedAt }),
    images: ofKind('image'),
    repositories: ofKind('repository'),
    prefixes: ofKind('prefix'),
  };
}

/** What several documents say alike, or one says under two names of a source, is said once. */
function withoutRepeats(images: readonly StructuredImage[]): StructuredImage[] {
  return [...new Map(images.map((image) => [JSON.stringify(image), image])).values()];
}

function structuredImage(
  { key, sourceDigest, target, path }: ImageEntry,
  document: unknown,
): StructuredImage {
  const addsDigest = sourceDigest !== undefined && !key.includes('@');
  const platforms = platformsAt(document, path);
  return {
    source: key,
    ...(addsDigest && { sourceDigest }),
    target,
    ...(platforms && { platforms }),
  };
}

/** What a map document says of the platforms of the image whose source or alias stands at a JSONPath. */
export function platformsAt(document: unknown, path: string): readonly string[] | undefined {
  const index = /^\$(?:\.images)?\[(\d+)\]/.exec(path)?.[1];
  const images = isRecord(document) ? document.images : document;
  const image: unknown = Array.isArray(images) ? images[Number(index)] : undefined;
  const platforms = isRecord(image) ? image.platforms : undefined;
  return isTexts(platforms) ? platforms : undefined;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

export interface SerialRequest {
  readonly serial: number;
  readonly now: Date;
  /** What readers take; a map that cannot be written in that many bytes is written all the same. */
  readonly maxBytes: number;
}

/**
 * The text of a map with another serial. A structured document keeps everything else that it holds;
 * the flat forms have no place for a serial and become structured. What stood on one line stays on one.
 */
export function withSerial(
  text: string,
  map: ImageMap,
  { serial, now, maxBytes }: SerialRequest,
): string {
  const document: unknown = JSON.parse(text);
  const isStructured = isRecord(document) && document.apiVersion === MAP_API_VERSION;
  const { apiVersion, ...rest } = isStructured ? document : { ...structuredMap(map, document) };
  const generatedAt = map.generatedAt ?? now.toISOString();
  const next = headFirst({ apiVersion, ...rest, serial, generatedAt });
  const isOneLine = !text.trim().includes('\n');
  return isOneLine ? compactText(next) : mapText(next, maxBytes);
}

/** Indented for people, unless that alone would make it larger than `maxBytes`. */
export function mapText(document: object, maxBytes: number): string {
  const indented = `${JSON.stringify(document, null, 2)}\n`;
  const size = new TextEncoder().encode(indented).length;
  return size > maxBytes ? compactText(document) : indented;
}

/** The error of a map that would be written and that no reader would take; `finding` says its size. */
export function tooLargeToWrite(finding: string, maxBytes: number): RewriterError {
  return new RewriterError(
    'MAP_TOO_LARGE',
    `${finding}; the limit is ${maxBytes} (imageMap.maxBytes); remove entries that nothing uses, or raise the limit here and where the map is read`,
  );
}

function compactText(document: object): string {
  return `${JSON.stringify(document)}\n`;
}

const HEAD_KEYS = ['apiVersion', 'serial', 'generatedAt'];

/** Puts the head of the document first, where a reader looks for it. */
function headFirst(document: Record<string, unknown>): object {
  const rest = Object.keys(document).filter((each) => !HEAD_KEYS.includes(each));
  return Object.fromEntries([...HEAD_KEYS, ...rest].map((each) => [each, document[each]]));
}
