import { describe, expect, it } from '@jest/globals';
import type { ImageVerdict, Mode } from '../../src/core/verdict.ts';
import {
  denialMessage,
  identityText,
  summary,
  WARNING_LIMIT,
  warningsFor,
} from '../../src/core/admission-text.ts';
import { listPodImages } from '../../src/core/pod-images.ts';
import type { UnmappedAction } from '../../src/core/policy.ts';
import { digestOf } from '../support/digests.ts';
import { type PolicyOptions, policyOf } from '../support/policies.ts';
import { podOf } from '../support/pods.ts';

function verdictsOn(images: readonly string[], options: PolicyOptions = {}): ImageVerdict[] {
  const policy = policyOf(options);
  return listPodImages(podOf(images)).map((image) => ({
    image,
    decision: policy.decide(image.image),
  }));
}

function named(name: string, image: string): ImageVerdict[] {
  const pod = { spec: { containers: [{ name, image }] } };
  return listPodImages(pod).map((each) => ({ image: each, decision: policyOf().decide(image) }));
}

describe('warningsFor', () => {
  const unmapped = verdictsOn(['atlanhq/app:1']);
  const rewritten = verdictsOn(['atlanhq/app:1'], { base: 'r.example' });

  it.each<[UnmappedAction, Mode, number]>([
    ['allow', 'enforce', 0],
    ['allow', 'audit', 0],
    ['warn', 'enforce', 1],
    ['warn', 'audit', 1],
    ['deny', 'enforce', 1],
    ['deny', 'audit', 1],
  ])('says about an unmapped image under %s in mode %s: %d warnings', (action, mode, count) => {
    expect(warningsFor(unmapped, { unmapped: action }, mode)).toHaveLength(count);
  });

  it('names container, image and reason of an unmapped image', () => {
    const [warning] = warningsFor(unmapped, { unmapped: 'warn' }, 'enforce');
    expect(warning).toContain('containers/main');
    expect(warning).toContain('docker.io/atlanhq/app:1');
    expect(warning).toContain('no-rule');
  });

  it('tells a denial from one that an audit only foresees', () => {
    const denied = warningsFor(unmapped, { unmapped: 'deny' }, 'enforce');
    const foreseen = warningsFor(unmapped, { unmapped: 'deny' }, 'audit');
    expect(foreseen).not.toEqual(denied);
  });

  it('is silent about a rewritten image unless it is an audit', () => {
    expect(warningsFor(rewritten, { unmapped: 'warn' }, 'enforce')).toEqual([]);
    const [warning] = warningsFor(rewritten, { unmapped: 'warn' }, 'audit');
    expect(warning).toContain('r.example/atlanhq/app:1');
  });

  it('is silent about a kept image', () => {
    const kept = verdictsOn(['nginx', 'r.example/x:1'], { base: 'r.example' });
    expect(warningsFor(kept, { unmapped: 'deny' }, 'audit')).toEqual([]);
  });

  it('names the code of an invalid image', () => {
    const [warning] = warningsFor(verdictsOn(['atlanhq/App:1']), { unmapped: 'allow' }, 'enforce');
    expect(warning).toContain('REFERENCE_UPPERCASE');
    expect(warning).toContain('atlanhq/App:1');
  });

  it('keeps the reason, and cuts the name of the container where there is no room for both', () => {
    for (const length of [5, 15, 30, 60]) {
      const verdicts = named('n'.repeat(length), 'atlanhq/App:1');
      const [warning] = warningsFor(verdicts, { unmapped: 'allow' }, 'enforce');
      expect(warning).toContain(' has an invalid image (REFERENCE_UPPERCASE): atlanhq/App:1');
      expect(warning?.length).toBeLessThanOrEqual(120);
    }
  });

  const bang = '\u{1f4a5}';
  const odd: readonly (readonly [title: string, verdicts: ImageVerdict[]])[] = [
    ['a long path', verdictsOn([`atlanhq/${'long/'.repeat(40)}app:1@${digestOf('a')}`])],
    ['an image of 1 MiB', verdictsOn(['x'.repeat(1_048_576)])],
    ['control characters', verdictsOn(['atlanhq/app:1\n\r\u0000\u001b[31m\u0085'])],
    ['many emoji', verdictsOn([bang.repeat(200)])],
    ['some emoji', verdictsOn([`a${bang.repeat(40)}`])],
    ['half of a surrogate pair', verdictsOn(['\ud800'])],
    ['a blank', verdictsOn([' '])],
    ['one letter', verdictsOn(['A'])],
    ['a long container name', named('n'.repeat(10_000), 'atlanhq/app:1')],
    ['a line break in the container name', named('line\nbreak\u0007', 'atlanhq/app:1')],
    ['emoji in the container name', named(bang.repeat(100), 'atlanhq/app:1')],
    ['emoji behind a letter in the container name', named(`a${bang.repeat(100)}`, 'a/App:1')],
    ['an empty container name', named('', 'A:1')],
  ];

  it.each(odd)('keeps to 120 printable characters with %s', (_title, verdicts) => {
    const warnings = warningsFor(verdicts, { unmapped: 'warn' }, 'enforce');
    expect(WARNING_LIMIT).toBe(120);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.length).toBeLessThanOrEqual(120);
    expect(warnings[0]).not.toMatch(/\p{Cc}/u);
  });

  it.each(odd)('splits no surrogate pair with %s', (_title, verdicts) => {
    const warnings = warningsFor(verdicts, { unmapped: 'warn' }, 'enforce');
    expect(warnings.map((warning) => warning.isWellFormed())).toEqual([true]);
  });

  it('shows both ends of a long image', () => {
    const image = `atlanhq/${'long/'.repeat(40)}app:1.2.3`;
    const [warning] = warningsFor(verdictsOn([image]), { unmapped: 'warn' }, 'enforce');
    expect(warning).toMatch(/docker\.io\/atlanhq\/.*…/);
    expect(warning).toMatch(/app:1\.2\.3$/);
  });

  it('stays below what the API server keeps of all warnings together', () => {
    const images = Array.from({ length: 500 }, (_, index) => `atlanhq/${'x'.repeat(90)}:${index}`);
    const many = warningsFor(verdictsOn(images), { unmapped: 'warn' }, 'enforce');
    expect(many.join('').length).toBeLessThanOrEqual(4096);
    expect(many.at(-1)).toContain('481 more');
  });
});

describe('denialMessage', () => {
  const map = { 'atlanhq/other:1': 'r.example/other:1' };

  it('names container, image, reason, location of the map and serial', () => {
    const message = denialMessage(verdictsOn(['atlanhq/app'], { map }), policyOf({ map }));
    expect(message).toContain('containers/main');
    expect(message).toContain('docker.io/atlanhq/app:latest');
    expect(message).toContain('no-rule');
    expect(message).toContain('s3://sdr-config/image-map.json');
    expect(message).toContain('serial 42');
  });

  it('names only the unmapped images', () => {
    const images = ['atlanhq/other:1', 'nginx:1', 'atlanhq/app:1'];
    const message = denialMessage(verdictsOn(images, { map }), policyOf({ map }));
    expect(message).toContain('atlanhq/app:1');
    expect(message).not.toContain('nginx');
    expect(message).not.toContain('atlanhq/other');
  });

  it('does without a map', () => {
    const message = denialMessage(verdictsOn(['atlanhq/app:1']), policyOf());
    expect(message).toContain('docker.io/atlanhq/app:1');
    expect(message).not.toContain('serial');
  });

  it('does without a serial', () => {
    const identity = { location: 'file:///map.json', serial: undefined, etag: 'x' };
    const message = denialMessage(verdictsOn(['atlanhq/app:1']), { ...policyOf(), map: identity });
    expect(message).toContain('file:///map.json');
    expect(message).not.toContain('undefined');
  });

  it('shows of a name that nobody has checked what is safe to show', () => {
    const name = `\u001b[31m${'x'.repeat(500)}`;
    const verdicts = verdictsOn(['atlanhq/app:1']).map(({ image, decision }) => ({
      image: { ...image, name },
      decision,
    }));
    expect(denialMessage(verdicts, policyOf())).toMatch(
      /^sdr-image-rewriter: containers\/\?\[31mx{70,90}… wants docker\.io/,
    );
  });

  it('names five images and counts the rest', () => {
    const images = Array.from({ length: 9 }, (_, index) => `atlanhq/app-${index}:1`);
    const message = denialMessage(verdictsOn(images), policyOf());
    expect(message).toContain('atlanhq/app-4:1');
    expect(message).not.toContain('atlanhq/app-5:1');
    expect(message).toContain('4 more');
  });
});

describe('identityText', () => {
  it('has serial and etag as the map has them', () => {
    expect(identityText({ location: 'x', serial: 42, etag: '"abc"' })).toBe('serial=42 etag="abc"');
    expect(identityText({ location: 'x', serial: 0, etag: 'e' })).toBe('serial=0 etag=e');
    expect(identityText({ location: 'x', serial: undefined, etag: 'e' })).toBe('etag=e');
  });
});

describe('summary', () => {
  it('joins what fits', () => {
    expect(summary([], String)).toBe('');
    expect(summary(['a'], String)).toBe('a');
    expect(summary(['a', 'b', 'c'], String)).toBe('a, b, c');
  });

  it('counts what does not fit', () => {
    const line = 'x'.repeat(1000);
    expect(summary([line, line, line, line], String)).toBe(`${line}, ${line}, and 2 more`);
  });

  it('cuts a first line that does not fit by itself', () => {
    const text = summary(['x'.repeat(10_000), 'y'], String);
    expect(text.length).toBeLessThanOrEqual(2048);
    expect(text).toMatch(/…$/);
  });
});
