import { type Invalid, isInvalid, quote } from './errors.ts';

/**
 * A parsed image reference, after the rules of the OCI/Docker reference grammar as the container
 * runtimes apply them (https://github.com/distribution/reference). Only `parseReference` makes one.
 */
export interface Reference {
  /** As it was written. */
  readonly text: string;
  /** Host with optional port, aliases of Docker Hub folded to `docker.io`. */
  readonly registry: string;
  /** Without the registry: `library/nginx`. */
  readonly path: string;
  /** `registry/path`. */
  readonly repository: string;
  readonly tag: string | undefined;
  /** `algorithm:hex`. */
  readonly digest: string | undefined;
}

/** What the full form of a reference is made of. */
type NamedImage = Pick<Reference, 'text' | 'repository' | 'tag' | 'digest'>;

export const DOCKER_HUB = 'docker.io';
export const PATH_LIMIT = 255;
const TEXT_LIMIT = 4096;

/** Hosts that are read as Docker Hub. */
export const HUB_ALIASES: ReadonlySet<string> = new Set([
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
]);

const IMAGE_ID = /^[a-f0-9]{64}$/;
const REGISTRY =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$/;
const DIGEST_SHAPE = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const DIGEST_HEX_LENGTH = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

/** Whether the first component of a name is a registry and not a Docker Hub namespace. */
export function isRegistry(component: string): boolean {
  return (
    component === 'localhost' ||
    component.includes('.') ||
    component.includes(':') ||
    component.toLowerCase() !== component
  );
}

export function normaliseRegistry(registry: string): string {
  return HUB_ALIASES.has(registry) ? DOCKER_HUB : registry;
}

/** Whether `registry` is written as a host; the grammar also lets `a_b.c/d` pass as a path. */
export function isRegistryText(registry: string): boolean {
  return REGISTRY.test(registry);
}

export function isPathText(path: string): boolean {
  return PATH.test(path);
}

/** Parses and normalises; never throws. A tag is not invented: see `canonicalText`. */
export function parseReference(text: string): Reference | Invalid {
  if (text === '') {
    return { invalid: 'REFERENCE_EMPTY', message: 'the image reference is empty' };
  }
  if (text.length > TEXT_LIMIT) {
    return {
      invalid: 'REFERENCE_TOO_LONG',
      message: `the image reference ${quote(text)} has ${text.length} characters; ${TEXT_LIMIT} are the limit`,
    };
  }
  if (IMAGE_ID.test(text)) {
    return {
      invalid: 'REFERENCE_IS_HEX',
      message: `${quote(text)} is an image ID (64 hex digits), not a reference; write repository@sha256:…`,
    };
  }

  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(slash, 0));
  const hasRegistry = slash >= 0 && isRegistry(first);
  const registry = hasRegistry ? normaliseRegistry(first) : DOCKER_HUB;
  const remainder = hasRegistry ? text.slice(slash + 1) : text;

  // Neither a path nor a tag can hold `@`, and a path no `:`, so the first of each is the separator.
  const at = remainder.indexOf('@');
  const digest = at < 0 ? undefined : remainder.slice(at + 1);
  const named = at < 0 ? remainder : remainder.slice(0, at);
  const colon = named.indexOf(':');
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const path = registry === DOCKER_HUB && !name.includes('/') ? `library/${name}` : name;

  const isFull = hasRegistry && registry === first && path === name;
  // Nearly all are: a part of the text takes no copy of it.
  const repository = isFull ? text.slice(0, slash + 1 + name.length) : `${registry}/${path}`;
  const fault =
    nameFault(text, registry, path, repository) ?? tagFault(text, tag) ?? digestFault(text, digest);
  return fault === undefined
    ? { text, registry, path, repository, tag, digest }
    : { ...fault, message: lineBreakFault(text) ?? fault.message };
}

/** What is wrong with a reference that only the line breaks behind it keep from being one. */
function lineBreakFault(text: string): string | undefined {
  // A regular expression would look at each run of line breaks once for every break in it.
  let end = text.length;
  while (text[end - 1] === '\n' || text[end - 1] === '\r') {
    end -= 1;
  }
  return end === text.length || isInvalid(parseReference(text.slice(0, end)))
    ? undefined
    : `${quote(text)} ends in a line break: in YAML write |- in place of |, and >- in place of >`;
}

function nameFault(
  text: string,
  registry: string,
  path: string,
  repository: string,
): Invalid | undefined {
  if (!PATH.test(path)) {
    if (path.toLowerCase() !== path) {
      return {
        invalid: 'REFERENCE_UPPERCASE',
        message: `the repository of ${quote(text)} must be lower case`,
      };
    }
    return {
      invalid: 'REFERENCE_INVALID',
      message: `${quote(path)} in ${quote(text)} is not a repository path: use a-z, 0-9, and single . _ or - between them`,
    };
  }
  // The grammar's own loophole: a "registry" that is no host, such as a_b.c, is read as a path component.
  const isHost = registry === DOCKER_HUB || REGISTRY.test(registry);
  if (!isHost && !PATH.test(repository)) {
    return {
      invalid: 'REFERENCE_INVALID',
      message: `${quote(registry)} in ${quote(text)} is not a registry host with an optional port`,
    };
  }
  const { length } = isHost ? path : repository;
  if (length > PATH_LIMIT) {
    return {
      invalid: 'REFERENCE_TOO_LONG',
      message: `the repository path of ${quote(text)} has ${length} characters; ${PATH_LIMIT} are the limit`,
    };
  }
  return undefined;
}

function tagFault(text: string, tag: string | undefined): Invalid | undefined {
  if (tag === undefined || TAG.test(tag)) {
    return undefined;
  }
  return {
    invalid: 'REFERENCE_TAG_INVALID',
    message: `${quote(tag)} in ${quote(text)} is not a tag: 1 to 128 letters, digits, _ . or -, not beginning with . or -`,
  };
}

function digestFault(text: string, digest: string | undefined): Invalid | undefined {
  if (digest === undefined) {
    return undefined;
  }
  const colon = digest.indexOf(':');
  const algorithm = digest.slice(0, Math.max(colon, 0));
  const hex = digest.slice(colon + 1);
  const length = DIGEST_HEX_LENGTH.get(algorithm);
  if (length === undefined && DIGEST_SHAPE.test(digest)) {
    return {
      invalid: 'REFERENCE_DIGEST_UNSUPPORTED',
      message: `the digest algorithm ${quote(algorithm)} in ${quote(text)} is not sha256, sha384 or sha512`,
    };
  }
  if (length === undefined || hex.length !== length || !/^[a-f0-9]+$/.test(hex)) {
    return {
      invalid: 'REFERENCE_DIGEST_INVALID',
      message: `${quote(digest)} in ${quote(text)} is not a digest: sha256: is followed by 64 lower-case hex digits`,
    };
  }
  return undefined;
}

/** Parses a digest alone (`sha256:…`); the message names the value. */
export function parseDigest(text: string): string | Invalid {
  return digestFault(text, text) ?? text;
}

/** The algorithm of a digest that parses. */
export function algorithmOf(digest: string): string {
  return digest.slice(0, digest.indexOf(':'));
}

/** `:tag@digest` exactly as the reference has them; empty where it has neither. */
export function suffixText(reference: Pick<Reference, 'tag' | 'digest'>): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  return reference.digest === undefined ? tag : `${tag}@${reference.digest}`;
}

/** The full form for lookup and display: with registry, and `:latest` where there is neither tag nor digest. */
export function canonicalText({ text, repository, tag, digest }: NamedImage): string {
  const suffixLength = partLength(tag) + partLength(digest);
  // Most are written in full. The parts joined again would be a copy.
  return suffixLength > 0 && text.length === repository.length + suffixLength
    ? text
    : `${repository}${suffixText({ tag, digest }) || ':latest'}`;
}

/** With the sign before it. */
function partLength(part: string | undefined): number {
  return part === undefined ? 0 : 1 + part.length;
}
