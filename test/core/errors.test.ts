import { describe, expect, it } from '@jest/globals';
import { ERROR_CODES, isInvalid, quote, RewriterError } from '../../src/core/errors.ts';

describe('ERROR_CODES', () => {
  it.each(Object.entries(ERROR_CODES))('says what %s means and what to do', (code, entry) => {
    expect(code).toMatch(/^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*$/);
    expect(entry.meaning).toMatch(/\.$/);
    expect(entry.remedy).toMatch(/\.$/);
  });
});

describe('RewriterError', () => {
  it('carries its code, its faults and its cause', () => {
    const cause = new Error('EACCES');
    const faults = [{ code: 'MAP_NOT_JSON', path: '$', message: 'x' }] as const;
    const error = new RewriterError('MAP_UNREADABLE', 'cannot read', { cause, faults });
    expect(error).toMatchObject({ name: 'RewriterError', code: 'MAP_UNREADABLE', cause, faults });
    expect(error).toBeInstanceOf(Error);
  });

  it('has no faults and no cause by itself', () => {
    const error = new RewriterError('INTERNAL', 'x');
    expect(error.faults).toEqual([]);
    expect('cause' in error).toBe(false);
  });
});

describe('isInvalid', () => {
  it('tells a refusal from a value', () => {
    expect(isInvalid({ invalid: 'REFERENCE_EMPTY', message: 'x' })).toBe(true);
    expect(isInvalid({ value: 'docker.io' })).toBe(false);
  });
});

describe('quote', () => {
  it.each([
    ['', '""'],
    ['a', '"a"'],
    ['say "hi"', '"say \\"hi\\""'],
    ['line\nbreak\u0000', '"line\\nbreak\\u0000"'],
    ['x'.repeat(80), `"${'x'.repeat(80)}"`],
    ['x'.repeat(81), `"${'x'.repeat(80)}…"`],
  ])('quotes %j', (text, quoted) => {
    expect(quote(text)).toBe(quoted);
  });
});
