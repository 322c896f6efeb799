import { type Fault, isInvalid } from './errors.ts';
import { isRecord } from './json-path.ts';
import { parseReference } from './reference.ts';

export interface ImportedLine {
  readonly source: string;
  readonly target: string;
}

export interface Imported {
  readonly lines: readonly ImportedLine[];
  readonly faults: readonly Fault[];
  /** What was assumed on the way; whoever imports should know. */
  readonly notes: readonly string[];
}

/** Reads `source=target` lines, as oc-mirror's `mapping.txt` has them. Blank lines and `#` lines are passed over. */
export function importLines(text: string): Imported {
  const lines: ImportedLine[] = [];
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
      lines.push({ source, target });
    }
  }
  return { lines, faults, notes: [] };
}

/**
 * Reads the `images` of a kustomization. Kustomize replaces every tag of an image, and a map has to name
 * the one that it replaces: it is taken to be the new tag, as in a mirror that keeps tags.
 */
export function importKustomization(document: unknown): Imported {
  const images = isRecord(document) ? document.images : undefined;
  const lines: ImportedLine[] = [];
  const faults: Fault[] = [];
  const notes: string[] = [];
  if (!Array.isArray(images)) {
    const message = 'the kustomization has no list of images';
    return { lines, faults: [{ code: 'MAP_IMPORT_INVALID', path: '$.images', message }], notes };
  }
  for (const [index, image] of images.entries()) {
    const path = `$.images[${index}]`;
    const line = isRecord(image) ? kustomizeLine(image, path, notes) : 'it is not an object';
    if (typeof line === 'string') {
      faults.push({
        code: 'MAP_IMPORT_INVALID',
        path,
        message: `the entry cannot be used: ${line}`,
      });
    } else {
      lines.push(line);
    }
  }
  return { lines, faults, notes };
}

function kustomizeLine(
  image: Record<string, unknown>,
  path: string,
  notes: string[],
): ImportedLine | string {
  const { name, newName, newTag, digest } = image;
  if (typeof name !== 'string') {
    return 'it has no name';
  }
  const target = typeof newName === 'string' ? newName : name;
  // YAML reads an unquoted 1.10 as the number 1.1, so only text can be trusted.
  if (newTag !== undefined && typeof newTag !== 'string') {
    return `its newTag ${JSON.stringify(newTag)} is not text; put it in quotes`;
  }
  const suffix = typeof digest === 'string' ? `@${digest}` : '';
  if (newTag === undefined) {
    return suffix === ''
      ? { source: name, target }
      : 'it has a digest but no newTag, so it does not say which tag it stands for';
  }
  notes.push(`${path}: kustomize names no source tag; taken to be ${newTag}`);
  return { source: `${name}:${newTag}`, target: `${target}:${newTag}${suffix}` };
}

/** For a mirror that copies byte for byte: the digest of the source is that of the target. */
export function carryDigest({ source, target }: ImportedLine): ImportedLine {
  const [from, to] = [parseReference(source), parseReference(target)];
  if (isInvalid(from) || isInvalid(to) || from.digest === undefined || to.digest !== undefined) {
    return { source, target };
  }
  return { source, target: `${target}@${from.digest}` };
}
