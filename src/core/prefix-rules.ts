import { type Invalid, isInvalid, quote } from './errors.ts';
import {
  DOCKER_HUB,
  isPathText,
  isRegistry,
  isRegistryText,
  normaliseRegistry,
  PATH_LIMIT,
} from './reference.ts';

/** A registry, or a registry and the beginning of a path; it covers whole path components only. */
export interface Prefix {
  /** As it was written, without a trailing slash. */
  readonly text: string;
  /** Normalised, without a trailing slash: `docker.io/atlanhq`. */
  readonly value: string;
  readonly hasRegistry: boolean;
}

/** Parses `registry`, `registry/path` or a Docker Hub path; one trailing slash is tolerated. Never throws. */
export function parsePrefix(text: string): Prefix | Invalid {
  const trimmed = text.endsWith('/') ? text.slice(0, -1) : text;
  const slash = trimmed.indexOf('/');
  const first = slash < 0 ? trimmed : trimmed.slice(0, slash);
  const hasRegistry = isRegistry(first);
  const registry = hasRegistry ? normaliseRegistry(first) : DOCKER_HUB;
  const path = !hasRegistry ? trimmed : slash < 0 ? '' : trimmed.slice(slash + 1);

  const pathIsFine = (path === '' && slash < 0 && hasRegistry) || isPathText(path);
  if (!pathIsFine || !isRegistryText(registry) || path.length > PATH_LIMIT) {
    const hint = text.includes('://')
      ? 'leave the scheme away'
      : 'write registry or registry/path in lower case, without tag or digest';
    return {
      invalid: 'PREFIX_INVALID',
      message: `${quote(text)} is not a prefix of image names: ${hint}`,
    };
  }
  return {
    text: trimmed,
    value: path === '' ? registry : `${registry}/${path}`,
    hasRegistry,
  };
}

/** As `parsePrefix`, for a place that images are pulled from: the host must be spelled out. */
export function parseTargetPrefix(text: string): Prefix | Invalid {
  const prefix = parsePrefix(text);
  if (isInvalid(prefix) || prefix.hasRegistry) {
    return prefix;
  }
  return {
    invalid: 'PREFIX_REGISTRY_MISSING',
    message: `${quote(text)} does not begin with a registry host; if Docker Hub is meant, write ${DOCKER_HUB}/${text}`,
  };
}

/** Whether `prefix` covers `name` on a path boundary: `reg.io/team` never takes `reg.io/team2`. */
export function covers(prefix: string, name: string): boolean {
  return name.startsWith(prefix) && (name.length === prefix.length || name[prefix.length] === '/');
}

/** Values by prefix; the longest prefix of a repository is found in O(path depth). */
export class PrefixTable<Value> {
  readonly #values = new Map<string, Value>();

  get size(): number {
    return this.#values.size;
  }

  set(prefix: string, value: Value): void {
    this.#values.set(prefix, value);
  }

  keys(): MapIterator<string> {
    return this.#values.keys();
  }

  values(): MapIterator<Value> {
    return this.#values.values();
  }

  /** The value of the longest prefix that covers `repository`. */
  longest(repository: string): PrefixMatch<Value> | undefined {
    return this.#values.size === 0
      ? undefined
      : longestPrefix(repository, (prefix) => this.#values.get(prefix));
  }
}

export interface PrefixMatch<Value> {
  readonly prefix: string;
  readonly value: Value;
}

/** What `find` gives for the longest prefix of `name` on a path boundary that it knows. */
export function longestPrefix<Value>(
  name: string,
  find: (prefix: string) => Value | undefined,
): PrefixMatch<Value> | undefined {
  for (let end = name.length; end > 0; end = name.lastIndexOf('/', end - 1)) {
    const prefix = name.slice(0, end);
    const value = find(prefix);
    if (value !== undefined) {
      return { prefix, value };
    }
  }
  return undefined;
}
