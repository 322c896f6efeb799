const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const LOWER_E = 0x65;
const LOWER_U = 0x75;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const ESCAPED = new Set(asciiOf('"\\/bfnrt'));
const HEX_DIGITS = new Set(asciiOf('0123456789abcdefABCDEF'));
const LITERALS = ['true', 'false', 'null'].map(asciiOf);

/** No object of Kubernetes comes near. */
const DEPTH_LIMIT = 128;

/**
 * Stands for the end of what is no JSON: a position behind every text. No byte is there, so nothing
 * that is looked for from there on is found, and the fault reaches the caller by itself.
 */
export const FAULT = 2 ** 30;

/**
 * The end of the JSON value (RFC 8259) that begins exactly at `start`: the position behind it. `FAULT`
 * where there is none, or one that is nested deeper than 128 lists and objects.
 */
export function endOfValue(text: Uint8Array, start: number, depth = 0): number {
  switch (text[start]) {
    case QUOTE:
      return endOfString(text, start);
    case OPEN_OBJECT:
      return depth < DEPTH_LIMIT ? endOfObject(text, start, depth) : FAULT;
    case OPEN_ARRAY:
      return depth < DEPTH_LIMIT ? endOfArray(text, start, depth) : FAULT;
    case undefined:
      return FAULT;
    default:
      return endOfScalar(text, start);
  }
}

function endOfObject(text: Uint8Array, start: number, depth: number): number {
  let at = endOfSpace(text, start + 1);
  if (text[at] === CLOSE_OBJECT) {
    return at + 1;
  }
  while (text[at] === QUOTE) {
    const value = startOfMemberValue(text, endOfString(text, at));
    at = endOfSpace(text, endOfValue(text, value, depth + 1));
    if (text[at] === CLOSE_OBJECT) {
      return at + 1;
    }
    at = startOfNext(text, at);
  }
  return FAULT;
}

function endOfArray(text: Uint8Array, start: number, depth: number): number {
  let at = endOfSpace(text, start + 1);
  if (text[at] === CLOSE_ARRAY) {
    return at + 1;
  }
  while (at < text.length) {
    at = endOfSpace(text, endOfValue(text, at, depth + 1));
    if (text[at] === CLOSE_ARRAY) {
      return at + 1;
    }
    at = startOfNext(text, at);
  }
  return FAULT;
}

/** Where the value of a member begins whose name ends at `end`. */
export function startOfMemberValue(text: Uint8Array, end: number): number {
  const colon = endOfSpace(text, end);
  return text[colon] === COLON ? endOfSpace(text, colon + 1) : FAULT;
}

/** Where the next item or member begins behind the comma at `comma`. */
export function startOfNext(text: Uint8Array, comma: number): number {
  return text[comma] === COMMA ? endOfSpace(text, comma + 1) : FAULT;
}

/** The end of the white space, if any, that begins at `start`. */
export function endOfSpace(text: Uint8Array, start: number): number {
  let at = start;
  let byte = text[at] ?? 0;
  // Nearly every text is without any, so the first comparison decides.
  while (byte <= SPACE && isSpace(byte)) {
    at += 1;
    byte = text[at] ?? 0;
  }
  return at;
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}

/** The end of the string whose opening quote is at `start`. */
export function endOfString(text: Uint8Array, start: number): number {
  let at = start + 1;
  for (;;) {
    let byte = text[at] ?? 0;
    while (byte !== QUOTE && byte !== BACKSLASH && byte >= SPACE) {
      at += 1;
      byte = text[at] ?? 0;
    }
    if (byte === QUOTE) {
      return at + 1;
    }
    if (byte !== BACKSLASH) {
      return FAULT;
    }
    at = endOfEscape(text, at);
  }
}

function endOfEscape(text: Uint8Array, start: number): number {
  const kind = text[start + 1] ?? 0;
  if (kind !== LOWER_U) {
    return ESCAPED.has(kind) ? start + 2 : FAULT;
  }
  const digits = text.subarray(start + 2, start + 6);
  return digits.length === 4 && digits.every((digit) => HEX_DIGITS.has(digit)) ? start + 6 : FAULT;
}

function endOfScalar(text: Uint8Array, start: number): number {
  const first = text[start] ?? 0;
  if (first <= NINE) {
    return endOfNumber(text, start);
  }
  const literal = LITERALS.find((each) => readsAt(text, start, each));
  return literal === undefined ? FAULT : start + literal.length;
}

function endOfNumber(text: Uint8Array, start: number): number {
  const whole = text[start] === MINUS ? start + 1 : start;
  let at = text[whole] === ZERO ? whole + 1 : endOfDigits(text, whole);
  if (text[at] === DOT) {
    at = endOfDigits(text, at + 1);
  }
  if (text[at] === LOWER_E || text[at] === UPPER_E) {
    const sign = text[at + 1];
    at = endOfDigits(text, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
  }
  return at;
}

/** At least one digit is expected. */
function endOfDigits(text: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const byte = text[at] ?? 0;
    if (byte < ZERO || byte > NINE) {
      return at === start ? FAULT : at;
    }
    at += 1;
  }
}

/** Whether these bytes stand at `start`. */
export function readsAt(text: Uint8Array, start: number, bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index += 1) {
    if (text[start + index] !== bytes[index]) {
      return false;
    }
  }
  return true;
}

export function asciiOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
