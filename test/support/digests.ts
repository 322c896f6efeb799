import { createHash } from 'node:crypto';

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A well-formed sha256 digest that repeats one hex digit, so that a failing test stays readable. */
export function digestOf(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}
