import { jsonPath } from './json-path.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

interface Frame {
  /** The keys seen so far; absent in an array. */
  readonly keys: Set<string> | undefined;
  position: string | number;
  expectsKey: boolean;
}

/**
 * The paths of keys that stand twice in one object of a JSON text. `JSON.parse` keeps the last of
 * them without a word, so a map could lose an entry depending on the order in its file.
 * `text` must be valid JSON. At most `limit` paths are returned.
 */
export function findDuplicateKeys(text: string, limit: number): string[] {
  const found: string[] = [];
  const stack: Frame[] = [];
  let frame: Frame | undefined;

  for (let at = 0; at < text.length && found.length < limit; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at);
        if (frame?.expectsKey === true) {
          const key = readKey(text, at, end);
          frame.position = key;
          if (frame.keys?.has(key) === true) {
            found.push(jsonPath(stack.map((each) => each.position)));
          }
          frame.keys?.add(key);
        }
        at = end;
        break;
      }
      case OPEN_OBJECT:
        frame = { keys: new Set(), position: '', expectsKey: true };
        stack.push(frame);
        break;
      case OPEN_ARRAY:
        frame = { keys: undefined, position: 0, expectsKey: false };
        stack.push(frame);
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        stack.pop();
        frame = stack.at(-1);
        break;
      case COLON:
        if (frame !== undefined) frame.expectsKey = false;
        break;
      case COMMA:
        if (frame?.keys !== undefined) frame.expectsKey = true;
        else if (typeof frame?.position === 'number') frame.position += 1;
        break;
    }
  }
  return found;
}

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (isEscaped(text, end)) {
    end = text.indexOf('"', end + 1);
  }
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text.charCodeAt(first - 1) === BACKSLASH) {
    first -= 1;
  }
  return (at - first) % 2 === 1;
}

function readKey(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end);
  return raw.includes('\\') ? String(JSON.parse(`"${raw}"`)) : raw;
}
