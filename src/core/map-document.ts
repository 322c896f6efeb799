import { findDuplicateKeys } from './duplicate-keys.ts';
import { type ErrorCode, type Fault, isInvalid, quote } from './errors.ts';
import { isRecord, jsonPath } from './json-path.ts';
import { parseDigest, parseReference } from './reference.ts';

export const MAP_API_VERSION = 'sdr-image-map/v1';
export const MAP_ENTRY_LIMIT = 200_000;
export const MAP_STRING_LIMIT = 4096;
const REPORT_LIMIT = 1000;

/** One source and its target as the document has them; nothing of them is parsed yet. */
export interface MapLine {
  readonly kind: 'image' | 'repository' | 'prefix';
  readonly source: string;
  /** JSONPath of the source, for messages. */
  readonly path: string;
  readonly target: string;
  readonly targetPath: string;
  readonly sourceDigest: string | undefined;
}

/** What stands in a map document, whichever of the accepted forms it has. */
export interface MapDocument {
  readonly serial: number | undefined;
  readonly generatedAt: string | undefined;
  readonly lines: readonly MapLine[];
  readonly faults: readonly Fault[];
  /** Paths of keys that the format does not know; they have no effect. */
  readonly unknownKeys: readonly string[];
}

/** Reads the bytes of a map, at most `maxBytes`. Never throws; the faults are in the result. */
export function readMapDocument(bytes: Uint8Array, maxBytes: number): MapDocument {
  const reader = new DocumentReader();
  if (bytes.length > maxBytes) {
    reader.fault(
      'MAP_TOO_LARGE',
      [],
      `the map has ${bytes.length} bytes; the limit is ${maxBytes}`,
    );
    return reader.result();
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    reader.fault('MAP_NOT_JSON', [], 'the map is not UTF-8 text');
    return reader.result();
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    reader.fault('MAP_NOT_JSON', [], `the map is not JSON: ${(error as Error).message}`);
    return reader.result();
  }
  for (const path of findDuplicateKeys(text, REPORT_LIMIT)) {
    reader.faultAt('MAP_KEY_DUPLICATE', path, 'the key stands twice in this object');
  }
  reader.readDocument(document);
  return reader.result();
}

type Path = readonly (string | number)[];

/** The ways in which an element of a flat list may name its two ends. */
const KEY_PAIRS = [
  ['source', 'target'],
  ['from', 'to'],
  ['sourceImage', 'destinationImage'],
] as const;

const ROOT_KEYS = ['apiVersion', 'serial', 'generatedAt', 'images', 'repositories', 'prefixes'];
const IMAGE_KEYS = ['source', 'aliases', 'sourceDigest', 'target', 'platforms'];
const NAME_KEYS = ['source', 'target'];

class DocumentReader {
  readonly #faults: Fault[] = [];
  readonly #lines: MapLine[] = [];
  readonly #unknownKeys: string[] = [];
  #serial: number | undefined;
  #generatedAt: string | undefined;
  #isFull = false;

  result(): MapDocument {
    return {
      serial: this.#serial,
      generatedAt: this.#generatedAt,
      lines: this.#lines,
      faults: this.#faults,
      unknownKeys: this.#unknownKeys,
    };
  }

  fault(code: ErrorCode, path: Path, message: string): void {
    this.faultAt(code, jsonPath(path), message);
  }

  faultAt(code: ErrorCode, path: string, message: string): void {
    this.#faults.push({ code, path, message });
  }

  readDocument(document: unknown): void {
    if (Array.isArray(document)) {
      this.#readFlatList(document);
      return;
    }
    if (!isRecord(document)) {
      this.fault(
        'MAP_SHAPE_INVALID',
        [],
        `the map is ${describe(document)}, not an object or a list`,
      );
      return;
    }
    const isStructured =
      Object.hasOwn(document, 'apiVersion') ||
      isRecord(document.images) ||
      ['images', 'repositories', 'prefixes'].some((key) => Array.isArray(document[key]));
    if (isStructured) {
      this.#readStructured(document);
    } else {
      this.#readFlatObject(document, []);
    }
  }

  #readStructured(document: Record<string, unknown>): void {
    const { apiVersion, images, repositories, prefixes } = document;
    // {"images": {source: target}} is a form of other tools, which know no version.
    const isVersionless = apiVersion === undefined && isRecord(images);
    if (apiVersion !== MAP_API_VERSION && !isVersionless) {
      this.fault(
        'MAP_VERSION_UNKNOWN',
        ['apiVersion'],
        `the version is ${describe(apiVersion)}; this program reads "${MAP_API_VERSION}"`,
      );
    }
    this.#readHead(document);
    if (isRecord(images)) {
      this.#readFlatObject(images, ['images']);
    } else {
      this.#eachElement(images, ['images'], (element, path) => this.#readImage(element, path));
    }
    this.#eachElement(repositories, ['repositories'], (element, path) =>
      this.#readName('repository', element, path),
    );
    this.#eachElement(prefixes, ['prefixes'], (element, path) =>
      this.#readName('prefix', element, path),
    );
  }

  #readHead(document: Record<string, unknown>): void {
    this.#noteUnknownKeys(document, ROOT_KEYS, []);
    const { serial, generatedAt } = document;
    if (typeof serial === 'number' && Number.isSafeInteger(serial) && serial >= 0) {
      this.#serial = serial;
    } else if (serial !== undefined) {
      this.fault('MAP_SHAPE_INVALID', ['serial'], `${describe(serial)} is not a whole number ≥ 0`);
    }
    if (typeof generatedAt === 'string' && !Number.isNaN(Date.parse(generatedAt))) {
      this.#generatedAt = generatedAt;
    } else if (generatedAt !== undefined) {
      const message = `${describe(generatedAt)} is not a date and time such as 2026-11-23T08:00:00Z`;
      this.fault('MAP_SHAPE_INVALID', ['generatedAt'], message);
    }
  }

  #readImage(element: Record<string, unknown>, path: Path): void {
    this.#noteUnknownKeys(element, IMAGE_KEYS, path);
    const source = this.#text(element.source, [...path, 'source']);
    const target = this.#text(element.target, [...path, 'target']);
    const sourceDigest = this.#digest(element.sourceDigest, [...path, 'sourceDigest']);
    const aliases = this.#texts(element.aliases, [...path, 'aliases']);
    this.#texts(element.platforms, [...path, 'platforms']);
    if (target === undefined) {
      return;
    }
    const targetPath = [...path, 'target'];
    if (source !== undefined) {
      this.#add('image', source, [...path, 'source'], target, targetPath, sourceDigest);
    }
    aliases.forEach((alias, index) =>
      this.#add('image', alias, [...path, 'aliases', index], target, targetPath, sourceDigest),
    );
  }

  #readName(kind: 'repository' | 'prefix', element: Record<string, unknown>, path: Path): void {
    this.#noteUnknownKeys(element, NAME_KEYS, path);
    const source = this.#text(element.source, [...path, 'source']);
    const target = this.#text(element.target, [...path, 'target']);
    if (source !== undefined && target !== undefined) {
      this.#add(kind, source, [...path, 'source'], target, [...path, 'target']);
    }
  }

  #readFlatList(list: readonly unknown[]): void {
    this.#eachElement(list, [], (element, path) => {
      const used = KEY_PAIRS.filter((pair) => pair.some((key) => Object.hasOwn(element, key)));
      const pair = used[0];
      if (pair === undefined || used.length > 1) {
        const problem = pair === undefined ? 'has no source' : 'names its source in two ways';
        const message = `the entry ${problem}: write {source, target}, {from, to} or {sourceImage, destinationImage}`;
        this.fault('MAP_SHAPE_INVALID', path, message);
        return;
      }
      if (Object.hasOwn(element, 'sourceDigest') || Object.hasOwn(element, 'aliases')) {
        this.#readImage(element, path);
        return;
      }
      this.#noteUnknownKeys(element, [...pair, 'platforms'], path);
      const [sourceKey, targetKey] = pair;
      const source = this.#text(element[sourceKey], [...path, sourceKey]);
      const target = this.#text(element[targetKey], [...path, targetKey]);
      if (source !== undefined && target !== undefined) {
        const kind = flatKind(source, target);
        this.#add(kind, source, [...path, sourceKey], target, [...path, targetKey]);
      }
    });
  }

  #readFlatObject(object: Record<string, unknown>, path: Path): void {
    for (const [source, value] of Object.entries(object)) {
      if (this.#isFull) {
        return;
      }
      const at = [...path, source.slice(0, MAP_STRING_LIMIT)];
      const target = this.#text(value, at);
      if (this.#text(source, at) !== undefined && target !== undefined) {
        this.#add(flatKind(source, target), source, at, target, at);
      }
    }
  }

  #eachElement(
    list: unknown,
    path: Path,
    read: (element: Record<string, unknown>, path: Path) => void,
  ): void {
    if (list === undefined) {
      return;
    }
    if (!Array.isArray(list)) {
      this.fault('MAP_SHAPE_INVALID', path, `${describe(list)} is not a list`);
      return;
    }
    for (const [index, element] of list.entries()) {
      if (this.#isFull) {
        return;
      }
      if (isRecord(element)) {
        read(element, [...path, index]);
      } else {
        this.fault('MAP_SHAPE_INVALID', [...path, index], `${describe(element)} is not an object`);
      }
    }
  }

  #add(
    kind: MapLine['kind'],
    source: string,
    path: Path,
    target: string,
    targetPath: Path,
    sourceDigest?: string,
  ): void {
    if (this.#lines.length < MAP_ENTRY_LIMIT) {
      const [at, targetAt] = [jsonPath(path), jsonPath(targetPath)];
      this.#lines.push({ kind, source, path: at, target, targetPath: targetAt, sourceDigest });
    } else if (!this.#isFull) {
      this.#isFull = true;
      const message = `the map has more than ${MAP_ENTRY_LIMIT} entries (sources and aliases)`;
      this.fault('MAP_TOO_LARGE', path, message);
    }
  }

  #text(value: unknown, path: Path): string | undefined {
    if (typeof value !== 'string') {
      this.fault('MAP_SHAPE_INVALID', path, `the value is ${describe(value)}; give a string`);
      return undefined;
    }
    if (value.length > MAP_STRING_LIMIT) {
      const message = `${quote(value)} has ${value.length} characters; the limit is ${MAP_STRING_LIMIT}`;
      this.fault('MAP_STRING_TOO_LONG', path, message);
      return undefined;
    }
    return value;
  }

  #texts(value: unknown, path: Path): string[] {
    if (value === undefined) {
      return [];
    }
    if (!Array.isArray(value)) {
      this.fault('MAP_SHAPE_INVALID', path, `${describe(value)} is not a list of strings`);
      return [];
    }
    return value.flatMap((each, index) => this.#text(each, [...path, index]) ?? []);
  }

  #digest(value: unknown, path: Path): string | undefined {
    const text = value === undefined ? undefined : this.#text(value, path);
    if (text === undefined) {
      return undefined;
    }
    const digest = parseDigest(text);
    if (typeof digest === 'string') {
      return digest;
    }
    this.fault('MAP_REFERENCE_INVALID', path, digest.message);
    return undefined;
  }

  #noteUnknownKeys(object: object, known: readonly string[], path: Path): void {
    for (const key of Object.keys(object)) {
      if (!known.includes(key) && this.#unknownKeys.length < REPORT_LIMIT) {
        this.#unknownKeys.push(jsonPath([...path, key]));
      }
    }
  }
}

/** A flat entry says by its form what it is: `a/` a prefix, `a` → `b` a repository, else an image. */
function flatKind(source: string, target: string): MapLine['kind'] {
  if (source.endsWith('/')) {
    return 'prefix';
  }
  return isBareName(source) && isBareName(target) ? 'repository' : 'image';
}

function isBareName(text: string): boolean {
  const reference = parseReference(text);
  return !isInvalid(reference) && reference.tag === undefined && reference.digest === undefined;
}

function describe(value: unknown): string {
  if (typeof value === 'string') {
    return quote(value);
  }
  if (value === null || typeof value === 'number' || typeof value === 'boolean') {
    return String(value);
  }
  return Array.isArray(value) ? 'a list' : value === undefined ? 'missing' : 'an object';
}
