import { describe, expect, it } from '@jest/globals';
import { admit } from '../../src/core/admission.ts';
import { REQUEST_REASONS, type RequestReason } from '../../src/core/admission-request.ts';
import type { Mode } from '../../src/core/verdict.ts';
import {
  DECIDED_BY_ANNOTATION,
  ORIGINAL_IMAGES_ANNOTATION,
  type PatchOperation,
} from '../../src/core/patch.ts';
import type { Policy } from '../../src/core/policy.ts';
import { answerOf } from '../support/answers.ts';
import { digestOf } from '../support/digests.ts';
import { patched } from '../support/patches.ts';
import { mapDocument } from '../support/maps.ts';
import { podOf, valueAt } from '../support/pods.ts';
import { MAP_IDENTITY, MIRROR, policyOf } from '../support/policies.ts';
import { capturedReview, createReview, UID, updateReview } from '../support/reviews.ts';

const [A, B, C] = [digestOf('a'), digestOf('b'), digestOf('c')];
const ORIGINAL_POINTER = '/metadata/annotations/sdr-image-rewriter.io~1original-images';
const DECIDED_BY_POINTER = '/metadata/annotations/sdr-image-rewriter.io~1decided-by';
const POLICY = policyOf({ base: MIRROR, imagePullSecrets: ['corp-registry'] });

function patchFor(review: unknown, policy: Policy = POLICY, mode: Mode = 'enforce') {
  return answerOf(review, policy, mode).response.patch;
}

/** `op path value` of each operation on an image, and the bare path of any other. */
function imageEdits(patch: readonly PatchOperation[]): string[] {
  return patch.map(({ op, path, value }) =>
    op === 'replace' ? `${op} ${path} ${value}` : `${op} ${path}`,
  );
}

describe('a captured review', () => {
  const policy = policyOf({ base: MIRROR });

  it('of a pod of a Deployment has only its first container rewritten and annotated', () => {
    const { response, record } = answerOf(capturedReview('create-deployment-pod'), policy);
    expect(response).toEqual({
      uid: 'b9c1885f-727c-433f-8abb-a7ab53750959',
      allowed: true,
      patch: [
        {
          op: 'replace',
          path: '/spec/containers/0/image',
          value: 'registry.corp.example/mirror/atlanhq/atlan-mysql-app:main-97b8c95',
        },
        {
          op: 'add',
          path: ORIGINAL_POINTER,
          value: '{"containers/main":"atlanhq/atlan-mysql-app:main-97b8c95"}',
        },
        { op: 'add', path: DECIDED_BY_POINTER, value: 'prefix' },
      ],
      warnings: [],
      auditAnnotations: {
        rewritten:
          'containers/main: atlanhq/atlan-mysql-app:main-97b8c95 -> registry.corp.example/mirror/atlanhq/atlan-mysql-app:main-97b8c95',
      },
      denial: undefined,
    });
    expect(record).toMatchObject({
      uid: 'b9c1885f-727c-433f-8abb-a7ab53750959',
      dryRun: false,
      operation: 'CREATE',
      namespace: 'sdr',
      pod: 'atlan-mysql-app-f486fcc8c-',
      owner: 'ReplicaSet/atlan-mysql-app-f486fcc8c',
      user: 'system:serviceaccount:kube-system:replicaset-controller',
      outcome: 'rewritten',
      reason: undefined,
      map: undefined,
    });
    expect(record.verdicts.map(({ decision }) => decision.outcome)).toEqual([
      'rewritten',
      'kept',
      'kept',
    ]);
  });

  it('of a pod of a Deployment keeps its own pull secret when ours is appended', () => {
    const patch = patchFor(capturedReview('create-deployment-pod'));
    expect(patch.at(-1)).toEqual({
      op: 'add',
      path: '/spec/imagePullSecrets/-',
      value: { name: 'corp-registry' },
    });
    const after = patched(capturedReview('create-deployment-pod').request.object, patch);
    expect(valueAt(after, '/spec/imagePullSecrets')).toEqual([
      { name: 'atlan-docker-secret' },
      { name: 'corp-registry' },
    ]);
  });

  it('of a pod of a Job keeps the digest', () => {
    const digest = 'sha256:9b2a0c0c5b0f3d5a4a0d1f6d8f9a1b2c3d4e5f60718293a4b5c6d7e8f9012345';
    expect(patchFor(capturedReview('create-job-pod-digest'), policy)).toEqual([
      {
        op: 'replace',
        path: '/spec/containers/0/image',
        value: `registry.corp.example/mirror/atlanhq/atlan-crawler:2.4.1@${digest}`,
      },
      {
        op: 'replace',
        path: '/spec/containers/1/image',
        value: 'registry.corp.example/mirror/public/app-runtime-base:3',
      },
      {
        op: 'add',
        path: '/metadata/annotations',
        value: {
          [ORIGINAL_IMAGES_ANNOTATION]: JSON.stringify({
            'containers/main': `docker.io/atlanhq/atlan-crawler:2.4.1@${digest}`,
            'containers/sidecar': 'registry.atlan.com/public/app-runtime-base:3',
          }),
          [DECIDED_BY_ANNOTATION]: 'prefix',
        },
      },
    ]);
  });

  it('of a plain pod has its image volume rewritten, and no tag invented', () => {
    expect(patchFor(capturedReview('create-plain-pod-image-volume'), policy)).toEqual([
      {
        op: 'replace',
        path: '/spec/containers/0/image',
        value: 'registry.corp.example/mirror/atlanhq/agent',
      },
      {
        op: 'replace',
        path: '/spec/volumes/0/image/reference',
        value: 'registry.corp.example/mirror/atlanhq/models:2026.1',
      },
      {
        op: 'add',
        path: ORIGINAL_POINTER,
        value: JSON.stringify({
          'containers/main': 'ghcr.io/atlanhq/agent',
          'volumes/model': 'docker.io/atlanhq/models:2026.1',
        }),
      },
      { op: 'add', path: DECIDED_BY_POINTER, value: 'prefix' },
    ]);
  });

  it('of a label edit has no patch, though its images are in scope', () => {
    const { response, record } = answerOf(capturedReview('update-label-only'), POLICY);
    expect(response).toMatchObject({
      allowed: true,
      patch: [],
      warnings: [],
      auditAnnotations: {},
    });
    expect(record).toMatchObject({
      outcome: 'kept',
      operation: 'UPDATE',
      pod: 'plain',
      user: 'admin',
    });
  });

  it('of kubectl set image has only the image that was set rewritten', () => {
    expect(patchFor(capturedReview('update-set-image'))).toEqual([
      {
        op: 'replace',
        path: '/spec/containers/1/image',
        value: 'registry.corp.example/mirror/atlanhq/atlan-oracle-app:main-ec46120',
      },
    ]);
  });

  it('of kubectl debug has only the ephemeral container rewritten', () => {
    expect(patchFor(capturedReview('update-ephemeralcontainers'))).toEqual([
      {
        op: 'replace',
        path: '/spec/ephemeralContainers/0/image',
        value: 'registry.corp.example/mirror/atlanhq/debug-tools:1',
      },
    ]);
  });

  it.each([
    'create-deployment-pod',
    'create-job-pod-digest',
    'create-plain-pod-image-volume',
    'update-ephemeralcontainers',
    'update-label-only',
    'update-set-image',
  ])('asks for nothing more once it is patched: %s', (name) => {
    const review = capturedReview(name);
    const object = patched(review.request.object, patchFor(review));
    const again = { ...review, request: { ...review.request, object } };
    expect(patchFor(again)).toEqual([]);
  });

  it('is not changed by the decision', () => {
    const review = capturedReview('create-deployment-pod');
    const before = JSON.stringify(review);
    admit(review, POLICY, 'enforce');
    expect(JSON.stringify(review)).toBe(before);
  });
});

describe('a body that is no review', () => {
  const request = createReview(podOf(['atlanhq/app:1'])).request;
  const { uid, ...withoutUid } = request;

  it.each([
    ['null', null],
    ['a string', 'review'],
    ['a number', 1],
    ['a list', [createReview(podOf([]))]],
    ['an empty object', {}],
    ['another kind', { ...createReview(null), kind: 'Pod' }],
    ['another version', { ...createReview(null), apiVersion: 'admission.k8s.io/v1beta1' }],
    ['another group', { ...createReview(null), apiVersion: 'v1' }],
    ['a version that is no string', { ...createReview(null), apiVersion: 1 }],
    ['no request', { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1' }],
    ['a request that is null', { ...createReview(null), request: null }],
    ['a request that is a list', { ...createReview(null), request: [request] }],
    [
      'a response in place of a request',
      { ...createReview(null), request: undefined, response: { uid } },
    ],
    ['no uid', { ...createReview(null), request: withoutUid }],
    ['an empty uid', { ...createReview(null), request: { ...request, uid: '' } }],
    ['a uid that is no string', { ...createReview(null), request: { ...request, uid: 7 } }],
  ])('is refused: %s', (_title, review) => {
    expect(admit(review, POLICY, 'enforce')).toMatchObject({
      kind: 'refused',
      code: 'REVIEW_INVALID',
    });
  });
});

describe('a request that is left alone', () => {
  const pod = podOf(['atlanhq/app:1']);
  const withMetadata = (metadata: Record<string, unknown>) =>
    podOf(['atlanhq/app:1'], { metadata });
  const pods = { group: '', version: 'v1', resource: 'pods' };

  it.each<[RequestReason, string, unknown]>([
    ['operation-ignored', 'DELETE', createReview(null, { operation: 'DELETE', oldObject: pod })],
    ['operation-ignored', 'DELETE with an object', createReview(pod, { operation: 'DELETE' })],
    [
      'operation-ignored',
      'CONNECT',
      createReview({ kind: 'PodExecOptions' }, { operation: 'CONNECT' }),
    ],
    ['operation-ignored', 'a made-up operation', createReview(pod, { operation: 'PATCH' })],
    ['operation-ignored', 'an operation in lower case', createReview(pod, { operation: 'create' })],
    ['operation-ignored', 'no operation', createReview(pod, { operation: undefined })],
    ['operation-ignored', 'an operation that is no string', createReview(pod, { operation: 1 })],
    [
      'not-a-pod',
      'a Deployment',
      createReview(pod, { resource: { ...pods, group: 'apps', resource: 'deployments' } }),
    ],
    [
      'not-a-pod',
      'a ConfigMap',
      createReview(pod, { resource: { ...pods, resource: 'configmaps' } }),
    ],
    [
      'not-a-pod',
      'pods of another group',
      createReview(pod, { resource: { ...pods, group: 'metrics.k8s.io' } }),
    ],
    ['not-a-pod', 'no resource', createReview(pod, { resource: undefined })],
    ['not-a-pod', 'a resource that is a string', createReview(pod, { resource: 'pods' })],
    ...['status', 'exec', 'attach', 'portforward', 'binding', 'eviction', 'log', 'resize'].map(
      (subResource): [RequestReason, string, unknown] => [
        'not-a-pod',
        `pods/${subResource}`,
        updateReview(pod, podOf(['nginx']), { subResource }),
      ],
    ),
    ['no-object', 'no object', createReview(undefined)],
    ['no-object', 'an object that is null', createReview(null)],
    ['no-object', 'an object that is a list', createReview([pod])],
    ['no-object', 'an object that is a string', createReview('pod')],
    ['no-old-object', 'an UPDATE without oldObject', updateReview(pod, undefined)],
    ['no-old-object', 'an UPDATE whose oldObject is null', updateReview(pod, null)],
    ['no-old-object', 'an UPDATE whose oldObject is a list', updateReview(pod, [])],
    [
      'mirror-pod',
      'a mirror pod',
      createReview(withMetadata({ annotations: { 'kubernetes.io/config.mirror': 'f00' } })),
    ],
    [
      'mirror-pod',
      'a mirror pod without a hash',
      createReview(withMetadata({ annotations: { 'kubernetes.io/config.mirror': '' } })),
    ],
    [
      'skip-label',
      'a pod with the skip label',
      createReview(withMetadata({ labels: { 'sdr-image-rewriter.io/skip': 'true' } })),
    ],
    [
      'skip-label',
      'an UPDATE of a pod with the skip label',
      updateReview(
        withMetadata({ labels: { 'sdr-image-rewriter.io/skip': 'true' } }),
        podOf(['nginx']),
      ),
    ],
  ])('has the reason %s: %s', (reason, _title, review) => {
    const { response, record } = answerOf(review, POLICY);
    expect(response).toEqual({
      uid: UID,
      allowed: true,
      patch: [],
      warnings: [],
      auditAnnotations: {},
      denial: undefined,
    });
    expect(record).toMatchObject({ reason, outcome: 'kept', verdicts: [] });
  });

  it.each([
    ['the skip label is "false"', { labels: { 'sdr-image-rewriter.io/skip': 'false' } }],
    ['the skip label is a boolean', { labels: { 'sdr-image-rewriter.io/skip': true } }],
    ['skip is an annotation', { annotations: { 'sdr-image-rewriter.io/skip': 'true' } }],
    ['the labels are null', { labels: null }],
    ['the labels are a list', { labels: ['sdr-image-rewriter.io/skip'] }],
    ['a label says that it was done', { labels: { 'sdr-image-rewriter.io/done': 'true' } }],
    [
      'a label is named __proto__',
      JSON.parse('{"labels":{"__proto__":"x"},"annotations":{"__proto__":"y"}}'),
    ],
    [
      'a label is named constructor',
      { labels: { constructor: 'x' }, annotations: { constructor: 'y' } },
    ],
    [
      'an annotation carries our original images',
      { annotations: { [ORIGINAL_IMAGES_ANNOTATION]: '{}' } },
    ],
  ])('is not one in which %s', (_title, metadata: Record<string, unknown>) => {
    const patch = patchFor(createReview(withMetadata(metadata)));
    expect(imageEdits(patch)[0]).toBe(`replace /spec/containers/0/image ${MIRROR}/atlanhq/app:1`);
  });

  it.each([
    ['no group', { group: undefined, version: 'v1', resource: 'pods' }],
    ['a group that is null', { group: null, version: 'v1', resource: 'pods' }],
  ])('is not one for pods with %s', (_title, resource) => {
    expect(patchFor(createReview(pod, { resource }))).not.toEqual([]);
  });

  it.each([undefined, null, ''])('is not one with the subresource %p', (subResource) => {
    expect(patchFor(createReview(pod, { subResource }))).not.toEqual([]);
  });

  it.each(Object.entries(REQUEST_REASONS))('has %s explained', (_reason, meaning) => {
    expect(meaning.length).toBeGreaterThan(20);
  });
});

describe('a CREATE', () => {
  it('has containers of all kinds and image volumes rewritten in one patch', () => {
    const pod = podOf(['atlanhq/a:1', 'nginx'], {
      spec: {
        initContainers: [
          { name: 'wait', image: 'busybox' },
          { name: 'sidecar', image: `ghcr.io/atlanhq/b@${A}`, restartPolicy: 'Always' },
        ],
        ephemeralContainers: [{ name: 'debugger', image: 'atlanhq/c' }],
        volumes: [{ name: 'v', image: { reference: 'registry.atlan.com/d:1' } }],
      },
    });
    expect(imageEdits(patchFor(createReview(pod)))).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
      `replace /spec/initContainers/1/image ${MIRROR}/atlanhq/b@${A}`,
      `replace /spec/ephemeralContainers/0/image ${MIRROR}/atlanhq/c`,
      `replace /spec/volumes/0/image/reference ${MIRROR}/d:1`,
      'add /metadata/annotations',
      'add /spec/imagePullSecrets',
    ]);
  });

  it('of a pod without an image in scope has no operation', () => {
    const { response, record } = answerOf(createReview(podOf(['nginx', 'ghcr.io/x/y:1'])), POLICY);
    expect(response).toMatchObject({ patch: [], warnings: [], auditAnnotations: {} });
    expect(record.outcome).toBe('kept');
  });

  it('of a pod that is mirrored already has no operation', () => {
    expect(patchFor(createReview(podOf([`${MIRROR}/atlanhq/app:1`])))).toEqual([]);
  });

  it.each([
    ['are missing', { containers: undefined }],
    ['are null', { containers: null }],
    ['are an object', { containers: { main: { image: 'atlanhq/a:1' } } }],
    ['are a string', { containers: 'atlanhq/a:1' }],
    ['hold no objects', { containers: ['atlanhq/a:1', null, 7] }],
    ['have no image', { containers: [{ name: 'main' }] }],
    ['have an image of the wrong type', { containers: [{ name: 'main', image: { x: 1 } }] }],
    ['have an empty image', { containers: [{ name: 'main', image: '' }] }],
  ])('of a pod whose containers %s is allowed as it is', (_title, spec) => {
    const { response } = answerOf(createReview(podOf([], { spec })), POLICY);
    expect(response).toMatchObject({ allowed: true, patch: [], warnings: [] });
  });

  it('of a pod with a broken container still has the others rewritten', () => {
    const containers = [null, { name: 'a' }, { name: 'b', image: 'atlanhq/b:1' }];
    const patch = patchFor(createReview(podOf([], { spec: { containers } })));
    expect(imageEdits(patch)[0]).toBe(`replace /spec/containers/2/image ${MIRROR}/atlanhq/b:1`);
  });

  it('of a pod without metadata has its images rewritten', () => {
    const pod = { spec: podOf(['atlanhq/a:1']).spec };
    expect(imageEdits(patchFor(createReview(pod)))).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
      'add /spec/imagePullSecrets',
    ]);
  });

  it('of a pod with an image that does not parse is allowed, with a warning', () => {
    for (const unmapped of ['allow', 'warn', 'deny'] as const) {
      const policy = policyOf({ base: MIRROR, unmapped });
      const { response, record } = answerOf(
        createReview(podOf(['atlanhq/App:1', 'atlanhq/a:1'])),
        policy,
      );
      expect(response.allowed).toBe(true);
      expect(response.warnings).toHaveLength(1);
      expect(response.patch[0]).toMatchObject({ path: '/spec/containers/1/image' });
      expect(record.verdicts[0]?.decision).toMatchObject({
        outcome: 'invalid',
        reason: 'REFERENCE_UPPERCASE',
      });
    }
  });

  it('of a pod with the same container name twice has both rewritten', () => {
    const containers = [
      { name: 'main', image: 'atlanhq/a:1' },
      { name: 'main', image: 'atlanhq/b:1' },
    ];
    const patch = patchFor(createReview(podOf([], { spec: { containers } })));
    expect(imageEdits(patch).slice(0, 2)).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
      `replace /spec/containers/1/image ${MIRROR}/atlanhq/b:1`,
    ]);
  });

  it('of a pod with 10,000 containers has each rewritten, and no oversized annotation', () => {
    const images = Array.from({ length: 10_000 }, (_, index) => `atlanhq/app:${index}`);
    const { response } = answerOf(createReview(podOf(images)), POLICY);
    const replaced = response.patch.filter(({ op }) => op === 'replace');
    expect(replaced).toHaveLength(10_000);
    expect(replaced.at(-1)).toEqual({
      op: 'replace',
      path: '/spec/containers/9999/image',
      value: `${MIRROR}/atlanhq/app:9999`,
    });
    expect(response.patch.slice(10_000)).toEqual([
      { op: 'add', path: '/spec/imagePullSecrets', value: [{ name: 'corp-registry' }] },
    ]);
    expect(response.auditAnnotations.rewritten?.length).toBeLessThanOrEqual(2048 + 20);
  });

  it('of a pod with an image of 1 MiB is allowed, with a short warning', () => {
    const image = `atlanhq/${'x'.repeat(1_048_576)}`;
    const { response } = answerOf(createReview(podOf([image])), POLICY);
    expect(response).toMatchObject({ allowed: true, patch: [] });
    expect(response.warnings).toHaveLength(1);
    expect(JSON.stringify(response).length).toBeLessThan(1000);
  });

  it('of a pod that nests deeper than any call stack is decided', () => {
    const depth = 50_000;
    const deep = JSON.parse(`${'{"a":['.repeat(depth)}${']}'.repeat(depth)}`) as unknown;
    const pod = podOf(['atlanhq/a:1'], { metadata: { managedFields: deep }, spec: { x: deep } });
    expect(imageEdits(patchFor(createReview(pod)))[0]).toBe(
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
    );
  });

  it('takes namespace and name from the request before the pod', () => {
    const pod = podOf(['nginx'], { metadata: { namespace: 'theirs', name: 'x' } });
    expect(answerOf(createReview(pod), POLICY).record).toMatchObject({
      namespace: 'sdr',
      pod: 'x',
    });
    const named = createReview(pod, { name: 'y', namespace: '' });
    expect(answerOf(named, POLICY).record).toMatchObject({ namespace: 'theirs', pod: 'y' });
  });

  it.each([
    [undefined, false],
    [null, false],
    ['true', false],
    [false, false],
    [true, true],
  ])('says of dryRun %p that it is %p, and decides the same', (dryRun, expected) => {
    const { record, response } = answerOf(createReview(podOf(['atlanhq/a:1']), { dryRun }), POLICY);
    expect(record.dryRun).toBe(expected);
    expect(response.patch).toEqual(patchFor(createReview(podOf(['atlanhq/a:1']))));
  });

  it.each([
    ['no owners', undefined, undefined],
    ['owners that are null', null, undefined],
    ['no controller', [{ kind: 'Job', name: 'a' }], undefined],
    [
      'a controller',
      [
        { kind: 'A', name: 'a' },
        { kind: 'Job', name: 'b', controller: true },
      ],
      'Job/b',
    ],
    ['a controller without a name', [{ kind: 'Job', controller: true }], undefined],
    ['owners of the wrong shape', [null, 'Job', 7], undefined],
  ])('names the controller as owner where it has %s', (_title, ownerReferences, owner) => {
    const pod = podOf(['nginx'], { metadata: { ownerReferences } });
    expect(answerOf(createReview(pod), POLICY).record.owner).toBe(owner);
  });
});

describe('the annotations', () => {
  const map = { 'atlanhq/a:1': 'r.example/a:1' };

  function annotationsAfter(pod: unknown, policy: Policy): unknown {
    return valueAt(patched(pod, patchFor(createReview(pod), policy)), '/metadata/annotations');
  }

  it('say which map decided, with serial and etag', () => {
    expect(annotationsAfter(podOf(['atlanhq/a:1']), policyOf({ map }))).toEqual({
      [ORIGINAL_IMAGES_ANNOTATION]: '{"containers/main":"atlanhq/a:1"}',
      [DECIDED_BY_ANNOTATION]: `map serial=${MAP_IDENTITY.serial} etag=${MAP_IDENTITY.etag}`,
    });
  });

  it('say that a prefix decided where the map had no part in it', () => {
    const policy = policyOf({ map, base: MIRROR });
    expect(annotationsAfter(podOf(['atlanhq/b:1']), policy)).toMatchObject({
      [DECIDED_BY_ANNOTATION]: 'prefix',
    });
    expect(annotationsAfter(podOf(['atlanhq/b:1', 'atlanhq/a:1']), policy)).toMatchObject({
      [DECIDED_BY_ANNOTATION]: `map serial=42 etag=${MAP_IDENTITY.etag}`,
    });
  });

  it.each([[undefined], [null], [{}]])('are added where the pod has %j', (annotations) => {
    const pod = podOf(['atlanhq/a:1'], { metadata: { annotations } });
    expect(annotationsAfter(pod, POLICY)).toMatchObject({
      [ORIGINAL_IMAGES_ANNOTATION]: '{"containers/main":"atlanhq/a:1"}',
    });
  });

  it('leave those of the pod as they are', () => {
    const annotations: unknown = JSON.parse('{"__proto__":"x","constructor":"y","a/b~c":"z"}');
    const after = annotationsAfter(podOf(['atlanhq/a:1'], { metadata: { annotations } }), POLICY);
    expect(JSON.stringify(after)).toMatch(/^\{"__proto__":"x","constructor":"y","a\/b~c":"z",/);
  });

  it('are left out where those of the pod have the wrong type', () => {
    for (const annotations of ['text', 7, ['a']]) {
      const patch = patchFor(createReview(podOf(['atlanhq/a:1'], { metadata: { annotations } })));
      expect(imageEdits(patch)).toEqual([
        `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
        'add /spec/imagePullSecrets',
      ]);
    }
  });

  it('are left out where they would be too big for the API server', () => {
    const annotations = { big: 'x'.repeat(256 * 1024 - 100) };
    const patch = patchFor(createReview(podOf(['atlanhq/a:1'], { metadata: { annotations } })));
    expect(imageEdits(patch)).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
      'add /spec/imagePullSecrets',
    ]);
  });

  it('are left out with annotate: false', () => {
    const policy = policyOf({ base: MIRROR, annotate: false });
    expect(imageEdits(patchFor(createReview(podOf(['atlanhq/a:1'])), policy))).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
    ]);
  });

  it('keep the first original when the webhook is called again', () => {
    const pod = podOf(['atlanhq/a:1']);
    const first = patched(pod, patchFor(createReview(pod)));
    expect(patchFor(createReview(first))).toEqual([]);
    // Another webhook changes the image and adds a sidecar; then ours is reinvoked.
    const second = structuredClone(first) as typeof pod;
    second.spec.containers = [
      { name: 'main', image: 'ghcr.io/atlanhq/a:2' },
      { name: 'sidecar', image: 'atlanhq/sidecar:1' },
    ];
    const third = patched(second, patchFor(createReview(second)));
    expect(JSON.parse(String(valueAt(third, ORIGINAL_POINTER)))).toEqual({
      'containers/main': 'atlanhq/a:1',
      'containers/sidecar': 'atlanhq/sidecar:1',
    });
    expect(valueAt(third, '/spec/imagePullSecrets')).toEqual([{ name: 'corp-registry' }]);
  });

  it('are proof that pull secrets which another webhook took away are ours to put back', () => {
    const pod = podOf(['atlanhq/a:1', 'nginx']);
    const ours = patched(pod, patchFor(createReview(pod))) as typeof pod;
    const spec = { ...ours.spec, imagePullSecrets: [{ name: 'theirs' }] };
    expect(imageEdits(patchFor(createReview({ ...ours, spec })))).toEqual([
      'add /spec/imagePullSecrets/-',
    ]);
    // Without them, a pod of mirrored images brings its own secrets.
    const theirs = { ...podOf([`${MIRROR}/atlanhq/a:1`]), spec };
    expect(patchFor(createReview(theirs))).toEqual([]);
  });

  it('keep the map that decided about the first images when only a prefix decides about the next', () => {
    const policy = policyOf({
      map: mapDocument({
        images: [{ source: 'atlanhq/a:1', target: 'r.example/a:1' }],
        prefixes: [{ source: 'docker.io/atlanhq/sidecars', target: 'r.example/sidecars' }],
      }),
      prefixes: { 'ghcr.io/atlanhq': 'r.example/ghcr' },
    });
    const pod = podOf(['atlanhq/a:1']);
    const first = patched(pod, patchFor(createReview(pod), policy));
    const byMap = valueAt(first, DECIDED_BY_POINTER);
    expect(byMap).toMatch(/^map serial=/);
    const second = structuredClone(first) as typeof pod;
    second.spec.containers = [
      { name: 'main', image: 'r.example/a:1' },
      { name: 'sidecar', image: 'ghcr.io/atlanhq/b:1' },
    ];
    const third = patched(second, patchFor(createReview(second), policy));
    expect(valueAt(third, '/spec/containers/1/image')).toBe('r.example/ghcr/b:1');
    expect(valueAt(third, DECIDED_BY_POINTER)).toBe(byMap);
  });

  it('let nothing that the pod says about itself stop a rewrite', () => {
    const annotations = {
      [ORIGINAL_IMAGES_ANNOTATION]: '{"containers/main":"atlanhq/a:1"}',
      [DECIDED_BY_ANNOTATION]: 'prefix',
    };
    const patch = patchFor(createReview(podOf(['atlanhq/a:1'], { metadata: { annotations } })));
    expect(imageEdits(patch)).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
      'add /spec/imagePullSecrets',
    ]);
  });
});

describe('the pull secrets', () => {
  const policy = policyOf({ base: MIRROR, imagePullSecrets: ['one', 'two'] });

  function secretsAfter(imagePullSecrets: unknown, image = 'atlanhq/a:1'): unknown {
    const pod = podOf([image], { spec: { imagePullSecrets } });
    return valueAt(patched(pod, patchFor(createReview(pod), policy)), '/spec/imagePullSecrets');
  }

  it.each([
    [undefined, [{ name: 'one' }, { name: 'two' }]],
    [null, [{ name: 'one' }, { name: 'two' }]],
    [[], [{ name: 'one' }, { name: 'two' }]],
    [[{ name: 'x' }], [{ name: 'x' }, { name: 'one' }, { name: 'two' }]],
    [[{ name: 'two' }], [{ name: 'two' }, { name: 'one' }]],
    [
      [{ name: 'two' }, { name: 'one' }],
      [{ name: 'two' }, { name: 'one' }],
    ],
    ['one', 'one'],
    [{ name: 'one' }, { name: 'one' }],
  ])('become of %j: %j', (before, after) => {
    expect(secretsAfter(before)).toEqual(after);
  });

  it('are not touched where nothing was rewritten', () => {
    expect(secretsAfter([{ name: 'x' }], 'nginx')).toEqual([{ name: 'x' }]);
    expect(secretsAfter(undefined, `${MIRROR}/atlanhq/a:1`)).toBeUndefined();
  });

  it('are never touched on an UPDATE, where they are immutable', () => {
    const review = updateReview(podOf(['atlanhq/a:2']), podOf(['atlanhq/a:1']));
    expect(imageEdits(patchFor(review, policy))).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:2`,
    ]);
  });
});

describe('procurement: public', () => {
  const policy = policyOf({ procurement: 'public', imagePullSecrets: ['atlan-docker-secret'] });

  it('only appends the pull secret for an image in scope', () => {
    const { response, record } = answerOf(createReview(podOf(['atlanhq/a:1', 'nginx'])), policy);
    expect(response).toMatchObject({ allowed: true, warnings: [], auditAnnotations: {} });
    expect(response.patch).toEqual([
      { op: 'add', path: '/spec/imagePullSecrets', value: [{ name: 'atlan-docker-secret' }] },
    ]);
    expect(record.outcome).toBe('kept');
  });

  it('appends it once', () => {
    const pod = podOf(['atlanhq/a:1']);
    const after = patched(pod, patchFor(createReview(pod), policy));
    expect(patchFor(createReview(after), policy)).toEqual([]);
  });

  it('leaves a pod without an image in scope alone', () => {
    expect(patchFor(createReview(podOf(['nginx'])), policy)).toEqual([]);
  });

  it('touches nothing on an UPDATE', () => {
    expect(patchFor(updateReview(podOf(['atlanhq/a:2']), podOf(['nginx'])), policy)).toEqual([]);
  });

  it('denies nothing', () => {
    const strict = policyOf({ procurement: 'public', unmapped: 'deny' });
    expect(answerOf(createReview(podOf(['atlanhq/a:1'])), strict).response).toMatchObject({
      allowed: true,
      denial: undefined,
    });
  });
});

describe('an UPDATE', () => {
  it('leaves an image alone that already runs', () => {
    const running = podOf(['atlanhq/a:1', 'atlanhq/b:1']);
    const { response, record } = answerOf(updateReview(running, running), POLICY);
    expect(response.patch).toEqual([]);
    expect(record.verdicts.map(({ decision }) => decision)).toEqual([
      { outcome: 'kept', reason: 'unchanged' },
      { outcome: 'kept', reason: 'unchanged' },
    ]);
  });

  it('rewrites only what differs from the container of the same name', () => {
    const review = updateReview(
      podOf(['atlanhq/a:1', 'atlanhq/b:2']),
      podOf(['atlanhq/a:1', 'atlanhq/b:1']),
    );
    expect(imageEdits(patchFor(review))).toEqual([
      `replace /spec/containers/1/image ${MIRROR}/atlanhq/b:2`,
    ]);
  });

  it('compares by name, not by index', () => {
    const [one, two] = [
      { name: 'one', image: 'atlanhq/a:1' },
      { name: 'two', image: 'atlanhq/b:1' },
    ];
    const before = podOf([], { spec: { containers: [one, two] } });
    const after = podOf([], { spec: { containers: [two, one] } });
    expect(patchFor(updateReview(after, before))).toEqual([]);
    const swapped = podOf([], {
      spec: {
        containers: [
          { ...one, image: two.image },
          { ...two, image: one.image },
        ],
      },
    });
    expect(patchFor(updateReview(swapped, before))).toHaveLength(2);
  });

  it('compares containers with containers of the same kind', () => {
    const before = podOf([], {
      spec: { initContainers: [{ name: 'main', image: 'atlanhq/a:1' }] },
    });
    expect(imageEdits(patchFor(updateReview(podOf(['atlanhq/a:1']), before)))).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
    ]);
  });

  it('gives a running pod back its image when its manifest is applied again', () => {
    const running = podOf([`${MIRROR}/atlanhq/a:1`]);
    expect(imageEdits(patchFor(updateReview(podOf(['atlanhq/a:1']), running)))).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:1`,
    ]);
  });

  it('rewrites an image in init containers and ephemeral containers', () => {
    const before = podOf(['atlanhq/a:1']);
    const after = podOf(['atlanhq/a:1'], {
      spec: {
        initContainers: [{ name: 'i', image: 'atlanhq/i:1' }],
        ephemeralContainers: [{ name: 'e', image: 'atlanhq/e:1' }],
      },
    });
    const subResource = 'ephemeralcontainers';
    expect(imageEdits(patchFor(updateReview(after, before, { subResource })))).toEqual([
      `replace /spec/initContainers/0/image ${MIRROR}/atlanhq/i:1`,
      `replace /spec/ephemeralContainers/0/image ${MIRROR}/atlanhq/e:1`,
    ]);
  });

  it('touches neither volumes nor annotations', () => {
    const volumes = (reference: string) => ({
      spec: { volumes: [{ name: 'v', image: { reference } }] },
    });
    const review = updateReview(
      podOf(['atlanhq/a:2'], volumes('atlanhq/v:2')),
      podOf(['atlanhq/a:1'], volumes('atlanhq/v:1')),
    );
    expect(imageEdits(patchFor(review))).toEqual([
      `replace /spec/containers/0/image ${MIRROR}/atlanhq/a:2`,
    ]);
  });

  it('leaves a container without a name alone', () => {
    const after = podOf([], { spec: { containers: [{ image: 'atlanhq/a:2' }] } });
    expect(patchFor(updateReview(after, podOf(['atlanhq/a:1'])))).toEqual([]);
  });

  it('leaves each of two containers of one name alone that already run', () => {
    const containers = [
      { name: 'main', image: 'atlanhq/a:1' },
      { name: 'main', image: 'atlanhq/b:1' },
    ];
    const pod = podOf([], { spec: { containers } });
    expect(patchFor(updateReview(pod, pod))).toEqual([]);
  });

  it('never denies or warns about an image that already runs', () => {
    const pod = podOf(['atlanhq/a:1', 'Invalid']);
    const { response } = answerOf(updateReview(pod, pod), policyOf({ unmapped: 'deny' }));
    expect(response).toMatchObject({ allowed: true, warnings: [], auditAnnotations: {} });
  });

  it('denies an image without a rule that is set anew', () => {
    const review = updateReview(podOf(['atlanhq/a:2']), podOf(['atlanhq/a:1']));
    expect(answerOf(review, policyOf({ unmapped: 'deny' })).response.allowed).toBe(false);
  });
});

describe('an image without a rule', () => {
  const map = { 'atlanhq/known:1': `r.example/known:1@${B}` };
  const review = createReview(podOf(['atlanhq/unknown:1', 'atlanhq/known:1']));

  it('is let through in silence under allow', () => {
    const { response, record } = answerOf(review, policyOf({ map, unmapped: 'allow' }));
    expect(response).toMatchObject({ allowed: true, warnings: [], denial: undefined });
    expect(response.patch[0]).toMatchObject({ path: '/spec/containers/1/image' });
    expect(record.outcome).toBe('rewritten');
  });

  it('is warned of under warn', () => {
    const { response, record } = answerOf(review, policyOf({ map, unmapped: 'warn' }));
    expect(response).toMatchObject({ allowed: true, denial: undefined });
    expect(response.warnings).toHaveLength(1);
    expect(response.patch[0]).toMatchObject({ path: '/spec/containers/1/image' });
    expect(record.outcome).toBe('rewritten');
  });

  it('has the whole pod denied under deny, without a patch', () => {
    const { response, record } = answerOf(review, policyOf({ map, unmapped: 'deny' }));
    expect(response).toMatchObject({ allowed: false, patch: [] });
    expect(response.warnings).toHaveLength(1);
    for (const part of ['containers/main', 'atlanhq/unknown:1', MAP_IDENTITY.location, '42']) {
      expect(response.denial).toContain(part);
    }
    expect(record.outcome).toBe('denied');
  });

  it('is said to be rewritten by no audit annotation, since it is denied', () => {
    const { auditAnnotations } = answerOf(review, policyOf({ map, unmapped: 'deny' })).response;
    expect(Object.keys(auditAnnotations)).toEqual(['unmapped', 'map']);
  });

  it('is denied for a digest that has moved on', () => {
    const images = [{ source: 'atlanhq/a:1', sourceDigest: A, target: `r.example/a:1@${B}` }];
    const policy = policyOf({ map: { apiVersion: 'sdr-image-map/v1', images }, unmapped: 'deny' });
    const { response } = answerOf(createReview(podOf([`atlanhq/a:1@${C}`])), policy);
    expect(response.allowed).toBe(false);
    expect(response.denial).toContain('tag-moved');
  });

  it('never has a pod denied for an image out of scope', () => {
    const { response } = answerOf(createReview(podOf(['nginx'])), policyOf({ unmapped: 'deny' }));
    expect(response).toMatchObject({ allowed: true, denial: undefined });
  });
});

describe('an audit', () => {
  it('patches nothing and says what it would do', () => {
    const { response, record } = answerOf(createReview(podOf(['atlanhq/a:1'])), POLICY, 'audit');
    expect(response).toMatchObject({ allowed: true, patch: [], denial: undefined });
    expect(response.warnings).toHaveLength(1);
    expect(response.warnings[0]).toContain(`${MIRROR}/atlanhq/a:1`);
    expect(response.auditAnnotations.rewritten).toContain(`${MIRROR}/atlanhq/a:1`);
    expect(record.outcome).toBe('rewritten');
  });

  it('denies nothing and says that it would', () => {
    const policy = policyOf({ unmapped: 'deny' });
    const { response, record } = answerOf(createReview(podOf(['atlanhq/a:1'])), policy, 'audit');
    expect(response).toMatchObject({ allowed: true, patch: [], denial: undefined });
    expect(response.warnings).toHaveLength(1);
    expect(record.outcome).toBe('denied');
  });

  it('decides as an enforcing call does', () => {
    const images = ['atlanhq/a:1', 'nginx', 'Bad', `ghcr.io/atlanhq/b@${A}`];
    const review = createReview(podOf(images));
    expect(answerOf(review, POLICY, 'audit').record).toEqual(answerOf(review, POLICY).record);
  });
});

describe('the audit annotations', () => {
  it('name what was rewritten and unmapped, and the map', () => {
    const map = { 'atlanhq/a:1': 'r.example/a:1' };
    const pod = podOf(['atlanhq/a:1', 'atlanhq/b', 'nginx', 'Bad']);
    expect(answerOf(createReview(pod), policyOf({ map })).response.auditAnnotations).toEqual({
      rewritten: 'containers/main: atlanhq/a:1 -> r.example/a:1',
      unmapped: 'containers/main-1: docker.io/atlanhq/b:latest (no-rule)',
      map: `serial=42 etag=${MAP_IDENTITY.etag}`,
    });
  });

  it('are empty where there is nothing to say', () => {
    const map = { 'atlanhq/a:1': 'r.example/a:1' };
    expect(
      answerOf(createReview(podOf(['nginx'])), policyOf({ map })).response.auditAnnotations,
    ).toEqual({});
  });
});
