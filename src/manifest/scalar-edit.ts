import { type Alias, isAlias, Scalar } from 'yaml';
import type { Edit } from './text.ts';

/** A text that every YAML reader takes for a string without quotes, because of the slash in it. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._:@-]*\/[A-Za-z0-9._:@/-]*[A-Za-z0-9]$/;

/**
 * The edit that makes a scalar or an alias say `target`, an image reference, in the style that it has:
 * quotes stay quotes, and a block scalar keeps its header and indentation. Offsets count in `source`.
 */
export function replaceScalar(source: string, node: Scalar | Alias, target: string): Edit {
  const [start, end] = node.range ?? [0, 0, 0];
  if (isAlias(node)) {
    return { start, end, text: plainText(target) };
  }
  if (node.type === Scalar.QUOTE_SINGLE) {
    return { start, end, text: `'${target}'` };
  }
  if (node.type === Scalar.QUOTE_DOUBLE) {
    return { start, end, text: `"${target}"` };
  }
  if (node.type === Scalar.BLOCK_FOLDED || node.type === Scalar.BLOCK_LITERAL) {
    // A reference has no white space, so it stands on one line, below the header.
    const old = String(node.value);
    const at = source.indexOf(old, source.indexOf('\n', start));
    return { start: at, end: at + old.length, text: target };
  }
  return { start, end, text: plainText(target) };
}

function plainText(target: string): string {
  return PLAIN.test(target) ? target : JSON.stringify(target);
}
