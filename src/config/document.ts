import {
  type Alias,
  type Document,
  isNode,
  LineCounter,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml';

/** What the text of a configuration holds, or everything that keeps it from being read. */
export type ConfigDocument = { readonly value: unknown } | { readonly messages: readonly string[] };

/** Finds the line and column of an offset, as a message names them. */
type PlaceOf = (offset: number) => string;

const TOO_DEEP = 'maps and lists are nested too deeply to be read';
/** As many times may aliases stand for values; a few lines of them can stand for more than any memory holds. */
const MAX_ALIASES = 100;

/** Reads one YAML document, and so JSON. Each message is one sentence with its line and column. */
export function readConfigDocument(text: string): ConfigDocument {
  const lineCounter = new LineCounter();
  // The library's pretty messages quote the lines around the fault, which makes five lines of one.
  const document = parseDocument(text, { prettyErrors: false, version: '1.2', lineCounter });
  const placeOf = (offset: number): string => {
    const { line, col } = lineCounter.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  const { errors } = document;
  if (errors.length > 0) {
    // Where the parser gave up, it finds more faults on its way out.
    const end = errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
    const told = end === undefined ? errors : [end];
    return { messages: told.map((error) => errorText(error, placeOf)) };
  }
  try {
    const { messages, last } = checkAliases(document, placeOf);
    return messages.length > 0 ? { messages } : valueOf(document, last, placeOf);
  } catch (error) {
    // What the parser could just follow, a walk through it may not.
    if (!(error instanceof RangeError)) throw error;
    return { messages: [`${TOO_DEEP}, from ${placeOf(document.range[0])} on; write them flat`] };
  }
}

function errorText({ code, pos: [offset], message }: YAMLError, placeOf: PlaceOf): string {
  const place = placeOf(offset);
  // The library tells programmers what to call where there are several documents.
  if (code === 'MULTIPLE_DOCS') {
    return `a second document begins at ${place}; write all settings into one, without a --- between them`;
  }
  if (code === 'DUPLICATE_KEY') {
    return `the key at ${place} stands twice in one map, and readers keep one of the two; remove one`;
  }
  return code === 'RESOURCE_EXHAUSTION'
    ? `${TOO_DEEP} at ${place}; write them flat`
    : `${message.trim()} at ${place}`;
}

interface CheckedAliases {
  readonly messages: readonly string[];
  readonly last: Alias | undefined;
}

/** Says of each alias that stands for nothing, or for itself, where it is; the library does not. */
function checkAliases(document: Document, placeOf: PlaceOf): CheckedAliases {
  const anchors = new Set<string | undefined>();
  const messages: string[] = [];
  let last: Alias | undefined;
  visit(document, {
    Value(_, { anchor }) {
      anchors.add(anchor);
    },
    Alias(_, alias, ancestors) {
      const { source } = alias;
      const place = placeOf(startOf(alias));
      last = alias;
      if (!anchors.has(source)) {
        messages.push(`no anchor &${source} stands before the alias *${source} at ${place}`);
      } else if (ancestors.some((node) => isNode(node) && anchorOf(node) === source)) {
        messages.push(`*${source} stands inside of &${source} at ${place}; break the circle`);
      }
    },
  });
  return { messages, last };
}

function anchorOf(node: object): unknown {
  return 'anchor' in node ? node.anchor : undefined;
}

function valueOf(document: Document, last: Alias | undefined, placeOf: PlaceOf): ConfigDocument {
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch (error) {
    // Aliases that cannot be followed are told already, so these are too many.
    if (!(error instanceof ReferenceError) || last === undefined) throw error;
    const place = placeOf(startOf(last));
    const message = `the aliases stand for too many values, the last of them at ${place}; write fewer of them`;
    return { messages: [message] };
  }
}

function startOf({ range }: Alias): number {
  return range?.[0] ?? 0;
}
