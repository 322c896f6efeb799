import { isInvalid } from '../../src/core/errors.ts';
import { canonicalText, parseReference } from '../../src/core/reference.ts';

/** Tables of containers-registries.conf(5), by prefix. */
export type RegistryTables = ReadonlyMap<string, string>;

/** Reads what `export registries.conf` prints. */
export function registryTables(text: string): RegistryTables {
  const tables = text.matchAll(/^\[\[registry\]\]\nprefix = "(.*)"\nlocation = "(.*)"$/gm);
  return new Map([...tables].map(([, prefix = '', location = '']) => [prefix, location]));
}

/** An image as the container runtimes see it: only `index.docker.io` is Docker Hub, a digest beats a tag. */
export function runtimeReference(image: string): {
  readonly name: string;
  readonly suffix: string;
} {
  const { path, registry, tag, digest } = parsed(image);
  const written = image.slice(0, Math.max(image.indexOf('/'), 0));
  const isOtherHost = ['registry-1.docker.io', 'registry.hub.docker.com'].includes(written);
  const ownPath = isOtherHost ? path.replace(/^library\/(?=[^/]+$)/, '') : path;
  const isExplicit = isOtherHost && image.startsWith(`${written}/library/`);
  return {
    name: isOtherHost ? `${written}/${isExplicit ? path : ownPath}` : `${registry}/${path}`,
    suffix: digest === undefined ? `:${tag ?? 'latest'}` : `@${digest}`,
  };
}

/** What Podman and CRI-O pull; undefined where they refuse the name that a table makes. */
export function pulledBy(tables: RegistryTables, image: string): string | undefined {
  const { name, suffix } = runtimeReference(image);
  const prefixes = [...tables.keys()].filter(
    (prefix) =>
      name === prefix || (name.startsWith(prefix) && ':/@'.includes(name[prefix.length] ?? ' ')),
  );
  const prefix = prefixes.sort((a, b) => b.length - a.length)[0];
  const location = prefix === undefined ? undefined : tables.get(prefix);
  if (prefix === undefined || location === undefined) {
    return pullText(`${name}${suffix}`);
  }
  const target = `${location}${name.slice(prefix.length)}${suffix}`;
  const reference = parseReference(target);
  const isHostOnly = !`${location}${name.slice(prefix.length)}`.includes('/');
  return isInvalid(reference) || isHostOnly ? undefined : pullText(target);
}

/** An image in full; without its tag where it has a digest, since that alone decides what is pulled. */
export function pullText(image: string): string {
  const reference = parsed(image);
  return canonicalText(
    reference.digest === undefined ? reference : { ...reference, tag: undefined },
  );
}

function parsed(image: string): Exclude<ReturnType<typeof parseReference>, { invalid: unknown }> {
  const reference = parseReference(image);
  if (isInvalid(reference)) {
    throw new Error(reference.message);
  }
  return reference;
}
