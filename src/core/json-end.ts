import {
  TAB,
  LINE_FEED,
  CARRIAGE_RETURN,
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
  LOWER_F,
  LOWER_T,
  LOWER_U,
  OPEN_OBJECT,
  CLOSE_OBJECT,
  FIRST_BEYOND_ASCII,
  IS_ESCAPED,
  IS_HEX_DIGIT,
} from './json-signs.ts';

const [TRUE, FALSE, NULL] = [asciiOf('true'), asciiOf('false'), asciiOf('null')];

/** No object of Kubernetes comes near, and a bit for each fits into one number. */
const DEPTH_LIMIT = 30;

/**
 * Stands for the end of what is no JSON: a position behind every text. No byte is there, so nothing
 * that is looked for from there on is found, and the fault reaches the caller by itself.
 */
export const FAULT = 2 ** 30;

/**
 * The end of the JSON value (RFC 8259) that begins exactly at `start`: the position behind it. `FAULT`
 * where there is none, or one that is nested deeper than 30 lists and objects. Most of a review is passed
 * over here, so it is one loop: with a function for each kind of value it takes half as long again.
 */
export function endOfValue(text: Uint8Array, start: number): number {
  let at = start;
  let depth = 0;
  // A bit for each list and object around, the innermost one last: whether it is an object.
  let kinds = 0;
  for (;;) {
    const first = text[at];
    if (first === QUOTE) {
      at = endOfString(text, at);
    } else if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
      const isObject = first === OPEN_OBJECT;
      at = endOfSpace(text, at + 1);
      if (text[at] === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        at += 1;
      } else if (depth === DEPTH_LIMIT) {
        return FAULT;
      } else {
        depth += 1;
        kinds = (kinds << 1) | (isObject ? 1 : 0);
        at = isObject ? startOfMemberValue(text, at) : at;
        continue;
      }
    } else {
      at = endOfScalar(text, at);
    }
    // Behind a value: the ends of what it was the last in, or the beginning of the next one.
    for (;;) {
      if (depth === 0 || at === FAULT) {
        return at;
      }
      at = endOfSpace(text, at);
      const isObject = (kinds & 1) === 1;
      const byte = text[at];
      if (byte === COMMA) {
        at = endOfSpace(text, at + 1);
        at = isObject ? startOfMemberValue(text, at) : at;
        break;
      }
      if (byte !== (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        return FAULT;
      }
      at += 1;
      depth -= 1;
      kinds >>= 1;
    }
  }
}

/** Where the value of the member begins whose name begins at `name`. */
function startOfMemberValue(text: Uint8Array, name: number): number {
  return text[name] === QUOTE ? startBehindName(text, endOfString(text, name)) : FAULT;
}

/** Where the value of a member begins whose name ends at `end`. */
export function startBehindName(text: Uint8Array, end: number): number {
  const colon = endOfSpace(text, end);
  return text[colon] === COLON ? endOfSpace(text, colon + 1) : FAULT;
}

/** Where the next item or member begins behind the comma at `comma`. */
export function startOfNext(text: Uint8Array, comma: number): number {
  return text[comma] === COMMA ? endOfSpace(text, comma + 1) : FAULT;
}

/** The end of the white space, if any, that begins at `start`. */
export function endOfSpace(text: Uint8Array, start: number): number {
  // Nearly every text is without any, so the first comparison decides.
  return (text[start] ?? 0) > SPACE ? start : endOfSpaces(text, start);
}

function endOfSpaces(text: Uint8Array, start: number): number {
  let at = start;
  while (isSpace(text[at] ?? 0)) {
    at += 1;
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

/** The end of a string whose text is the one in the bytes: `FAULT` where it has an escape or is not ASCII. */
export function endOfPlainString(text: Uint8Array, start: number): number {
  let at = start + 1;
  let byte = text[at] ?? 0;
  while (byte !== QUOTE && byte !== BACKSLASH && byte >= SPACE && byte < FIRST_BEYOND_ASCII) {
    at += 1;
    byte = text[at] ?? 0;
  }
  return byte === QUOTE ? at + 1 : FAULT;
}

function endOfEscape(text: Uint8Array, start: number): number {
  const kind = text[start + 1] ?? 0;
  if (kind !== LOWER_U) {
    return IS_ESCAPED[kind] === 1 ? start + 2 : FAULT;
  }
  const digits = text.subarray(start + 2, start + 6);
  const isWhole = digits.length === 4 && digits.every((digit) => IS_HEX_DIGIT[digit] === 1);
  return isWhole ? start + 6 : FAULT;
}

function endOfScalar(text: Uint8Array, start: number): number {
  const first = text[start] ?? 0;
  if (first <= NINE) {
    return endOfNumber(text, start);
  }
  const literal = first === LOWER_T ? TRUE : first === LOWER_F ? FALSE : NULL;
  return readsAt(text, start, literal) ? start + literal.length : FAULT;
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
