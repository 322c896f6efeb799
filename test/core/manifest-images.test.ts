import { describe, expect, it } from '@jest/globals';
import {
  findImageTexts,
  isFragment,
  listManifestImages,
  manifestKind,
} from '../../src/core/manifest-images.ts';
import { policyOf } from '../support/policies.ts';

const policy = policyOf({ base: 'r.example/m' });
const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'sdr' },
  spec: {
    containers: [
      { name: 'main', image: 'atlanhq/app:1' },
      { name: 'other', image: 'nginx' },
    ],
  },
};
const SKIPPED = { ...POD, metadata: { labels: { 'sdr-image-rewriter.io/skip': 'true' } } };

function verdictsOf(document: unknown): string[] {
  return listManifestImages(document, policy).map(({ where, verdict }) =>
    [where, verdict.outcome, 'target' in verdict ? verdict.target : verdict.reason].join(' '),
  );
}

describe('manifestKind', () => {
  it.each([
    ['kubernetes', POD],
    ['kubernetes', { apiVersion: 'v1', kind: 'List' }],
    ['compose', { services: {} }],
    ['other', { image: 'atlanhq/app:1' }],
    ['other', { services: {}, image: {} }],
    ['other', null],
    ['other', 'text'],
  ])('is %s for %j', (kind, document) => {
    expect(manifestKind(document)).toBe(kind);
  });
});

describe('listManifestImages', () => {
  it('decides about each image as the webhook does', () => {
    expect(verdictsOf(POD)).toEqual([
      'containers/main rewritten r.example/m/atlanhq/app:1',
      'containers/other kept out-of-scope',
    ]);
    expect(listManifestImages(POD, policy)[0]).toMatchObject({
      kind: 'Pod',
      namespace: 'sdr',
      name: 'p',
      image: 'atlanhq/app:1',
      path: ['spec', 'containers', 0, 'image'],
    });
  });

  it('keeps all images of a pod that the webhook leaves alone', () => {
    expect(verdictsOf(SKIPPED)).toEqual([
      'containers/main kept skip-label',
      'containers/other kept skip-label',
    ]);
  });

  it('keeps an image of Compose that has a variable, and says so', () => {
    const services = { app: { image: 'atlanhq/app:1' }, side: { image: '${A:-atlanhq/side:1}' } };
    expect(verdictsOf({ name: 'sdr', services })).toEqual([
      'services/app rewritten r.example/m/atlanhq/app:1',
      'services/side unhandled variable',
    ]);
    expect(listManifestImages({ name: 'sdr', services }, policy)[0]).toMatchObject({
      kind: 'Compose',
      namespace: undefined,
      name: 'sdr',
    });
  });

  it('keeps an image of Argo Workflows that has a parameter, and says so', () => {
    const templates = ['{{inputs.parameters.image}}', 'atlanhq/app:1'].map((image) => ({
      name: 'step',
      container: { image },
    }));
    const workflow = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow', spec: { templates } };
    expect(verdictsOf(workflow)).toEqual([
      'containers/main unhandled variable',
      'containers/main rewritten r.example/m/atlanhq/app:1',
    ]);
  });

  it('guesses at nothing in other documents', () => {
    expect(verdictsOf({ image: 'atlanhq/app:1', services: { a: { image: 'atlanhq/a' } } })).toEqual(
      [],
    );
    expect(verdictsOf(undefined)).toEqual([]);
  });
});

describe('isFragment', () => {
  it('is what stands under an extension key of a Compose file', () => {
    expect(isFragment({ services: {}, 'x-a': {} }, 'x-a')).toBe(true);
    expect(isFragment({ services: {} }, 'services')).toBe(false);
    expect(isFragment({ ...POD, 'x-a': {} }, 'x-a')).toBe(false);
  });
});

describe('findImageTexts', () => {
  it.each([
    ['--image=docker.io/atlanhq/app:1', ['docker.io/atlanhq/app:1']],
    ['atlanhq/app', ['atlanhq/app']],
    ['"atlanhq/app:1".', ['atlanhq/app:1']],
    ['docker-image://docker.io/atlanhq/app:1', ['docker.io/atlanhq/app:1']],
    ['oci://registry.atlan.com/public/base:3', ['registry.atlan.com/public/base:3']],
    [
      'from ghcr.io/atlanhq/a:1, or docker.io/atlanhq/b-',
      ['ghcr.io/atlanhq/a:1', 'docker.io/atlanhq/b'],
    ],
    ['{"image":"atlanhq/a__b--c:1_2"}', ['atlanhq/a__b--c:1_2']],
    [`x=atlanhq/a:1@sha256:${'a'.repeat(64)}`, [`atlanhq/a:1@sha256:${'a'.repeat(64)}`]],
    ['atlanhq', []],
    ['nginx docker.io/atlanhq2/app quay.io/atlanhq/app', []],
    ['r.example/m/atlanhq/app:1', []],
    ['', []],
  ])('in %j are %j', (text, expected) => {
    expect(findImageTexts(text, policy)).toEqual(expected);
  });

  it('finds references to registries with an IPv6 address', () => {
    const ipv6 = policyOf({ base: 'r.example', sources: ['[::1]:5000'] });
    expect(findImageTexts('pull [::1]:5000/app:1 now', ipv6)).toEqual(['[::1]:5000/app:1']);
  });

  it('finds them under procurement: public, too, where nothing is rewritten', () => {
    expect(findImageTexts('atlanhq/app:1', policyOf({ procurement: 'public' }))).toEqual([
      'atlanhq/app:1',
    ]);
  });

  it.each(['[', '-', 'a-', '[-', 'a/'])('comes to an end on a million times %j', (piece) => {
    expect(findImageTexts(`a${piece.repeat(1_000_000)}`, policy)).toEqual([]);
  });
});
