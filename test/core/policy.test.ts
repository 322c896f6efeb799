import { describe, expect, it } from '@jest/globals';
import { PROCUREMENTS } from '../../src/core/decider.ts';
import { REASONS, RULES } from '../../src/core/decision.ts';
import { digestOf } from '../support/digests.ts';
import { mapDocument } from '../support/maps.ts';
import { decisionText, MIRROR, policyOf } from '../support/policies.ts';

const [A, B, C, D] = [digestOf('a'), digestOf('b'), digestOf('c'), digestOf('d')];
const APP = 'docker.io/atlanhq/app';

function imagesMap(...images: readonly Record<string, unknown>[]): Record<string, unknown> {
  return mapDocument({ images });
}

describe('the rules of a policy', () => {
  /** Every layer matches `app:1@A`; the first that is left must win. */
  const layers = [
    { rule: 'map-tag-digest', image: { source: `${APP}:1@${A}`, target: `r.example/one@${B}` } },
    {
      rule: 'map-repository-digest',
      image: { source: `${APP}@${A}`, target: `r.example/two@${B}` },
    },
    { rule: 'map-digest', image: { source: `@${A}`, target: `r.example/three@${B}` } },
    {
      rule: 'map-tag',
      image: { source: `${APP}:1`, sourceDigest: A, target: `r.example/four@${B}` },
    },
    { rule: 'map-repository', repository: { source: APP, target: 'r.example/five' } },
    { rule: 'map-prefix', prefix: { source: 'docker.io/atlanhq', target: 'r.example/six' } },
    { rule: 'map-prefix', prefix: { source: 'docker.io', target: 'r.example/seven' } },
    { rule: 'prefix', ownPrefix: ['docker.io/atlanhq', 's.example/eight'] },
    { rule: 'prefix', ownPrefix: ['docker.io', 's.example/nine'] },
    { rule: 'base', base: 's.example/ten' },
  ] as const;
  const targets = [
    `r.example/one@${B}`,
    `r.example/two@${B}`,
    `r.example/three@${B}`,
    `r.example/four@${B}`,
    `r.example/five:1@${A}`,
    `r.example/six/app:1@${A}`,
    `r.example/seven/atlanhq/app:1@${A}`,
    `s.example/eight/app:1@${A}`,
    `s.example/nine/atlanhq/app:1@${A}`,
    `s.example/ten/atlanhq/app:1@${A}`,
  ];

  function policyFrom(first: number, isReversed: boolean) {
    const left = layers.slice(first);
    const ordered = isReversed ? left.toReversed() : left;
    const base = ordered.flatMap((layer) => ('base' in layer ? [layer.base] : []))[0];
    return policyOf({
      map: mapDocument({
        images: ordered.flatMap((layer) => ('image' in layer ? [layer.image] : [])),
        repositories: ordered.flatMap((layer) => ('repository' in layer ? [layer.repository] : [])),
        prefixes: ordered.flatMap((layer) => ('prefix' in layer ? [layer.prefix] : [])),
      }),
      prefixes: Object.fromEntries(
        ordered.flatMap((layer) => ('ownPrefix' in layer ? [layer.ownPrefix] : [])),
      ),
      ...(base !== undefined && { base }),
    });
  }

  const cases = layers.map(({ rule }, index) => ({ rule, index, target: targets[index] ?? '' }));

  it.each(cases)('give $target where those before it are missing', ({ rule, index, target }) => {
    const expected = `rewritten ${target} (${rule})`;
    expect(decisionText(policyFrom(index, false), `${APP}:1@${A}`)).toBe(expected);
    expect(decisionText(policyFrom(index, true), `${APP}:1@${A}`)).toBe(expected);
  });

  it('leave an image unmapped where the last of them is missing', () => {
    expect(decisionText(policyOf({ map: {} }), `${APP}:1@${A}`)).toBe('unmapped (no-rule)');
    expect(decisionText(policyOf(), `${APP}:1@${A}`)).toBe('unmapped (no-rule)');
  });

  it('have the repository before any prefix, in the map and out of it', () => {
    const map = { 'atlanhq/app': 'r.example/app', 'atlanhq/': 'r.example/atlan' };
    const policy = policyOf({ map, prefixes: { 'docker.io/atlanhq/app': 's.example/app' } });
    expect(decisionText(policy, `${APP}:1`)).toBe('rewritten r.example/app:1 (map-repository)');
    expect(decisionText(policy, 'atlanhq/app2:1')).toBe(
      'rewritten r.example/atlan/app2:1 (map-prefix)',
    );
  });

  it('have the shorter prefix of the map before a longer one of the configuration', () => {
    const policy = policyOf({
      map: { 'docker.io/': 'r.example/hub' },
      prefixes: { 'docker.io/atlanhq': 's.example/atlan' },
    });
    expect(decisionText(policy, `${APP}:1`)).toBe(
      'rewritten r.example/hub/atlanhq/app:1 (map-prefix)',
    );
  });

  it('have an image without a digest decided by its tag', () => {
    const policy = policyOf({
      map: imagesMap(...layers.flatMap((l) => ('image' in l ? l.image : []))),
    });
    expect(decisionText(policy, `${APP}:1`)).toBe(`rewritten r.example/four@${B} (map-tag)`);
    expect(decisionText(policy, `${APP}:2`)).toBe('unmapped (no-rule)');
  });

  it.each(Object.entries({ ...RULES, ...REASONS }))('explain %s', (_name, meaning) => {
    expect(meaning.length).toBeGreaterThan(20);
  });
});

describe('an entry for a tag', () => {
  it('applies to the tag and to no other', () => {
    const policy = policyOf({ map: { 'atlanhq/app:1': 'r.example/app:1-r1' } });
    expect(decisionText(policy, 'atlanhq/app:1')).toBe('rewritten r.example/app:1-r1 (map-tag)');
    expect(decisionText(policy, 'atlanhq/app:1.0')).toBe('unmapped (no-rule)');
    expect(decisionText(policy, 'atlanhq/app')).toBe('unmapped (no-rule)');
    expect(decisionText(policy, 'atlanhq/app2:1')).toBe('unmapped (no-rule)');
    expect(decisionText(policy, 'ghcr.io/atlanhq/app:1')).toBe('unmapped (no-rule)');
  });

  it.each(['atlanhq/app:1', 'docker.io/atlanhq/app:1', 'index.docker.io/atlanhq/app:1'])(
    'applies to %s, however the map and the pod write it',
    (image) => {
      for (const source of ['atlanhq/app:1', 'registry-1.docker.io/atlanhq/app:1']) {
        const policy = policyOf({ map: { [source]: 'r.example/app:1' } });
        expect(decisionText(policy, image)).toBe('rewritten r.example/app:1 (map-tag)');
      }
    },
  );

  it('stands for :latest where neither tag nor digest is written', () => {
    const policy = policyOf({ map: { 'atlanhq/app:latest': 'r.example/app:stable' } });
    expect(decisionText(policy, 'atlanhq/app')).toBe('rewritten r.example/app:stable (map-tag)');
    expect(decisionText(policy, 'atlanhq/app:latest')).toBe(
      'rewritten r.example/app:stable (map-tag)',
    );
    expect(decisionText(policy, `atlanhq/app@${A}`)).toBe('unmapped (no-rule)');
  });

  it('applies to a pinned image whose digest is its source digest', () => {
    const policy = policyOf({
      map: imagesMap({ source: `${APP}:1`, sourceDigest: A, target: `r.example/app:1@${B}` }),
    });
    expect(decisionText(policy, `${APP}:1@${A}`)).toMatch(`rewritten r.example/app:1@${B} `);
  });

  it('does not apply to a pinned image with another digest', () => {
    const image = { source: `${APP}:1`, sourceDigest: A, target: `r.example/app:1@${B}` };
    expect(decisionText(policyOf({ map: imagesMap(image) }), `${APP}:1@${C}`)).toBe(
      'unmapped (tag-moved)',
    );
    const policy = policyOf({ map: imagesMap(image), base: MIRROR });
    expect(decisionText(policy, `${APP}:1@${C}`)).toBe(
      `rewritten ${MIRROR}/atlanhq/app:1@${C} (base)`,
    );
  });

  it('says that the tag has moved even where another entry knows the digest and is not pinned', () => {
    const map = imagesMap(
      { source: `${APP}:1`, sourceDigest: A, target: `r.example/app:1@${B}` },
      { source: `${APP}:2`, sourceDigest: C, target: 'r.example/app:2' },
    );
    expect(decisionText(policyOf({ map }), `${APP}:1@${C}`)).toBe('unmapped (tag-moved)');
  });

  it('applies to a pinned image where it has no source digest and its target is pinned', () => {
    const policy = policyOf({ map: { [`${APP}:1`]: `r.example/app:1@${B}` } });
    expect(decisionText(policy, `${APP}:1@${C}`)).toBe(`rewritten r.example/app:1@${B} (map-tag)`);
  });

  it('does not apply to a pinned image where its target is not pinned', () => {
    const map = { [`${APP}:1`]: 'r.example/app:1-r1' };
    expect(decisionText(policyOf({ map }), `${APP}:1@${A}`)).toBe('unmapped (target-unpinned)');
    expect(decisionText(policyOf({ map, base: MIRROR }), `${APP}:1@${A}`)).toBe(
      `rewritten ${MIRROR}/atlanhq/app:1@${A} (base)`,
    );
  });

  it('does not apply to its own source digest while its target is not pinned', () => {
    const map = imagesMap({ source: `${APP}:1`, sourceDigest: A, target: 'r.example/app:1' });
    expect(decisionText(policyOf({ map }), `${APP}:1@${A}`)).toBe('unmapped (target-unpinned)');
  });

  it('gives way to another that knows the same digest and is pinned, whichever comes first by name', () => {
    const unpinned = { source: `${APP}:1`, sourceDigest: A, target: 'r.example/app:1' };
    const pinned = { source: `${APP}:1.0.3`, sourceDigest: A, target: `r.example/app:1.0.3@${B}` };
    for (const map of [imagesMap(unpinned, pinned), imagesMap(pinned, unpinned)]) {
      for (const image of [`${APP}@${A}`, `${APP}:1@${A}`, `ghcr.io/atlanhq/app@${A}`]) {
        expect(decisionText(policyOf({ map }), image)).toMatch(
          /^rewritten r\.example\/app:1\.0\.3@/,
        );
      }
    }
  });

  it('never writes the digest of the source behind a rebuilt repository', () => {
    const map = imagesMap({
      source: `${APP}:1`,
      sourceDigest: A,
      target: `r.example/rebuilt@${B}`,
    });
    const policy = policyOf({ map });
    for (const image of [`${APP}:1@${A}`, `${APP}@${A}`, `ghcr.io/atlanhq/app@${A}`, `${APP}:1`]) {
      expect(policy.decide(image)).toMatchObject({
        outcome: 'rewritten',
        target: `r.example/rebuilt@${B}`,
      });
    }
  });
});

describe('an entry for a digest', () => {
  it('applies to the repository with that digest, whatever the tag', () => {
    const policy = policyOf({ map: { [`${APP}@${A}`]: `r.example/app@${B}` } });
    for (const image of [`${APP}@${A}`, `${APP}:1@${A}`, `${APP}:2@${A}`]) {
      expect(decisionText(policy, image)).toBe(
        `rewritten r.example/app@${B} (map-repository-digest)`,
      );
    }
    expect(decisionText(policy, `${APP}@${C}`)).toBe('unmapped (no-rule)');
    expect(decisionText(policy, `${APP}:1`)).toBe('unmapped (no-rule)');
  });

  it('applies as @digest alone to every repository in scope', () => {
    const policy = policyOf({ map: { [`@${A}`]: `r.example/app@${A}` } });
    for (const image of [
      `${APP}@${A}`,
      `ghcr.io/atlanhq/app:1@${A}`,
      `registry.atlan.com/a/b@${A}`,
    ]) {
      expect(decisionText(policy, image)).toBe(`rewritten r.example/app@${A} (map-digest)`);
    }
    expect(decisionText(policy, `docker.io/library/app@${A}`)).toBe('kept (out-of-scope)');
  });

  it('finds the twin of an entry on another registry', () => {
    const map = imagesMap({ source: `${APP}:1`, sourceDigest: A, target: `r.example/app:1@${B}` });
    const policy = policyOf({ map });
    expect(decisionText(policy, `ghcr.io/atlanhq/app:1@${A}`)).toBe(
      `rewritten r.example/app:1@${B} (map-digest)`,
    );
    expect(decisionText(policy, 'ghcr.io/atlanhq/app:1')).toBe('unmapped (no-rule)');
  });

  it('does not apply while its target is not pinned', () => {
    for (const source of [`${APP}:1@${A}`, `${APP}@${A}`, `@${A}`]) {
      const policy = policyOf({ map: { [source]: 'r.example/app:1' } });
      expect(decisionText(policy, `${APP}:1@${A}`)).toBe('unmapped (target-unpinned)');
    }
  });

  it('lets the next rule decide while its target is not pinned', () => {
    const map = { [`${APP}:1@${A}`]: 'r.example/one:1', [`@${A}`]: `r.example/two@${B}` };
    expect(decisionText(policyOf({ map }), `${APP}:1@${A}`)).toBe(
      `rewritten r.example/two@${B} (map-digest)`,
    );
  });

  it('wins as @digest over what another entry only implies', () => {
    const implying = { [`${APP}:1@${A}`]: `r.example/one@${B}` };
    const written = { [`@${A}`]: `r.example/two@${C}` };
    const policy = policyOf({ map: { ...implying, ...written } });
    expect(decisionText(policy, `ghcr.io/atlanhq/app@${A}`)).toBe(
      `rewritten r.example/two@${C} (map-digest)`,
    );
    expect(decisionText(policy, `${APP}:2@${A}`)).toBe(`rewritten r.example/two@${C} (map-digest)`);
  });

  it('of another repository loses to the entry that names repository, tag and digest', () => {
    const map = imagesMap(
      { source: `${APP}:1`, sourceDigest: A, target: `r.example/app@${B}` },
      { source: `ghcr.io/atlanhq/other:1@${A}`, target: `r.example/other@${C}` },
    );
    expect(decisionText(policyOf({ map }), `${APP}:1@${A}`)).toMatch(
      `rewritten r.example/app@${B} `,
    );
  });
});

describe('an entry for a repository', () => {
  const policy = policyOf({ map: { 'atlanhq/app': 'r.example/team/app' } });

  it.each([
    ['', ''],
    [':1', ':1'],
    [`@${A}`, `@${A}`],
    [`:1@${A}`, `:1@${A}`],
  ])('carries over the suffix %p', (written, carried) => {
    expect(decisionText(policy, `${APP}${written}`)).toBe(
      `rewritten r.example/team/app${carried} (map-repository)`,
    );
  });

  it('covers neither what lies below nor what begins the same', () => {
    expect(decisionText(policy, `${APP}/worker:1`)).toBe('unmapped (no-rule)');
    expect(decisionText(policy, `${APP}2:1`)).toBe('unmapped (no-rule)');
  });
});

describe('containerRegistryBase', () => {
  const policy = policyOf({ base: MIRROR });

  it.each([
    ['atlanhq/app:1', `${MIRROR}/atlanhq/app:1`],
    ['docker.io/atlanhq/app:1', `${MIRROR}/atlanhq/app:1`],
    ['index.docker.io/atlanhq/app:1', `${MIRROR}/atlanhq/app:1`],
    ['ghcr.io/atlanhq/agent', `${MIRROR}/atlanhq/agent`],
    [`atlanhq/app@${A}`, `${MIRROR}/atlanhq/app@${A}`],
    [`atlanhq/app:1@${A}`, `${MIRROR}/atlanhq/app:1@${A}`],
    ['registry.atlan.com/public/app-runtime-base:3', `${MIRROR}/public/app-runtime-base:3`],
    ['atlanhq/deep/er/app:1', `${MIRROR}/atlanhq/deep/er/app:1`],
  ])('swaps the registry of %s and keeps the rest', (image, target) => {
    expect(decisionText(policy, image)).toBe(`rewritten ${target} (base)`);
  });

  it('may be a host alone, one with a port, or an IPv6 address', () => {
    for (const base of ['mirror.example', 'localhost:5000', '[2001:db8::7]:5000']) {
      expect(decisionText(policyOf({ base }), 'atlanhq/app:1')).toBe(
        `rewritten ${base}/atlanhq/app:1 (base)`,
      );
    }
  });

  it('loses to a prefix rule, even to one for the registry alone', () => {
    const prefixes = { 'docker.io': 'r.example/hub', 'ghcr.io/atlanhq': 'r.example/atlan' };
    const both = policyOf({ base: MIRROR, prefixes });
    expect(decisionText(both, 'atlanhq/app:1')).toBe(
      'rewritten r.example/hub/atlanhq/app:1 (prefix)',
    );
    expect(decisionText(both, 'ghcr.io/atlanhq/app:1')).toBe(
      'rewritten r.example/atlan/app:1 (prefix)',
    );
    expect(decisionText(both, 'registry.atlan.com/a:1')).toBe(`rewritten ${MIRROR}/a:1 (base)`);
  });
});

describe('a prefix rule', () => {
  it('ends on a path boundary', () => {
    const policy = policyOf({
      sources: ['docker.io'],
      prefixes: { 'docker.io/atlanhq': 'r.example/atlan' },
    });
    expect(decisionText(policy, 'atlanhq/app:1')).toBe('rewritten r.example/atlan/app:1 (prefix)');
    expect(decisionText(policy, 'atlanhq2/app:1')).toBe('unmapped (no-rule)');
    expect(decisionText(policy, 'atlanhq-fork/app:1')).toBe('unmapped (no-rule)');
    expect(decisionText(policy, 'docker.io/atlan/app:1')).toBe('unmapped (no-rule)');
  });

  it('has the longest source win, in whatever order they stand', () => {
    const rules = [
      ['docker.io', 'r.example/a'],
      ['docker.io/atlanhq', 'r.example/b'],
      ['docker.io/atlanhq/apps', 'r.example/c'],
    ] as const;
    for (const order of [rules, rules.toReversed()]) {
      const inConfig = policyOf({ prefixes: Object.fromEntries(order) });
      expect(decisionText(inConfig, 'atlanhq/apps/x:1')).toBe('rewritten r.example/c/x:1 (prefix)');
      expect(decisionText(inConfig, 'atlanhq/x:1')).toBe('rewritten r.example/b/x:1 (prefix)');
      const prefixes = order.map(([source, target]) => ({ source, target }));
      const inMap = policyOf({ map: mapDocument({ prefixes }) });
      expect(decisionText(inMap, 'atlanhq/apps/x:1')).toBe(
        'rewritten r.example/c/x:1 (map-prefix)',
      );
      expect(decisionText(inMap, 'atlanhq/x:1')).toBe('rewritten r.example/b/x:1 (map-prefix)');
    }
  });

  it('may take a whole repository', () => {
    const policy = policyOf({ prefixes: { [APP]: 'r.example/app' } });
    expect(decisionText(policy, `${APP}:1@${A}`)).toBe(`rewritten r.example/app:1@${A} (prefix)`);
  });

  it('keeps below its target what is named exactly like its source', () => {
    for (const policy of [
      policyOf({ prefixes: { 'ghcr.io/atlanhq': 'r.example' } }),
      policyOf({ map: { 'ghcr.io/atlanhq/': 'r.example' } }),
    ]) {
      const decision = policy.decide('ghcr.io/atlanhq:1');
      // `r.example:1` would be read as an image of Docker Hub.
      expect(decision).not.toMatchObject({ target: 'r.example:1' });
    }
  });

  it('keeps what it would move to one component of Docker Hub, which is read as library/…', () => {
    for (const policy of [
      policyOf({ prefixes: { 'ghcr.io/atlanhq/a': 'docker.io/corp' } }),
      policyOf({ map: { 'ghcr.io/atlanhq/a/': 'index.docker.io/corp' } }),
    ]) {
      expect(decisionText(policy, 'ghcr.io/atlanhq/a:1')).toBe('unmapped (no-rule)');
      expect(decisionText(policy, 'ghcr.io/atlanhq/a/b:1')).toMatch(/docker\.io\/corp\/b:1 /);
    }
  });

  it('makes no image of Docker Hub’s own library of one that moves to Docker Hub by its registry', () => {
    const prefixes = { 'registry.atlan.com/public': 'docker.io' };
    for (const policy of [policyOf({ prefixes }), policyOf({ map: mapOfPrefixes(prefixes) })]) {
      expect(decisionText(policy, 'registry.atlan.com/public/app:3')).toBe('unmapped (no-rule)');
      expect(decisionText(policy, 'registry.atlan.com/public/a/app:3')).toMatch(
        /^rewritten docker\.io\/a\/app:3 /,
      );
    }
  });

  it('moves a whole repository to a short name of Docker Hub, too', () => {
    const policy = policyOf({ map: { 'docker.io/atlanhq/a': 'mirrored' } });
    expect(decisionText(policy, 'atlanhq/a:1')).toBe('rewritten mirrored:1 (map-repository)');
  });

  it('leaves alone what would be too long behind its target', () => {
    const policy = policyOf({ prefixes: { 'docker.io/atlanhq': 'r.example/a-longer-namespace' } });
    const longest = `atlanhq/${'a'.repeat(255 - 'atlanhq/'.length)}:1`;
    expect(decisionText(policy, longest)).toBe('unmapped (target-too-long)');
    const shorter = `atlanhq/${'a'.repeat(255 - 'a-longer-namespace/'.length)}`;
    expect(decisionText(policy, `${shorter}:1@${A}`)).toMatch(/^rewritten /);
  });
});

describe('the scope', () => {
  const map = {
    'docker.io/library/nginx:1': 'r.example/nginx:1',
    'docker.io/library/redis': 'r.example/redis',
    'docker.io/atlanhq2/': 'r.example/two',
    [`@${A}`]: `r.example/app@${A}`,
  };

  it.each([
    'nginx:1',
    'redis:7',
    'docker.io/atlanhq2/app:1',
    'docker.io/atlanhq-fork/app:1',
    'docker.io/atlanhq.example/app:1',
    'quay.io/atlanhq/app:1',
    'docker.io.evil.example/atlanhq/app:1',
    'registry.atlan.com:5000/public/base:3',
    'registry.atlan.com.evil.example/public/base:3',
    'localhost:5000/atlanhq/app:1',
    'localhost/atlanhq/app:1',
    'Docker.io/atlanhq/app:1',
    `quay.io/atlanhq/app@${A}`,
    'r2.example/app:1',
  ])('leaves %s alone, even if the map names it', (image) => {
    expect(decisionText(policyOf({ map, base: MIRROR }), image)).toBe('kept (out-of-scope)');
  });

  it.each([
    'atlanhq/app:1',
    'docker.io/atlanhq/app',
    'registry.hub.docker.com/atlanhq/app:1',
    'ghcr.io/atlanhq/a/b:1',
    'registry.atlan.com/public/base:3',
  ])('has %s', (image) => {
    expect(policyOf({ map, base: MIRROR }).decide(image).outcome).toBe('rewritten');
  });

  it('may name a registry with a port, which is no Docker Hub namespace', () => {
    const policy = policyOf({ sources: ['localhost:5000'], base: MIRROR });
    expect(decisionText(policy, 'localhost:5000/app:1')).toBe(`rewritten ${MIRROR}/app:1 (base)`);
    expect(decisionText(policy, 'localhost/app:1')).toBe('kept (out-of-scope)');
  });
});

describe('what is mirrored already', () => {
  it('is left alone as the target of an image', () => {
    const policy = policyOf({
      map: { 'atlanhq/app:1': 'ghcr.io/atlanhq/app-mirror:1', 'atlanhq/b:1': `atlanhq/c@${B}` },
      base: MIRROR,
    });
    for (const image of ['ghcr.io/atlanhq/app-mirror:1', `docker.io/atlanhq/c@${B}`]) {
      expect(decisionText(policy, image)).toBe('kept (already-mirrored)');
    }
    expect(decisionText(policy, 'ghcr.io/atlanhq/app-mirror:2')).toMatch(/\(base\)$/);
    expect(decisionText(policy, `atlanhq/c:1@${B}`)).toMatch(/\(base\)$/);
  });

  it('is left alone as the target of an image without a tag, with and without :latest', () => {
    const policy = policyOf({ map: { 'atlanhq/app:1': 'atlanhq/mirror' } });
    expect(decisionText(policy, 'atlanhq/mirror')).toBe('kept (already-mirrored)');
    expect(decisionText(policy, 'docker.io/atlanhq/mirror:latest')).toBe('kept (already-mirrored)');
  });

  it('is left alone below the target of a repository or prefix', () => {
    const policy = policyOf({
      sources: ['docker.io', 'ghcr.io'],
      map: { 'atlanhq/app': 'ghcr.io/mirror/app', 'atlanhq/': 'docker.io/mirror' },
      prefixes: { 'ghcr.io/atlanhq': 'ghcr.io/corp' },
      base: 'ghcr.io/rest',
    });
    for (const image of [
      'ghcr.io/mirror/app:1',
      'ghcr.io/corp/x:1',
      'ghcr.io/rest/x/y:1',
      'mirror/x',
    ]) {
      expect(decisionText(policy, image)).toBe('kept (already-mirrored)');
    }
    for (const image of ['ghcr.io/mirror/app2:1', 'ghcr.io/corp2/x:1', 'ghcr.io/restful/x:1']) {
      expect(decisionText(policy, image)).toMatch(/\(base\)$/);
    }
  });

  it('is left alone where a prefix moves names below itself', () => {
    const policy = policyOf({ map: { 'docker.io/atlanhq/': 'docker.io/atlanhq/mirror/' } });
    expect(decisionText(policy, 'atlanhq/app:1')).toBe(
      'rewritten docker.io/atlanhq/mirror/app:1 (map-prefix)',
    );
    expect(decisionText(policy, 'atlanhq/mirror/app:1')).toBe('kept (already-mirrored)');
  });

  it('is not what merely begins with the same text', () => {
    const policy = policyOf({ sources: ['reg.example'], base: 'reg.example.mirror.example' });
    expect(decisionText(policy, 'reg.example/app:1')).toBe(
      'rewritten reg.example.mirror.example/app:1 (base)',
    );
    const reverse = policyOf({ sources: ['reg.example.eu'], base: 'reg.example' });
    expect(decisionText(reverse, 'reg.example.eu/app:1')).toBe(
      'rewritten reg.example/app:1 (base)',
    );
  });

  it('is what a second decision says of the target of the first', () => {
    const policy = policyOf({
      sources: ['docker.io', 'ghcr.io', 'registry.atlan.com'],
      map: {
        'atlanhq/a:1': 'ghcr.io/atlanhq/a:1',
        'atlanhq/b': 'mirror/b',
        'ghcr.io/x/': 'ghcr.io/y/',
        [`@${D}`]: `registry.atlan.com/d@${D}`,
      },
      base: 'docker.io/base',
    });
    for (const image of ['atlanhq/a:1', 'atlanhq/b:7', 'ghcr.io/x/z', `a/d@${D}`, 'other/app:2']) {
      const decision = policy.decide(image);
      expect(decision).toMatchObject({ outcome: 'rewritten' });
      const target = 'target' in decision ? decision.target : '';
      expect(decisionText(policy, target)).toBe('kept (already-mirrored)');
    }
  });
});

describe('the order of a map', () => {
  it('does not matter for the text that is written into the pod', () => {
    const pairs = [
      [
        { source: 'atlanhq/a:1', target: 'r.example/a' },
        { source: 'docker.io/atlanhq/a:1', target: 'r.example/a:latest' },
      ],
      [
        { source: 'atlanhq/a:1', target: 'mirror/a:1' },
        { source: 'docker.io/atlanhq/a:1', target: 'docker.io/mirror/a:1' },
      ],
    ];
    for (const images of pairs) {
      const forward = policyOf({ map: mapDocument({ images }) });
      const backward = policyOf({ map: mapDocument({ images: images.toReversed() }) });
      expect(decisionText(backward, 'atlanhq/a:1')).toBe(decisionText(forward, 'atlanhq/a:1'));
    }
  });

  it('does not matter where a digest has several targets', () => {
    const images = ['a', 'b', 'c'].map((name) => ({
      source: `atlanhq/${name}:1`,
      sourceDigest: A,
      target: `r.example/${name}@${B}`,
    }));
    const forward = policyOf({ map: mapDocument({ images }) });
    const backward = policyOf({ map: mapDocument({ images: images.toReversed() }) });
    for (const image of [`ghcr.io/atlanhq/x@${A}`, `atlanhq/b@${A}`, `atlanhq/c:1@${A}`]) {
      expect(decisionText(backward, image)).toBe(decisionText(forward, image));
    }
  });

  it('does not matter for the text that a twin on another registry gets', () => {
    const images = [
      { source: 'atlanhq/a:1', sourceDigest: A, target: `mirror/a:1@${B}` },
      { source: 'docker.io/atlanhq/a:1', sourceDigest: A, target: `docker.io/mirror/a:1@${B}` },
    ];
    const forward = policyOf({ map: mapDocument({ images }) });
    const backward = policyOf({ map: mapDocument({ images: images.toReversed() }) });
    expect(decisionText(backward, `ghcr.io/atlanhq/x@${A}`)).toBe(
      decisionText(forward, `ghcr.io/atlanhq/x@${A}`),
    );
  });

  it('does not matter where only one of two twins knows the source digest', () => {
    const target = `r.example/a@${B}`;
    const images = [
      { source: 'atlanhq/a:1', target },
      { source: 'docker.io/atlanhq/a:1', target, sourceDigest: A },
    ];
    for (const order of [images, images.toReversed()]) {
      const policy = policyOf({ map: mapDocument({ images: order }) });
      expect(decisionText(policy, `atlanhq/a:1@${C}`)).toBe('unmapped (tag-moved)');
      expect(decisionText(policy, `atlanhq/a:1@${A}`)).toMatch(`rewritten ${target} `);
    }
  });
});

describe('the procurement', () => {
  it('is one of public, prefix and map', () => {
    expect(PROCUREMENTS).toEqual(['public', 'prefix', 'map']);
  });

  it('public keeps every image in scope, whatever else is configured', () => {
    const policy = policyOf({
      procurement: 'public',
      base: MIRROR,
      prefixes: { 'ghcr.io': MIRROR },
    });
    expect(decisionText(policy, 'atlanhq/app:1')).toBe('kept (procurement-public)');
    expect(decisionText(policy, 'nginx')).toBe('kept (out-of-scope)');
    expect(policy.decide('A:1')).toMatchObject({ outcome: 'invalid' });
  });

  it('map falls back to the prefixes for what the map lacks', () => {
    const policy = policyOf({ map: { 'atlanhq/a:1': 'r.example/a:1' }, base: MIRROR });
    expect(decisionText(policy, 'atlanhq/a:1')).toBe('rewritten r.example/a:1 (map-tag)');
    expect(decisionText(policy, 'atlanhq/b:1')).toBe(`rewritten ${MIRROR}/atlanhq/b:1 (base)`);
  });
});

describe('a name such as constructor', () => {
  it.each(['constructor', 'tostring', 'valueof', 'hasownproperty'])(
    'has no rule by itself: %s',
    (name) => {
      const policy = policyOf({ sources: ['docker.io'], map: { 'atlanhq/': 'r.example/atlan' } });
      expect(decisionText(policy, name)).toBe('unmapped (no-rule)');
      expect(decisionText(policy, `${name}/${name}:${name}`)).toBe('unmapped (no-rule)');
    },
  );
});

function mapOfPrefixes(prefixes: Readonly<Record<string, string>>): unknown {
  return mapDocument({
    prefixes: Object.entries(prefixes).map(([source, target]) => ({ source, target })),
  });
}
