import jsonpatch from 'fast-json-patch';
import { applyPatch } from 'rfc6902';
import type { PatchOperation } from '../../src/core/patch.ts';

/** The document with the patch applied by fast-json-patch, which checks every operation. */
export function patched(document: unknown, patch: readonly PatchOperation[]): unknown {
  return jsonpatch.applyPatch(asSent(document), asSent([...patch]), true).newDocument;
}

/** The same by the package rfc6902, which shares no code with fast-json-patch. */
export function patchedByRfc6902(document: unknown, patch: readonly PatchOperation[]): unknown {
  const copy = asSent(document);
  const failure = applyPatch(copy, asSent([...patch])).find((result) => result !== null);
  if (failure !== undefined) {
    throw failure;
  }
  return copy;
}

/** A copy by way of JSON text, as the API server gets it. */
function asSent<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}
