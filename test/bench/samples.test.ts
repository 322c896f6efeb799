import { describe, expect, it } from '@jest/globals';
import { parseConfig, policySettings } from '../../src/config/config.ts';
import { admit } from '../../src/core/admission.ts';
import { hasFaults } from '../../src/core/image-map.ts';
import { parseImageMap } from '../../src/core/parse-image-map.ts';
import { createPolicy, type Policy } from '../../src/core/policy.ts';
import { encodeReview } from '../../src/server/review-codec.ts';
import { expectConstant, expectRewrite } from './answer-check.ts';
import {
  capturedReview,
  IMAGE,
  reviewOfBytes,
  reviewsInTurn,
  reviewWithContainers,
  type SampleReview,
} from './reviews.ts';
import { mapTarget, sampleMap } from './sample-map.ts';
import { CONSTANT_ANSWER } from './yardsticks/constant-answer.ts';

const BASE = 'registry.corp.example/mirror';
const TARGET = `${BASE}/${IMAGE}`;

function policyOf(rules: object, map?: Parameters<typeof createPolicy>[0]['map']): Policy {
  const config = parseConfig(JSON.stringify({ apiVersion: 'sdr-image-rewriter/v1', ...rules }));
  if ('faults' in config) throw new Error(JSON.stringify(config.faults));
  return createPolicy({ ...policySettings(config), map });
}

function answerTo({ body }: SampleReview, policy: Policy): string {
  const admission = admit(JSON.parse(body.toString()), policy, 'enforce');
  if (admission.kind === 'refused') throw new Error(admission.message);
  return encodeReview(admission.response);
}

const prefixPolicy = policyOf({ procurement: 'prefix', containerRegistryBase: BASE });

describe('the reviews of the benchmark', () => {
  it.each([
    ['the captured one', capturedReview(), 1],
    ['one with a container', reviewWithContainers(1), 1],
    ['one with a hundred containers', reviewWithContainers(100), 100],
    ['one of 64,000 bytes', reviewOfBytes(64_000), 1],
  ])('are rewritten as the check wants it: %s', (_name, review, rewrites) => {
    expect(review.rewrites).toBe(rewrites);
    expect(expectRewrite(review, [TARGET])(answerTo(review, prefixPolicy))).toBe(TARGET);
  });

  it.each([4_000, 16_000, 1_000_000, 2_900_000])('have about %d bytes when asked', (bytes) => {
    const { length } = reviewOfBytes(bytes).body;
    expect(Math.abs(length - bytes)).toBeLessThan(150);
  });
});

describe('the reviews that are sent in turn', () => {
  const inTurn = reviewsInTurn(capturedReview());

  it('are sixteen, no two alike, and of one length', () => {
    expect(new Set(inTurn.map(String)).size).toBe(16);
    expect(new Set(inTurn.map(({ length }) => length))).toEqual(
      new Set([capturedReview().body.length]),
    );
  });

  it('are all answered alike', () => {
    const answers = inTurn.map((body) => answerTo({ ...capturedReview(), body }, prefixPolicy));
    expect(new Set(answers)).toEqual(new Set([answerTo(capturedReview(), prefixPolicy)]));
  });
});

describe('the map of the benchmark', () => {
  it('is a good one of so many entries that decides by its version', () => {
    for (const version of [1, 2]) {
      const bytes = Buffer.from(sampleMap(1000, version));
      const rules = parseImageMap(bytes, bytes.length);
      if (hasFaults(rules)) throw new Error(JSON.stringify(rules.faults));
      expect(rules.entries).toHaveLength(1000);
      const identity = { location: 'file:///map.json', serial: version, etag: String(version) };
      const policy = policyOf(
        { procurement: 'map', imageMap: { url: 'file:///map.json' } },
        { rules, identity },
      );
      const review = capturedReview();
      const check = expectRewrite(review, [mapTarget(1), mapTarget(2)]);
      expect(check(answerTo(review, policy))).toBe(mapTarget(version));
    }
  });

  it('changes one entry in a hundred from a version to the next', () => {
    const lines = (version: number): string[] => sampleMap(1000, version).split('},{');
    const before = new Set(lines(1));
    const changed = lines(2).filter((line) => !before.has(line));
    // The first line holds the serial as well.
    expect(changed).toHaveLength(11);
  });
});

describe('the check of an answer', () => {
  const review = capturedReview();
  const right = answerTo(review, prefixPolicy);
  const check = expectRewrite(review, [TARGET]);

  it.each([
    ['an answer without a patch', JSON.stringify(CONSTANT_ANSWER)],
    ['an answer to another review', right.replace(review.uid, 'another')],
    ['a denial', right.replace('"allowed":true', '"allowed":false')],
    [
      'a rewrite to another image',
      answerTo(
        review,
        policyOf({
          procurement: 'prefix',
          containerRegistryBase: 'other.example',
        }),
      ),
    ],
    ['an object without a response', '{}'],
  ])('refuses %s', (_name, body) => {
    expect(check(body)).toBeUndefined();
  });

  it('refuses a pod of which only some images are rewritten', () => {
    const many = { ...reviewWithContainers(2), rewrites: 3 };
    expect(expectRewrite(many, [TARGET])(answerTo(many, prefixPolicy))).toBeUndefined();
  });

  it('takes the constant of the yardsticks for what it is', () => {
    expect(expectConstant(JSON.stringify(CONSTANT_ANSWER))).toBe('constant');
    expect(expectConstant('{}')).toBeUndefined();
  });
});
