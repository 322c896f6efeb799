import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  hasVariable,
  isComposeFile,
  isExtensionKey,
  listComposeImages,
  variableDefault,
} from '../../src/core/compose.ts';
import { jsonPath } from '../../src/core/json-path.ts';

function imagesOf(document: Record<string, unknown>): string[] {
  return listComposeImages(document).map(
    ({ label, image, path }) => `${label} ${image} ${jsonPath(path)}`,
  );
}

describe('isComposeFile', () => {
  it.each([
    ['services alone', { services: {} }],
    [
      'every top-level key of the specification',
      {
        ...{ version: '3.8', name: 'sdr', include: [], services: {}, networks: {}, volumes: {} },
        ...{ configs: {}, secrets: {}, models: {} },
      },
    ],
    ['extensions', { 'x-defaults': {}, services: { web: { image: 'a:1' } } }],
  ])('says yes to %s', (_title, document) => {
    expect(isComposeFile(document)).toBe(true);
  });

  it.each([
    ['no services', { 'x-defaults': { image: 'a:1' } }],
    ['services that are a list', { services: [{ image: 'a:1' }] }],
    ['services that are null', { services: null }],
    ['values of a Helm chart', { services: { web: { image: 'a:1' } }, replicaCount: 1 }],
    ['a Kubernetes object', { apiVersion: 'v1', kind: 'X', services: {} }],
    ['a list', [{ services: {} }]],
    ['null', null],
  ])('says no to %s', (_title, document) => {
    expect(isComposeFile(document)).toBe(false);
  });
});

describe('listComposeImages', () => {
  it('finds the images of services and their image volumes', () => {
    const volumes = [
      'data:/var/lib',
      { type: 'image', source: 'b:1', target: '/model' },
      { type: 'volume', source: 'c:1', target: '/data' },
      { type: 'image', source: '' },
    ];
    const services = { web: { image: 'a:1', volumes }, built: { build: '.' }, odd: null };
    expect(imagesOf({ services })).toEqual([
      'services/web a:1 $.services.web.image',
      'services/web/volumes/1 b:1 $.services.web.volumes[1].source',
    ]);
  });

  it('finds those of a fragment that is a service, a map of services or holds one anywhere', () => {
    expect(
      imagesOf({
        services: {},
        'x-app': { image: 'a:1' },
        'x-all': { one: { image: 'b:1' }, two: [{ image: 'c:1' }] },
      }),
    ).toEqual([
      'x-app a:1 $["x-app"].image',
      'x-all/one b:1 $["x-all"].one.image',
      'x-all/two/0 c:1 $["x-all"].two[0].image',
    ]);
  });

  it('names no image where a text, a volume or an environment is called one', () => {
    expect(
      imagesOf({
        services: { web: { environment: { image: 'a:1' }, image: 7, build: { image: 'b:1' } } },
        volumes: { image: { image: 'c:1' } },
        'x-image': 'd:1',
      }),
    ).toEqual([]);
  });

  it('looks once at a fragment that several names share, and comes to an end in a circle', () => {
    const shared = { image: 'a:1' };
    const circle: Record<string, unknown> = { shared };
    circle.self = circle;
    expect(imagesOf({ services: {}, 'x-a': circle, 'x-b': shared })).toHaveLength(1);
  });

  it('never throws', () => {
    const trees = fc.dictionary(
      fc.constantFrom('services', 'x-a', 'volumes', '__proto__'),
      fc.dictionary(fc.constantFrom('web', 'image', 'volumes'), fc.jsonValue()),
    );
    fc.assert(
      fc.property(trees, (document) => {
        expect(Array.isArray(listComposeImages(document))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('isExtensionKey', () => {
  it('knows the keys that Compose ignores', () => {
    expect(['x-a', 'x-', 'xa', 7, null].map(isExtensionKey)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('hasVariable', () => {
  it('sees every form of interpolation', () => {
    for (const image of ['$IMAGE', '${IMAGE}', 'atlanhq/app:${TAG:-1}', '${A-b}', 'a$$b']) {
      expect(hasVariable(image)).toBe(true);
    }
    expect(hasVariable('docker.io/atlanhq/app:1')).toBe(false);
  });
});

describe('variableDefault', () => {
  it.each([
    ['${IMAGE:-docker.io/team/app:1}', 'docker.io/team/app:1'],
    ['${IMAGE-docker.io/team/app:1}', 'docker.io/team/app:1'],
    ['${_A1:-a}', 'a'],
    ['${IMAGE}', undefined],
    ['${IMAGE:-}', undefined],
    ['${IMAGE:?missing}', undefined],
    ['${IMAGE:+docker.io/team/app:1}', undefined],
    ['${A:-${B:-c}}', undefined],
    ['docker.io/team/app:${TAG:-1}', undefined],
    ['${A:-b}/c', undefined],
    ['$IMAGE', undefined],
  ])('of %s is %s', (image, expected) => {
    expect(variableDefault(image)).toBe(expected);
  });
});
