import { childPath } from './json-path.ts';
import {
  endOfPlainString,
  endOfSpace,
  endOfString,
  FAULT,
  startBehindName,
  startOfNext,
} from './json-end.ts';
import {
  LINE_FEED,
  SPACE,
  QUOTE,
  PLUS,
  COMMA,
  MINUS,
  DOT,
  ZERO,
  NINE,
  COLON,
  UPPER_E,
  OPEN_ARRAY,
  BACKSLASH,
  CLOSE_ARRAY,
  LOWER_E,
  LOWER_U,
  OPEN_OBJECT,
  CLOSE_OBJECT,
  FIRST_BEYOND_ASCII,
  IS_ESCAPED,
  IS_HEX_DIGIT,
} from './json-signs.ts';
import { TextIndex } from './packed-text.ts';
import type { Steps } from './steps.ts';

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const WORDS = ['true', 'false', 'null'] as const;
/** Bytes that are checked in one step: some 20 microseconds. */
const STRIDE = 8192;
/** Lists and objects inside of one another: a map needs four. What is deeper would cost memory for each level. */
const DEPTH_LIMIT = 30;
/** Characters of a key that a path shows. */
const SHOWN_KEY = 1024;
/** Most objects have no more than these. */
const FEW_KEYS = 8;

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** JSON that is nested deeper than anybody means it to be. */
export class JsonDepthError extends SyntaxError {}

/** An object or list that is not read yet; `start` is the place of its bracket. */
export class JsonContainer {
  readonly kind: 'object' | 'list';
  readonly start: number;

  constructor(kind: 'object' | 'list', start: number) {
    this.kind = kind;
    this.start = start;
  }
}

/** A sound JSON text, its entries still bytes: a map of 15 MB would take 50 MB as objects. */
export interface JsonOutline {
  readonly root: unknown;
  /** What the root has, where it is an object: all keys that were asked for, and `limit` others. */
  readonly members: ReadonlyMap<string, unknown>;
  /** Paths of keys that stand twice in one object, at most `limit`. */
  readonly duplicates: readonly string[];
  /** Where plain objects that follow on one another in a list end, by where they begin. */
  readonly runs: ReadonlyMap<number, number>;
}

interface Frame {
  readonly close: number;
  /** Absent in a list. */
  readonly keys: KeySet | undefined;
  position: string | number;
}

/** The keys of one object. A flat map is an object of 100,000 of them: their text stays in the bytes. */
class KeySet {
  readonly #bytes: Uint8Array;
  readonly #hashSeed: number;
  readonly #first: string[] = [];
  /** Places of the others. */
  #others: TextIndex | undefined;

  constructor(bytes: Uint8Array, hashSeed: number) {
    this.#bytes = bytes;
    this.#hashSeed = hashSeed;
  }

  /** Adds the key that is written at a place; false where it is there already. */
  add(key: string, place: number): boolean {
    if (this.#first.includes(key) || this.#others?.has(key) === true) {
      return false;
    }
    if (this.#first.length < FEW_KEYS) {
      this.#first.push(key);
    } else {
      this.#others ??= new TextIndex(
        this.#hashSeed,
        (at, text) => readString(this.#bytes, at, endOfString(this.#bytes, at)) === text,
      );
      this.#others.set(key, place);
    }
    return true;
  }
}

/**
 * Checks that bytes are one JSON text in UTF-8 (RFC 8259), as strictly as `JSON.parse`, and finds keys
 * that stand twice: `JSON.parse` keeps the last of them without a word, so a map could lose an entry
 * depending on the order in its file. Throws a `SyntaxError` that says where the text goes wrong.
 * `hashSeed` is any 32-bit number, best a random one.
 */
export function* outlineJson(
  bytes: Uint8Array,
  wanted: readonly string[],
  limit: number,
  hashSeed: number,
): Steps<JsonOutline> {
  const begin = endOfSpace(bytes, startsWithMark(bytes) ? BYTE_ORDER_MARK.length : 0);
  const members = new Map<string, number>();
  const duplicates: string[] = [];
  const runs = new Map<number, number>();
  const stack: Frame[] = [];
  let frame: Frame | undefined;
  let expects: 'value' | 'first value' | 'key' | 'first key' | 'next' = 'value';
  let pause = STRIDE;

  for (let at = begin; ; at = endOfSpace(bytes, at)) {
    if (at >= pause) {
      pause = at + STRIDE;
      yield;
    }
    const byte = bytes[at];
    if (expects === 'next' && frame === undefined) {
      if (byte !== undefined) throw unexpected(bytes, at, 'nothing more');
      break;
    }
    if (frame !== undefined && byte === frame.close && expects !== 'key' && expects !== 'value') {
      stack.pop();
      frame = stack.at(-1);
      expects = 'next';
      at += 1;
    } else if (expects === 'next') {
      if (byte !== COMMA) throw unexpected(bytes, at, `"," or "${closing(frame)}"`);
      if (typeof frame?.position === 'number') frame.position += 1;
      expects = frame?.keys === undefined ? 'value' : 'key';
      at += 1;
    } else if (expects === 'key' || expects === 'first key') {
      if (byte !== QUOTE) throw unexpected(bytes, at, 'a key in double quotes');
      const place = at;
      const end = checkString(bytes, place);
      const key = readString(bytes, place, end);
      at = endOfSpace(bytes, end);
      if (bytes[at] !== COLON) throw unexpected(bytes, at, '":"');
      at = endOfSpace(bytes, at + 1);
      if (frame?.keys !== undefined) {
        frame.position = key.slice(0, SHOWN_KEY);
        if (!frame.keys.add(key, place) && duplicates.length < limit) {
          duplicates.push(stack.reduce((path, each) => childPath(path, each.position), '$'));
        }
      }
      if (stack.length === 1 && (wanted.includes(key) || members.size < limit)) {
        members.set(key, at);
      }
      expects = 'value';
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      const isObject = byte === OPEN_OBJECT;
      if (isObject && typeof frame?.position === 'number') {
        const { count, end } = plainObjects(bytes, at, at + STRIDE);
        if (count > 0) {
          frame.position += count - 1;
          runs.set(at, end);
          at = end;
          expects = 'next';
          continue;
        }
      }
      if (stack.length === DEPTH_LIMIT) {
        throw tooDeep(bytes, at);
      }
      frame = {
        close: isObject ? CLOSE_OBJECT : CLOSE_ARRAY,
        keys: isObject ? new KeySet(bytes, hashSeed) : undefined,
        position: isObject ? '' : 0,
      };
      stack.push(frame);
      expects = isObject ? 'first key' : 'first value';
      at += 1;
    } else {
      at = checkScalar(bytes, at);
      expects = 'next';
    }
  }

  return {
    root: readValue(bytes, begin),
    members: new Map(members.entries().map(([key, at]) => [key, readValue(bytes, at)])),
    duplicates,
    runs,
  };
}

/** How many plain objects of a list follow on one another from `start`, at most those that begin before `limit`. */
function plainObjects(
  bytes: Uint8Array,
  start: number,
  limit: number,
): { readonly count: number; readonly end: number } {
  const names = new Uint32Array(FEW_KEYS);
  let [at, count, end] = [start, 0, start];
  while (at < limit && bytes[at] === OPEN_OBJECT) {
    const behind = endOfPlainObject(bytes, at, names);
    if (behind === FAULT) {
      break;
    }
    count += 1;
    end = behind;
    at = startOfNext(bytes, endOfSpace(bytes, behind));
  }
  return { count, end };
}

/**
 * The end of an object of a few members with plain names, each once, and plain strings or lists of them:
 * what nearly all of a map consists of. `FAULT` where it is anything else, sound or not.
 */
function endOfPlainObject(bytes: Uint8Array, start: number, names: Uint32Array): number {
  let at = endOfSpace(bytes, start + 1);
  for (let count = 0; bytes[at] === QUOTE && count < names.length; count += 1) {
    const end = endOfPlainString(bytes, at);
    if (end === FAULT || standsAmong(bytes, names, count, at, end)) {
      return FAULT;
    }
    names[count] = at;
    at = endOfSpace(bytes, endOfPlainStrings(bytes, startBehindName(bytes, end)));
    if (bytes[at] === CLOSE_OBJECT) {
      return at + 1;
    }
    at = startOfNext(bytes, at);
  }
  return FAULT;
}

function endOfPlainStrings(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== OPEN_ARRAY) {
    return bytes[start] === QUOTE ? endOfPlainString(bytes, start) : FAULT;
  }
  let at = endOfSpace(bytes, start + 1);
  // A longer list is left to whoever rests in between.
  while (bytes[at] === QUOTE && at < start + STRIDE) {
    at = endOfSpace(bytes, endOfPlainString(bytes, at));
    if (bytes[at] === CLOSE_ARRAY) {
      return at + 1;
    }
    at = startOfNext(bytes, at);
  }
  return FAULT;
}

/** Whether the string from `start` to `end` stands at one of the places as well. */
function standsAmong(
  bytes: Uint8Array,
  places: Uint32Array,
  count: number,
  start: number,
  end: number,
): boolean {
  for (let each = 0; each < count; each += 1) {
    const place = places[each] ?? 0;
    let index = 1;
    while (start + index < end && bytes[place + index] === bytes[start + index]) {
      index += 1;
    }
    if (start + index === end) {
      return true;
    }
  }
  return false;
}

/**
 * The elements of a list in a text that was checked; lists among them stay unread. `runs` are those of its
 * outline.
 */
export function* listElements(
  bytes: Uint8Array,
  list: JsonContainer,
  runs: ReadonlyMap<number, number>,
): Generator {
  let at = endOfSpace(bytes, list.start + 1);
  while (bytes[at] !== CLOSE_ARRAY) {
    if (bytes[at] !== OPEN_OBJECT) {
      yield readValue(bytes, at);
      at = nextItem(bytes, skipValue(bytes, at));
      continue;
    }
    const end = runs.get(at) ?? skipValue(bytes, at);
    yield* JSON.parse(`[${decoder.decode(bytes.subarray(at, end))}]`) as unknown[];
    at = nextItem(bytes, end);
  }
}

/** The members of an object in a text that was checked; objects and lists among the values stay unread. */
export function* objectMembers(
  bytes: Uint8Array,
  object: JsonContainer,
): Generator<readonly [string, unknown]> {
  let at = endOfSpace(bytes, object.start + 1);
  while (bytes[at] !== CLOSE_OBJECT) {
    const end = endOfString(bytes, at);
    const key = readString(bytes, at, end);
    at = startBehindName(bytes, end);
    yield [key, readValue(bytes, at)];
    at = nextItem(bytes, skipValue(bytes, at));
  }
}

function readValue(bytes: Uint8Array, at: number): unknown {
  const byte = bytes[at];
  if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
    return new JsonContainer(byte === OPEN_OBJECT ? 'object' : 'list', at);
  }
  return byte === QUOTE
    ? readString(bytes, at, endOfString(bytes, at))
    : JSON.parse(decoder.decode(bytes.subarray(at, skipValue(bytes, at))));
}

function readString(bytes: Uint8Array, start: number, end: number): string {
  const text = decoder.decode(bytes.subarray(start + 1, end - 1));
  return text.includes('\\') ? String(JSON.parse(`"${text}"`)) : text;
}

function startsWithMark(bytes: Uint8Array): boolean {
  return BYTE_ORDER_MARK.every((byte, index) => bytes[index] === byte);
}

/** The place of the next element or key, or of the bracket behind the last one. */
function nextItem(bytes: Uint8Array, end: number): number {
  const at = endOfSpace(bytes, end);
  return bytes[at] === COMMA ? endOfSpace(bytes, at + 1) : at;
}

/** The place behind a value of a text that was checked. */
function skipValue(bytes: Uint8Array, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = endOfString(bytes, at);
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth += 1;
      at += 1;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth -= 1;
      at += 1;
    } else {
      at = depth === 0 ? endOfWord(bytes, at) : at + 1;
    }
  } while (depth > 0);
  return at;
}

/** The place behind a number, `true`, `false` or `null`. */
function endOfWord(bytes: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const byte = bytes[at];
    const isInside =
      byte !== undefined &&
      byte > SPACE &&
      byte !== COMMA &&
      byte !== CLOSE_ARRAY &&
      byte !== CLOSE_OBJECT;
    if (!isInside) {
      return at;
    }
    at += 1;
  }
}

function checkScalar(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === QUOTE) {
    return checkString(bytes, at);
  }
  if (byte === MINUS || isDigit(byte)) {
    return checkNumber(bytes, at);
  }
  for (const word of WORDS) {
    if (byte === word.charCodeAt(0)) {
      return checkWord(bytes, at, word);
    }
  }
  throw unexpected(bytes, at, 'a value');
}

function checkWord(bytes: Uint8Array, start: number, word: string): number {
  for (let index = 0; index < word.length; index += 1) {
    if (bytes[start + index] !== word.charCodeAt(index)) {
      throw unexpected(bytes, start, 'a value');
    }
  }
  return start + word.length;
}

function checkString(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  let isAscii = true;
  for (;;) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      break;
    }
    if (byte === undefined || byte < SPACE) {
      throw unexpected(bytes, at, 'the double quote that ends a string');
    }
    if (byte === BACKSLASH) {
      at = checkEscape(bytes, at);
    } else {
      isAscii &&= byte < FIRST_BEYOND_ASCII;
      at += 1;
    }
  }
  if (!isAscii) {
    checkUtf8(bytes.subarray(start, at));
  }
  return at + 1;
}

function checkEscape(bytes: Uint8Array, backslash: number): number {
  const at = backslash + 1;
  const escape = bytes[at];
  if (escape !== LOWER_U && IS_ESCAPED[escape ?? 0] !== 1) {
    throw unexpected(bytes, at, 'one of "\\/bfnrtu after a backslash');
  }
  const end = escape === LOWER_U ? at + 5 : at + 1;
  for (let digit = at + 1; digit < end; digit += 1) {
    if (IS_HEX_DIGIT[bytes[digit] ?? 0] !== 1) {
      throw unexpected(bytes, digit, 'four hex digits after \\u');
    }
  }
  return end;
}

function checkNumber(bytes: Uint8Array, start: number): number {
  let at = bytes[start] === MINUS ? start + 1 : start;
  at = bytes[at] === ZERO ? at + 1 : checkDigits(bytes, at);
  if (bytes[at] === DOT) {
    at = checkDigits(bytes, at + 1);
  }
  if (bytes[at] === LOWER_E || bytes[at] === UPPER_E) {
    at += 1;
    at = checkDigits(bytes, bytes[at] === PLUS || bytes[at] === MINUS ? at + 1 : at);
  }
  return at;
}

function checkDigits(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isDigit(bytes[at])) {
    at += 1;
  }
  if (at === start) {
    throw unexpected(bytes, at, 'a digit');
  }
  return at;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function checkUtf8(bytes: Uint8Array): void {
  try {
    strict.decode(bytes);
  } catch {
    throw new SyntaxError('the text is not UTF-8');
  }
}

function closing(frame: Frame | undefined): string {
  return String.fromCharCode(frame?.close ?? 0);
}

/** Says what is wrong at a place; a text in another encoding is best called that. */
function unexpected(bytes: Uint8Array, at: number, expected: string): SyntaxError {
  checkUtf8(bytes);
  const [character] = decoder.decode(bytes.subarray(at, at + 4));
  const found = character === undefined ? 'the end of the text' : JSON.stringify(character);
  return new SyntaxError(`expected ${expected} in ${placeText(bytes, at)}, found ${found}`);
}

function tooDeep(bytes: Uint8Array, at: number): JsonDepthError {
  return new JsonDepthError(
    `over ${DEPTH_LIMIT} lists and objects are inside of one another in ${placeText(bytes, at)}`,
  );
}

function placeText(bytes: Uint8Array, at: number): string {
  let [line, lineStart] = [1, 0];
  for (;;) {
    const end = bytes.indexOf(LINE_FEED, lineStart);
    if (end < 0 || end >= at) {
      break;
    }
    line += 1;
    lineStart = end + 1;
  }
  const column = decoder.decode(bytes.subarray(lineStart, at)).length + 1;
  return `line ${line}, column ${column}`;
}
