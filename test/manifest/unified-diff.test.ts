import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { applyEdits, type Edit } from '../../src/manifest/text.ts';
import { unifiedDiff } from '../../src/manifest/unified-diff.ts';
import { manifestFixtures, rewritten } from '../support/manifests.ts';
import { policyOf } from '../support/policies.ts';

/** The edit that replaces a piece of a text that stands there once. */
function replacing(text: string, old: string, by: string): Edit {
  const start = text.indexOf(old);
  return { start, end: start + old.length, text: by };
}

const numbered = (count: number): string =>
  Array.from({ length: count }, (_, index) => `line ${index + 1};\n`).join('');

describe('unifiedDiff', () => {
  it('is empty where nothing changes', () => {
    expect(unifiedDiff('a.yaml', 'a\n', [])).toBe('');
  });

  it('shows three lines around a change, and joins changes that are close', () => {
    const text = numbered(30);
    const edits = [5, 12, 25].map((line) => replacing(text, `line ${line};`, `LINE ${line};`));
    expect(unifiedDiff('dir/a.yaml', text, edits)).toBe(`--- dir/a.yaml
+++ dir/a.yaml
@@ -2,14 +2,14 @@
 line 2;
 line 3;
 line 4;
-line 5;
+LINE 5;
 line 6;
 line 7;
 line 8;
 line 9;
 line 10;
 line 11;
-line 12;
+LINE 12;
 line 13;
 line 14;
 line 15;
@@ -22,7 +22,7 @@
 line 22;
 line 23;
 line 24;
-line 25;
+LINE 25;
 line 26;
 line 27;
 line 28;
`);
  });

  it('shows several edits of a line as one change', () => {
    const text = 'a b c\n';
    const edits = [replacing(text, 'c', 'C'), replacing(text, 'a', 'A')];
    expect(unifiedDiff('f', text, edits)).toBe('--- f\n+++ f\n@@ -1 +1 @@\n-a b c\n+A b C\n');
  });

  it('marks a last line without a newline', () => {
    const text = 'a\nb';
    expect(unifiedDiff('f', text, [replacing(text, 'b', 'B')])).toBe(
      '--- f\n+++ f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+B\n\\ No newline at end of file\n',
    );
  });

  it('counts the lines that a change takes away', () => {
    const text = numbered(12);
    const edits = [
      replacing(text, 'line 2;\nline 3;', 'two and three'),
      replacing(text, 'line 12;', 'LINE 12;'),
    ];
    const heads = unifiedDiff('f', text, edits).match(/^@@.*$/gm);
    expect(heads).toEqual(['@@ -1,6 +1,5 @@', '@@ -9,4 +8,4 @@']);
  });
});

interface Sample {
  readonly text: string;
  readonly edits: readonly Edit[];
}

/** Applies a diff with the real tools; each must give what `applyEdits` gives. */
function checkByTools({ text, edits }: Sample, file = 'file.yaml'): void {
  const folder = mkdtempSync(join(tmpdir(), 'sdr-image-rewriter-test-'));
  try {
    const expected = applyEdits(text, edits);
    const input = unifiedDiff(file, text, edits);
    for (const [command, ...args] of [
      ['patch', '--quiet', '--binary', '-p0'],
      ['git', 'apply', '-p0', '--whitespace=nowarn', '-'],
    ] as const) {
      writeFileSync(join(folder, file), text);
      execFileSync(command, args, { cwd: folder, input, env: process.env });
      expect(readFileSync(join(folder, file), 'utf8')).toBe(expected);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('patch and git apply', () => {
  const policy = policyOf({ base: 'r.example/m' });

  it.each(manifestFixtures())('make of the diff of $name the rewritten text', ({ text }) => {
    for (const sample of [text, text.trimEnd(), text.replaceAll('\n', '\r\n')]) {
      checkByTools({ text: sample, edits: rewritten(sample, policy).edits });
    }
  });

  it('find a file with a space in its name', () => {
    checkByTools({ text: 'a\n', edits: [{ start: 0, end: 1, text: 'b' }] }, 'a file.yaml');
  });

  it('read a change of more lines than a call takes arguments', () => {
    const text = 'a\n'.repeat(130_000);
    const diff = unifiedDiff('f', text, [{ start: 0, end: text.length - 1, text: 'b' }]);
    expect(diff.split('\n').slice(0, 4)).toEqual(['--- f', '+++ f', '@@ -1,130000 +1 @@', '-a']);
    expect(diff.endsWith('-a\n+b\n')).toBe(true);
  });

  it('make of any diff the text with the edits', () => {
    const lines = fc.array(fc.constantFrom('', 'a', '-- b', '++ c', '@@ d', '\\ e', 'ü\u2028'), {
      minLength: 1,
      maxLength: 30,
    });
    const samples = fc
      .tuple(lines, fc.constantFrom('\n', '\r\n'), fc.boolean())
      .map(([all, end, isEnded]) => `${all.join(end)}x${isEnded ? end : ''}`)
      .chain((text) =>
        fc
          .uniqueArray(fc.integer({ min: 0, max: text.length }), { minLength: 2, maxLength: 8 })
          .map((offsets) => offsets.sort((one, other) => one - other))
          .map((offsets): Sample => {
            const edits = offsets.flatMap((start, index) => {
              const end = offsets[index + 1];
              // Within a line, or over several, as of a text in quotes; a value never ends with a line end.
              const isValue = index % 2 === 0 && end !== undefined && text[end - 1] !== '\n';
              return isValue ? [{ start, end, text: `<${index}>` }] : [];
            });
            return { text, edits };
          })
          .filter(({ edits }) => edits.length > 0),
      );
    fc.assert(
      fc.property(samples, (sample) => checkByTools(sample)),
      { numRuns: 60 },
    );
  });
});
