import { describe, expect, it } from '@jest/globals';
import {
  compareWithWebhook,
  manifestFixtures,
  readDocuments,
  rewritten,
  textAt,
  withoutImages,
} from '../support/manifests.ts';
import { MIRROR, policyOf } from '../support/policies.ts';

const policy = policyOf({ base: MIRROR });
const FIXTURES = manifestFixtures();

/** What a file goes through on its way, and what must make no difference. */
const TRAVELS: readonly (readonly [string, (text: string) => string])[] = [
  ['as it is', (text) => text],
  ['with CR LF', (text) => text.replaceAll('\n', '\r\n')],
  ['without a newline at its end', (text) => text.trimEnd()],
  ['with a byte order mark', (text) => `\uFEFF${text}`],
  ['behind another document', (text) => `# first\na: b\n...\n${text}`],
];

it('has the files that it checks', () => {
  expect(FIXTURES.length).toBeGreaterThan(7);
});

describe.each(FIXTURES)('$name', ({ text: original, expected: result }) => {
  describe.each(TRAVELS)('%s', (_title, travel) => {
    const [text, expected] = [original, result].map(travel) as [string, string];
    const rewrite = rewritten(text, policy);

    it('becomes what stands beside it, byte for byte', () => {
      expect(rewrite.text).toBe(expected);
    });

    it('stays as it is when it is rewritten again', () => {
      const again = rewritten(rewrite.text, policy);
      expect({ text: again.text, edits: again.edits }).toEqual({ text: rewrite.text, edits: [] });
    });

    it('reads the same before and after, but for images', () => {
      const images = rewrite.findings.flatMap(({ image, target }) => [image, target ?? image]);
      const [before, after] = [text, rewrite.text].map((each) =>
        withoutImages(each, new Set(images)),
      );
      expect(after).toEqual(before);
    });

    it('has the images that the webhook gives the pods', () => {
      for (const { byRewrite, ...comparison } of compareWithWebhook(text, rewrite.text, policy)) {
        expect({ ...comparison, byRewrite }).toEqual({
          ...comparison,
          byRewrite: comparison.byWebhook,
        });
      }
    });

    it('reports each image at the line and column where it stands', () => {
      for (const finding of rewrite.findings) {
        const found = textAt(text, finding);
        const [value] = /^["'|>*]/.test(found) ? [found.slice(1)] : [found];
        const isSpelledOut = value.startsWith(finding.image);
        expect(isSpelledOut || /^(?:["|>]|\*\w+)/.test(found)).toBe(true);
      }
    });
  });
});

describe('the corpus', () => {
  it('is read with as many documents after as before', () => {
    for (const { text, expected } of FIXTURES) {
      expect(readDocuments(expected)).toHaveLength(readDocuments(text).length);
    }
  });

  it('has pods that the webhook rewrites, and some that it leaves alone', () => {
    const comparisons = FIXTURES.flatMap(({ text, expected }) =>
      compareWithWebhook(text, expected, policy),
    );
    const images = comparisons.flatMap(({ byRewrite }) => byRewrite);
    expect(images.filter((image) => image.startsWith(MIRROR)).length).toBeGreaterThan(50);
    expect(images).toContain('docker.io/atlanhq/main:1');
  });

  it('is left alone byte for byte where procurement is public', () => {
    for (const { text } of FIXTURES) {
      const { text: after, edits } = rewritten(text, policyOf({ procurement: 'public' }));
      expect({ after, edits }).toEqual({ after: text, edits: [] });
    }
  });
});
