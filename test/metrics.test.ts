import { describe, expect, it } from '@jest/globals';
import { createMetrics } from '../src/metrics.ts';

async function samplesOf(metrics: ReturnType<typeof createMetrics>): Promise<string[]> {
  const text = await metrics.registry.metrics();
  return text
    .split('\n')
    .filter((line) => /^sdr_image_rewriter_(?:requests|images)_total/.test(line));
}

describe('the counters of the request path', () => {
  it('show no sample before anything was counted', async () => {
    expect(await samplesOf(createMetrics())).toEqual([]);
  });

  it('count on from one scrape to the next, each combination of labels by itself', async () => {
    const metrics = createMetrics();
    metrics.requests.add('CREATE', 'rewritten');
    metrics.requests.add('CREATE', 'rewritten');
    metrics.images.add('rewritten', 'base', 'containers');
    expect(await samplesOf(metrics)).toEqual([
      'sdr_image_rewriter_requests_total{operation="CREATE",outcome="rewritten"} 2',
      'sdr_image_rewriter_images_total{outcome="rewritten",rule="base",field="containers"} 1',
    ]);
    expect(await samplesOf(metrics)).toHaveLength(2);
    metrics.requests.add('CREATE', 'rewritten');
    metrics.requests.add('UPDATE', 'kept');
    expect(await samplesOf(metrics)).toEqual([
      'sdr_image_rewriter_requests_total{operation="CREATE",outcome="rewritten"} 3',
      'sdr_image_rewriter_requests_total{operation="UPDATE",outcome="kept"} 1',
      'sdr_image_rewriter_images_total{outcome="rewritten",rule="base",field="containers"} 1',
    ]);
  });
});
