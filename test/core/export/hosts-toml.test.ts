import { describe, expect, it } from '@jest/globals';
import { exportHostsToml } from '../../../src/core/export/hosts-toml.ts';
import { settingsOf } from '../../support/policies.ts';

describe('exportHostsToml', () => {
  it('makes the mirror the server, with its path where it has one', () => {
    const { files, leftOut } = exportHostsToml(
      settingsOf({
        sources: ['ghcr.io', 'registry.atlan.com', 'quay.io'],
        prefixes: {
          'ghcr.io': 'r.example:5000/a/b',
          'registry.atlan.com': 's.example',
          'quay.io': 'docker.io/corp',
        },
      }),
    );
    const capabilities = 'capabilities = ["pull", "resolve"]\n';
    expect(leftOut).toEqual([]);
    expect(Object.fromEntries(files.map(({ host, text }) => [host, text]))).toEqual({
      'ghcr.io': `server = "https://r.example:5000/v2/a/b"\n${capabilities}override_path = true\n`,
      'registry.atlan.com': `server = "https://s.example"\n${capabilities}`,
      'quay.io': `server = "https://registry-1.docker.io/v2/corp"\n${capabilities}override_path = true\n`,
    });
  });

  it.each([
    ['only a part of it is a source', { sources: ['ghcr.io/atlanhq'], base: 'r.example' }],
    [
      'a part of it goes elsewhere',
      { sources: ['ghcr.io'], base: 'r.example', prefixes: { 'ghcr.io/a': 's.example' } },
    ],
    ['a part of it is the mirror', { sources: ['ghcr.io'], base: 'ghcr.io/mirror' }],
  ])('leaves out a registry where %s', (_title, options) => {
    const { files, leftOut } = exportHostsToml(settingsOf(options));
    expect(files).toEqual([]);
    expect(leftOut.length).toBeGreaterThan(0);
    expect(leftOut[0]?.reason).toContain('moves a registry as a whole');
  });
});
