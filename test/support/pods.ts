import { isRecord } from '../../src/core/json-value.ts';

export type Pod = Record<string, unknown> & {
  readonly metadata: Record<string, unknown>;
  readonly spec: Record<string, unknown>;
};

export interface PodParts {
  readonly metadata?: Record<string, unknown>;
  readonly spec?: Record<string, unknown>;
}

/** A pod with one container `main` per image; `parts` goes over it. */
export function podOf(images: readonly string[], parts: PodParts = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'mysql-', ...parts.metadata },
    spec: {
      containers: images.map((image, index) => {
        return { name: index === 0 ? 'main' : `main-${index}`, image };
      }),
      ...parts.spec,
    },
  };
}

/** The value at a JSON pointer; undefined where it leads nowhere. */
export function valueAt(document: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((at, key) => {
      const isInside = Array.isArray(at) || isRecord(at);
      return isInside && Object.hasOwn(at, key) ? Reflect.get(at, key) : undefined;
    }, document);
}
