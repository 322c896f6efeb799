import {
  asciiOf,
  endOfPlainString,
  endOfSpace,
  endOfValue,
  FAULT,
  readsAt,
  startBehindName,
  startOfNext,
} from './json-end.ts';
import { QUOTE, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT } from './json-signs.ts';

/** What is of interest in a JSON value; without either it is all of the value. */
export interface Selection {
  /** Of an object. */
  readonly members?: readonly Member[];
  /** Of each item of a list. */
  readonly items?: Selection;
  /** Whether nothing of it is kept. */
  readonly isLeftOut?: boolean;
}

interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly selection: Selection;
}

export const WHOLE: Selection = {};

/** Tells the end of a value, as `endOfValue` does. */
export type TellEnd = (text: Uint8Array, start: number) => number;

/** Selects members of an object by their names, which are ASCII. */
export function members(selections: Readonly<Record<string, Selection>>): Selection {
  return {
    members: Object.entries(selections).map(([name, selection]) => {
      return { name, bytes: asciiOf(name), selection };
    }),
  };
}

/** Selects the same of each item of a list. */
export function items(selection: Selection): Selection {
  return { items: selection };
}

/** Keeps nothing of a member, but asks about each part that is not selected by itself where it ends. */
export function inParts(selection: Selection): Selection {
  return { ...selection, isLeftOut: true };
}

/**
 * Parses of a JSON text what is selected, and checks the rest without making anything of it: the value
 * of `JSON.parse`, less the members that are not selected. A value that is no object or list where
 * one was expected is there as it is. So is all of an unusual text: with characters past ASCII or an
 * escape in a name, or nested deeply. Throws the `SyntaxError` of `JSON.parse`. `bytes` is the text in
 * UTF-8: a typed array is read at twice the speed of a string. `tellEnd` is asked about what is passed over.
 */
export function parseSelected(
  text: string,
  bytes: Uint8Array,
  selection: Selection,
  tellEnd: TellEnd = endOfValue,
): unknown {
  if (text.length === bytes.length) {
    const parser = new Parser(text, bytes, tellEnd);
    const value = parser.parse(selection);
    if (parser.hasEnded) {
      return value;
    }
  }
  return JSON.parse(text);
}

class Parser {
  readonly #text: string;
  readonly #bytes: Uint8Array;
  readonly #tellEnd: TellEnd;
  #at = 0;

  constructor(text: string, bytes: Uint8Array, tellEnd: TellEnd) {
    this.#text = text;
    this.#bytes = bytes;
    this.#tellEnd = tellEnd;
  }

  /** Whether all of the text was parsed; what was parsed means nothing where not. */
  get hasEnded(): boolean {
    return this.#at === this.#bytes.length;
  }

  parse(selection: Selection): unknown {
    this.#at = endOfSpace(this.#bytes, 0);
    const value = this.#value(selection);
    this.#at = endOfSpace(this.#bytes, this.#at);
    return value;
  }

  #value({ members, items }: Selection): unknown {
    const first = this.#bytes[this.#at];
    if (first === OPEN_OBJECT && members !== undefined) {
      return this.#object(members);
    }
    if (first === OPEN_ARRAY && items !== undefined) {
      return this.#array(items);
    }
    return this.#whole();
  }

  #object(selected: readonly Member[]): Record<string, unknown> {
    const bytes = this.#bytes;
    const object: Record<string, unknown> = {};
    let at = endOfSpace(bytes, this.#at + 1);
    if (bytes[at] === CLOSE_OBJECT) {
      this.#at = at + 1;
      return object;
    }
    while (bytes[at] === QUOTE) {
      const end = endOfPlainString(bytes, at);
      const value = startBehindName(bytes, end);
      const member = memberAt(bytes, at + 1, end - at - 2, selected);
      if (member === undefined) {
        at = endOfSpace(bytes, this.#tellEnd(bytes, value));
      } else {
        this.#at = value;
        const part = this.#value(member.selection);
        if (member.selection.isLeftOut !== true) {
          object[member.name] = part;
        }
        at = endOfSpace(bytes, this.#at);
      }
      if (bytes[at] === CLOSE_OBJECT) {
        this.#at = at + 1;
        return object;
      }
      at = startOfNext(bytes, at);
    }
    this.#at = FAULT;
    return object;
  }

  #array(selection: Selection): unknown[] {
    const bytes = this.#bytes;
    const array: unknown[] = [];
    let at = endOfSpace(bytes, this.#at + 1);
    if (bytes[at] === CLOSE_ARRAY) {
      this.#at = at + 1;
      return array;
    }
    while (at < bytes.length) {
      this.#at = at;
      array.push(this.#value(selection));
      at = endOfSpace(bytes, this.#at);
      if (bytes[at] === CLOSE_ARRAY) {
        this.#at = at + 1;
        return array;
      }
      at = startOfNext(bytes, at);
    }
    this.#at = FAULT;
    return array;
  }

  #whole(): unknown {
    const start = this.#at;
    const end = this.#bytes[start] === QUOTE ? endOfPlainString(this.#bytes, start) : FAULT;
    if (end !== FAULT) {
      this.#at = end;
      return this.#text.slice(start + 1, end - 1);
    }
    this.#at = endOfValue(this.#bytes, start);
    return this.#at === FAULT
      ? undefined
      : (JSON.parse(this.#text.slice(start, this.#at)) as unknown);
  }
}

function memberAt(
  bytes: Uint8Array,
  start: number,
  length: number,
  members: readonly Member[],
): Member | undefined {
  for (const member of members) {
    if (member.bytes.length === length && readsAt(bytes, start, member.bytes)) {
      return member;
    }
  }
  return undefined;
}
