import { describe, expect, it } from '@jest/globals';
import { FAULT_LIMIT } from '../../src/core/fault-list.ts';
import { parseImageMap } from '../../src/core/parse-image-map.ts';
import { checkSuccessor, type MapGuards } from '../../src/core/map-guard.ts';
import { digestOf } from '../support/digests.ts';
import { mapDocument, mapOf } from '../support/maps.ts';
import { prefixOf } from '../support/references.ts';

const LENIENT: MapGuards = { allowedTargets: [], allowRollback: false, maxShrink: 1 };

function faultsOfSuccessor(next: unknown, current?: unknown, guards: Partial<MapGuards> = {}) {
  const before = current === undefined ? undefined : mapOf(current);
  const bytes = Buffer.from(JSON.stringify(next));
  const parsed = parseImageMap(bytes, bytes.length);
  return checkSuccessor(parsed, before, { ...LENIENT, ...guards }).map(
    ({ code, path }) => `${code} ${path}`,
  );
}

function mapWithEntries(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [`atlanhq/${name}:1`, `r.example/${name}:1`]));
}

describe('allowedTargets', () => {
  const document = mapDocument({
    images: [
      { source: 'atlanhq/a:1', target: `r.example/team/a:1@${digestOf('a')}` },
      { source: 'atlanhq/b:1', target: 'r.example/team2/b:1' },
      { source: 'atlanhq/c:1', aliases: ['ghcr.io/atlanhq/c:1'], target: 'evil.example/c:1' },
    ],
    repositories: [{ source: 'atlanhq/d', target: 'r.example/team' }],
    prefixes: [{ source: 'ghcr.io/atlanhq', target: 'r.example' }],
  });

  it('let every target pass where there are none', () => {
    expect(faultsOfSuccessor(document)).toEqual([]);
  });

  it('refuse any number of targets, and tell of 10,000', () => {
    const names = Array.from({ length: 20_000 }, (_, index) => `app-${index}`);
    const guards = { allowedTargets: [prefixOf('elsewhere.example')] };
    const faults = faultsOfSuccessor(mapWithEntries(names), undefined, guards);
    expect(faults).toHaveLength(FAULT_LIMIT + 1);
    expect(faults.every((fault) => fault.startsWith('MAP_TARGET_FORBIDDEN $'))).toBe(true);
  });

  it('are held against a map with faults of its own as well, so that all are told at once', () => {
    const faulty = mapDocument({
      serial: 1,
      images: [
        { source: 'atlanhq/A:1', target: 'r.example/team/a:1' },
        { source: 'atlanhq/b:1', target: 'evil.example/b:1' },
        { source: 'atlanhq/c:1', target: 'docker.io/atlanhq/d:1' },
        { source: 'atlanhq/d:1', target: 'r.example/team/d:1' },
      ],
    });
    const guards = { allowedTargets: [prefixOf('r.example/team'), prefixOf('docker.io/atlanhq')] };
    expect(faultsOfSuccessor(faulty, mapDocument({ serial: 2, images: [] }), guards)).toEqual([
      'MAP_REFERENCE_INVALID $.images[0].source',
      'MAP_TARGET_IS_SOURCE $.images[2].target',
      'MAP_TARGET_FORBIDDEN $.images[1].target',
      'MAP_SERIAL_LOWER $.serial',
    ]);
  });

  it.each([
    [[{ source: 'atlanhq/a:1', target: 'evil.example/a:1' }], '$[0].target'],
    [[{ from: 'atlanhq/a:1', to: 'evil.example/a:1' }], '$[0].to'],
    [
      [{ sourceImage: 'atlanhq/a:1', destinationImage: 'evil.example/a:1' }],
      '$[0].destinationImage',
    ],
    [{ 'atlanhq/a:1': 'evil.example/a:1' }, '$["atlanhq/a:1"]'],
    [{ images: { from: 'evil.example/a' } }, '$.images.from'],
  ])('name the place of the target in %j', (document, path) => {
    const guards = { allowedTargets: [prefixOf('r.example')] };
    expect(faultsOfSuccessor(document, undefined, guards)).toEqual([
      `MAP_TARGET_FORBIDDEN ${path}`,
    ]);
  });

  it('refuse each target outside, on a path boundary', () => {
    expect(
      faultsOfSuccessor(document, undefined, { allowedTargets: [prefixOf('r.example/team')] }),
    ).toEqual([
      'MAP_TARGET_FORBIDDEN $.images[1].target',
      'MAP_TARGET_FORBIDDEN $.images[2].target',
      'MAP_TARGET_FORBIDDEN $.prefixes[0].target',
    ]);
  });

  it('let a target pass that any of them covers', () => {
    const allowedTargets = [prefixOf('evil.example'), prefixOf('r.example')];
    expect(faultsOfSuccessor(document, undefined, { allowedTargets })).toEqual([]);
  });

  it('do not take a host that begins with an allowed one', () => {
    const allowedTargets = [prefixOf('r.example')];
    expect(
      faultsOfSuccessor({ 'a:1': 'r.example.evil.example/a:1' }, undefined, { allowedTargets }),
    ).toEqual(['MAP_TARGET_FORBIDDEN $["a:1"]']);
    expect(
      faultsOfSuccessor({ 'a:1': 'r.example:5000/a:1' }, undefined, { allowedTargets }),
    ).toEqual(['MAP_TARGET_FORBIDDEN $["a:1"]']);
  });

  it('compare normalised names', () => {
    const allowedTargets = [prefixOf('index.docker.io/mirror')];
    expect(faultsOfSuccessor({ 'a:1': 'mirror/a:1' }, undefined, { allowedTargets })).toEqual([]);
  });
});

describe('the serial', () => {
  const withSerial = (serial?: number) => mapDocument(serial === undefined ? {} : { serial });

  it.each([
    [1, 1],
    [1, 2],
    [0, 0],
    [undefined, 1],
    [undefined, undefined],
  ])('may go from %p to %p', (current, next) => {
    expect(faultsOfSuccessor(withSerial(next), withSerial(current))).toEqual([]);
  });

  it.each([
    [2, 1],
    [1, 0],
    [1, undefined],
    [0, undefined],
  ])('may not go from %p to %p', (current, next) => {
    expect(faultsOfSuccessor(withSerial(next), withSerial(current))).toEqual([
      'MAP_SERIAL_LOWER $.serial',
    ]);
  });

  it('may go anywhere with allowRollback', () => {
    const guards = { allowRollback: true };
    expect(faultsOfSuccessor(withSerial(1), withSerial(2), guards)).toEqual([]);
    expect(faultsOfSuccessor(withSerial(), withSerial(2), guards)).toEqual([]);
  });

  it('of the first map may be any', () => {
    expect(faultsOfSuccessor(withSerial(), undefined)).toEqual([]);
    expect(faultsOfSuccessor(withSerial(0), undefined)).toEqual([]);
  });
});

describe('maxShrink', () => {
  const current = mapWithEntries(['a', 'b', 'c', 'd']);

  it('lets half of the entries go at 0.5, and no more', () => {
    const guards = { maxShrink: 0.5 };
    expect(faultsOfSuccessor(mapWithEntries(['a', 'b']), current, guards)).toEqual([]);
    expect(faultsOfSuccessor(mapWithEntries(['a']), current, guards)).toEqual(['MAP_SHRINKS $']);
    expect(faultsOfSuccessor({}, current, guards)).toEqual(['MAP_SHRINKS $']);
  });

  it('lets none go at 0', () => {
    expect(faultsOfSuccessor(mapWithEntries(['a', 'b', 'c']), current, { maxShrink: 0 })).toEqual([
      'MAP_SHRINKS $',
    ]);
    expect(faultsOfSuccessor(current, current, { maxShrink: 0 })).toEqual([]);
  });

  it('lets all go at 1', () => {
    expect(faultsOfSuccessor({}, current, { maxShrink: 1 })).toEqual([]);
  });

  it('counts what is lost, however much is new', () => {
    const next = mapWithEntries(['e', 'f', 'g', 'h', 'i']);
    expect(faultsOfSuccessor(next, current, { maxShrink: 0.5 })).toEqual(['MAP_SHRINKS $']);
  });

  it('does not count a changed target as lost', () => {
    const next = Object.fromEntries(Object.keys(current).map((key) => [key, 's.example/x:1']));
    expect(faultsOfSuccessor(next, current, { maxShrink: 0 })).toEqual([]);
  });

  it('says nothing where there was nothing to lose', () => {
    expect(faultsOfSuccessor({}, {}, { maxShrink: 0 })).toEqual([]);
  });
});

describe('checkSuccessor', () => {
  it('tells all faults at once', () => {
    const guards = { allowedTargets: [prefixOf('r.example')], maxShrink: 0.5 };
    const next = mapDocument({ serial: 1, images: { 'atlanhq/x:1': 'evil.example/x:1' } });
    const current = mapDocument({ serial: 2, images: mapWithEntries(['a', 'b']) });
    expect(faultsOfSuccessor(next, current, guards).toSorted()).toEqual([
      'MAP_SERIAL_LOWER $.serial',
      'MAP_SHRINKS $',
      'MAP_TARGET_FORBIDDEN $.images["atlanhq/x:1"]',
    ]);
  });
});
