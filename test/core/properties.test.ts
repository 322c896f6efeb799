import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { admit } from '../../src/core/admission.ts';
import { isInvalid } from '../../src/core/errors.ts';
import { isRecord } from '../../src/core/json-value.ts';
import type { PatchOperation } from '../../src/core/patch.ts';
import { listPodImages } from '../../src/core/pod-images.ts';
import type { Policy } from '../../src/core/policy.ts';
import { covers, parsePrefix } from '../../src/core/prefix-rules.ts';
import { canonicalText, parseReference } from '../../src/core/reference.ts';
import { readMapDocument } from '../../src/core/map-document.ts';
import { answerOf } from '../support/answers.ts';
import {
  imageTexts,
  mapSections,
  type MapSections,
  pods,
  policyOptions,
  references,
  soundMapSections,
} from '../support/arbitraries.ts';
import { bytesOf, faultsOf, mapDocument, MAX_BYTES } from '../support/maps.ts';
import { patched, patchedByRfc6902 } from '../support/patches.ts';
import { valueAt } from '../support/pods.ts';
import { policyOf, SOURCES } from '../support/policies.ts';
import { referenceOf } from '../support/references.ts';
import { capturedReview, createReview, updateReview } from '../support/reviews.ts';

const policies = policyOptions.map(policyOf);

/** The only places that a patch may touch. */
const ALLOWED_OPERATIONS = [
  /^replace \/spec\/(?:containers|initContainers|ephemeralContainers)\/\d+\/image$/,
  /^replace \/spec\/volumes\/\d+\/image\/reference$/,
  /^add \/metadata\/annotations$/,
  /^add \/metadata\/annotations\/sdr-image-rewriter\.io~1(?:original-images|decided-by)$/,
  /^add \/spec\/imagePullSecrets(?:\/-)?$/,
];

function patchOf(review: unknown, policy: Policy): readonly PatchOperation[] {
  return answerOf(review, policy).response.patch;
}

/** Checks a property of every pod that is created under every policy. */
function checkPods(
  check: (pod: Record<string, unknown>, patch: readonly PatchOperation[], policy: Policy) => void,
): void {
  fc.assert(
    fc.property(pods, policies, (pod, policy) => {
      check(pod, patchOf(createReview(pod), policy), policy);
    }),
    { numRuns: 1000 },
  );
}

/** The pod with everything blanked that a patch may change, as JSON text. */
function masked(pod: unknown): string {
  const copy = structuredClone(pod);
  for (const { pointer } of listPodImages(pod)) {
    const end = pointer.lastIndexOf('/');
    const holder = valueAt(copy, pointer.slice(0, end));
    if (isRecord(holder)) {
      holder[pointer.slice(end + 1)] = '';
    }
  }
  const metadata = valueAt(copy, '/metadata');
  if (isRecord(metadata)) {
    const annotations = metadata.annotations;
    if (isRecord(annotations)) {
      delete annotations['sdr-image-rewriter.io/original-images'];
      delete annotations['sdr-image-rewriter.io/decided-by'];
    }
    if (annotations === null || (isRecord(annotations) && Object.keys(annotations).length === 0)) {
      delete metadata.annotations;
    }
  }
  const spec = valueAt(copy, '/spec');
  if (isRecord(spec)) {
    delete spec.imagePullSecrets;
  }
  return JSON.stringify(copy);
}

describe('every reference', () => {
  it('is either refused or stable: its canonical form means the same', () => {
    fc.assert(
      fc.property(imageTexts, (text) => {
        const parsed = parseReference(text);
        if (isInvalid(parsed)) {
          return;
        }
        const canonical = canonicalText(parsed);
        const again = referenceOf(canonical);
        expect(canonicalText(again)).toBe(canonical);
        expect(again).toMatchObject({ repository: parsed.repository, digest: parsed.digest });
        expect(parsed.text).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  it('of the good ones parses', () => {
    fc.assert(
      fc.property(references, (text) => {
        expect(isInvalid(parseReference(text))).toBe(false);
      }),
    );
  });
});

describe('every prefix', () => {
  it('is either refused or stable: its value is a prefix of itself', () => {
    fc.assert(
      fc.property(imageTexts, (text) => {
        const parsed = parsePrefix(text);
        if (isInvalid(parsed)) {
          return;
        }
        expect(parsePrefix(parsed.value)).toMatchObject({ value: parsed.value });
        expect(covers(parsed.value, `${parsed.value}/app`)).toBe(true);
        expect(covers(parsed.value, `${parsed.value}2/app`)).toBe(false);
      }),
      { numRuns: 700 },
    );
  });
});

describe('every decision', () => {
  it('is stable: what was rewritten is kept', () => {
    fc.assert(
      fc.property(policies, references, (policy, image) => {
        const decision = policy.decide(image);
        if (decision.outcome === 'rewritten') {
          expect(policy.decide(decision.target)).toMatchObject({ outcome: 'kept' });
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('keeps a digest where there is one', () => {
    fc.assert(
      fc.property(policies, references, (policy, image) => {
        const decision = policy.decide(image);
        if (decision.outcome === 'rewritten' && decision.reference.digest !== undefined) {
          expect(referenceOf(decision.target).digest).toBeDefined();
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('by a repository or prefix carries tag and digest over as they are', () => {
    fc.assert(
      fc.property(policies, references, (policy, image) => {
        const decision = policy.decide(image);
        const byName = ['map-repository', 'map-prefix', 'prefix', 'base'];
        if (decision.outcome === 'rewritten' && byName.includes(decision.rule)) {
          const { tag, digest } = referenceOf(decision.target);
          expect({ tag, digest }).toEqual({
            tag: decision.reference.tag,
            digest: decision.reference.digest,
          });
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('by an image of the map gives a target exactly as the map has it', () => {
    fc.assert(
      fc.property(soundMapSections, references, (sections, image) => {
        const decision = policyOf({ map: mapDocument(sections) }).decide(image);
        const byImage = ['map-tag-digest', 'map-repository-digest', 'map-digest', 'map-tag'];
        if (decision.outcome === 'rewritten' && byImage.includes(decision.rule)) {
          const targets = sections.images.map((entry) => valueAt(entry, '/target'));
          expect(targets).toContain(decision.target);
        }
      }),
      { numRuns: 700 },
    );
  });

  it('leaves alone what is out of scope', () => {
    fc.assert(
      fc.property(policies, imageTexts, (policy, image) => {
        const decision = policy.decide(image);
        if (decision.outcome === 'rewritten' || decision.outcome === 'unmapped') {
          const { repository } = decision.reference;
          expect(SOURCES.some((source) => covers(source, repository))).toBe(true);
        }
      }),
      { numRuns: 700 },
    );
  });

  it('says that what does not parse is invalid, and nothing else', () => {
    fc.assert(
      fc.property(policies, imageTexts, (policy, image) => {
        expect(policy.decide(image).outcome === 'invalid').toBe(isInvalid(parseReference(image)));
      }),
      { numRuns: 700 },
    );
  });
});

describe('the order of a file', () => {
  interface Shuffled {
    readonly sections: MapSections;
    readonly shuffled: MapSections;
  }

  function shuffledList<Item>(items: readonly Item[]): fc.Arbitrary<Item[]> {
    return fc.shuffledSubarray([...items], { minLength: items.length });
  }

  function withShuffled(sections: MapSections): fc.Arbitrary<Shuffled> {
    return fc
      .record({
        images: shuffledList(sections.images),
        repositories: shuffledList(sections.repositories),
        prefixes: shuffledList(sections.prefixes),
      })
      .map((shuffled) => ({ sections, shuffled }));
  }

  it('of a map changes no decision', () => {
    fc.assert(
      fc.property(
        soundMapSections.chain(withShuffled),
        fc.array(references, { minLength: 1, maxLength: 8 }),
        ({ sections, shuffled }, images) => {
          const one = policyOf({ map: mapDocument(sections) });
          const other = policyOf({ map: mapDocument(shuffled) });
          for (const image of images) {
            expect(other.decide(image)).toEqual(one.decide(image));
          }
        },
      ),
      { numRuns: 700 },
    );
  });

  it('of a map changes nothing about whether it loads', () => {
    fc.assert(
      fc.property(mapSections.chain(withShuffled), ({ sections, shuffled }) => {
        const loads = faultsOf(mapDocument(sections)).length === 0;
        expect(faultsOf(mapDocument(shuffled)).length === 0).toBe(loads);
      }),
      { numRuns: 700 },
    );
  });

  it('of the prefix rules changes no decision', () => {
    const withOrders = policyOptions.chain(({ prefixes = {}, ...options }) =>
      shuffledList(Object.entries(prefixes)).map((order) => ({ prefixes, order, options })),
    );
    fc.assert(
      fc.property(withOrders, references, ({ prefixes, order, options }, image) => {
        const one = policyOf({ ...options, prefixes });
        const other = policyOf({ ...options, prefixes: Object.fromEntries(order) });
        expect(other.decide(image)).toEqual(one.decide(image));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('every patch', () => {
  it('applies, in two implementations and with one result', () => {
    checkPods((pod, patch) => {
      const after = patched(pod, patch);
      expect(JSON.stringify(patchedByRfc6902(pod, patch))).toBe(JSON.stringify(after));
    });
  });

  it('is empty once it was applied', () => {
    checkPods((pod, patch, policy) => {
      expect(patchOf(createReview(patched(pod, patch)), policy)).toEqual([]);
    });
  });

  it('touches only images, our annotations and the pull secrets', () => {
    checkPods((_pod, patch) => {
      for (const { op, path } of patch) {
        expect(ALLOWED_OPERATIONS.some((allowed) => allowed.test(`${op} ${path}`))).toBe(true);
      }
    });
  });

  it('leaves the rest of the pod as it was, to the byte', () => {
    checkPods((pod, patch) => {
      expect(masked(patched(pod, patch))).toBe(masked(pod));
    });
  });

  it('only ever appends to the pull secrets', () => {
    checkPods((pod, patch) => {
      const before = valueAt(pod, '/spec/imagePullSecrets');
      const after = valueAt(patched(pod, patch), '/spec/imagePullSecrets');
      if (Array.isArray(before)) {
        expect(Array.isArray(after) ? after.slice(0, before.length) : after).toEqual(before);
      } else if ((before ?? undefined) !== undefined) {
        expect(after).toEqual(before);
      }
    });
  });

  it('replaces each image at most once, by what was decided about it', () => {
    checkPods((pod, patch, policy) => {
      const replaced = patch.filter(({ op }) => op === 'replace');
      expect(new Set(replaced.map(({ path }) => path)).size).toBe(replaced.length);
      for (const { path, value } of replaced) {
        expect(policy.decide(String(valueAt(pod, path)))).toMatchObject({ target: value });
      }
    });
  });

  it('of an UPDATE touches no image that runs already', () => {
    fc.assert(
      fc.property(pods, pods, policies, (pod, oldPod, policy) => {
        const running = listPodImages(oldPod).map(({ field, name, image }) => [field, name, image]);
        const images = listPodImages(pod);
        for (const { op, path } of patchOf(updateReview(pod, oldPod), policy)) {
          expect(op).toBe('replace');
          const found = images.find(({ pointer }) => pointer === path);
          expect(found?.field).not.toBe('volumes');
          expect(running).not.toContainEqual([found?.field, found?.name, found?.image]);
        }
        expect(patchOf(updateReview(pod, pod), policy)).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('of an audit is empty, and its answer allowed', () => {
    fc.assert(
      fc.property(pods, policies, (pod, policy) => {
        const { response } = answerOf(createReview(pod), policy, 'audit');
        expect(response).toMatchObject({ allowed: true, patch: [] });
      }),
    );
  });

  it('is denied only under unmapped: deny, and then has no operation', () => {
    checkPods((pod, patch, policy) => {
      const { allowed } = answerOf(createReview(pod), policy).response;
      expect(allowed || (policy.unmapped === 'deny' && patch.length === 0)).toBe(true);
    });
  });
});

describe('every answer', () => {
  it('has only short and printable warnings', () => {
    fc.assert(
      fc.property(pods, policies, fc.constantFrom('enforce', 'audit'), (pod, policy, mode) => {
        for (const warning of answerOf(createReview(pod), policy, mode).response.warnings) {
          expect(warning.length).toBeLessThanOrEqual(120);
          expect(warning).not.toMatch(/\p{Cc}/u);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('admit', () => {
  const modes = fc.constantFrom('enforce', 'audit');

  function checkTotal(reviews: fc.Arbitrary<unknown>): void {
    fc.assert(
      fc.property(reviews, policies, modes, (review, policy, mode) => {
        expect(['answered', 'refused']).toContain(admit(review, policy, mode).kind);
      }),
      { numRuns: 1000 },
    );
  }

  it('never throws on arbitrary JSON', () => {
    checkTotal(fc.jsonValue());
  });

  it('never throws on arbitrary values', () => {
    checkTotal(fc.anything({ withNullPrototype: true, withSparseArray: true, withBigInt: true }));
  });

  it('never throws on an arbitrary request', () => {
    checkTotal(
      fc
        .dictionary(
          fc.constantFrom('operation', 'resource', 'subResource', 'name', 'userInfo', 'oldObject'),
          fc.jsonValue(),
        )
        .map((overrides) => createReview({}, overrides)),
    );
  });

  it('never throws on an arbitrary object', () => {
    checkTotal(fc.anything().map((object) => createReview(object)));
    checkTotal(fc.tuple(fc.jsonValue(), fc.jsonValue()).map(([a, b]) => updateReview(a, b)));
  });

  it('never throws where any one value of a captured review is another', () => {
    const names = ['create-deployment-pod', 'update-ephemeralcontainers', 'update-set-image'];
    const reviews = names.map((name) => {
      const review = capturedReview(name);
      return { review, pointers: pointersOf(review, '') };
    });
    const damaged = fc
      .constantFrom(...reviews)
      .chain(({ review, pointers }) =>
        fc.record({
          review: fc.constant(review),
          pointer: fc.constantFrom(...pointers),
          value: fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom('', 'atlanhq/a:1')),
        }),
      )
      .map(({ review, pointer, value }) =>
        patched(review, [{ op: 'replace', path: pointer, value } as PatchOperation]),
      );
    checkTotal(damaged);
  });
});

/** Pointers to all values below the root. */
function pointersOf(value: unknown, at: string): string[] {
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([key, inner]) => {
    const pointer = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return [pointer, ...pointersOf(inner, pointer)];
  });
}

describe('readMapDocument', () => {
  it('never throws on arbitrary JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const { lines, faults } = readMapDocument(bytesOf(value), MAX_BYTES);
        expect([lines, faults].every(Array.isArray)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('never throws on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(readMapDocument(bytes, MAX_BYTES).lines.length).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 1000 },
    );
  });
});
