import { isInvalid } from './errors.ts';
import type { ImageMap } from './image-map.ts';
import { targetPathOf } from './map-document.ts';
import { platformsAt } from './map-writer.ts';
import { canonicalText, parseReference, type Reference } from './reference.ts';

/** A target of a map, as its registry is asked for it. */
export interface MapTarget {
  /** An image is to be there as it is written; of a repository only the name is known. */
  readonly kind: 'image' | 'repository';
  readonly reference: Reference;
  /** Those that the image is to have. */
  readonly platforms: readonly string[];
  /** JSONPath of the first entry with this target, or what else names it. */
  readonly path: string;
}

/** What a map points to: each target once, in the order of the file. */
export class MapTargets {
  readonly #targets = new Map<string, MapTarget>();
  /** Prefixes name no repository that could be looked for. */
  readonly prefixes: number;

  /** `document` is what the map was read from: a map in use does not know platforms. */
  constructor(map: ImageMap, document: unknown, platforms: readonly string[]) {
    let prefixes = 0;
    for (const { kind, target, path } of map.entries) {
      if (kind === 'prefix') {
        prefixes += 1;
      } else {
        const own = kind === 'image' ? (platformsAt(document, path) ?? []) : [];
        this.add(kind, target, targetPathOf(path), [...own, ...platforms]);
      }
    }
    this.prefixes = prefixes;
  }

  get all(): readonly MapTarget[] {
    return [...this.#targets.values()];
  }

  /** Adds a target that parses; one that is there already gets the platforms as well. */
  add(kind: MapTarget['kind'], target: string, path: string, platforms: readonly string[]): void {
    const reference = parseReference(target);
    if (isInvalid(reference)) {
      return;
    }
    const key = `${kind} ${canonicalText(reference)}`;
    const known = this.#targets.get(key);
    const wanted = kind === 'image' ? platforms : [];
    this.#targets.set(key, {
      kind,
      reference,
      platforms: [...new Set([...(known?.platforms ?? []), ...wanted])],
      path: known?.path ?? path,
    });
  }
}
