import { describe, expect, it } from '@jest/globals';
import { exportMirrorSets } from '../../../src/core/export/mirror-sets.ts';
import { mapDocument } from '../../support/maps.ts';
import { settingsOf } from '../../support/policies.ts';

describe('exportMirrorSets', () => {
  it('makes no objects where there is nothing to say', () => {
    const { objects, leftOut } = exportMirrorSets(settingsOf({ procurement: 'public' }));
    expect({ objects, leftOut }).toEqual({ objects: [], leftOut: [] });
  });

  it('leaves out a source inside which something has to stay', () => {
    const { objects, leftOut } = exportMirrorSets(
      settingsOf({
        sources: ['ghcr.io/atlanhq', 'registry.atlan.com'],
        base: 'r.example',
        map: mapDocument({ images: [{ source: 'ghcr.io/atlanhq/a:1', target: 'r.example/b:2' }] }),
      }),
    );
    const mirrors = [
      {
        source: 'registry.atlan.com',
        mirrors: ['r.example'],
        mirrorSourcePolicy: 'NeverContactSource',
      },
    ];
    expect(objects).toMatchObject([
      { kind: 'ImageDigestMirrorSet', spec: { imageDigestMirrors: mirrors } },
      { kind: 'ImageTagMirrorSet', spec: { imageTagMirrors: mirrors } },
    ]);
    expect(leftOut.map(({ rule }) => rule)).toContain('ghcr.io/atlanhq -> r.example/atlanhq');
  });
});
