import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { exportHostsToml } from '../../../src/core/export/hosts-toml.ts';
import { exportKustomize, exportKustomizeFor } from '../../../src/core/export/kustomize.ts';
import { exportMirrorSets } from '../../../src/core/export/mirror-sets.ts';
import { exportRegistriesConf } from '../../../src/core/export/registries-conf.ts';
import type { LeftOut } from '../../../src/core/export/rules.ts';
import type { PolicySettings } from '../../../src/core/policy.ts';
import { createPolicy } from '../../../src/core/policy.ts';
import { policyOptions, references } from '../../support/arbitraries.ts';
import { kustomized, type KustomizeEntry } from '../../support/kustomize.ts';
import { settingsOf } from '../../support/policies.ts';
import { referenceOf } from '../../support/references.ts';
import {
  pulledBy,
  pullText,
  type RegistryTables,
  registryTables,
  runtimeReference,
} from '../../support/runtimes.ts';

const hubHosts = fc.constantFrom('registry-1.docker.io', 'registry.hub.docker.com');
const images = fc.oneof(
  { arbitrary: references, weight: 6 },
  {
    arbitrary: fc
      .tuple(hubHosts, fc.constantFrom('atlanhq/a:1', 'a:1', 'library/a', 'atlanhq/b'))
      .map(([host, name]) => `${host}/${name}`),
    weight: 1,
  },
);

/** On Docker Hub a repository has a namespace and a name, so longer ones do not exist. */
const existing = images.filter((image) => {
  const { registry, path } = referenceOf(image);
  return registry !== 'docker.io' || path.split('/').length === 2;
});

const settings = fc
  .record({
    options: policyOptions,
    sources: fc.oneof(
      fc.constant(undefined),
      fc.uniqueArray(
        fc.constantFrom(
          'docker.io',
          'docker.io/atlanhq',
          'docker.io/library',
          'ghcr.io',
          'ghcr.io/atlanhq/a',
        ),
        { minLength: 1, maxLength: 3 },
      ),
    ),
  })
  .map(({ options, sources }) => settingsOf({ ...options, ...(sources && { sources }) }));

/** What a pod pulls that the webhook has seen. */
function decided(policySettings: PolicySettings, image: string): string {
  const decision = createPolicy(policySettings).decide(image);
  return pullText(decision.outcome === 'rewritten' ? decision.target : image);
}

interface Exported {
  readonly leftOut: readonly LeftOut[];
  pull(image: string): string | undefined;
}

/** Whether a rule of the map is for this digest: such pulls are the ones that a name cannot tell. */
function hasDigestRule({ map }: PolicySettings, image: string): boolean {
  const { digest } = referenceOf(image);
  const entries = map?.rules.entries ?? [];
  return (
    digest !== undefined &&
    entries.some((entry) => entry.kind === 'image' && entry.sourceDigest === digest)
  );
}

/** The law of every format: as decided, or else as written and named as left out. */
function checkLaw(exportIt: (policySettings: PolicySettings) => Exported, numRuns = 700): void {
  fc.assert(
    fc.property(settings, existing, (policySettings, image) => {
      const exported = exportIt(policySettings);
      const pulled = exported.pull(image);
      const wanted = decided(policySettings, image);
      if (pulled === wanted || (pulled === undefined && wanted === pullText(image))) {
        return;
      }
      expect(exported.leftOut.length).toBeGreaterThan(0);
      if (!hasDigestRule(policySettings, image)) {
        // A runtime refuses a prefix itself that moves to a host without a path.
        expect(pulled ?? asWritten(image)).toBe(asWritten(image));
      } else {
        expect(referenceOf(pulled ?? image).digest).toBe(referenceOf(image).digest);
      }
    }),
    { numRuns },
  );
}

function asWritten(image: string): string {
  const { name, suffix } = runtimeReference(image);
  return pullText(`${name}${suffix}`);
}

function byTables(tables: RegistryTables): (image: string) => string | undefined {
  return (image) => pulledBy(tables, image);
}

interface MirrorSet {
  readonly spec: Readonly<
    Record<string, readonly { readonly source: string; readonly mirrors: readonly string[] }[]>
  >;
}

describe('what a runtime pulls by an export', () => {
  it('is what the policy decides, or stays and is listed: registries.conf', () => {
    checkLaw((policySettings) => {
      const { text, leftOut } = exportRegistriesConf(policySettings);
      return { leftOut, pull: byTables(registryTables(text)) };
    });
  });

  it.each(['imageDigestMirrors', 'imageTagMirrors'])(
    'is what the policy decides, or stays and is listed: %s',
    (key) => {
      checkLaw((policySettings) => {
        const { objects, leftOut } = exportMirrorSets(policySettings);
        const sets = (objects as MirrorSet[]).flatMap(({ spec }) => spec[key] ?? []);
        const tables = new Map(sets.map(({ source, mirrors }) => [source, mirrors[0] ?? '']));
        return { leftOut, pull: byTables(tables) };
      }, 1000);
    },
  );

  it('is what the policy decides, or stays and is listed: hosts.toml', () => {
    checkLaw((policySettings) => {
      const { files, leftOut } = exportHostsToml(policySettings);
      const tables = files.map(({ host, text }): [string, string] => {
        const server = /^server = "https:\/\/(.*)"$/m.exec(text)?.[1] ?? '';
        return [host, server.replace(/^registry-1\.docker\.io/, 'docker.io').replace('/v2/', '/')];
      });
      return { leftOut, pull: byTables(new Map(tables)) };
    });
  });
});

describe('what kustomize makes of an image by an export', () => {
  const entriesOf = (objects: readonly object[]): readonly KustomizeEntry[] =>
    (objects[0] as { images: KustomizeEntry[] }).images;

  it('is what the policy decides, or stays and is listed: the repositories of the map', () => {
    checkLaw((policySettings) => {
      const { objects, leftOut } = exportKustomize(policySettings);
      const entries = entriesOf(objects);
      return { leftOut, pull: (image) => pullText(kustomized(entries, image)) };
    });
  });

  it('is what the policy decides, or stays and is listed: images that are named', () => {
    fc.assert(
      fc.property(
        settings,
        fc.array(images, { minLength: 1, maxLength: 6 }),
        (policySettings, list) => {
          const { objects, leftOut } = exportKustomizeFor(policySettings, list);
          for (const image of list) {
            const made = kustomized(entriesOf(objects), image);
            const wanted = decided(policySettings, image);
            if (pullText(made) !== wanted) {
              expect(made).toBe(image);
              expect(leftOut.length).toBeGreaterThan(0);
            }
          }
        },
      ),
      { numRuns: 700 },
    );
  });
});
