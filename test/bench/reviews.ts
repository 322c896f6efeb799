import { readFileSync } from 'node:fs';

const CAPTURED = 'test/fixtures/admission-reviews/create-deployment-pod.json';

/** The image of the captured review that is in scope, as it is written there and in full. */
export const IMAGE = 'atlanhq/atlan-mysql-app:main-97b8c95';
export const FULL_IMAGE = `docker.io/${IMAGE}`;

/** Pods that start at one time: so many, of as many Deployments as `TEMPLATES`, in turn. */
const PODS = 16;
const TEMPLATES = 4;

/** A review to send, and how many of its images are to be rewritten. */
export interface SampleReview {
  readonly uid: string;
  readonly body: Buffer;
  readonly rewrites: number;
}

interface Container {
  readonly name: string;
  readonly env: readonly object[];
}

interface Review {
  readonly request: {
    readonly uid: string;
    readonly object: {
      readonly metadata: object;
      readonly spec: { readonly containers: readonly [Container] };
    };
  };
}

/** What a kube-apiserver sent when a Deployment started a pod. */
export function capturedReview(): SampleReview {
  return sample(readFileSync(CAPTURED), 1);
}

/**
 * The review for one pod after the other. They differ as pods of several Deployments do: in what is made
 * up for each pod, the name of a volume, and in what is of its template, the ReplicaSet and a variable.
 */
export function reviewsInTurn({ body }: SampleReview): Buffer[] {
  const text = body.toString();
  return Array.from({ length: PODS }, (_, pod) => {
    const template = pod % TEMPLATES;
    const changed = text
      .replaceAll(/kube-api-access-\w{3}/g, `kube-api-access-${String(pod).padStart(3, '0')}`)
      .replaceAll(/f486fcc8\w/g, `f486fcc8${template}`)
      .replaceAll(/-35328297407\w/g, `-35328297407${template}`)
      .replaceAll(/(?<="value":")mysq\w/g, `mysq${template}`);
    return Buffer.from(changed);
  });
}

/** The captured review with its main container so many times. */
export function reviewWithContainers(count: number): SampleReview {
  const review = read();
  const [main] = review.request.object.spec.containers;
  const containers = Array.from({ length: count }, (_, index) => ({
    ...main,
    name: `main-${index}`,
  }));
  return sample(Buffer.from(JSON.stringify(withSpec(review, { containers }))), count);
}

/** The captured review with as many variables in its container as make about so many bytes; at least 3000. */
export function reviewOfBytes(bytes: number): SampleReview {
  const review = read();
  const { object } = review.request;
  const [main] = object.spec.containers;
  const withVariables = (env: readonly object[]): Buffer => {
    const bare = withSpec(review, { containers: [{ ...main, env }], initContainers: [] });
    return Buffer.from(JSON.stringify(bare));
  };
  const missing = bytes - withVariables([]).length;
  const each = JSON.stringify(variable(0)).length + 1;
  const env = Array.from({ length: Math.max(0, Math.round(missing / each)) }, (_, index) =>
    variable(index),
  );
  return sample(withVariables(env), 1);
}

function variable(index: number): object {
  const name = `ATLAN_SETTING_${String(index).padStart(6, '0')}`;
  return { name, value: `a value as long as an address, number ${String(index).padStart(6, '0')}` };
}

function withSpec(review: Review, spec: object): Review {
  const { object } = review.request;
  const metadata = { ...object.metadata, managedFields: [] };
  const changed = { ...object, metadata, spec: { ...object.spec, ...spec } };
  return { ...review, request: { ...review.request, object: changed } };
}

function read(): Review {
  return JSON.parse(readFileSync(CAPTURED, 'utf8')) as Review;
}

function sample(body: Buffer, rewrites: number): SampleReview {
  const { request } = JSON.parse(body.toString()) as Review;
  return { uid: request.uid, body, rewrites };
}
