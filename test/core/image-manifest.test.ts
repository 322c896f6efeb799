import { describe, expect, it } from '@jest/globals';
import {
  isPlatform,
  platformText,
  readConfigPlatform,
  readManifest,
} from '../../src/core/image-manifest.ts';

const platformOf = (text: string) => {
  const [os = '', architecture = '', variant] = text.split('/');
  return { os, architecture, variant, digest: undefined };
};

describe('readManifest', () => {
  it('lists the platforms of an index, attestations left out', () => {
    const index = {
      schemaVersion: 2,
      manifests: [
        { digest: 'sha256:a', platform: { os: 'linux', architecture: 'amd64' } },
        { digest: 'sha256:b', platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
        { digest: 'sha256:c', platform: { os: 'unknown', architecture: 'unknown' } },
        { digest: 'sha256:d' },
        null,
      ],
    };
    const content = readManifest(JSON.stringify(index));
    expect(content).toEqual({
      kind: 'index',
      platforms: [
        { os: 'linux', architecture: 'amd64', variant: undefined, digest: 'sha256:a' },
        { os: 'linux', architecture: 'arm', variant: 'v7', digest: 'sha256:b' },
      ],
    });
  });

  it('names the configuration of an image', () => {
    const image = { schemaVersion: 2, config: { digest: 'sha256:c' }, layers: [] };
    expect(readManifest(JSON.stringify(image))).toEqual({
      kind: 'image',
      configDigest: 'sha256:c',
    });
  });

  it.each(['', '[]', '{"schemaVersion":1,"fsLayers":[]}', '{"schemaVersion":2}', '<html>'])(
    'finds nothing that runtimes pull in %j',
    (text) => {
      expect(readManifest(text)).toBeUndefined();
    },
  );
});

describe('readConfigPlatform', () => {
  it('reads the platform that an image was built for', () => {
    const platform = readConfigPlatform('{"os":"linux","architecture":"arm64","variant":""}');
    expect(platform && platformText(platform)).toBe('linux/arm64');
    expect(readConfigPlatform('{}')).toBeUndefined();
  });
});

describe('isPlatform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64', true],
    ['linux/arm64/v8', 'linux/arm64', true],
    ['linux/arm/v7', 'linux/arm', true],
    ['linux/arm/v7', 'linux/arm/v6', false],
    ['linux/arm', 'linux/arm/v7', false],
    ['linux/arm64', 'linux/arm', false],
    ['windows/amd64', 'linux/amd64', false],
  ])('of %s, asked for %s: %s', (present, wanted, is) => {
    expect(isPlatform(platformOf(present), wanted)).toBe(is);
  });
});
