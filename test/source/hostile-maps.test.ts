import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RewriterError } from '../../src/core/errors.ts';
import { CachedMap } from '../../src/source/cached-map.ts';
import type { MapReading, MapSource } from '../../src/source/source.ts';
import { digestOf } from '../support/digests.ts';
import { bytesOfText, mapDocument } from '../support/maps.ts';
import { prefixOf } from '../support/references.ts';

const RUNS = 10_000;
const SERIAL = 1000;
const MAX_BYTES = 50_000;
const TARGET_HOST = 'registry.corp.example';

interface Entry {
  readonly source: unknown;
  readonly target: unknown;
  readonly [key: string]: unknown;
}

/** What the guards compare with: twenty images, a repository and a prefix. */
const IN_USE = {
  serial: SERIAL,
  images: Array.from({ length: 20 }, (_, index): Entry => {
    return {
      source: `docker.io/atlanhq/app-${index}:1.0.${index}`,
      aliases: [`ghcr.io/atlanhq/app-${index}:1.0.${index}`],
      sourceDigest: digestOf((1 + (index % 15)).toString(16)),
      target: `${TARGET_HOST}/atlan/app-${index}:1.0.${index}-r1@${digestOf('f')}`,
    };
  }),
  repositories: [{ source: 'docker.io/atlanhq/oracle', target: `${TARGET_HOST}/atlan/oracle` }],
  prefixes: [{ source: 'registry.atlan.com', target: `${TARGET_HOST}/public` }],
};
const GOOD = { ...IN_USE, serial: SERIAL + 1 };

function text(sections: object): string {
  return JSON.stringify(mapDocument(sections as Record<string, unknown>));
}

function withEntries(...entries: readonly unknown[]): string {
  return text({ ...GOOD, images: [...GOOD.images, ...entries] });
}

/** The good map with one image in the place of that at `index`. */
function withImageAt(index: number, change: (image: Entry) => unknown): string {
  return text({
    ...GOOD,
    images: GOOD.images.map((image, at) => (at === index ? change(image) : image)),
  });
}

const imageIndex = fc.nat(GOOD.images.length - 1);
const name = fc.stringMatching(/^[a-z0-9]{1,12}$/);
const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/);
/** No string, and not what leaves a key away. */
const noText = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.array(fc.string(), { maxLength: 3 }),
  fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 }),
);
const noReference = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    ':',
    '@',
    '/',
    'a//b',
    'a:',
    'a@sha256:0',
    'docker.io/Upper/case',
    '../x',
    '-a',
  ),
  fc.constantFrom('__proto__', 'a b', 'a\u0000b', 'a\nb', 'https://a.example/b', 'a'.repeat(300)),
  name.map((each) => `docker.io/${each}!`),
  name.map((each) => `docker.io/${each}:${'t'.repeat(129)}`),
);

const truncated = fc.nat(text(GOOD).length - 1).map((length) => text(GOOD).slice(0, length));

const trailing = fc
  .oneof(fc.constantFrom('x', '}', '{}', ',', '\u0000', '// comment'), fc.json())
  .map((tail) => `${text(GOOD)}\n${tail}`);

const wrongType = fc.oneof(
  fc
    .jsonValue()
    .filter((value) => typeof value !== 'object' || value === null)
    .map((value) => JSON.stringify(value)),
  fc
    .oneof(fc.constantFrom<unknown>(-1, 0.5, 2 ** 60, '1001', null, [], {}, true))
    .map((serial) => text({ ...GOOD, serial })),
  fc
    .tuple(
      fc.constantFrom('images', 'repositories', 'prefixes'),
      fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)),
    )
    .map(([section, value]) => text({ ...GOOD, [section]: value })),
  fc
    .oneof(fc.string(), fc.integer(), fc.constant(null), fc.array(fc.string(), { maxLength: 2 }))
    .map((entry) => withEntries(entry)),
  fc
    .tuple(imageIndex, fc.constantFrom('source', 'target', 'sourceDigest'), noText)
    .map(([index, key, value]) => withImageAt(index, (image) => ({ ...image, [key]: value }))),
  fc
    .tuple(imageIndex, fc.constantFrom('source', 'target'))
    .map(([index, key]) => withImageAt(index, (image) => ({ ...image, [key]: undefined }))),
  fc
    .tuple(imageIndex, fc.constantFrom('aliases', 'platforms'), fc.oneof(fc.string(), fc.nat()))
    .map(([index, key, value]) => withImageAt(index, (image) => ({ ...image, [key]: value }))),
  fc
    .tuple(imageIndex, fc.constantFrom('aliases', 'platforms'), noText)
    .map(([index, key, value]) => withImageAt(index, (image) => ({ ...image, [key]: [value] }))),
  fc
    .jsonValue()
    .filter((version) => version !== 'sdr-image-map/v1')
    .map((apiVersion) => JSON.stringify({ ...GOOD, apiVersion })),
  fc.constantFrom('generatedAt').map((key) => text({ ...GOOD, [key]: 'yesterday' })),
);

const invalidReference = fc
  .tuple(imageIndex, fc.constantFrom('source', 'target', 'aliases', 'sourceDigest'), noReference)
  .map(([index, where, bad]) =>
    withImageAt(index, (image) => {
      const value = where === 'aliases' ? [bad] : bad;
      return { ...image, [where]: value };
    }),
  );

const cycle = fc.oneof(
  // a → b → … → a, each with its own tag.
  fc.tuple(name, fc.integer({ min: 1, max: 6 })).map(([each, length]) =>
    withEntries(
      ...Array.from({ length }, (_, index) => ({
        source: `${TARGET_HOST}/${each}:${index}`,
        target: `${TARGET_HOST}/${each}:${(index + 1) % length}`,
      })),
    ),
  ),
  // A chain: the target of one is the source of another image, repository or prefix.
  fc.tuple(imageIndex, name).map(([index, each]) => {
    const target = `${TARGET_HOST}/atlan/app-${index}`;
    return text({
      ...GOOD,
      repositories: [...GOOD.repositories, { source: target, target: `${TARGET_HOST}/${each}` }],
    });
  }),
  name.map((each) =>
    text({
      ...GOOD,
      prefixes: [
        ...GOOD.prefixes,
        { source: `${TARGET_HOST}/atlan`, target: `${TARGET_HOST}/next-${each}` },
      ],
    }),
  ),
  // Two prefixes that swap.
  fc
    .tuple(name, name)
    .filter(([one, other]) => one !== other)
    .map(([one, other]) =>
      text({
        ...GOOD,
        prefixes: [
          ...GOOD.prefixes,
          { source: `${TARGET_HOST}/x-${one}`, target: `${TARGET_HOST}/y-${other}` },
          { source: `${TARGET_HOST}/y-${other}`, target: `${TARGET_HOST}/x-${one}` },
        ],
      }),
    ),
);

const duplicate = fc.oneof(
  // The same source in another spelling, with another target.
  fc
    .tuple(imageIndex, name, fc.constantFrom('index.docker.io/', 'registry-1.docker.io/', ''))
    .map(([index, each, host]) => {
      const source = String(GOOD.images[index]?.source).replace('docker.io/', host);
      return withEntries({ source, target: `${TARGET_HOST}/other/${each}:1` });
    }),
  // The same source and target with another digest of the source.
  imageIndex.map((index) => withEntries({ ...IN_USE.images[index], sourceDigest: digestOf('0') })),
  // The same key twice in one object, which JSON.parse lets pass.
  fc.tuple(imageIndex, name).map(([index, each]) => {
    const key = `"source":${JSON.stringify(GOOD.images[index]?.source)}`;
    return text(GOOD).replace(key, `${key},"source":"docker.io/atlanhq/${each}:1"`);
  }),
  fc.nat().map((serial) => text(GOOD).replace('"serial":', `"serial":${serial},"serial":`)),
  fc.tuple(name, tag).map(([each, at]) => {
    const key = `"docker.io/atlanhq/${each}:${at}"`;
    return `{${key}:"${TARGET_HOST}/a:1",${key}:"${TARGET_HOST}/b:1"}`;
  }),
);

/** As text, since an object literal would set its prototype in place of the key. */
const prototypeKey = fc.oneof(
  fc
    .constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty')
    .chain((key) =>
      fc.constantFrom(
        `{"${key}":${text(GOOD)}}`,
        `{"${key}":{"${key}":"${TARGET_HOST}/x:1"}}`,
        `{"apiVersion":"sdr-image-map/v1","serial":${SERIAL + 1},"${key}":${text(GOOD)}}`,
        text(GOOD).replace('"target":', `"${key}":`),
        text(GOOD).replace('"images":', `"${key}":`),
        text(GOOD).replace('"docker.io/atlanhq/app-3:1.0.3"', `{"${key}":"docker.io/a/b:1"}`),
      ),
    ),
  fc.constantFrom(
    `{"__proto__":"${TARGET_HOST}/x:1"}`,
    `{"images":{"__proto__":"${TARGET_HOST}/x:1"}}`,
    `[{"__proto__":{"source":"docker.io/a/b:1","target":"${TARGET_HOST}/x:1"}}]`,
  ),
);

const hugeText = fc.oneof(
  fc
    .tuple(imageIndex, fc.constantFrom('source', 'target'), fc.integer({ min: 4097, max: 20_000 }))
    .map(([index, key, length]) =>
      withImageAt(index, (image) => ({ ...image, [key]: 'a'.repeat(length) })),
    ),
  fc
    .integer({ min: 4097, max: 20_000 })
    .map((length) => JSON.stringify({ ['a'.repeat(length)]: `${TARGET_HOST}/x:1` })),
  fc
    .integer({ min: MAX_BYTES, max: 2 * MAX_BYTES })
    .map((length) => text({ ...GOOD, comment: ' '.repeat(length) })),
  fc.integer({ min: 100, max: 20_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
  fc
    .integer({ min: 100, max: 5000 })
    .map((depth) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)),
);

const foreignTarget = fc
  .tuple(
    imageIndex,
    fc.oneof(
      fc.constantFrom(
        'docker.io/evil',
        `${TARGET_HOST}.evil.example`,
        `${TARGET_HOST}2`,
        `${TARGET_HOST}:5000`,
        `evil.example/${TARGET_HOST}`,
        'library',
      ),
      name.map((each) => `${each}.example`),
    ),
    name,
  )
  .chain(([index, host, each]) =>
    fc.constantFrom(
      withImageAt(index, (image) => ({ ...image, target: `${host}/${each}:1` })),
      withEntries({ source: `docker.io/atlanhq/new-${each}:1`, target: `${host}/${each}:1` }),
      text({
        ...GOOD,
        repositories: [
          ...GOOD.repositories,
          { source: `docker.io/atlanhq/new-${each}`, target: `${host}/${each}` },
        ],
      }),
    ),
  );

const lowerSerial = fc
  .option(fc.nat(SERIAL - 1), { nil: undefined })
  .map((serial) => text({ ...GOOD, serial }));

const shrunk = fc
  .tuple(fc.nat(9), fc.shuffledSubarray(GOOD.images, { maxLength: 9 }))
  .map(([serial, images]) => text({ ...GOOD, serial: SERIAL + 1 + serial, images }));

const noUtf8 = fc
  .tuple(fc.nat(text(GOOD).length), fc.constantFrom([0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80]))
  .map(([at, bytes]) => {
    const whole = Buffer.from(text(GOOD));
    return Buffer.concat([whole.subarray(0, at), Buffer.from(bytes), whole.subarray(at)]);
  });

const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));

const hostileMap: fc.Arbitrary<Uint8Array> = fc.oneof(
  ...[
    truncated,
    trailing,
    wrongType,
    invalidReference,
    cycle,
    duplicate,
    prototypeKey,
    hugeText,
    foreignTarget,
    lowerSerial,
    shrunk,
  ].map((texts) => texts.map(bytesOfText)),
  noUtf8,
  noise,
);

interface Bench {
  readonly map: CachedMap;
  /** Puts bytes, reads them, and tells why they were refused. */
  readonly read: (bytes: Uint8Array) => Promise<RewriterError | undefined>;
}

/** The map in use, over a place that gives whatever was put there last, each time as another version. */
async function openBench(): Promise<Bench> {
  let bytes: Uint8Array = bytesOfText(text(IN_USE));
  let version = 0;
  let refusal: RewriterError | undefined;
  const source: MapSource = {
    location: 's3://sdr-config/image-map.json',
    read(): Promise<MapReading> {
      version += 1;
      const etag = String(version);
      return Promise.resolve({ kind: 'changed', bytes, etag, signature: undefined });
    },
  };
  const map = new CachedMap({
    source,
    // Without rests, of which 10,000 maps would have many.
    isServing: () => false,
    settings: {
      refreshInterval: 60_000,
      timeout: 60_000,
      maxBytes: MAX_BYTES,
      allowedTargets: [prefixOf(TARGET_HOST)],
      allowRollback: false,
      maxShrink: 0.5,
    },
    observer: {
      loaded: () => undefined,
      unchanged: () => undefined,
      rejected: (error) => {
        refusal = error;
      },
      stale: () => undefined,
      cacheFailed: () => undefined,
      cacheUnused: () => undefined,
    },
  });
  await map.refresh();
  return {
    map,
    read: async (next) => {
      bytes = next;
      refusal = undefined;
      await map.refresh();
      return refusal;
    },
  };
}

describe('hostile maps', () => {
  it(`are each refused with the path of a fault, ${RUNS} of them, and the good map stays`, async () => {
    let bench = await openBench();
    let loaded = bench.map.current;
    const codes = new Set<string>();
    expect(loaded?.identity.serial).toBe(SERIAL);
    await fc.assert(
      fc.asyncProperty(hostileMap, async (bytes) => {
        const refusal = await bench.read(bytes);
        if (refusal === undefined || bench.map.current !== loaded) {
          bench = await openBench();
          loaded = bench.map.current;
          throw new Error(
            `this map was taken: ${Buffer.from(bytes).toString('latin1').slice(0, 2000)}`,
          );
        }
        const paths = refusal.faults.map(({ path }) => path);
        if (paths.length === 0 || !paths.every((path) => path.startsWith('$'))) {
          throw new Error(`${refusal.message} has the paths ${paths.join(' ')}`);
        }
        for (const { code } of refusal.faults) codes.add(code);
      }),
      { numRuns: RUNS, seed: 20_261_123 },
    );
    expect(bench.map.lastError?.faults.length).toBeGreaterThan(0);
    expect([...codes].sort()).toEqual([
      'MAP_KEY_DUPLICATE',
      'MAP_NOT_JSON',
      'MAP_REFERENCE_INVALID',
      'MAP_SERIAL_LOWER',
      'MAP_SHAPE_INVALID',
      'MAP_SHRINKS',
      'MAP_SOURCE_CONFLICT',
      'MAP_STRING_TOO_LONG',
      'MAP_TARGET_FORBIDDEN',
      'MAP_TARGET_IS_SOURCE',
      'MAP_TOO_LARGE',
      'MAP_VERSION_UNKNOWN',
    ]);
    // And what they were made of is taken.
    expect(await bench.read(bytesOfText(text(GOOD)))).toBeUndefined();
    expect(bench.map.current?.identity.serial).toBe(SERIAL + 1);
  }, 600_000);
});
