import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  classify,
  type CoverageSubject,
  originalOf,
  STATES,
} from '../../../src/core/coverage/state.ts';
import type { Policy } from '../../../src/core/policy.ts';
import type { Sight, Webhook } from '../../../src/core/coverage/webhook-sight.ts';
import { imageTexts, policyOptions } from '../../support/arbitraries.ts';
import { policyOf } from '../../support/policies.ts';

const webhook = { name: 'rewriter/enforce' } as Webhook;
const ENFORCED: Sight = { mode: 'enforce', webhook };
const AUDITED: Sight = { mode: 'audit', webhook };
const UNSEEN: Sight = { mode: 'none', reason: 'namespace-selector', why: '' };

const BY_MAP = policyOf({ map: { 'atlanhq/a:1': 'r.example/a:1', 'atlanhq/b': 'r.example/b' } });
const PUBLIC = policyOf({ procurement: 'public' });

/** `state (reason)` of an image; `parts` go over a pod that runs it in an enforced namespace. */
function stateOf(
  original: string,
  parts: Partial<CoverageSubject> = {},
  policy: Policy = BY_MAP,
): string | undefined {
  const found = classify(
    { original, current: original, exemption: undefined, sight: ENFORCED, ...parts },
    policy,
  );
  return found && (found.reason === undefined ? found.state : `${found.state} (${found.reason})`);
}

describe('classify', () => {
  it('passes over what is out of scope', () => {
    expect(stateOf('nginx')).toBeUndefined();
    expect(stateOf('nginx', { current: undefined })).toBeUndefined();
  });

  it.each([
    ['runs from its target', 'atlanhq/a:1', { current: 'r.example/a:1' }, 'mirrored'],
    ['was written as a target', 'r.example/a:1', {}, 'mirrored (already-mirrored)'],
    ['runs as written though a rule is there', 'atlanhq/a:1', {}, 'pending'],
    ['is in no pod yet', 'atlanhq/a:1', { current: undefined }, 'covered'],
    ['runs from an older target', 'atlanhq/a:1', { current: 'r.example/a:0' }, 'stale'],
    ['lacks a rule', 'atlanhq/other:1', {}, 'unmapped (no-rule)'],
    [
      'lost its rule while it runs from the mirror',
      'atlanhq/other:1',
      { current: 'r.example/other:1' },
      'unmapped (no-rule)',
    ],
    ['does not parse', 'atlanhq/A:1', {}, 'invalid (REFERENCE_UPPERCASE)'],
    ['is skipped', 'atlanhq/a:1', { exemption: 'skip-label' }, 'exempt (skip-label)'],
    ['is static', 'atlanhq/other:1', { exemption: 'mirror-pod' }, 'exempt (mirror-pod)'],
    [
      'is skipped, but names the mirror by itself',
      'r.example/a:1',
      { exemption: 'skip-label' },
      'mirrored (already-mirrored)',
    ],
    ['is in no webhook’s sight', 'atlanhq/a:1', { sight: UNSEEN }, 'unseen (namespace-selector)'],
    [
      'runs from the mirror, but will not again',
      'atlanhq/a:1',
      { current: 'r.example/a:1', sight: UNSEEN },
      'unseen (namespace-selector)',
    ],
    ['lacks a rule out of sight', 'atlanhq/other:1', { sight: UNSEEN }, 'unmapped (no-rule)'],
    ['is audited', 'atlanhq/a:1', { sight: AUDITED }, 'audited'],
    ['is seen by nobody knows whom', 'atlanhq/a:1', { sight: undefined }, 'pending'],
    ['left the scope', 'nginx', { current: 'r.example/nginx' }, 'stale (out-of-scope)'],
  ] as const)('says of an image that %s what it is', (_title, original, parts, expected) => {
    expect(stateOf(original, parts)).toBe(expected);
  });

  it('says of procurement public what is left from the time before', () => {
    expect(stateOf('atlanhq/a:1', {}, PUBLIC)).toBe('public (procurement-public)');
    expect(stateOf('atlanhq/a:1', { current: 'r.example/a:1' }, PUBLIC)).toBe(
      'stale (procurement-public)',
    );
  });

  it('compares targets as references, not as texts', () => {
    const policy = policyOf({ prefixes: { 'docker.io/atlanhq': 'index.docker.io/corp' } });
    expect(stateOf('atlanhq/a', { current: 'docker.io/corp/a:latest' }, policy)).toBe('mirrored');
  });

  it('has a state for everything that is not out of scope, whatever the image and the policy', () => {
    fc.assert(
      fc.property(imageTexts, policyOptions.map(policyOf), (image, policy) => {
        const decision = policy.decide(image);
        const isOurs = decision.outcome !== 'kept' || decision.reason !== 'out-of-scope';
        const found = stateOf(image, {}, policy);
        expect(found !== undefined).toBe(isOurs);
        expect(found === undefined || Object.hasOwn(STATES, found.replace(/ .*/, ''))).toBe(true);
      }),
    );
  });

  it('takes what the webhook just wrote for mirrored, whatever the policy', () => {
    fc.assert(
      fc.property(imageTexts, policyOptions.map(policyOf), (image, policy) => {
        const decision = policy.decide(image);
        fc.pre(decision.outcome === 'rewritten');
        const original = originalOf(policy, decision.target, image);
        expect(original).toBe(image);
        expect(stateOf(original, { current: decision.target }, policy)).toBe('mirrored');
      }),
    );
  });
});

describe('originalOf', () => {
  it.each([
    ['a target', 'r.example/a:1', 'atlanhq/a:1', 'atlanhq/a:1'],
    ['a target that was a target before', 'old.example/a:1', 'atlanhq/a:1', 'atlanhq/a:1'],
    ['a target without an annotation', 'r.example/a:1', undefined, 'r.example/a:1'],
    ['a source that was set later', 'atlanhq/b:2', 'atlanhq/a:1', 'atlanhq/b:2'],
    ['an unmapped source that was set later', 'atlanhq/c:2', 'atlanhq/a:1', 'atlanhq/c:2'],
    ['a target that was set later', 'r.example/b:2', 'atlanhq/b:1', 'docker.io/atlanhq/b:2'],
    ['a target that no source of that name has', 'r.example/a:2', 'atlanhq/a:1', 'atlanhq/a:1'],
    ['what does not parse', 'atlanhq/A', 'atlanhq/a:1', 'atlanhq/A'],
  ])('of %s is what its author wrote', (_title, image, annotated, original) => {
    expect(originalOf(BY_MAP, image, annotated)).toBe(original);
  });

  it('of a source is the source where procurement is public', () => {
    expect(originalOf(PUBLIC, 'atlanhq/b:2', 'atlanhq/a:1')).toBe('atlanhq/b:2');
    expect(originalOf(PUBLIC, 'r.example/a:1', 'atlanhq/a:1')).toBe('atlanhq/a:1');
  });
});
