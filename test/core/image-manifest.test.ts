import { describe, expect, it } from '@jest/globals';
import {
  platformText,
  readConfigPlatform,
  readManifest,
  runsOn,
} from '../../src/core/image-manifest.ts';
import { digestOf } from '../support/digests.ts';

const [A, B, C, D] = [digestOf('a'), digestOf('b'), digestOf('c'), digestOf('d')];

const platformOf = (text: string) => {
  const [os = '', architecture = '', variant] = text.split('/');
  return { os, architecture, variant };
};

describe('readManifest', () => {
  it('lists the images of an index; attestations and what has no digest are left out', () => {
    const index = {
      schemaVersion: 2,
      manifests: [
        { digest: A, platform: { os: 'linux', architecture: 'amd64' } },
        { digest: B, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
        { digest: C, platform: { os: 'unknown', architecture: 'unknown' } },
        { digest: D },
        { platform: { os: 'linux', architecture: 's390x' } },
        { digest: '../../v2/other', platform: { os: 'linux', architecture: 's390x' } },
        null,
      ],
    };
    expect(readManifest(JSON.stringify(index))).toEqual({
      kind: 'index',
      entries: [
        { digest: A, platform: { os: 'linux', architecture: 'amd64', variant: undefined } },
        { digest: B, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
        { digest: D, platform: undefined },
      ],
    });
  });

  it('names the configuration of an image', () => {
    const image = { schemaVersion: 2, config: { digest: C }, layers: [] };
    expect(readManifest(JSON.stringify(image))).toEqual({
      kind: 'image',
      configDigest: C,
    });
  });

  it.each([
    '',
    '[]',
    '{"schemaVersion":1,"fsLayers":[]}',
    '{"schemaVersion":2}',
    '{"schemaVersion":2,"config":{"digest":"blake3:aa"}}',
    '<html>',
  ])('finds nothing that runtimes pull in %j', (text) => {
    expect(readManifest(text)).toBeUndefined();
  });
});

describe('readConfigPlatform', () => {
  it('reads the platform that an image was built for', () => {
    const platform = readConfigPlatform('{"os":"linux","architecture":"arm64","variant":""}');
    expect(platform && platformText(platform)).toBe('linux/arm64');
    expect(readConfigPlatform('{}')).toBeUndefined();
  });
});

describe('an image', () => {
  it.each([
    ['linux/amd64', 'linux/amd64', true],
    ['linux/amd64', 'linux/x86_64', true],
    ['linux/arm64/v8', 'linux/arm64', true],
    ['linux/arm64', 'linux/arm64/v8', true],
    ['linux/arm64', 'linux/aarch64', true],
    ['linux/arm/v7', 'linux/arm', true],
    ['linux/arm', 'linux/arm/v7', true],
    ['linux/arm/v6', 'linux/arm/v7', true],
    ['linux/amd64', 'linux/amd64/v3', true],
    ['linux/amd64/v3', 'linux/amd64', false],
    ['linux/arm/v7', 'linux/arm/v6', false],
    ['linux/arm64', 'linux/arm', false],
    ['linux/mips64le/softfloat', 'linux/mips64le', false],
    ['windows/amd64', 'linux/amd64', false],
  ])('of %s runs on %s: %s', (present, wanted, runs) => {
    expect(runsOn(platformOf(present), wanted)).toBe(runs);
  });
});
