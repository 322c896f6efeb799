import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { admit } from '../../src/core/admission.ts';
import { parseReview } from '../../src/core/review-reader.ts';
import { pods, policyOptions } from '../support/arbitraries.ts';
import { policyOf } from '../support/policies.ts';

const FIXTURES = 'test/fixtures/admission-reviews';
const POLICY = policyOf({ base: 'registry.corp.example/mirror' });

function read(text: string): unknown {
  return parseReview(text, Buffer.from(text));
}

describe('parseReview', () => {
  it.each(readdirSync(FIXTURES))('lets admit answer %s as the whole review does', (name) => {
    const text = readFileSync(`${FIXTURES}/${name}`, 'utf8');
    expect(admit(read(text), POLICY, 'enforce')).toEqual(
      admit(JSON.parse(text), POLICY, 'enforce'),
    );
  });

  it('leaves out what no answer depends on', () => {
    const text = readFileSync(`${FIXTURES}/create-deployment-pod.json`, 'utf8');
    const kept = JSON.stringify(read(text));
    expect(kept).not.toMatch(/managedFields|"env"|volumeMounts|"status"|"groups"/);
    expect(kept.length).toBeLessThan(text.length / 6);
  });

  it('lets admit answer every review as the whole review does', () => {
    const requests = fc.record(
      {
        uid: fc.constantFrom('u-1', '', 7),
        operation: fc.constantFrom('CREATE', 'UPDATE', 'DELETE', null),
        resource: fc.constantFrom(
          { group: '', version: 'v1', resource: 'pods' },
          { group: 'apps', resource: 'pods' },
          { resource: 'deployments' },
          'pods',
        ),
        subResource: fc.constantFrom('ephemeralcontainers', '', 'status'),
        namespace: fc.constantFrom('sdr', ''),
        name: fc.constantFrom('pod-1', ''),
        dryRun: fc.boolean(),
        userInfo: fc.constantFrom({ username: 'someone', groups: ['a'] }, null),
        object: fc.oneof(pods, fc.jsonValue({ maxDepth: 2 })),
        oldObject: fc.oneof(pods, fc.jsonValue({ maxDepth: 2 })),
        newerField: fc.jsonValue(),
      },
      { requiredKeys: ['uid', 'operation', 'resource', 'object'] },
    );
    const marks = fc.constantFrom(
      {},
      { labels: { 'sdr-image-rewriter.io/skip': 'true', a: 'b' } },
      { annotations: { 'kubernetes.io/config.mirror': 'x' } },
      { ownerReferences: [{ kind: 'Job', name: 'j', uid: 'u', controller: true }, null] },
      { name: 'n', namespace: 'ns' },
    );
    fc.assert(
      fc.property(requests, marks, policyOptions, (request, mark, options) => {
        const { object } = request;
        const marked =
          typeof object === 'object' && object !== null && !Array.isArray(object)
            ? { ...object, metadata: { ...(object as { metadata?: object }).metadata, ...mark } }
            : object;
        const text = JSON.stringify({
          kind: 'AdmissionReview',
          apiVersion: 'admission.k8s.io/v1',
          request: { ...request, object: marked },
        });
        const policy = policyOf(options);
        for (const mode of ['enforce', 'audit'] as const) {
          expect(admit(read(text), policy, mode)).toEqual(admit(JSON.parse(text), policy, mode));
        }
      }),
      { numRuns: 1500 },
    );
  });
});
