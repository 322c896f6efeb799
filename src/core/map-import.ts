import { type Fault, isInvalid, quote } from './errors.ts';
import { isRecord } from './json-value.ts';
import { MAP_API_VERSION, type MapLine, readMapDocument } from './map-document.ts';
import { platformsAt } from './map-writer.ts';
import { canonicalText, parseReference } from './reference.ts';

/** One source and its target, with all that the structured form says of them. */
export interface ImportedLine extends Pick<MapLine, 'kind' | 'source' | 'target' | 'sourceDigest'> {
  readonly platforms: readonly string[] | undefined;
}

export interface Imported {
  readonly lines: readonly ImportedLine[];
  /** Where each of the lines stands. */
  readonly places: readonly string[];
  readonly faults: readonly Fault[];
  /** What was assumed on the way; whoever imports should know. */
  readonly notes: readonly string[];
}

/** Reads a map in any of its forms, at most `maxBytes`; an alias becomes a line of its own. */
export function importMap(bytes: Uint8Array, maxBytes: number): Imported {
  const { lines, faults, unknownKeys } = readMapDocument(bytes, maxBytes);
  if (faults.length > 0) {
    return { lines: [], places: [], faults, notes: [] };
  }
  const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
  return {
    lines: lines.map(({ kind, source, target, sourceDigest, path }) => {
      const platforms = kind === 'image' ? platformsAt(document, path) : undefined;
      return { kind, source, target, sourceDigest, platforms };
    }),
    places: lines.map(({ path }) => path),
    faults,
    notes: unknownKeys.map((path) => `${path} is a key that no map has; it was passed over`),
  };
}

/** An entry as tools write it that know no kinds. */
interface Pair {
  readonly source: string;
  readonly target: string;
  readonly place: string;
}

/** As in a flat map, the form of its two ends says of what kind a pair is. */
function importPairs(
  pairs: readonly Pair[],
  faults: readonly Fault[],
  notes: readonly string[],
): Imported {
  const list = pairs.map(({ source, target }) => ({ source, target }));
  const flat = importMap(new TextEncoder().encode(JSON.stringify(list)), Infinity);
  const placeOf = (path: string): string =>
    pairs[Number(/^\$\[(\d+)/.exec(path)?.[1])]?.place ?? path;
  return {
    lines: flat.lines,
    places: flat.places.map(placeOf),
    faults: [...faults, ...flat.faults.map((fault) => ({ ...fault, path: placeOf(fault.path) }))],
    notes,
  };
}

/** Reads `source=target` lines, as oc-mirror's `mapping.txt` has them. Blank lines and `#` lines are passed over. */
export function importLines(text: string): Imported {
  const pairs: Pair[] = [];
  const faults: Fault[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) {
      continue;
    }
    const [source = '', target = '', ...rest] = line.split('=').map((part) => part.trim());
    if (source === '' || target === '' || rest.length > 0) {
      const message = `${JSON.stringify(line.slice(0, 200))} is not source=target`;
      faults.push({ code: 'MAP_IMPORT_INVALID', path: `line ${index + 1}`, message });
    } else {
      pairs.push({ source, target, place: `line ${index + 1}` });
    }
  }
  return importPairs(pairs, faults, []);
}

/**
 * Reads the `images` of a kustomization. Kustomize replaces every tag of an image, and a map has to name
 * the one that it replaces: it is taken to be the new tag, as in a mirror that keeps tags.
 */
export function importKustomization(document: unknown): Imported {
  const images = isRecord(document) ? document.images : undefined;
  const pairs: Pair[] = [];
  const faults: Fault[] = [];
  const notes: string[] = [];
  if (!Array.isArray(images)) {
    const message = 'the kustomization has no list of images';
    return importPairs([], [{ code: 'MAP_IMPORT_INVALID', path: '$.images', message }], notes);
  }
  for (const [index, image] of images.entries()) {
    const path = `$.images[${index}]`;
    const pair = isRecord(image) ? kustomizePair(image, path, notes) : 'it is not an object';
    if (pair === undefined) {
      continue;
    }
    if (typeof pair === 'string') {
      faults.push({
        code: 'MAP_IMPORT_INVALID',
        path,
        message: `the entry cannot be used: ${pair}`,
      });
    } else {
      pairs.push({ ...pair, place: path });
    }
  }
  return importPairs(pairs, faults, notes);
}

type KustomizeImage = Partial<Record<(typeof KUSTOMIZE_KEYS)[number], string>>;

const KUSTOMIZE_KEYS = ['name', 'newName', 'newTag', 'digest'] as const;

/** What kustomize would do and a map cannot must not be passed over: the map would name another image. */
function kustomizeProblem(image: Record<string, unknown>): string | undefined {
  if (image.tagSuffix !== undefined) {
    return 'it has a tagSuffix, and a map names whole tags; write the tag in full as newTag';
  }
  const unknown = Object.keys(image).find((key) => !KUSTOMIZE_KEYS.some((known) => known === key));
  if (unknown !== undefined) {
    return `its key ${quote(unknown)} is none of ${KUSTOMIZE_KEYS.join(', ')}; correct or remove it`;
  }
  // YAML reads an unquoted 1.10 as the number 1.1, so only text can be trusted.
  const key = KUSTOMIZE_KEYS.find(
    (each) => image[each] !== undefined && typeof image[each] !== 'string',
  );
  return key === undefined
    ? undefined
    : `its ${key} ${described(image[key])} is not text; put it in quotes, or leave it away`;
}

function isSameImage(one: string, other: string): boolean {
  const [from, to] = [parseReference(one), parseReference(other)];
  return !isInvalid(from) && !isInvalid(to) && canonicalText(from) === canonicalText(to);
}

function described(value: unknown): string {
  return typeof value === 'object' && value !== null ? '(a list or an object)' : String(value);
}

/** A text says what is wrong with the entry; undefined is one that a map does without. */
function kustomizePair(
  image: Record<string, unknown>,
  path: string,
  notes: string[],
): Omit<Pair, 'place'> | string | undefined {
  const problem = kustomizeProblem(image);
  if (problem !== undefined) {
    return problem;
  }
  const { name, newName: target = name, newTag, digest } = image as KustomizeImage;
  if (name === undefined || target === undefined) {
    return 'it has no name';
  }
  if (digest === undefined && isSameImage(name, target)) {
    // Kustomize has set the tag before a pod is made, so the map need not.
    notes.push(`${path}: the entry moves ${quote(name)} nowhere, so the map has no rule for it`);
    return undefined;
  }
  const suffix = digest === undefined ? '' : `@${digest}`;
  if (newTag === undefined) {
    return suffix === ''
      ? { source: name, target }
      : 'it has a digest but no newTag, so it does not say which tag it stands for';
  }
  notes.push(`${path}: kustomize names no source tag; taken to be ${newTag}`);
  return { source: `${name}:${newTag}`, target: `${target}:${newTag}${suffix}` };
}

/**
 * For a mirror that copies byte for byte: the digest of a source is that of its target. Lines that say the same
 * twice get it all as soon as one of them knows it; else they would have different targets.
 */
export function carryDigests(lines: readonly ImportedLine[]): ImportedLine[] {
  const moves = lines.map(unpinnedMove);
  const known = new Map<string, string>();
  for (const { digest, text } of moves.filter((move) => move !== undefined)) {
    if (digest !== undefined && !known.has(text)) known.set(text, digest);
  }
  return lines.map((line, index) => {
    const move = moves[index];
    const digest = move && (move.digest ?? known.get(move.text));
    return move === undefined || digest === undefined
      ? line
      : {
          ...line,
          ...(!move.namesDigest && { sourceDigest: digest }),
          target: `${line.target}@${digest}`,
        };
  });
}

interface UnpinnedMove {
  /** The same for lines that move the same image to the same place, however they write it. */
  readonly text: string;
  /** Of the source, where the line knows it. */
  readonly digest: string | undefined;
  /** Whether the digest stands in the name of the source. */
  readonly namesDigest: boolean;
}

/** What a line says whose target has no digest yet. */
function unpinnedMove({
  kind,
  source,
  target,
  sourceDigest,
}: ImportedLine): UnpinnedMove | undefined {
  const [from, to] = [parseReference(source), parseReference(target)];
  return isInvalid(from) || isInvalid(to) || to.digest !== undefined
    ? undefined
    : {
        text: `${kind} ${canonicalText(from)} ${canonicalText(to)}`,
        digest: from.digest ?? sourceDigest,
        namesDigest: from.digest !== undefined,
      };
}

/** Puts into a text about `mergedDocument(lines)`, for the places in it, those where the lines stood before. */
export function placeNamer(
  lines: readonly ImportedLine[],
  places: readonly string[],
): (text: string) => string {
  const placesOf = (kind: ImportedLine['kind']): string[] =>
    places.filter((_, index) => lines[index]?.kind === kind);
  const sections: Record<string, string[]> = {
    images: placesOf('image'),
    repositories: placesOf('repository'),
    prefixes: placesOf('prefix'),
  };
  return (text) =>
    text.replace(
      /\$\.(images|repositories|prefixes)\[(\d+)\]\.(?:source|target|sourceDigest)/g,
      (path, section: string, index: string) => sections[section]?.[Number(index)] ?? path,
    );
}

/** One document of all lines. It is structured: in a flat one, the form of a line would say its kind anew. */
export function mergedDocument(lines: readonly ImportedLine[]): Record<string, unknown> {
  const ofKind = (kind: ImportedLine['kind']): Omit<ImportedLine, 'kind'>[] =>
    lines
      .filter((line) => line.kind === kind)
      .map(({ source, sourceDigest, target, platforms }) => {
        return { source, sourceDigest, target, platforms };
      });
  return {
    apiVersion: MAP_API_VERSION,
    images: ofKind('image'),
    repositories: ofKind('repository'),
    prefixes: ofKind('prefix'),
  };
}
