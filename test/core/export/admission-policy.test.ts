import { describe, expect, it } from '@jest/globals';
import { exportAdmissionPolicy } from '../../../src/core/export/admission-policy.ts';
import { digestOf } from '../../support/digests.ts';
import { mapDocument } from '../../support/maps.ts';
import { type PolicyOptions, settingsOf } from '../../support/policies.ts';

/** The text of the policy object; what it decides is tested against an API server. */
function policyText(options: PolicyOptions): string {
  return JSON.stringify(exportAdmissionPolicy(settingsOf(options)).objects[0]);
}

describe('exportAdmissionPolicy', () => {
  it('makes no objects where nothing moves', () => {
    expect(exportAdmissionPolicy(settingsOf({ procurement: 'public' })).objects).toEqual([]);
    expect(exportAdmissionPolicy(settingsOf({ sources: [], base: 'r.example' })).objects).toEqual(
      [],
    );
  });

  it('takes images with a digest only where no rule of the map is for a digest', () => {
    const entry = { source: 'quay.io/x/a:1', target: `r.example/a:1@${digestOf('b')}` };
    const images = [{ ...entry, sourceDigest: digestOf('a') }];
    expect(policyText({ base: 'r.example' })).toContain('@(?:sha256:');
    expect(policyText({ base: 'r.example', map: mapDocument({ images }) })).not.toContain(
      'sha256:',
    );
  });

  it('appends pull secrets where there are any', () => {
    expect(policyText({ base: 'r.example' })).not.toContain('imagePullSecrets');
    expect(policyText({ base: 'r.example', imagePullSecrets: ['a', 'b', 'a'] })).toContain(
      JSON.stringify('["a","b"]').slice(1, -1),
    );
  });

  it('leaves out the pull secrets that would go to images that stay', () => {
    const leftOutOf = (options: PolicyOptions): string[] =>
      exportAdmissionPolicy(settingsOf(options)).leftOut.map(({ rule }) => rule);
    const imagePullSecrets = ['a', 'b'];
    expect(leftOutOf({ procurement: 'public', imagePullSecrets })).toEqual([
      'imagePullSecrets: a, b',
    ]);
    expect(leftOutOf({ procurement: 'public' })).toEqual([]);
    expect(leftOutOf({ base: 'r.example', imagePullSecrets })).toEqual([]);
  });

  it('refuses rules that make a longer expression than the API server takes', () => {
    const repositories = Array.from({ length: 2000 }, (_, index) => ({
      source: `docker.io/atlanhq/app-${index}`,
      target: `registry.corp.example/atlan/app-${index}`,
    }));
    const settings = settingsOf({ map: mapDocument({ repositories }) });
    expect(() => exportAdmissionPolicy(settings)).toThrow(
      expect.objectContaining({ code: 'EXPORT_TOO_LARGE' }),
    );
  });
});
