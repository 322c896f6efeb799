import { hasFaults, type ImageMap } from '../../src/core/image-map.ts';
import { parseImageMap } from '../../src/core/parse-image-map.ts';

export const MAX_BYTES = 8_388_608;

export function bytesOf(document: unknown): Uint8Array {
  return bytesOfText(JSON.stringify(document));
}

export function bytesOfText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A document of the structured form; `sections` are `serial`, `images`, `repositories`, `prefixes`. */
export function mapDocument(sections: Record<string, unknown>): Record<string, unknown> {
  return { apiVersion: 'sdr-image-map/v1', ...sections };
}

/** The map that a document stands for; a document with faults is a fault of the test. */
export function mapOf(document: unknown): ImageMap {
  const map = parseImageMap(bytesOf(document), MAX_BYTES);
  if (hasFaults(map)) {
    throw new Error(map.faults.map(({ path, message }) => `${path}: ${message}`).join('; '));
  }
  return map;
}

/** `code path` of every fault of a document; empty where it loads. */
export function faultsOf(document: unknown): string[] {
  return faultsOfBytes(bytesOf(document));
}

export function faultsOfText(text: string): string[] {
  return faultsOfBytes(bytesOfText(text));
}

export function faultsOfBytes(bytes: Uint8Array, maxBytes = MAX_BYTES): string[] {
  const map = parseImageMap(bytes, maxBytes);
  return hasFaults(map) ? map.faults.map(({ code, path }) => `${code} ${path}`) : [];
}
