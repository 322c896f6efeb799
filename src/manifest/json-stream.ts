/**
 * Cuts a text at the ends of the JSON objects that stand in it one behind the other, with or without
 * white space between them, as kubectl reads them; anything else is one piece. A text that goes on with
 * a brace behind a whole JSON object is never YAML, so the other pieces may have faults of their own.
 */
export function splitJsonObjects(text: string): string[] {
  const first = contentFrom(text, 0);
  if (text[first] !== '{') {
    return [text];
  }
  const pieces: string[] = [];
  let start = 0;
  for (let at = first; ;) {
    const end = objectEnd(text, at);
    const next = contentFrom(text, end);
    if (text[next] !== '{' || (start === 0 && !isJson(text.slice(first, end)))) {
      return [...pieces, text.slice(start)];
    }
    pieces.push(text.slice(start, end));
    start = end;
    at = next;
  }
}

/** The offset of the first character at or behind `start` that is no white space or byte order mark. */
function contentFrom(text: string, start: number): number {
  const content = /\S/g;
  content.lastIndex = start;
  return content.exec(text)?.index ?? text.length;
}

/** The offset behind the brace that closes the one at `start`; a regular expression could overflow. */
function objectEnd(text: string, start: number): number {
  let depth = 0;
  let isInText = false;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (isInText) {
      if (character === '\\') at++;
      else if (character === '"') isInText = false;
    } else if (character === '"') {
      isInText = true;
    } else if (character === '{' || character === '[') {
      depth++;
    } else if (character === '}' || character === ']') {
      depth--;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
