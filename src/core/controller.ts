import { isRecord } from './json-value.ts';

/** The object that makes another one and takes care of it. */
export interface Controller {
  readonly kind: string;
  readonly name: string;
}

/** Looks at the `metadata` of an object; undefined where nothing controls it. */
export function controllerOf(metadata: unknown): Controller | undefined {
  const owners: unknown = isRecord(metadata) ? metadata.ownerReferences : undefined;
  const controller: unknown = Array.isArray(owners)
    ? owners.find((owner: unknown) => isRecord(owner) && owner.controller === true)
    : undefined;
  if (!isRecord(controller)) {
    return undefined;
  }
  const { kind, name } = controller;
  return isText(kind) && isText(name) ? { kind, name } : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
