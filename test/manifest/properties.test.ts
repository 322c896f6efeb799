import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Alias, Document, type Scalar, visit } from 'yaml';
import { listManifestImages } from '../../src/core/manifest-images.ts';
import type { Policy } from '../../src/core/policy.ts';
import { applyEdits } from '../../src/manifest/text.ts';
import { imageTexts, pods, policyOptions, references } from '../support/arbitraries.ts';
import {
  compareWithWebhook,
  readDocuments,
  rewritten,
  textAt,
  valueAtPath,
  withoutImages,
} from '../support/manifests.ts';
import { policyOf } from '../support/policies.ts';

const policies = policyOptions.map(policyOf);

type Pod = Record<string, unknown>;
const inTemplate = ({ metadata, spec }: Pod): object => ({ metadata, spec });

/** Every shape in which a manifest holds pods. */
const WRAPPERS: readonly ((pods: readonly Pod[]) => object)[] = [
  ([pod]) => ({ ...pod, apiVersion: 'v1', kind: 'Pod' }),
  ([pod = {}]) => ({ apiVersion: 'v1', kind: 'PodTemplate', template: inTemplate(pod) }),
  ...['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet'].map(
    (kind) =>
      ([pod = {}]: readonly Pod[]) => {
        return { apiVersion: 'apps/v1', kind, spec: { template: inTemplate(pod) } };
      },
  ),
  ([pod = {}]) => ({ apiVersion: 'batch/v1', kind: 'Job', spec: { template: inTemplate(pod) } }),
  ([pod = {}]) => ({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    spec: { jobTemplate: { spec: { template: inTemplate(pod) } } },
  }),
  ([pod = {}]) => ({ apiVersion: 'x.example/v1', kind: 'X', spec: { template: inTemplate(pod) } }),
  (all) => ({
    apiVersion: 'v1',
    kind: 'List',
    items: all.map((pod) => ({ ...pod, apiVersion: 'v1', kind: 'Pod' })),
  }),
  (all) => ({ apiVersion: 'v1', kind: 'PodList', items: all.map(inTemplate) }),
];

/** How much of what could be shared by anchors is. */
const styles = fc.record({
  indent: fc.constantFrom(2, 4),
  indentSeq: fc.boolean(),
  lineWidth: fc.constantFrom(0, 30, 80),
  collectionStyle: fc.constantFrom('any', 'block', 'flow'),
  defaultStringType: fc.constantFrom(
    ...(['PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'] as const),
  ),
  defaultKeyType: fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE'),
});

/** Puts an alias in the place of every text that stood before. */
function withAliases(document: Document): void {
  const known = new Map<string, Scalar>();
  visit(document, {
    Scalar(key, scalar): Alias | undefined {
      if (key === 'key' || typeof scalar.value !== 'string' || scalar.value.length < 2) {
        return undefined;
      }
      const first = known.get(scalar.value);
      if (first !== undefined) return document.createAlias(first, `a${known.size}`);
      known.set(scalar.value, scalar);
      return undefined;
    },
  });
}

function withComments(document: Document): void {
  visit(document, {
    Scalar(_key, scalar) {
      scalar.comment = ' docker.io/atlanhq/in-a-comment:1';
    },
  });
}

const texts = fc
  .tuple(
    fc.array(pods, { minLength: 1, maxLength: 3 }),
    fc.constantFrom(...WRAPPERS),
    styles,
    fc.constantFrom('plain', 'aliases', 'comments', 'json', 'json with tabs', 'cr lf'),
  )
  .map(([all, wrap, style, trait]) => {
    const object = wrap(all);
    if (trait.startsWith('json')) {
      return JSON.stringify(object, undefined, trait === 'json' ? undefined : '\t');
    }
    const document = new Document(object, { aliasDuplicateObjects: trait === 'aliases' });
    if (trait === 'aliases') withAliases(document);
    if (trait === 'comments') withComments(document);
    const text = document.toString(style);
    return trait === 'cr lf' ? text.replaceAll('\n', '\r\n') : text;
  })
  .filter((text) => new Set(readDocumentsOrNone(text)).size === 1);

/** Not every text that the library writes can be read again; such a one is no sample. */
function readDocumentsOrNone(text: string): unknown[] {
  try {
    return readDocuments(text);
  } catch {
    return [];
  }
}

function checkAll(check: (text: string, policy: Policy) => void, numRuns = 250): void {
  fc.assert(fc.property(texts, policies, check), { numRuns });
}

/** All documents of a text without what stands in places that name an image. */
function withoutImagePlaces(text: string, policy: Policy): unknown[] {
  return readDocuments(text).map((document) => {
    // Without sharing, so that each place is one by itself.
    const copy = JSON.parse(JSON.stringify(document)) as unknown;
    for (const { path } of listManifestImages(copy, policy)) {
      Reflect.set(valueAtPath(copy, path.slice(0, -1)) as object, path.at(-1) ?? '', '<image>');
    }
    return copy;
  });
}

describe('a rewritten manifest', () => {
  it('has the images that the webhook gives the same pods', () => {
    checkAll((text, policy) => {
      const { text: after, findings } = rewritten(text, policy);
      if (findings.some(({ reason }) => reason === 'shared')) return;
      for (const { byWebhook, byRewrite } of compareWithWebhook(text, after, policy)) {
        if (byWebhook !== undefined) expect(byRewrite).toEqual(byWebhook);
      }
    });
  });

  it('names each image that the webhook would deny', () => {
    checkAll((text, policy) => {
      const { text: after, findings } = rewritten(text, policy);
      const denied = compareWithWebhook(text, after, policy).filter(
        ({ byWebhook }) => byWebhook === undefined,
      );
      const unmapped = findings.filter(({ outcome }) => outcome === 'unmapped');
      expect(denied.length > 0).toBe(policy.unmapped === 'deny' && unmapped.length > 0);
    });
  });

  it('is left as it is when it is rewritten again', () => {
    checkAll((text, policy) => {
      const once = rewritten(text, policy);
      const twice = rewritten(once.text, policy);
      expect(twice.text).toBe(once.text);
      expect(twice.edits).toEqual([]);
    });
  });

  it('reads as before, but for the images', () => {
    checkAll((text, policy) => {
      const { text: after, findings } = rewritten(text, policy);
      const images = new Set(findings.flatMap(({ image, target }) => [image, target ?? image]));
      expect(withoutImages(after, images)).toEqual(withoutImages(text, images));
    });
  });

  it('reads as before in every place that names no image, also behind aliases', () => {
    checkAll((text, policy) => {
      const { text: after } = rewritten(text, policy);
      expect(withoutImagePlaces(after, policy)).toEqual(withoutImagePlaces(text, policy));
    });
  });

  it('differs from the given text in texts that name an image, and nowhere else', () => {
    checkAll((text, policy) => {
      const { text: after, edits, findings } = rewritten(text, policy);
      const images = findings.map(({ image }) => image);
      const targets = findings.map(({ target }) => target);
      for (const { start, end, text: replacement } of edits) {
        const old = text.slice(start, end);
        const [value] = readDocumentsOrNone(old.startsWith('*') ? 'alias' : old);
        expect(['alias', ...images]).toContain(value);
        // An alias gets its own text where only its anchor is to change.
        expect(old.startsWith('*') ? [...targets, ...images] : targets).toContain(
          readDocuments(replacement)[0],
        );
      }
      const inOrder = edits.toSorted((one, other) => one.start - other.start);
      expect(inOrder.every(({ start }, at) => start >= (inOrder[at - 1]?.end ?? 0))).toBe(true);
      expect(applyEdits(text, edits)).toBe(after);
    });
  });

  it('comes with a finding for each image, at its line and column', () => {
    checkAll((text, policy) => {
      const { findings } = rewritten(text, policy);
      const expected = compareWithWebhook(text, text, policy).flatMap(({ byRewrite }) => byRewrite);
      expect(findings.map(({ image }) => image).sort()).toEqual([...expected].sort());
      for (const finding of findings) {
        const found = textAt(text, finding);
        expect(/^["'|>*]/.test(found) || found.startsWith(finding.image.split(/\s/)[0] ?? '')).toBe(
          true,
        );
      }
    });
  });
});

describe('a rewritten Compose file', () => {
  const services = fc.dictionary(
    fc.constantFrom('web', 'x-y', '1', 'null', '__proto__', 'a b'),
    fc.record(
      {
        image: fc.oneof(imageTexts, fc.constantFrom('${A:-atlanhq/a:1}', 'atlanhq/a:$TAG')),
        environment: fc.dictionary(fc.constantFrom('IMAGE', 'image'), references),
        volumes: fc.array(
          fc.record({ type: fc.constantFrom('image', 'bind'), source: imageTexts }),
          { maxLength: 2 },
        ),
      },
      { requiredKeys: ['image'] },
    ),
    { minKeys: 1, maxKeys: 3 },
  );
  const files = fc
    .tuple(services, services, styles, fc.boolean())
    .map(([inUse, shared, style, hasAliases]) => {
      const document = new Document({ 'x-shared': shared, services: inUse });
      if (hasAliases) withAliases(document);
      return document.toString(style);
    })
    .filter((text) => readDocumentsOrNone(text).length === 1);

  it('has each image decided, and all else as it was', () => {
    fc.assert(
      fc.property(files, policies, (text, policy) => {
        const { text: after, findings } = rewritten(text, policy);
        const images = new Set(findings.flatMap(({ image, target }) => [image, target ?? image]));
        expect(withoutImages(after, images)).toEqual(withoutImages(text, images));
        expect(rewritten(after, policy).edits).toEqual([]);
        const [file] = readDocuments(text) as [{ services: Record<string, { image: string }> }];
        const [done] = readDocuments(after) as [{ services: Record<string, { image: string }> }];
        for (const [name, { image }] of Object.entries(file.services)) {
          const decision = policy.decide(image);
          const isRewritten = decision.outcome === 'rewritten' && !image.includes('$');
          expect(done.services[name]?.image).toBe(isRewritten ? decision.target : image);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('rewriteManifest of anything', () => {
  const pieces = fc.constantFrom(
    ...['---', '...', '\n', '\n  ', '\r\n', '- ', '&a ', '*a', ': ', '? ', 'image', 'services'],
    ...['apiVersion: v1\nkind: Pod\nspec: {containers: [{image: ', 'docker.io/atlanhq/a:1', '}]}'],
    ...['<<: ', '{', '}', '[', ']', '"', "'", '|', '>-', '#', '%YAML 1.1', '!!str ', '!!binary '],
    ...['\t', '\uFEFF', '{{ .Values.image }}', ',', '\\', '1', 'null', '~'],
  );
  const policy = policyOf({ base: 'r.example/m' });

  it('gives a text or a fault with a place, whatever it is fed', () => {
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 25 }).map((all) => all.join('')),
        (text) => {
          try {
            const { text: after } = rewritten(text, policy);
            expect(rewritten(after, policy).edits).toEqual([]);
          } catch (error) {
            expect(error).toMatchObject({ name: 'RewriterError', code: 'MANIFEST_NOT_YAML' });
            expect((error as Error).message).toMatch(/^file:\d+:\d+: \S/);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
