import { describe, expect, it } from '@jest/globals';
import { exportRegistriesConf } from '../../../src/core/export/registries-conf.ts';
import { digestOf } from '../../support/digests.ts';
import { mapDocument } from '../../support/maps.ts';
import { type PolicyOptions, settingsOf } from '../../support/policies.ts';
import { registryTables } from '../../support/runtimes.ts';

/** The tables without those of the other hosts of Docker Hub. */
function tablesOf(options: PolicyOptions): Record<string, string> {
  const tables = registryTables(exportRegistriesConf(settingsOf(options)).text);
  return Object.fromEntries(
    [...tables].filter(
      ([prefix]) => !/^(?:registry-1\.docker\.io|registry\.hub\.docker\.com)/.test(prefix),
    ),
  );
}

function leftOutOf(options: PolicyOptions): string[] {
  return exportRegistriesConf(settingsOf(options)).leftOut.map(
    ({ rule, reason }) => `${rule}: ${reason}`,
  );
}

describe('exportRegistriesConf', () => {
  it('follows the order of the rules, and not only the length of their sources', () => {
    const options = {
      base: 'r.example/base',
      prefixes: { 'ghcr.io/atlanhq': 'r.example/c', 'docker.io/atlanhq/apps': 'r.example/longer' },
      map: mapDocument({
        prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/map' }],
      }),
    };
    expect(tablesOf(options)).toEqual({
      'docker.io/atlanhq': 'r.example/map',
      'ghcr.io/atlanhq': 'r.example/c',
      'registry.atlan.com': 'r.example/base',
    });
    expect(leftOutOf(options)).toEqual([]);
  });

  it('keeps out what lies outside the sources, and what is mirrored already', () => {
    expect(
      tablesOf({
        sources: ['docker.io/atlanhq', 'ghcr.io'],
        prefixes: { 'docker.io': 'r.example/hub', 'ghcr.io': 'ghcr.io/mirror' },
      }),
    ).toEqual({
      'docker.io/atlanhq': 'r.example/hub/atlanhq',
      'ghcr.io': 'ghcr.io/mirror',
      'ghcr.io/mirror': 'ghcr.io/mirror',
    });
  });

  it('moves a repository of Docker Hub, where nothing can lie below one', () => {
    const repositories = [{ source: 'atlanhq/a', target: 'r.example/b' }];
    const options = { sources: ['docker.io/atlanhq'], map: mapDocument({ repositories }) };
    expect(tablesOf(options)).toEqual({ 'docker.io/atlanhq/a': 'r.example/b' });
    expect(leftOutOf(options)).toEqual([]);
  });

  it('leaves out a repository of another registry, and says how to move it with all below', () => {
    const repositories = [{ source: 'ghcr.io/atlanhq/a', target: 'r.example/b' }];
    const options = { sources: ['ghcr.io'], map: mapDocument({ repositories }) };
    expect(tablesOf(options)).toEqual({});
    expect(leftOutOf(options)).toEqual([
      expect.stringMatching(/^ghcr\.io\/atlanhq\/a -> r\.example\/b: .*`prefixes` entry/),
    ]);
    expect(tablesOf({ ...options, base: 'r.example/base' })).toEqual({
      'ghcr.io': 'r.example/base',
      'ghcr.io/atlanhq/a': 'ghcr.io/atlanhq/a',
    });
  });

  it('leaves a repository alone whose single images have rules of their own', () => {
    const map = mapDocument({
      images: [{ source: 'atlanhq/a:1', target: 'r.example/b:2' }],
      repositories: [{ source: 'atlanhq/a', target: 'r.example/a' }],
    });
    const options = { sources: ['docker.io/atlanhq'], base: 'r.example/base', map };
    expect(tablesOf(options)).toEqual({
      'docker.io/atlanhq': 'r.example/base/atlanhq',
      'docker.io/atlanhq/a': 'docker.io/atlanhq/a',
    });
    expect(leftOutOf(options)).toEqual([
      'docker.io/atlanhq/a:1 -> r.example/b:2: the format names no tags or digests, so all of docker.io/atlanhq/a stays as it is written',
      'docker.io/atlanhq/a -> r.example/a: there are rules for single images of it, such as docker.io/atlanhq/a:1, so all of docker.io/atlanhq/a stays as it is written',
    ]);
  });

  it('leaves out nothing where an entry only says what the prefixes say as well', () => {
    const images = [
      { source: 'atlanhq/a:1', target: 'r.example/base/atlanhq/a:1' },
      { source: 'quay.io/other/a:1', target: 'r.example/never:1' },
    ];
    const options = {
      sources: ['docker.io/atlanhq'],
      base: 'r.example/base',
      map: mapDocument({ images }),
    };
    expect(tablesOf(options)).toEqual({ 'docker.io/atlanhq': 'r.example/base/atlanhq' });
    expect(leftOutOf(options)).toEqual([]);
  });

  it('names an entry whose digest counts in every repository', () => {
    const images = [
      {
        source: 'quay.io/other/a:1',
        target: `r.example/a:1@${digestOf('b')}`,
        sourceDigest: digestOf('a'),
      },
    ];
    expect(leftOutOf({ base: 'r.example/base', map: mapDocument({ images }) })).toEqual([
      expect.stringContaining('its digest counts in every repository'),
    ]);
  });

  it('names unmapped: deny where something can be unmapped', () => {
    const prefixes = { 'docker.io/atlanhq': 'r.example/a' };
    expect(leftOutOf({ prefixes, unmapped: 'deny' })).toEqual([
      expect.stringMatching(/^unmapped: deny: only the webhook refuses pods/),
    ]);
    expect(leftOutOf({ base: 'r.example', unmapped: 'deny' })).toEqual([]);
  });

  it('names what it cannot say of the other hosts of Docker Hub', () => {
    const { text, leftOut } = exportRegistriesConf(
      settingsOf({ sources: ['docker.io'], base: 'r.example/hub' }),
    );
    expect(Object.fromEntries(registryTables(text))).toEqual({ 'docker.io': 'r.example/hub' });
    expect(leftOut.map(({ rule }) => rule)).toEqual(['docker.io -> r.example/hub']);
    expect(leftOut[0]?.reason).toContain('registry-1.docker.io and registry.hub.docker.com');
  });

  it('writes docker.io for its aliases, which the runtimes refuse as a target', () => {
    expect(tablesOf({ sources: ['ghcr.io'], base: 'index.docker.io/corp' })).toEqual({
      'ghcr.io': 'docker.io/corp',
    });
  });
});
