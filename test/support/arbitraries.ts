import fc from 'fast-check';
import { digestOf } from './digests.ts';
import { faultsOf, mapDocument } from './maps.ts';
import type { PolicyOptions } from './policies.ts';

/** Few values on purpose: rules and images must meet often. */
const digests = fc.constantFrom(digestOf('a'), digestOf('b'));
const tags = fc.constantFrom('1', 'latest');
const inScopeNames = fc.constantFrom(
  'atlanhq/a',
  'atlanhq/a/worker',
  'index.docker.io/atlanhq/a',
  'ghcr.io/atlanhq/a',
  'registry.atlan.com/public/base',
);
const otherNames = fc.constantFrom(
  'nginx',
  'docker.io/atlanhq2/a',
  'quay.io/atlanhq/a',
  'localhost:5000/atlanhq/a',
  'docker.io.mirror.example/atlanhq/a',
  '[::1]:5000/a',
);
const mirrorNames = fc.constantFrom(
  'r.example/a',
  'r.example/atlan/b',
  'localhost:5000/mirror/a',
  'ghcr.io.mirror.example/atlanhq/b',
);
const targetNames = fc.oneof(
  { arbitrary: mirrorNames, weight: 12 },
  { arbitrary: fc.constantFrom('ghcr.io/atlanhq/mirror', 'docker.io/corp/a'), weight: 1 },
);

function suffixed(names: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    names,
    fc.tuple(names, tags).map(([name, tag]) => `${name}:${tag}`),
    fc.tuple(names, digests).map(([name, digest]) => `${name}@${digest}`),
    fc.tuple(names, tags, digests).map(([name, tag, digest]) => `${name}:${tag}@${digest}`),
  );
}

/** References that parse, in and out of scope, sources and targets of the maps below. */
export const references = suffixed(
  fc.oneof(
    { arbitrary: inScopeNames, weight: 10 },
    { arbitrary: otherNames, weight: 1 },
    { arbitrary: targetNames, weight: 1 },
  ),
);

/** Text that is, looks like or is nothing like a reference. */
export const imageTexts = fc.oneof(
  { arbitrary: references, weight: 8 },
  { arbitrary: fc.string({ unit: 'binary' }), weight: 1 },
  {
    arbitrary: fc
      .array(fc.constantFrom('a', 'B', '1', '.', '-', '_', '/', ':', '@', 'sha256:', '\n'), {
        maxLength: 12,
      })
      .map((parts) => parts.join('')),
    weight: 2,
  },
);

/** Spelled out in full: two targets are the same reference only if they are the same text. */
const imageTargets = fc.oneof(
  fc.tuple(targetNames, tags).map(([name, tag]) => `${name}:${tag}`),
  fc.tuple(targetNames, tags, digests).map(([name, tag, digest]) => `${name}:${tag}@${digest}`),
);
const imageSources = fc.oneof(
  { arbitrary: suffixed(inScopeNames), weight: 6 },
  { arbitrary: digests.map((digest) => `@${digest}`), weight: 1 },
);
const namePrefixes = fc.constantFrom(
  'docker.io',
  'docker.io/atlanhq',
  'ghcr.io/atlanhq',
  'ghcr.io/atlanhq/a',
  'registry.atlan.com',
);
const prefixTargets = fc.constantFrom(
  'r.example',
  'r.example/atlan',
  's.example',
  'docker.io/corp',
);

export interface MapSections extends Record<string, unknown> {
  readonly images: readonly object[];
  readonly repositories: readonly object[];
  readonly prefixes: readonly object[];
}

/** Sections of a map in the structured form; some of these maps have faults. */
export const mapSections: fc.Arbitrary<MapSections> = fc.record({
  images: fc.array(
    fc.record(
      {
        source: imageSources,
        target: imageTargets,
        aliases: fc.array(imageSources, { maxLength: 2 }),
        sourceDigest: digests,
      },
      { requiredKeys: ['source', 'target'] },
    ),
    { minLength: 1, maxLength: 6 },
  ),
  repositories: fc.array(fc.record({ source: inScopeNames, target: targetNames }), {
    maxLength: 1,
  }),
  prefixes: fc.array(fc.record({ source: namePrefixes, target: prefixTargets }), { maxLength: 2 }),
});

/** Sections of maps that load. */
export const soundMapSections = mapSections.filter(
  (sections) => faultsOf(mapDocument(sections)).length === 0,
);

/** Settings of a policy that has rules, with and without a map. */
export const policyOptions: fc.Arbitrary<PolicyOptions> = fc.record(
  {
    map: fc.oneof(soundMapSections.map(mapDocument), fc.constant(undefined)),
    base: fc.constantFrom('registry.corp.example/mirror', 's.example', 'localhost:5000'),
    prefixes: fc.dictionary(namePrefixes, prefixTargets, { maxKeys: 3 }),
    unmapped: fc.constantFrom('allow', 'warn', 'deny'),
    annotate: fc.boolean(),
    imagePullSecrets: fc.uniqueArray(fc.constantFrom('corp', 'backup'), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);

const names = fc.constantFrom('main', 'proxy', 'wait', '__proto__', 'a b');

function containers(): fc.Arbitrary<unknown> {
  return listsOf(
    fc.oneof(
      {
        arbitrary: fc.record(
          { name: names, image: imageTexts, newerField: fc.jsonValue() },
          { requiredKeys: ['name', 'image'] },
        ),
        weight: 12,
      },
      { arbitrary: fc.jsonValue({ maxDepth: 1 }), weight: 1 },
    ),
  );
}

const volumes = listsOf(
  fc.oneof(
    fc.record({ name: names, image: fc.record({ reference: imageTexts }) }),
    fc.record({ name: names, emptyDir: fc.constant({}) }),
    fc.jsonValue({ maxDepth: 1 }),
  ),
);

/** Mostly lists; now and then what a careless client sends in their place. */
function listsOf(items: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof(
    { arbitrary: fc.array(items, { maxLength: 3 }), weight: 12 },
    { arbitrary: fc.constantFrom(null, 'text', 7, {}), weight: 1 },
  );
}

const annotations = fc.oneof(
  fc.dictionary(fc.constantFrom('a', 'b/c', '__proto__', 'constructor', 'x~y'), fc.string()),
  fc.constantFrom(null, 'text', 7, [], {}),
  fc.record({
    'sdr-image-rewriter.io/original-images': fc.oneof(
      fc.string(),
      fc.dictionary(names, fc.string()).map((originals) => JSON.stringify(originals)),
    ),
    'sdr-image-rewriter.io/decided-by': fc.constantFrom('prefix', 'map etag=x'),
  }),
);

/** Pods as JSON, most of them sound, with fields that this program has never heard of. */
export const pods: fc.Arbitrary<Record<string, unknown>> = fc
  .record(
    {
      apiVersion: fc.constant('v1'),
      kind: fc.constant('Pod'),
      metadata: fc.record(
        { generateName: fc.constant('a-'), labels: fc.jsonValue(), annotations },
        { requiredKeys: [] },
      ),
      spec: fc.record(
        {
          containers: containers(),
          initContainers: containers(),
          ephemeralContainers: containers(),
          volumes,
          imagePullSecrets: listsOf(fc.record({ name: fc.constantFrom('corp', 'theirs') })),
          newerField: fc.jsonValue(),
        },
        { requiredKeys: ['containers'] },
      ),
      status: fc.jsonValue(),
    },
    { requiredKeys: ['metadata', 'spec'] },
  )
  .map((pod) => JSON.parse(JSON.stringify(pod)) as Record<string, unknown>);
