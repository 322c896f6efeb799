import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { explain } from '../../src/core/explain.ts';
import { isRecord } from '../../src/core/json-value.ts';
import type { Decision } from '../../src/core/decision.ts';
import type { Policy } from '../../src/core/policy.ts';
import { imageTexts, policyOptions } from '../support/arbitraries.ts';
import { digestOf } from '../support/digests.ts';
import { mapDocument } from '../support/maps.ts';
import { valueAt } from '../support/pods.ts';
import { MIRROR, policyOf } from '../support/policies.ts';

const [A, B, C] = [digestOf('a'), digestOf('b'), digestOf('c')];
const APP = 'docker.io/atlanhq/app';

/** The steps as docs/decision.md lists them, with those that come twice for an image with a digest. */
const ORDER = documentedSteps();
const CHECKS = ['invalid', 'already-mirrored', 'out-of-scope', 'procurement-public'];
const settings = fc.record({
  options: policyOptions,
  procurement: fc.constantFrom(undefined, undefined, undefined, 'public' as const),
});
const policies = settings.map(({ options, procurement }) =>
  policyOf({ ...options, ...(procurement !== undefined && { procurement }) }),
);

function documentedSteps(): string[] {
  const page = readFileSync(new URL('../../docs/decision.md', import.meta.url), 'utf8');
  const table = page.slice(page.indexOf('| Step '));
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n');
  return rows.flatMap((row) => row.split('|')[1]?.match(/(?<=`)[a-z-]+(?=`)/g) ?? []);
}

/** `step: sentence` of every step, the last with a star. */
function stepTexts(policy: Policy, image: string): string[] {
  return explain(policy, image).steps.map(
    ({ step, applied, why }) => `${applied ? '* ' : ''}${step}: ${why}`,
  );
}

function lastSteps(policy: Policy, image: string, count: number): string[] {
  return stepTexts(policy, image).slice(-count);
}

function stepNames(policy: Policy, image: string): string[] {
  return explain(policy, image).steps.map(({ step }) => step);
}

describe('every explanation', () => {
  it('ends in exactly the decision of decide, and only its last step applied', () => {
    fc.assert(
      fc.property(policies, imageTexts, (policy, image) => {
        const { decision, steps } = explain(policy, image);
        expect(decision).toEqual(policy.decide(image));
        expect(steps.map(({ applied }) => applied).indexOf(true)).toBe(steps.length - 1);
        const last = steps.at(-1);
        switch (decision.outcome) {
          case 'rewritten':
            expect(last?.step).toBe(decision.rule);
            expect(decision.target.startsWith(last?.found?.target ?? '-')).toBe(true);
            break;
          case 'kept':
            expect(last?.step).toBe(decision.reason);
            break;
          case 'invalid':
            expect(last).toMatchObject({ step: 'invalid', why: decision.message });
            break;
          case 'unmapped':
            expect(last?.step).toBe('unmapped');
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('has its steps in the documented order', () => {
    fc.assert(
      fc.property(policies, imageTexts, (policy, image) => {
        let from = 0;
        for (const step of stepNames(policy, image)) {
          const at = ORDER.indexOf(step, from);
          expect({ step, isInOrder: at >= 0 }).toEqual({ step, isInOrder: true });
          from = at + 1;
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves out no step before the last that the image and the policy have', () => {
    fc.assert(
      fc.property(policies, imageTexts, (policy, image) => {
        const { decision, steps } = explain(policy, image);
        const names = steps.map(({ step }) => step);
        const all = decision.outcome === 'invalid' ? ['invalid'] : stepsFor(policy, decision);
        // An entry of the tag is looked at again only where it waited for those that know the digest.
        const waited = steps.some(({ why }) => why.includes('names no `sourceDigest`, so'));
        const expected = all.filter((step) => waited || step !== 'map-tag again');
        const untilLast = expected.map((step) => step.replace(' again', '')).slice(0, names.length);
        if (names.at(-1) === 'unmapped') {
          untilLast.splice(names.length - 1, 1, 'unmapped');
        }
        expect(names).toEqual(untilLast);
      }),
      { numRuns: 1000 },
    );
  });

  it('finds what stands at the path that it names', () => {
    fc.assert(
      fc.property(settings, imageTexts, ({ options }, image) => {
        const { map, prefixes = {}, base, sources } = options;
        const configuration = { prefixes: Object.entries(prefixes), base, sources };
        const policy = policyOf(options);
        for (const { found } of explain(policy, image).steps) {
          if (found?.in === 'map') {
            const entry = valueAt(map, pointerOf(found.path.replace(/\.\w+(\[\d+\])?$/, '')));
            expect(isRecord(entry) ? entry.target : undefined).toBe(found.target);
          } else if (found?.path.startsWith('$.prefixes') === true) {
            const index = Number(/\d+/.exec(found.path)?.[0]);
            expect(configuration.prefixes[index]).toEqual([found.source, found.target]);
          } else if (found?.path === '$.containerRegistryBase') {
            expect(found).toMatchObject({ source: null, target: base });
          }
        }
      }),
      { numRuns: 700 },
    );
  });

  it('names the rule whose target it is of every image that is mirrored already', () => {
    fc.assert(
      fc.property(policies, imageTexts, (policy, image) => {
        for (const { step, applied, found } of explain(policy, image).steps) {
          if (step === 'already-mirrored') {
            expect(found !== null).toBe(applied);
          }
        }
      }),
      { numRuns: 700 },
    );
  });
});

/** Every step that the parts of a reference and the policy allow for. */
function stepsFor(
  { map }: Policy,
  { reference }: Exclude<Decision, { outcome: 'invalid' }>,
): string[] {
  const { tag, digest } = reference;
  const byTag = (step: string): string[] => (tag === undefined ? [] : [step]);
  const byDigest = ['map-repository-digest', 'map-digest'];
  const exact =
    digest === undefined
      ? ['map-tag']
      : [
          ...byTag('map-tag-digest'),
          ...byDigest,
          ...byTag('map-tag'),
          ...byDigest,
          'map-tag again',
        ];
  const byMap = map === undefined ? [] : [...exact, 'map-repository', 'map-prefix'];
  return [...CHECKS, ...byMap, 'prefix', 'base', 'unmapped'];
}

/** `/images/3` for `$.images[3]`. */
function pointerOf(path: string): string {
  return path.slice(1).replaceAll(/[.[]/g, '/').replaceAll(']', '');
}

describe('explain', () => {
  const images = [
    { source: `${APP}:1`, sourceDigest: A, target: `r.example/app:1@${B}` },
    { source: `${APP}:2`, target: `r.example/app:2@${B}` },
    { source: `${APP}:3`, target: 'r.example/app:3' },
    { source: `ghcr.io/atlanhq/app@${C}`, target: 'r.example/unpinned:1' },
  ];
  const byMap = policyOf({ map: mapDocument({ images }) });

  it('tells everything that was looked at for an image that no rule covers', () => {
    expect(stepTexts(byMap, `atlanhq/app:1@${B}`)).toEqual([
      `invalid: it is a reference: ${APP}:1@${B}`,
      `already-mirrored: ${APP}:1@${B} is no target and lies under none`,
      `out-of-scope: docker.io/atlanhq of \`sources\` covers ${APP}`,
      'procurement-public: procurement: map',
      `map-tag-digest: no entry for ${APP}:1@${B}`,
      `map-repository-digest: no entry for ${APP}@${B}`,
      `map-digest: no entry for @${B}`,
      `map-tag: the entry has another \`sourceDigest\`: the tag was ${A} when it was mirrored`,
      `map-repository-digest: no entry implies ${APP}@${B} by the digest in its source or \`sourceDigest\``,
      `map-digest: no entry implies @${B} by the digest in its source or \`sourceDigest\``,
      `map-repository: no entry of \`repositories\` for ${APP}`,
      `map-prefix: no prefix of the map covers ${APP} (there are none)`,
      `prefix: no prefix of the configuration covers ${APP} (there are none)`,
      'base: `containerRegistryBase` is not set',
      '* unmapped: the pod pins another digest than the `sourceDigest` that the map has for the tag; unmapped: warn',
    ]);
  });

  it('names key, place, source and target of the entry that decides', () => {
    expect(explain(byMap, 'atlanhq/app:1').steps.at(-1)).toEqual({
      step: 'map-tag',
      applied: true,
      key: `${APP}:1`,
      found: {
        in: 'map',
        path: '$.images[0].source',
        source: `${APP}:1`,
        target: `r.example/app:1@${B}`,
      },
      why: `an entry for ${APP}:1`,
    });
  });

  it('names the alias that an entry was found by', () => {
    const map = mapDocument({
      images: [{ source: `${APP}:1`, aliases: ['ghcr.io/atlanhq/app:1'], target: 'r.example/a:1' }],
    });
    expect(explain(policyOf({ map }), 'ghcr.io/atlanhq/app:1').steps.at(-1)?.found).toMatchObject({
      path: '$.images[0].aliases[0]',
    });
  });

  it('has an entry for the tag that names no digest wait for those that know it', () => {
    expect(stepNames(byMap, `atlanhq/app:2@${B}`).slice(7)).toEqual([
      'map-tag',
      'map-repository-digest',
      'map-digest',
      'map-tag',
    ]);
    const texts = stepTexts(byMap, `atlanhq/app:2@${B}`);
    expect(texts[7]).toBe(
      'map-tag: the entry names no `sourceDigest`, so entries that know the digest come first',
    );
    expect(texts.at(-1)).toBe(
      `* map-tag: an entry for ${APP}:2 that names no \`sourceDigest\`, and its target has a digest`,
    );
  });

  it.each([
    ['a tag', `atlanhq/app:3@${B}`, 'map-tag'],
    ['a digest', `ghcr.io/atlanhq/app:1@${C}`, 'map-repository-digest'],
  ])('says that the target of %s has no digest', (_title, image, step) => {
    const texts = stepTexts(byMap, image);
    expect(texts).toContain(
      `${step}: the image has a digest, and the target of the entry has none`,
    );
    expect(texts.at(-1)).toMatch(/^\* unmapped: the pod pins a digest/);
  });

  it('says by what a digest was found that stands in no source', () => {
    expect(lastSteps(byMap, `ghcr.io/atlanhq/x@${A}`, 1)).toEqual([
      `* map-digest: this entry implies @${A} by the digest in its source or \`sourceDigest\``,
    ]);
    expect(lastSteps(byMap, `${APP}:1@${A}`, 1)).toEqual([
      `* map-tag: an entry for ${APP}:1 whose \`sourceDigest\` is the digest of the image`,
    ]);
  });

  it('says which rules are left out for want of a digest or a tag', () => {
    const note = (image: string): string => stepTexts(byMap, image)[3] ?? '';
    expect(note('atlanhq/app')).toMatch(/no digest, so the rules for digests are left out$/);
    expect(note(`atlanhq/app@${A}`)).toMatch(/no tag, so the rules for tags are left out$/);
    expect(note(`atlanhq/app:1@${A}`)).toBe('procurement-public: procurement: map');
  });

  it('looks into no map where there is none', () => {
    expect(stepNames(policyOf({ base: MIRROR }), `atlanhq/app:1@${A}`)).toEqual([
      ...CHECKS,
      'prefix',
      'base',
    ]);
    expect(stepNames(policyOf({ procurement: 'public' }), 'atlanhq/app:1')).toEqual(CHECKS);
  });

  it('names the nearest prefixes where none covers the image', () => {
    const prefixes = {
      'docker.io/atlan': 'r.example/a',
      'docker.io/atlanhq/app/x': 'r.example/b',
      'ghcr.io/atlanhq': 'r.example/c',
      'registry.atlan.com': 'r.example/d',
    };
    const policy = policyOf({ prefixes });
    expect(stepTexts(policy, 'atlanhq/app:1')).toContain(
      `prefix: no prefix of the configuration covers ${APP} (the nearest of 4: docker.io/atlanhq/app/x, docker.io/atlan, ghcr.io/atlanhq)`,
    );
    expect(lastSteps(policy, 'nginx', 1)).toEqual([
      '* out-of-scope: no entry of `sources` covers docker.io/library/nginx (there is: docker.io/atlanhq, ghcr.io/atlanhq, registry.atlan.com)',
    ]);
  });

  it('says that a name of one part behind Docker Hub is read as one of its library', () => {
    const policy = policyOf({ prefixes: { 'registry.atlan.com/public': 'docker.io' } });
    expect(lastSteps(policy, 'registry.atlan.com/public/app:3', 2)).toEqual([
      'prefix: what is left of the name behind docker.io is read as an image of Docker Hub’s own library',
      '* unmapped: in scope, but no rule covers it; unmapped: warn',
    ]);
  });

  it('says why a prefix that covers the image cannot move it, and stops there', () => {
    const policy = policyOf({ prefixes: { 'ghcr.io/atlanhq': 'r.example' }, base: MIRROR });
    expect(lastSteps(policy, 'ghcr.io/atlanhq:1', 2)).toEqual([
      'prefix: it covers the whole name, and r.example alone is not read as the name of an image there',
      '* unmapped: in scope, but no rule covers it; unmapped: warn',
    ]);
    const long = policyOf({ prefixes: { 'docker.io/atlanhq': 'r.example/a-longer-namespace' } });
    const image = `atlanhq/${'a'.repeat(247)}:1`;
    expect(lastSteps(long, image, 2)).toEqual([
      'prefix: the repository path would have over 255 characters',
      '* unmapped: the repository path would have over 255 characters; unmapped: warn',
    ]);
  });

  it.each([
    ['an image', 'r.example/app:3', '$.images[2].source'],
    ['a repository', 'r.example/repo:7', '$.repositories[0].source'],
    ['a prefix', 'r.example/all/x/y', '$.prefixes[0].source'],
    ['a prefix of the configuration', 's.example/a/b', '$.prefixes[0].source'],
    ['the base', `${MIRROR}/x`, '$.containerRegistryBase'],
  ])('names %s whose target is mirrored already', (_title, image, path) => {
    const policy = policyOf({
      map: mapDocument({
        images,
        repositories: [{ source: 'atlanhq/repo', target: 'r.example/repo' }],
        prefixes: [{ source: 'registry.atlan.com', target: 'r.example/all' }],
      }),
      prefixes: { 'ghcr.io/atlanhq': 's.example/a' },
      base: MIRROR,
    });
    expect(explain(policy, image).steps.at(-1)).toMatchObject({
      step: 'already-mirrored',
      applied: true,
      found: { path, in: image.startsWith('r.example') ? 'map' : 'configuration' },
    });
  });

  it('of each name rule says what is carried over', () => {
    const policy = policyOf({
      map: { 'atlanhq/app': 'r.example/app', 'ghcr.io/': 'r.example/hub' },
      prefixes: { 'docker.io': 's.example/a' },
      base: MIRROR,
    });
    expect(lastSteps(policy, 'atlanhq/app:1', 1)).toEqual([
      `* map-repository: an entry for ${APP}; tag and digest are carried over`,
    ]);
    expect(lastSteps(policy, 'ghcr.io/atlanhq/a:1', 1)).toEqual([
      '* map-prefix: the longest prefix of the map that covers ghcr.io/atlanhq/a; the rest is carried over',
    ]);
    expect(lastSteps(policy, 'atlanhq/b:1', 1)).toEqual([
      '* prefix: the longest prefix of the configuration that covers docker.io/atlanhq/b; the rest is carried over',
    ]);
    expect(lastSteps(policy, 'registry.atlan.com/b:1', 1)).toEqual([
      '* base: it takes the place of the registry registry.atlan.com; the rest is carried over',
    ]);
  });
});
