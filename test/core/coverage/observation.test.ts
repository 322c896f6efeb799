import { describe, expect, it } from '@jest/globals';
import { type Observation, observe } from '../../../src/core/coverage/observation.ts';
import type { KubernetesObject } from '../../../src/core/workload.ts';
import { runningPod, workloadObject } from '../../support/coverage-objects.ts';
import { digestOf } from '../../support/digests.ts';

function observed(object: object, parts: object = {}): Observation | undefined {
  return observe({ ...object, ...parts } as KubernetesObject);
}

describe('observe', () => {
  it('reads from a pod what it was, and where each container was pulled from', () => {
    const annotations = {
      'sdr-image-rewriter.io/original-images': JSON.stringify({ 'containers/main': 'atlanhq/a:1' }),
    };
    const pod = runningPod('p', 'r.example/a:1', { annotations, labels: { app: 'a' } });
    expect(observed(pod)).toMatchObject({
      namespace: 'sdr',
      kind: 'Pod',
      name: 'p',
      isPod: true,
      images: [
        {
          container: 'containers/main',
          image: 'r.example/a:1',
          annotated: 'atlanhq/a:1',
          pulledFrom: `r.example/a@${digestOf('a')}`,
          labels: { app: 'a' },
        },
      ],
    });
  });

  it('reads the statuses of init and ephemeral containers, and none of volumes', () => {
    const digest = digestOf('1');
    const images = observed({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: {
        containers: [{ name: 'main', image: 'a' }],
        initContainers: [{ name: 'main', image: 'b' }],
        ephemeralContainers: [{ name: 'debug', image: 'c' }],
        volumes: [{ name: 'main', image: { reference: 'd' } }],
      },
      status: {
        phase: 'Pending',
        containerStatuses: [{ name: 'main', imageID: '' }],
        initContainerStatuses: [{ name: 'main', imageID: `docker-pullable://b@${digest}` }],
        ephemeralContainerStatuses: [{ name: 'debug', imageID: digest }],
      },
    })?.images;
    expect(images?.map(({ container, pulledFrom }) => [container, pulledFrom])).toEqual([
      ['containers/main', undefined],
      ['initContainers/main', `b@${digest}`],
      ['ephemeralContainers/debug', digest],
      ['volumes/main', undefined],
    ]);
  });

  it('takes a pod without a status for a template of itself', () => {
    const manifest = observed(runningPod('p', 'a'), { status: undefined });
    expect(manifest).toMatchObject({ isPod: false, images: [{ pulledFrom: undefined }] });
  });

  it('does not take an annotation in a template for what was rewritten', () => {
    const annotations = { 'sdr-image-rewriter.io/original-images': '{"containers/main":"x"}' };
    const deployment = workloadObject('Deployment', 'd', 'a');
    const metadata = { name: 'd', annotations };
    expect(observed(deployment, { metadata })?.images[0]?.annotated).toBeUndefined();
  });

  it.each([
    ['a pod that succeeded', runningPod('p', 'a', { phase: 'Succeeded' }), {}],
    ['a pod that failed', runningPod('p', 'a', { phase: 'Failed' }), {}],
    [
      'a Job that is complete',
      workloadObject('Job', 'j', 'a'),
      { status: { conditions: [{ type: 'Complete', status: 'True' }] } },
    ],
    [
      'a Job that failed',
      workloadObject('Job', 'j', 'a'),
      { status: { conditions: [{ type: 'Failed', status: 'True' }] } },
    ],
    [
      'an Argo Workflow that failed',
      {
        apiVersion: 'argoproj.io/v1alpha1',
        kind: 'Workflow',
        metadata: { name: 'w' },
        spec: { templates: [{ container: { image: 'a' } }] },
      },
      { status: { phase: 'Error' } },
    ],
    ['what makes no pods', { apiVersion: 'v1', kind: 'ConfigMap' }, {}],
  ])('passes over %s', (_title, object, parts) => {
    expect(observed(object, parts)).toBeUndefined();
  });

  it('passes over an image that a parameter of Argo Workflows fills in, and no other', () => {
    const templates = ['{{inputs.parameters.image}}', 'atlanhq/a:1'].map((image) => ({
      container: { image },
    }));
    const workflow = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow', spec: { templates } };
    expect(observed(workflow, {})?.images.map(({ image }) => image)).toEqual(['atlanhq/a:1']);
  });

  it.each([
    ['a Job at work', 'Job', { conditions: [{ type: 'Suspended', status: 'True' }] }],
    ['a Job that did not fail', 'Job', { conditions: [{ type: 'Failed', status: 'False' }] }],
    ['a Deployment', 'Deployment', { conditions: [{ type: 'Failed', status: 'True' }] }],
  ])('does not pass over %s', (_title, kind, status) => {
    expect(observed(workloadObject(kind, 'x', 'a'), { status })).toBeDefined();
  });

  it.each([[null], ['text'], [{ containerStatuses: [null, 7], phase: 7 }], [{ phase: {} }]])(
    'survives a status such as %j',
    (status) => {
      expect(observed(runningPod('p', 'a'), { status })?.images).toHaveLength(1);
    },
  );
});
