import { describe, expect, it } from '@jest/globals';
import { runSteps } from '../../src/core/steps.ts';
import { sha256Steps } from '../../src/source/digest.ts';
import { sha256 } from '../support/digests.ts';

describe('sha256Steps', () => {
  it.each([0, 1, 131_071, 131_072, 131_073, 1_000_000])('hashes %d bytes', (length) => {
    const bytes = Uint8Array.from({ length }, (_, index) => index % 251);
    expect(runSteps(sha256Steps(bytes))).toBe(sha256(bytes));
  });

  it('rests between the parts of many bytes', () => {
    expect([...sha256Steps(new Uint8Array(1_000_000))].length).toBeGreaterThan(5);
  });
});
