import { describe, expect, it } from '@jest/globals';
import { MapTargets } from '../../src/core/map-targets.ts';
import { mapDocument, mapOf } from '../support/maps.ts';

function targetsOf(document: unknown, platforms: readonly string[] = []) {
  return new MapTargets(mapOf(document), document, platforms);
}

const shown = ({ all }: MapTargets) =>
  all.map(({ kind, reference, platforms, path }) => ({
    kind,
    target: reference.text,
    platforms,
    path,
  }));

describe('the targets of a map', () => {
  it('are its images with their platforms and its repositories; prefixes are counted', () => {
    const targets = targetsOf(
      mapDocument({
        images: [
          {
            source: 'docker.io/atlanhq/a:1',
            target: 'r.example/a:1',
            platforms: ['linux/amd64'],
          },
        ],
        repositories: [{ source: 'docker.io/atlanhq/b', target: 'r.example/b' }],
        prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/all' }],
      }),
      ['linux/arm64'],
    );
    expect(shown(targets)).toEqual([
      {
        kind: 'image',
        target: 'r.example/a:1',
        platforms: ['linux/amd64', 'linux/arm64'],
        path: '$.images[0].target',
      },
      {
        kind: 'repository',
        target: 'r.example/b',
        platforms: [],
        path: '$.repositories[0].target',
      },
    ]);
    expect(targets.prefixes).toBe(1);
  });

  it('are each there once, with the platforms of all entries', () => {
    const entry = (source: string, ...platforms: string[]) => ({
      source,
      target: 'r.example/a:1',
      platforms,
    });
    const targets = targetsOf([
      entry('docker.io/atlanhq/a:1', 'linux/amd64'),
      entry('docker.io/atlanhq/a:2', 'linux/amd64', 'linux/arm64'),
    ]);
    expect(shown(targets)).toEqual([
      {
        kind: 'image',
        target: 'r.example/a:1',
        platforms: ['linux/amd64', 'linux/arm64'],
        path: '$[0].target',
      },
    ]);
  });

  it('take in what a required image becomes', () => {
    const targets = targetsOf({ 'docker.io/atlanhq/': 'r.example/all/' });
    targets.add('image', 'r.example/all/a:1', 'atlanhq/a:1', ['linux/amd64']);
    expect(shown(targets)).toEqual([
      {
        kind: 'image',
        target: 'r.example/all/a:1',
        platforms: ['linux/amd64'],
        path: 'atlanhq/a:1',
      },
    ]);
  });
});
