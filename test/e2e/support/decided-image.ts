import { eventually, run } from './cluster.ts';
import type { PodObject } from './pods.ts';

/** The image that a pod with this one would have, by a dry run; undefined where the pod would be refused. */
export async function decidedImage(
  reference: string,
  namespace: string,
): Promise<string | undefined> {
  const pod = ['run', 'probe', `--image=${reference}`, '-n', namespace];
  const { code, stdout } = await run('kubectl', [...pod, '--dry-run=server', '-o', 'json']);
  return code === 0 ? (JSON.parse(stdout) as PodObject).spec.containers[0]?.image : undefined;
}

/**
 * Waits until the webhook decides, and returns the image. The nodes learn of its Service a moment after
 * its pods are ready, and until then pods are created without it.
 */
export async function untilRewritten(reference: string, namespace: string): Promise<string> {
  const image = await eventually(
    () => decidedImage(reference, namespace),
    (decided) => decided !== undefined && decided !== reference,
    30,
  );
  return image ?? '';
}
