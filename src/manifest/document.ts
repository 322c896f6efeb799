import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  Scalar,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { quote } from '../core/errors.ts';
import type { Path } from '../core/workload.ts';
import { splitJsonObjects } from './json-stream.ts';

/** One YAML document of a file, or one JSON text, which YAML reads as well. */
export interface ManifestDocument {
  /** Its text, from `---` to the next one. */
  readonly source: string;
  /** Where in `source` its content begins, behind comments. */
  readonly start: number;
  /** As `kubectl` and Compose read it: aliases and merge keys resolved. */
  readonly value: unknown;
  /** Finds the text at a path of `value`, through aliases and merge keys. */
  find(path: Path): FoundScalar | undefined;
  /** Every alias that stands for this very text. */
  aliasesOf(scalar: Scalar): readonly Alias[];
  /** Every text that is no key; those behind aliases once. */
  texts(): readonly Scalar<string>[];
  /** The key of the top level under which a text stands. */
  topLevelKey(scalar: Scalar): unknown;
}

export interface FoundScalar {
  readonly scalar: Scalar;
  /** Present where the path ends in an alias: `image: *app`. */
  readonly alias: Alias | undefined;
}

/** The first thing that is wrong with a document, and where in its source. */
export interface DocumentFault {
  readonly offset: number;
  readonly message: string;
}

const MARKER = /(?:^|\n)(---|\.\.\.)(?=[ \t\r\n]|$)/g;
/** A line that is not blank, a comment or a `%` directive. */
const CONTENT = /(?:^|\n)[ \t\uFEFF]*[^\s#%]/;

/**
 * Cuts a file at its document markers, so that each document can be read by itself: YAML lets `---`
 * begin a line nowhere else, not even inside a quoted or block scalar. JSON objects may follow one another
 * without. https://yaml.org/spec/1.2.2/#912-document-markers
 */
export function splitDocuments(text: string): { source: string; offset: number }[] {
  const pieces: { source: string; offset: number }[] = [];
  let start = 0;
  const close = (end: number): void => {
    const source = text.slice(start, end);
    if (CONTENT.test(source)) {
      for (const piece of splitJsonObjects(source)) {
        pieces.push({ source: piece, offset: start });
        start += piece.length;
      }
    }
  };
  for (const { 0: match, 1: marker, index } of text.matchAll(MARKER)) {
    const at = index + match.length - 3;
    if (marker === '---') {
      close(at);
    } else {
      const newline = text.indexOf('\n', at);
      close(newline < 0 ? text.length : newline + 1);
    }
  }
  close(text.length);
  return pieces;
}

/** Characters of one document. The library takes some 60 to 120 bytes of memory for each. */
const DOCUMENT_LIMIT = 32 * 1024 * 1024;

/** Reads one document; never throws. */
export function readDocument(source: string): ManifestDocument | { readonly fault: DocumentFault } {
  if (source.length > DOCUMENT_LIMIT) {
    const message = `the document has ${source.length} characters, and the limit is ${DOCUMENT_LIMIT}; give the items of a List as documents of their own, as \`jq '.items[]'\` prints them`;
    return { fault: { offset: 0, message } };
  }
  const document = parseDocument(source, {
    merge: true,
    // The library compares each key with all others of its map; `checkMap` looks them up.
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const [error] = document.errors;
  if (error !== undefined) {
    return { fault: { offset: error.pos[0], message: errorText(error, source) } };
  }
  const { targets, aliases, fault } = readLinks(document);
  if (fault !== undefined) {
    return { fault };
  }
  return {
    source,
    start: startOf(document.contents),
    value: document.toJS({ maxAliasCount: -1 }),
    find: (path) => findScalar(document.contents, path, targets),
    aliasesOf: (scalar) => aliases.get(scalar) ?? [],
    texts: () => textValues(document),
    topLevelKey: (scalar) => topLevelKey(document, scalar),
  };
}

/** What to do with a template. */
export const RENDER_FIRST = 'a template has to be rendered first, as by `helm template`';

function errorText({ code, message }: YAMLError, source: string): string {
  if (code === 'RESOURCE_EXHAUSTION') {
    return 'maps and lists are nested too deeply to be read';
  }
  return source.includes('{{') ? `${message}; ${RENDER_FIRST}` : message;
}

interface Links {
  readonly targets: ReadonlyMap<Alias, Node>;
  readonly aliases: ReadonlyMap<Node, readonly Alias[]>;
  readonly fault: DocumentFault | undefined;
}

/** Finds in one pass what each alias stands for; the library would look anew for each. */
function readLinks(document: Document.Parsed): Links {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  const aliases = new Map<Node, Alias[]>();
  const maps: YAMLMap[] = [];
  let fault: DocumentFault | undefined;
  const complain = (node: Node, message: string): symbol => {
    fault = { offset: startOf(node), message };
    return visit.BREAK;
  };
  visit(document, {
    Alias(_, alias, ancestors) {
      const target = anchors.get(alias.source);
      if (target === undefined) {
        return complain(alias, `no anchor &${alias.source} stands before this alias; define it`);
      }
      if (ancestors.includes(target)) {
        return complain(
          alias,
          `*${alias.source} stands inside of &${alias.source}; break the circle`,
        );
      }
      const known = aliases.get(target) ?? [];
      known.push(alias);
      aliases.set(target, known);
      targets.set(alias, target);
      return undefined;
    },
    Pair(_, { key }) {
      return isCollection(key)
        ? complain(key, `a map or list stands in place of a key; ${RENDER_FIRST}`)
        : undefined;
    },
    Value(_, node) {
      if (node.anchor !== undefined) {
        anchors.set(node.anchor, node);
      }
      if (isMap(node)) {
        maps.push(node);
      }
    },
  });
  const follow = followerOf(targets);
  fault ??= maps
    .values()
    .map((map) => checkMap(map, follow))
    .find((found) => found !== undefined);
  fault ??= findExplosion(document, follow);
  if (isKubernetes(document)) {
    fault ??= maps
      .values()
      .map((map) => findOverride(map, follow))
      .find((found) => found !== undefined);
  }
  return { targets, aliases, fault };
}

type Follow = (node: unknown) => unknown;

function followerOf(targets: ReadonlyMap<Alias, Node>): Follow {
  return (node) => (isAlias(node) ? targets.get(node) : node);
}

function checkMap(map: YAMLMap, follow: Follow): DocumentFault | undefined {
  const known = new Set<string>();
  let hasMerge = false;
  for (const pair of map.items) {
    if (isMerge(pair)) {
      const fault = (message: string) => ({ offset: startOf(pair.key as Node), message });
      if (!mergeSources(pair, follow).every(isMap)) {
        return fault('<< merges maps only; give it a map, an alias of one, or a list of these');
      }
      if (hasMerge) {
        return fault(
          'the key << stands twice in one map, and readers keep one of the two; give one << a list of the maps',
        );
      }
      hasMerge = true;
      continue;
    }
    const key = keyOf(pair, follow);
    if (known.has(key)) {
      const message = `the key ${quote(key)} stands twice in one map, and readers keep one of the two; remove one`;
      return { offset: startOf(pair.key as Node), message };
    }
    known.add(key);
  }
  return undefined;
}

function mergeSources({ value }: Pair, follow: Follow): unknown[] {
  const merged = follow(value);
  return isSeq(merged) ? merged.items.map(follow) : [merged];
}

/** Compose keeps a map's own key, wherever its `<<` stands, as YAML has it. */
function isKubernetes({ contents }: Document): boolean {
  return isMap(contents) && contents.has('apiVersion');
}

/** For kubectl a `<<` wins over the keys before it, and for other readers the map's own keys do. */
function findOverride(map: YAMLMap, follow: Follow): DocumentFault | undefined {
  // There is one at most: checkMap refuses a second.
  const merge = map.items.find(isMerge);
  if (merge === undefined) {
    return undefined;
  }
  const overridden = map.items.slice(0, map.items.indexOf(merge)).find((pair) => {
    const merged = mergedValue(merge, keyOf(pair, follow), follow);
    return merged !== undefined && !isSame(follow(pair.value), follow(merged));
  });
  if (overridden === undefined) {
    return undefined;
  }
  const message = `<< stands behind the key ${quote(keyOf(overridden, follow))} and holds another value for it, and readers keep one of the two; write << first`;
  return { offset: startOf(merge.key as Node), message };
}

/** Maps and lists are taken to differ: nothing needs to write one twice. */
function isSame(one: unknown, other: unknown): boolean {
  return one === other || (isScalar(one) && isScalar(other) && one.value === other.value);
}

/** The key as it is in the value of the document: always a text, and empty for null. */
function keyOf({ key }: Pair, follow: Follow): string {
  const found = follow(key);
  return isScalar<string | number | boolean | null>(found) ? String(found.value ?? '') : '';
}

/** Values that aliases may add to a document. A few lines of them can stand for more than any memory holds. */
const MAX_ALIASED_VALUES = 1_000_000;

function findExplosion(document: Document.Parsed, follow: Follow): DocumentFault | undefined {
  const counts = new Map<unknown, number>();
  // Without aliases, each value has at least one character.
  const limit = MAX_ALIASED_VALUES + document.range[2];
  let fault: DocumentFault | undefined;
  const count = (node: unknown): number => {
    const target = follow(node);
    if (isPair(target)) {
      return count(target.key) + count(target.value);
    }
    if (!isCollection(target)) {
      return 1;
    }
    const known = counts.get(target);
    if (known !== undefined) {
      return known;
    }
    const total = target.items.reduce<number>((sum, item) => sum + count(item), 1);
    counts.set(target, total);
    if (total > limit) {
      const message = 'the aliases in here stand for too many values; write fewer of them';
      fault ??= { offset: startOf(target), message };
    }
    return total;
  };
  count(document.contents);
  return fault;
}

function startOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

function findScalar(
  root: Node | null,
  path: Path,
  targets: ReadonlyMap<Alias, Node>,
): FoundScalar | undefined {
  const follow = followerOf(targets);
  let node: unknown = root;
  for (const segment of path) {
    const parent = follow(node);
    if (isMap(parent)) node = valueOf(parent, String(segment), follow);
    else node = isSeq(parent) ? parent.items[Number(segment)] : undefined;
  }
  const scalar = follow(node);
  return isScalar(scalar) ? { scalar, alias: isAlias(node) ? node : undefined } : undefined;
}

/** The map's own key first, then those that `<<` merges in, of which the first wins. */
function valueOf(map: YAMLMap, key: string, follow: Follow): unknown {
  const own = ownPairs(map, follow).get(key);
  if (own !== undefined) {
    return own.value;
  }
  return map.items
    .values()
    .filter(isMerge)
    .map((merge) => mergedValue(merge, key, follow))
    .find((value) => value !== undefined);
}

/** A map of thousands of services is asked for each of them. */
const pairsOfMaps = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();

/** What stands under each of the map's own keys, of which `checkMap` refuses a second. */
function ownPairs(map: YAMLMap, follow: Follow): ReadonlyMap<string, Pair> {
  const known = pairsOfMaps.get(map);
  if (known !== undefined) {
    return known;
  }
  const own = map.items.filter((pair) => !isMerge(pair));
  const pairs = new Map(own.map((pair) => [keyOf(pair, follow), pair]));
  pairsOfMaps.set(map, pairs);
  return pairs;
}

/** What a `<<` merges in for a key; of several maps that have it the first wins. */
function mergedValue(merge: Pair, key: string, follow: Follow): unknown {
  return mergeSources(merge, follow)
    .values()
    .map((source) => (isMap(source) ? valueOf(source, key, follow) : undefined))
    .find((value) => value !== undefined);
}

/** The library gives the key `<<` a symbol, and a text where it has a tag; in quotes it is a key like any other. */
function isMerge({ key }: { readonly key: unknown }): boolean {
  return (
    isScalar(key) &&
    (typeof key.value === 'symbol' || (key.type === Scalar.PLAIN && key.value === '<<'))
  );
}

function textValues(document: Document.Parsed): Scalar<string>[] {
  const found: Scalar<string>[] = [];
  visit(document, {
    Scalar(key, scalar) {
      if (key !== 'key' && typeof scalar.value === 'string') {
        found.push(scalar as Scalar<string>);
      }
    },
  });
  return found;
}

function topLevelKey(document: Document.Parsed, scalar: Scalar): unknown {
  const root = document.contents;
  const pair = isMap(root)
    ? root.items.find(({ value }) => isNode(value) && contains(value, scalar))
    : undefined;
  return isScalar(pair?.key) ? pair.key.value : undefined;
}

function contains(node: Node, scalar: Scalar): boolean {
  const [start, , end] = node.range ?? [0, 0, 0];
  const at = startOf(scalar);
  return at >= start && at < end;
}
