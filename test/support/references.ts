import { isInvalid } from '../../src/core/errors.ts';
import { parsePrefix, type Prefix } from '../../src/core/prefix-rules.ts';
import { parseReference, type Reference } from '../../src/core/reference.ts';

/** The reference that a text stands for; a test that expects a fault calls the parser itself. */
export function referenceOf(text: string): Reference {
  const reference = parseReference(text);
  if (isInvalid(reference)) {
    throw new Error(reference.message);
  }
  return reference;
}

export function prefixOf(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (isInvalid(prefix)) {
    throw new Error(prefix.message);
  }
  return prefix;
}
