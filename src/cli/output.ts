import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colours a text where standard output is a terminal that wants colours. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

export interface Column {
  readonly title: string;
  readonly style?: ((value: string) => Style | undefined) | undefined;
}

/** A text on one line: what breaks one, or tells a terminal what to do, is shown and not done. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    // JSON lets some of them stand, and one of these begins an escape sequence.
    return escaped === character ? unicodeEscape(character) : escaped;
  });
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Aligned columns under a bold head; the last one is not padded. Control characters are escaped. */
export function renderTable(
  columns: readonly Column[],
  values: readonly (readonly string[])[],
): string {
  const rows = values.map((row) => row.map(printable));
  const widths = columns.map(({ title }, index) =>
    rows.reduce((width, row) => Math.max(width, row[index]?.length ?? 0), title.length),
  );
  const pad = (text: string, index: number): string =>
    index === columns.length - 1 ? text : text.padEnd(widths[index] ?? 0);
  const head = columns.map(({ title }, index) => paint('bold', pad(title, index))).join('  ');
  const lines = rows.map((row) =>
    row
      .map((value, index) => {
        const style = columns[index]?.style?.(value);
        const padded = pad(value, index);
        return style === undefined ? padded : paint(style, padded);
      })
      .join('  '),
  );
  return [head, ...lines].map((line) => `${line.trimEnd()}\n`).join('');
}

/** One JSON document a line. */
export function renderJsonLines(values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}

export function outcomeStyle(outcome: string): Style | undefined {
  switch (outcome) {
    case 'rewritten':
      return 'green';
    case 'unmapped':
      return 'yellow';
    case 'invalid':
    case 'denied':
      return 'red';
    default:
      return undefined;
  }
}

/** `1 fault`, `2 faults`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
