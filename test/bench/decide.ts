// Measures the pure core alone: how long one decision about one image takes. Argument: a subject. Prints
// the nanoseconds.
import { parseConfig, policySettings } from '../../src/config/config.ts';
import { hasFaults } from '../../src/core/image-map.ts';
import { parseImageMap } from '../../src/core/parse-image-map.ts';
import { createPolicy, type Policy } from '../../src/core/policy.ts';
import { REGISTRY, sampleMap, sampleSource } from './sample-map.ts';
import { median } from './statistics.ts';
import { isMap, MAP_SIZES, type Subject } from './subjects.ts';

const DECISIONS = 100_000;
const REPETITIONS = 10;
/** So many that they and their entries are not all in the caches of the processor. */
const IMAGES = 5000;

const subject = process.argv[2] as Subject;
const images = imagesOf(subject);
const policyInUse = buildPolicy(subject);
// The first ones pay for compilation.
decideAll(policyInUse, images);
const times = Array.from({ length: REPETITIONS }, () => decideAll(policyInUse, images));
process.stdout.write(`${median(times) / DECISIONS}\n`);

function decideAll(policy: Policy, list: readonly string[]): number {
  const begun = process.hrtime.bigint();
  let rewritten = 0;
  for (let index = 0; index < DECISIONS; index += 1) {
    if (policy.decide(list[index % list.length] ?? '').outcome === 'rewritten') rewritten += 1;
  }
  const taken = Number(process.hrtime.bigint() - begun);
  if (rewritten !== DECISIONS) {
    throw new Error(`only ${rewritten} of ${DECISIONS} images were rewritten`);
  }
  return taken;
}

function buildPolicy(of: Subject): Policy {
  const procurement = isMap(of) ? 'map' : 'prefix';
  const rules = isMap(of) ? { imageMap: { url: 's3://bench/image-map.json' } } : {};
  const base = { containerRegistryBase: `${REGISTRY}/mirror` };
  const apiVersion = 'sdr-image-rewriter/v1';
  const config = parseConfig(JSON.stringify({ apiVersion, procurement, ...rules, ...base }));
  if ('faults' in config) throw new Error(JSON.stringify(config.faults));
  return createPolicy({ ...policySettings(config), map: isMap(of) ? loadMap(of) : undefined });
}

function loadMap(of: keyof typeof MAP_SIZES): Parameters<typeof createPolicy>[0]['map'] {
  const bytes = Buffer.from(sampleMap(MAP_SIZES[of], 1));
  const rules = parseImageMap(bytes, bytes.length);
  if (hasFaults(rules)) throw new Error(JSON.stringify(rules.faults[0]));
  return { rules, identity: { location: 's3://bench/image-map.json', serial: 1, etag: '1' } };
}

/** Spread over the whole map; a prefix rule gets those of the smaller one. */
function imagesOf(of: Subject): string[] {
  const step = (MAP_SIZES[isMap(of) ? of : 'map-10k'] - 1) / IMAGES;
  return Array.from({ length: IMAGES }, (_, index) => sampleSource(Math.floor(index * step)));
}
