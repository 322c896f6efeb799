import { type ErrorCode, type Fault, isInvalid, quote } from './errors.ts';
import { FaultList } from './fault-list.ts';
import { childPath } from './json-path.ts';
import { isRecord } from './json-value.ts';
import {
  JsonContainer,
  JsonDepthError,
  type JsonOutline,
  listElements,
  objectMembers,
  outlineJson,
} from './json-scan.ts';
import { parseDigest, parseReference } from './reference.ts';

export const MAP_API_VERSION = 'sdr-image-map/v1';
export const MAP_ENTRY_LIMIT = 200_000;
export const MAP_STRING_LIMIT = 4096;
const REPORT_LIMIT = 1000;
/** Elements or members that are read in one step: some 20 microseconds. */
const ENTRIES_PER_STEP = 8;

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

/** What a map document says of itself, whichever of the accepted forms it has. */
export interface MapHead {
  readonly serial: number | undefined;
  readonly generatedAt: string | undefined;
  readonly faults: readonly Fault[];
  /** Paths of keys that the format does not know; they have no effect. */
  readonly unknownKeys: readonly string[];
}

export interface MapDocument extends MapHead {
  readonly lines: readonly MapLine[];
}

/** The ways in which an element of a flat list may name its two ends. */
const KEY_PAIRS = [
  ['source', 'target'],
  ['from', 'to'],
  ['sourceImage', 'destinationImage'],
] as const;

/** Where the target of an entry stands, by where its source does; in a flat object that is one place. */
export function targetPathOf(sourcePath: string): string {
  const path = sourcePath.replace(/\]\.aliases\[\d+\]$/, '].source');
  const pair = KEY_PAIRS.find(([source]) => path.endsWith(`].${source}`));
  return pair === undefined ? path : `${path.slice(0, -pair[0].length)}${pair[1]}`;
}

/** Reads the bytes of a map, at most `maxBytes`. Never throws; the faults are in the result. */
export function readMapDocument(bytes: Uint8Array, maxBytes: number): MapDocument {
  const lines: MapLine[] = [];
  const reading = readMapLines(bytes, maxBytes);
  for (;;) {
    const step = reading.next();
    if (step.done === true) {
      return { ...step.value, lines };
    }
    for (const line of step.value) {
      lines.push(line);
    }
  }
}

/**
 * As `readMapDocument`, in steps that each give the few lines that were read in them; `hashSeed` is any
 * 32-bit number, best a random one.
 */
export function* readMapLines(
  bytes: Uint8Array,
  maxBytes: number,
  hashSeed = 0,
): Generator<readonly MapLine[], MapHead, undefined> {
  const reader = new DocumentReader(bytes);
  if (bytes.length > maxBytes) {
    const message = `the map has ${bytes.length} bytes; the limit is ${maxBytes}`;
    reader.fault('MAP_TOO_LARGE', '$', message);
    return reader.head();
  }
  try {
    yield* reader.read(hashSeed);
  } catch (error) {
    if (error instanceof JsonDepthError) {
      reader.fault('MAP_TOO_LARGE', '$', `the map is nested too deeply: ${error.message}`);
    } else if (error instanceof SyntaxError) {
      reader.fault('MAP_NOT_JSON', '$', `the map is not JSON: ${error.message}`);
    } else {
      throw error;
    }
  }
  return reader.head();
}

const NOTHING: readonly MapLine[] = [];
const NO_TEXTS: readonly string[] = [];

const ROOT_KEYS = ['apiVersion', 'serial', 'generatedAt', 'images', 'repositories', 'prefixes'];
const IMAGE_KEYS = ['source', 'aliases', 'sourceDigest', 'target', 'platforms'];
const NAME_KEYS = ['source', 'target'];

type Lines = Generator<readonly MapLine[], void, undefined>;

class DocumentReader {
  readonly #bytes: Uint8Array;
  readonly #faults = new FaultList();
  readonly #unknownKeys: string[] = [];
  /** Keys that stand twice have no one value to read. */
  #duplicates = new Set<string>();
  #runs: ReadonlyMap<number, number> = new Map();
  /** What was read since the last step. */
  #lines: MapLine[] = [];
  #count = 0;
  #serial: number | undefined;
  #generatedAt: string | undefined;
  #isFull = false;

  constructor(bytes: Uint8Array) {
    // A plain view: parts of a Node.js buffer are dear, and this makes several for each entry.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Whether a limit is reached, and the rest is not looked at. */
  get #isOver(): boolean {
    return this.#isFull || this.#faults.isFull;
  }

  head(): MapHead {
    return {
      serial: this.#serial,
      generatedAt: this.#generatedAt,
      faults: this.#faults.faults,
      unknownKeys: this.#unknownKeys,
    };
  }

  fault(code: ErrorCode, path: string, message: string): void {
    this.#faults.add(code, path, message);
  }

  /** Throws a `SyntaxError` before anything was read, or never. */
  *read(hashSeed: number): Lines {
    const checking = outlineJson(this.#bytes, ROOT_KEYS, REPORT_LIMIT, hashSeed);
    let step = checking.next();
    while (step.done !== true) {
      yield NOTHING;
      step = checking.next();
    }
    const outline = step.value;
    for (const path of outline.duplicates) {
      this.fault('MAP_KEY_DUPLICATE', path, 'the key stands twice in this object');
    }
    this.#duplicates = new Set(outline.duplicates);
    this.#runs = outline.runs;
    yield* this.#readRoot(outline);
  }

  *#readRoot({ root, members }: JsonOutline): Lines {
    if (isList(root)) {
      yield* this.#readFlatList(root);
      return;
    }
    if (!isObject(root)) {
      const message = `the map is ${describe(root)}, not an object or a list`;
      this.fault('MAP_SHAPE_INVALID', '$', message);
      return;
    }
    const isStructured =
      members.has('apiVersion') ||
      isObject(members.get('images')) ||
      ['images', 'repositories', 'prefixes'].some((key) => isList(members.get(key)));
    if (isStructured) {
      yield* this.#readStructured(members);
    } else {
      yield* this.#readFlatObject(root, '$');
    }
  }

  *#readStructured(members: ReadonlyMap<string, unknown>): Lines {
    const apiVersion = members.get('apiVersion');
    const images = members.get('images');
    // {"images": {source: target}} is a form of other tools, which know no version.
    const isVersionless = apiVersion === undefined && isObject(images);
    if (apiVersion !== MAP_API_VERSION && !isVersionless) {
      this.fault(
        'MAP_VERSION_UNKNOWN',
        '$.apiVersion',
        `the version is ${describe(apiVersion)}; this program reads "${MAP_API_VERSION}"`,
      );
    }
    this.#readHead(members);
    if (isObject(images)) {
      yield* this.#readFlatObject(images, '$.images');
    } else {
      yield* this.#eachElement(images, '$.images', (element, path) =>
        this.#readImage(element, path),
      );
    }
    yield* this.#eachElement(members.get('repositories'), '$.repositories', (element, path) =>
      this.#readName('repository', element, path),
    );
    yield* this.#eachElement(members.get('prefixes'), '$.prefixes', (element, path) =>
      this.#readName('prefix', element, path),
    );
  }

  #readHead(members: ReadonlyMap<string, unknown>): void {
    this.#noteUnknownKeys(members.keys(), ROOT_KEYS, '$');
    const [serial, generatedAt] = [members.get('serial'), members.get('generatedAt')];
    if (typeof serial === 'number' && Number.isSafeInteger(serial) && serial >= 0) {
      this.#serial = serial;
    } else if (serial !== undefined) {
      this.fault('MAP_SHAPE_INVALID', '$.serial', `${describe(serial)} is not a whole number ≥ 0`);
    }
    if (typeof generatedAt === 'string' && !Number.isNaN(Date.parse(generatedAt))) {
      this.#generatedAt = generatedAt;
    } else if (generatedAt !== undefined) {
      const message = `${describe(generatedAt)} is not a date and time such as 2026-11-23T08:00:00Z`;
      this.fault('MAP_SHAPE_INVALID', '$.generatedAt', message);
    }
  }

  #readImage(element: Record<string, unknown>, path: string): void {
    this.#noteUnknownKeys(Object.keys(element), IMAGE_KEYS, path);
    const sourcePath = `${path}.source`;
    const targetPath = `${path}.target`;
    const source = this.#text(element.source, sourcePath);
    const target = this.#text(element.target, targetPath);
    const sourceDigest =
      element.sourceDigest === undefined
        ? undefined
        : this.#digest(element.sourceDigest, `${path}.sourceDigest`);
    const aliases = this.#texts(element, 'aliases', path);
    this.#texts(element, 'platforms', path);
    if (target === undefined) {
      return;
    }
    const kind = 'image';
    if (source !== undefined) {
      this.#add({ kind, source, path: sourcePath, target, targetPath, sourceDigest });
    }
    for (let index = 0; index < aliases.length; index += 1) {
      const alias = aliases[index] ?? '';
      const aliasPath = `${path}.aliases[${index}]`;
      this.#add({ kind, source: alias, path: aliasPath, target, targetPath, sourceDigest });
    }
  }

  #readName(kind: 'repository' | 'prefix', element: Record<string, unknown>, path: string): void {
    this.#noteUnknownKeys(Object.keys(element), NAME_KEYS, path);
    const [sourcePath, targetPath] = [`${path}.source`, `${path}.target`];
    const source = this.#text(element.source, sourcePath);
    const target = this.#text(element.target, targetPath);
    if (source !== undefined && target !== undefined) {
      this.#add({ kind, source, path: sourcePath, target, targetPath, sourceDigest: undefined });
    }
  }

  *#readFlatList(list: JsonContainer): Lines {
    yield* this.#eachElement(list, '$', (element, path) => {
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
      this.#noteUnknownKeys(Object.keys(element), [...pair, 'platforms'], path);
      const [sourceKey, targetKey] = pair;
      const [sourcePath, targetPath] = [`${path}.${sourceKey}`, `${path}.${targetKey}`];
      const source = this.#text(element[sourceKey], sourcePath);
      const target = this.#text(element[targetKey], targetPath);
      if (source !== undefined && target !== undefined) {
        const kind = flatKind(source, target);
        this.#add({ kind, source, path: sourcePath, target, targetPath, sourceDigest: undefined });
      }
    });
  }

  *#readFlatObject(object: JsonContainer, path: string): Lines {
    let index = 0;
    for (const [source, value] of objectMembers(this.#bytes, object)) {
      if (this.#isOver) {
        break;
      }
      const at = childPath(path, source.slice(0, MAP_STRING_LIMIT));
      if (!this.#duplicates.has(at)) {
        const target = this.#text(value, at);
        if (this.#text(source, at) !== undefined && target !== undefined) {
          this.#addMember(source, target, at);
        }
      }
      index += 1;
      if (index % ENTRIES_PER_STEP === 0) yield this.#takeLines();
    }
    yield this.#takeLines();
  }

  #addMember(source: string, target: string, at: string): void {
    const kind = flatKind(source, target);
    if (kind === 'repository' && !source.includes('/') && !target.includes('/')) {
      // Else `{"error": "forbidden"}`, which something between here and the store may say, would be a map.
      const message = `${quote(source)} and ${quote(target)} name neither a registry nor a namespace; write docker.io/library/… if that is meant`;
      this.fault('MAP_REFERENCE_INVALID', at, message);
      return;
    }
    this.#add({ kind, source, path: at, target, targetPath: at, sourceDigest: undefined });
  }

  *#eachElement(
    list: unknown,
    path: string,
    read: (element: Record<string, unknown>, path: string) => void,
  ): Lines {
    if (list === undefined) {
      return;
    }
    if (!isList(list)) {
      this.fault('MAP_SHAPE_INVALID', path, `${describe(list)} is not a list`);
      return;
    }
    let index = 0;
    for (const element of listElements(this.#bytes, list, this.#runs)) {
      if (this.#isOver) {
        break;
      }
      const at = childPath(path, index);
      if (isRecord(element) && !(element instanceof JsonContainer)) {
        read(element, at);
      } else {
        this.fault('MAP_SHAPE_INVALID', at, `${describe(element)} is not an object`);
      }
      index += 1;
      if (index % ENTRIES_PER_STEP === 0) yield this.#takeLines();
    }
    yield this.#takeLines();
  }

  #takeLines(): readonly MapLine[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  #add(line: MapLine): void {
    if (this.#count < MAP_ENTRY_LIMIT) {
      this.#count += 1;
      this.#lines.push(line);
    } else if (!this.#isFull) {
      this.#isFull = true;
      const message = `the map has more than ${MAP_ENTRY_LIMIT} entries (sources and aliases)`;
      this.fault('MAP_TOO_LARGE', line.path, message);
    }
  }

  #text(value: unknown, path: string): string | undefined {
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

  #texts(element: Record<string, unknown>, key: string, at: string): readonly string[] {
    const value = element[key];
    if (value === undefined) {
      return NO_TEXTS;
    }
    const path = `${at}.${key}`;
    if (!Array.isArray(value)) {
      this.fault('MAP_SHAPE_INVALID', path, `${describe(value)} is not a list of strings`);
      return NO_TEXTS;
    }
    const texts: string[] = [];
    for (let index = 0; index < value.length && !this.#faults.isFull; index += 1) {
      const text = this.#text(value[index], childPath(path, index));
      if (text !== undefined) {
        texts.push(text);
      }
    }
    return texts;
  }

  #digest(value: unknown, path: string): string | undefined {
    const text = this.#text(value, path);
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

  #noteUnknownKeys(keys: Iterable<string>, known: readonly string[], path: string): void {
    for (const key of keys) {
      if (!known.includes(key) && this.#unknownKeys.length < REPORT_LIMIT) {
        this.#unknownKeys.push(childPath(path, key));
      }
    }
  }
}

function isList(value: unknown): value is JsonContainer {
  return value instanceof JsonContainer && value.kind === 'list';
}

function isObject(value: unknown): value is JsonContainer {
  return value instanceof JsonContainer && value.kind === 'object';
}

/** A flat entry says by its form what it is: `a/` a prefix, `a` → `b` a repository, else an image. */
function flatKind(source: string, target: string): MapLine['kind'] {
  if (source.endsWith('/')) {
    return 'prefix';
  }
  return isBareName(source) && isBareName(target) ? 'repository' : 'image';
}

function isBareName(text: string): boolean {
  // Most have a tag or digest, which shows without parsing them.
  if (text.includes('@') || text.lastIndexOf(':') > text.lastIndexOf('/')) {
    return false;
  }
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
  if (value === undefined) {
    return 'missing';
  }
  return Array.isArray(value) || isList(value) ? 'a list' : 'an object';
}
