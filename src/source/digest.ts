import { createHash } from 'node:crypto';
import type { Steps } from '../core/steps.ts';

/** Bytes hashed in one step: up to half a millisecond. */
const STRIDE = 131_072;

/** The SHA-256 of bytes in hex, in steps; they may come in parts. */
export function* sha256Steps(...parts: readonly Uint8Array[]): Steps<string> {
  const hash = createHash('sha256');
  for (const bytes of parts) {
    for (let at = 0; at < bytes.length; at += STRIDE) {
      hash.update(bytes.subarray(at, at + STRIDE));
      yield;
    }
  }
  return hash.digest('hex');
}
