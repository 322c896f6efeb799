import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RewriterError } from '../../src/core/errors.ts';
import { applyEdits, decodeText, LineIndex } from '../../src/manifest/text.ts';

function faultOf(bytes: Uint8Array): string {
  try {
    decodeText(bytes, 'file.yaml');
    return 'none';
  } catch (error) {
    return `${(error as RewriterError).code} ${(error as Error).message}`;
  }
}

describe('decodeText', () => {
  it.each(['', 'a: b\n', '\uFEFFa: b', 'ü😀\uFFFD\uFEFF\r\n', '\u2028'])(
    'gives text that encodes to the same bytes: %j',
    (text) => {
      expect(decodeText(Buffer.from(text), 'file.yaml')).toBe(text);
    },
  );

  it('gives the same bytes again for all text, and refuses all else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.string({ unit: 'binary' })), (content) => {
        const bytes = typeof content === 'string' ? Buffer.from(content) : content;
        const fault = faultOf(bytes);
        if (fault === 'none') {
          expect(Buffer.from(decodeText(bytes, ''))).toEqual(Buffer.from(bytes));
          expect(bytes).not.toContain(0);
        } else {
          expect(fault).toMatch(/^MANIFEST_NOT_TEXT file\.yaml:\d+:\d+: /);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['NUL', Buffer.from('a: b\nc: \0'), '2:4'],
    ['a broken sequence', Buffer.from([0x61, 0x0a, 0x62, 0xff, 0x63]), '2:2'],
    ['a sequence that is cut off', Buffer.from([0x61, 0xe2, 0x82]), '1:2'],
    ['a surrogate', Buffer.from([0x61, 0xed, 0xa0, 0x80]), '1:2'],
    ['UTF-16 with its mark', Buffer.from('\uFEFFa: b\n', 'utf16le'), '1:1'],
    ['UTF-16 without one', Buffer.from('a: b\n', 'utf16le'), '1:2'],
    ['a replacement character before the fault', Buffer.from('\uFFFD\n\xff', 'latin1'), '1:1'],
    ['the first fault of several', Buffer.from([0x0a, 0xff, 0x0a, 0x00]), '2:1'],
    [
      'a fault behind a real U+FFFD',
      Buffer.concat([Buffer.from('\uFFFD\na'), Buffer.from([0xff])]),
      '2:2',
    ],
    ['a PNG', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0]), '1:1'],
  ])('names line and column of %s', (_title, bytes, place) => {
    expect(faultOf(bytes)).toBe(
      `MANIFEST_NOT_TEXT file.yaml:${place}: this is no UTF-8 text; only YAML and JSON files can be rewritten`,
    );
  });
});

describe('LineIndex', () => {
  it('counts lines and columns from 1, and CR LF as one line end', () => {
    const index = new LineIndex('ab\r\ncd\n\nef');
    expect([0, 2, 4, 7, 8, 9, 10].map((offset) => index.position(offset))).toEqual([
      { line: 1, column: 1 },
      { line: 1, column: 3 },
      { line: 2, column: 1 },
      { line: 3, column: 1 },
      { line: 4, column: 1 },
      { line: 4, column: 2 },
      { line: 4, column: 3 },
    ]);
    expect([1, 2, 3, 4, 5, 9].map((line) => index.start(line))).toEqual([0, 4, 7, 8, 10, 10]);
  });

  it.each([
    ['', 0],
    ['a', 1],
    ['a\n', 1],
    ['a\nb', 2],
    ['\n\n', 2],
  ])('of %j has %i lines', (text, count) => {
    expect(new LineIndex(text).count).toBe(count);
  });

  it('finds each offset again from its line and column', () => {
    const texts = fc.array(fc.constantFrom('a', '\n', '\r\n', '😀')).map((parts) => parts.join(''));
    fc.assert(
      fc.property(texts, (text) => {
        const index = new LineIndex(text);
        for (let offset = 0; offset <= text.length; offset += 1) {
          const { line, column } = index.position(offset);
          expect(index.start(line) + column - 1).toBe(offset);
          expect(text.slice(0, offset).split('\n')).toHaveLength(line);
        }
      }),
    );
  });
});

describe('applyEdits', () => {
  it('replaces pieces in whatever order they come', () => {
    const edits = [
      { start: 4, end: 5, text: 'E' },
      { start: 0, end: 2, text: '' },
      { start: 5, end: 5, text: '!' },
    ];
    expect(applyEdits('abcdefg', edits)).toBe('cdE!fg');
    expect(applyEdits('abc', [])).toBe('abc');
  });
});
