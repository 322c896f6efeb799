import { describe, expect, it } from '@jest/globals';
import { exportKustomize, exportKustomizeFor } from '../../../src/core/export/kustomize.ts';
import { digestOf } from '../../support/digests.ts';
import { mapDocument } from '../../support/maps.ts';
import { settingsOf } from '../../support/policies.ts';

function imagesOf({ objects }: { readonly objects: readonly object[] }): unknown {
  return (objects[0] as { images: unknown }).images;
}

describe('exportKustomize', () => {
  it('writes a repository in every spelling, and quotes the dots that would stand for other characters', () => {
    const repositories = [{ source: 'docker.io/library/a.b', target: 'r.example/c' }];
    const map = mapDocument({ repositories });
    const exported = exportKustomize(settingsOf({ sources: ['docker.io'], map }));
    const names = (imagesOf(exported) as { name: string; newName: string }[]).map(
      ({ name }) => name,
    );
    expect(names).toEqual(
      ['library/a\\.b', 'a\\.b'].flatMap((path) => [
        path,
        `docker.io/${path}`,
        `index.docker.io/${path}`,
        `registry-1.docker.io/${path}`,
        `registry.hub.docker.com/${path}`,
      ]),
    );
    expect(exported.leftOut).toEqual([]);
  });

  it('leaves out every prefix', () => {
    const { leftOut, objects } = exportKustomize(settingsOf({ base: 'r.example' }));
    expect(imagesOf({ objects })).toEqual([]);
    expect(leftOut.map(({ rule }) => rule)).toEqual([
      'ghcr.io/atlanhq -> r.example/atlanhq (all below)',
      'docker.io/atlanhq -> r.example/atlanhq (all below)',
      'registry.atlan.com -> r.example (all below)',
    ]);
  });
});

describe('exportKustomizeFor', () => {
  const map = mapDocument({
    images: [
      { source: 'atlanhq/a:1', target: `r.example/a:1-r1@${digestOf('a')}` },
      { source: 'atlanhq/b:1', target: `r.example/b@${digestOf('b')}` },
      { source: 'atlanhq/c:1', target: 'r.example/c' },
      { source: 'atlanhq/d', target: 'ghcr.io/atlanhq/e:1' },
    ],
  });
  const settings = settingsOf({ map, base: 's.example' });

  it('says tag and digest where the target has them, and latest where it has neither', () => {
    const images = ['atlanhq/a:1', 'atlanhq/b:1', 'atlanhq/c:1', 'ghcr.io/atlanhq/x:7', 'nginx'];
    const exported = exportKustomizeFor(settings, images);
    expect(exported.leftOut).toEqual([]);
    expect(imagesOf(exported)).toEqual([
      { name: 'atlanhq/a', newName: 'r.example/a', newTag: '1-r1', digest: digestOf('a') },
      { name: 'atlanhq/b', newName: 'r.example/b', digest: digestOf('b') },
      { name: 'atlanhq/c', newName: 'r.example/c', newTag: 'latest' },
      { name: 'ghcr.io/atlanhq/x', newName: 's.example/atlanhq/x' },
    ]);
  });

  it('leaves out images of one name that get different answers, or of which one stays', () => {
    const exported = exportKustomizeFor(settings, [
      'atlanhq/a:1',
      'atlanhq/a:2',
      'docker.io/atlanhq/a:2',
    ]);
    expect(exported.leftOut.map(({ rule }) => rule)).toEqual([
      `atlanhq/a:1 -> r.example/a:1-r1@${digestOf('a')}`,
      'atlanhq/a:2 -> s.example/atlanhq/a:2',
    ]);
    expect(imagesOf(exported)).toEqual([
      { name: 'docker.io/atlanhq/a', newName: 's.example/atlanhq/a' },
    ]);
  });

  it('leaves out images that are invalid, and those without a rule unless they are allowed', () => {
    const leftOutOf = (unmapped: 'allow' | 'warn' | 'deny'): unknown =>
      exportKustomizeFor(settingsOf({ map: mapDocument({}), unmapped }), [
        'bad image',
        'atlanhq/x:1',
        'atlanhq/x:2',
        'nginx',
      ]).leftOut.map(({ rule, reason }) => `${rule}: ${reason}`);
    const invalid = expect.stringMatching(/^"bad image": .* is not a repository path/);
    const unmapped = ['atlanhq/x:1', 'atlanhq/x:2'].map(
      (image) => `${image}: in scope, but no rule covers it`,
    );
    expect(leftOutOf('warn')).toEqual([invalid, ...unmapped]);
    expect(leftOutOf('deny')).toEqual([invalid, ...unmapped]);
    expect(leftOutOf('allow')).toEqual([invalid]);
  });

  it('leaves out an image whose target another entry would replace again', () => {
    const exported = exportKustomizeFor(settings, ['atlanhq/d', 'ghcr.io/atlanhq/e:2']);
    expect(exported.leftOut.map(({ rule }) => rule)).toEqual(['atlanhq/d -> ghcr.io/atlanhq/e']);
    expect(imagesOf(exported)).toEqual([
      { name: 'ghcr.io/atlanhq/e', newName: 's.example/atlanhq/e' },
    ]);
  });
});
