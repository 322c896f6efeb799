import { describe, expect, it } from '@jest/globals';
import { findSight, readWebhooks, type Sight, type Webhook } from '../../../src/core/coverage/webhook-sight.ts';
import type { KubernetesObject } from '../../../src/core/workload.ts';
import { webhookConfiguration, webhookEntry } from '../../support/coverage-objects.ts';

const MODE = 'sdr-image-rewriter.io/mode';

function webhooks(...entries: readonly object[]): Webhook[] {
  const configuration = webhookConfiguration(entries);
  return readWebhooks(configuration as KubernetesObject) ?? [];
}

const BOTH = webhooks(webhookEntry('enforce'), webhookEntry('audit'));

function sightText(sight: Sight): string {
  return sight.mode === 'none' ? `none: ${sight.reason}` : `${sight.mode}: ${sight.webhook.name}`;
}

function see(found: readonly Webhook[], labels: object, pod?: Record<string, string>): string {
  return sightText(findSight(found, { ...labels }, pod));
}

describe('readWebhooks', () => {
  function isOurs(configuration: object): boolean {
    return readWebhooks(configuration as KubernetesObject) !== undefined;
  }

  it('knows a configuration of the chart by its label, and any by the names of its webhooks', () => {
    const metadata = { name: 'x' };
    expect(isOurs(webhookConfiguration())).toBe(true);
    expect(isOurs({ ...webhookConfiguration(), metadata })).toBe(true);
    const foreign = webhookEntry('enforce', { name: 'inject.example.com' });
    expect(isOurs({ ...webhookConfiguration([foreign]), metadata })).toBe(false);
    expect(isOurs({ ...webhookConfiguration(), kind: 'ConfigMap' })).toBe(false);
  });

  it('reads the mode from the path that is called, of a Service and of a URL', () => {
    const [byUrl] = webhooks(
      webhookEntry('enforce', { clientConfig: { url: 'https://host/audit?x=1' } }),
    );
    expect(BOTH.map(({ mode }) => mode)).toEqual(['enforce', 'audit']);
    expect(byUrl).toMatchObject({ mode: 'audit', hasAuthority: true });
  });

  it('finds a Service whose certificate nobody can check', () => {
    const service = { name: 'r', namespace: 'r', path: '/mutate' };
    const [bare] = webhooks(webhookEntry('enforce', { clientConfig: { service } }));
    expect(bare?.hasAuthority).toBe(false);
    expect(BOTH[0]?.hasAuthority).toBe(true);
  });

  it('takes Fail for the default of failurePolicy, and conditions of the chart for known', () => {
    const matchConditions = [{ name: 'images-change' }, { name: 'only-team-a' }];
    const [entry] = webhooks(
      webhookEntry('enforce', { failurePolicy: undefined, matchConditions }),
    );
    expect(entry).toMatchObject({ failurePolicy: 'Fail', foreignConditions: ['only-team-a'] });
  });
});

describe('findSight', () => {
  it('finds the webhook that selects the namespace', () => {
    expect(see(BOTH, { [MODE]: 'enforce' })).toBe(
      'enforce: rewriter/enforce.sdr-image-rewriter.io',
    );
    expect(see(BOTH, { [MODE]: 'audit' })).toBe('audit: rewriter/audit.sdr-image-rewriter.io');
  });

  it('lets one that patches go before one that audits', () => {
    const all = { namespaceSelector: {} };
    const found = webhooks(webhookEntry('audit', all), webhookEntry('enforce', all));
    expect(see(found, {})).toBe('enforce: rewriter/enforce.sdr-image-rewriter.io');
  });

  it('says which label is missing or wrong', () => {
    const sight = (labels: Record<string, string>): unknown => findSight(BOTH, labels);
    expect(sight({})).toEqual({
      mode: 'none',
      reason: 'namespace-selector',
      why: `rewriter/enforce.sdr-image-rewriter.io wants ${MODE} In [enforce], and it is missing`,
    });
    expect(sight({ [MODE]: 'enforced' })).toMatchObject({
      why: `rewriter/enforce.sdr-image-rewriter.io wants ${MODE} In [enforce], and it is enforced`,
    });
  });

  it('says that there is none', () => {
    expect(see([], { [MODE]: 'enforce' })).toBe('none: no-webhook');
  });

  it('looks at the labels of the pod, where there are any to look at', () => {
    const enforced = { [MODE]: 'enforce' };
    const pod = { 'sdr-image-rewriter.io/skip': 'true' };
    expect(see(BOTH, enforced, pod)).toBe('none: object-selector');
    expect(see(BOTH, enforced, {})).toBe('enforce: rewriter/enforce.sdr-image-rewriter.io');
  });

  it.each([
    ['another resource', { resources: ['deployments'] }, false],
    ['a subresource alone', { resources: ['pods/ephemeralcontainers'] }, false],
    ['updates alone', { operations: ['UPDATE'] }, false],
    ['another group', { apiGroups: ['apps'] }, false],
    ['cluster scope', { scope: 'Cluster' }, false],
    ['everything', { resources: ['*/*'], operations: ['*'], apiGroups: ['*'] }, true],
  ])('knows whether rules for %s call it for new pods', (_title, part, isCalled) => {
    const [rule] = (webhookEntry('enforce') as { rules: object[] }).rules;
    const found = webhooks(webhookEntry('enforce', { rules: [{ ...rule, ...part }] }));
    expect(see(found, { [MODE]: 'enforce' })).toMatch(isCalled ? /^enforce/ : 'none: pod-rules');
  });
});
