import { describe, expect, it } from '@jest/globals';
import { printable, renderTable } from '../../src/cli/output.ts';

describe('printable', () => {
  it.each([
    ['a\nb\r\tc', String.raw`a\nb\r\tc`],
    ['\u001B[31m', String.raw`\u001b[31m`],
    ['\u009B31m\u007F', String.raw`\u009b31m\u007f`],
    ['\u2028\u2029\0', String.raw`\u2028\u2029\u0000`],
    ['"ä" \\ 😀…', '"ä" \\ 😀…'],
  ])('makes of %j what one line of a terminal can show', (text, expected) => {
    expect(printable(text)).toBe(expected);
  });
});

describe('renderTable', () => {
  it('keeps a row in one line, whatever its values hold', () => {
    const columns = [{ title: 'IMAGE' }, { title: 'WHY' }];
    const rows = [
      ['a\nb', 'x'],
      ['\u001B[2Jc', 'y'],
    ];
    expect(renderTable(columns, rows)).toBe(
      String.raw`IMAGE       WHY
a\nb        x
\u001b[2Jc  y
`,
    );
  });
});
