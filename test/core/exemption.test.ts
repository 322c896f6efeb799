import { describe, expect, it } from '@jest/globals';
import { findExemption } from '../../src/core/exemption.ts';

describe('findExemption', () => {
  it.each([
    [
      'a pod with the skip label',
      { labels: { 'sdr-image-rewriter.io/skip': 'true' } },
      'skip-label',
    ],
    ['a static pod', { annotations: { 'kubernetes.io/config.mirror': '' } }, 'mirror-pod'],
  ])('leaves %s alone', (_title, metadata, exemption) => {
    expect(findExemption(metadata)).toBe(exemption);
  });

  it.each([
    ['no metadata', undefined],
    ['metadata that is text', 'skip'],
    ['labels that are null', { labels: null }],
    ['another value of the label', { labels: { 'sdr-image-rewriter.io/skip': 'yes' } }],
    ['a label that is no text', { labels: { 'sdr-image-rewriter.io/skip': true } }],
    ['the skip label as an annotation', { annotations: { 'sdr-image-rewriter.io/skip': 'true' } }],
    ['the mirror annotation as a label', { labels: { 'kubernetes.io/config.mirror': 'x' } }],
  ])('exempts nothing by %s', (_title, metadata) => {
    expect(findExemption(metadata)).toBeUndefined();
  });
});
