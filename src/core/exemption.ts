import { isRecord } from './json-value.ts';

export const SKIP_LABEL = 'sdr-image-rewriter.io/skip';
export const MIRROR_POD_ANNOTATION = 'kubernetes.io/config.mirror';

/** Why a pod is left alone as a whole, whatever its images are. */
export type Exemption = 'mirror-pod' | 'skip-label';

/** Looks at the `metadata` of a pod or of a pod template. */
export function findExemption(metadata: unknown): Exemption | undefined {
  const { annotations, labels } = isRecord(metadata) ? metadata : {};
  if (isRecord(annotations) && Object.hasOwn(annotations, MIRROR_POD_ANNOTATION)) {
    return 'mirror-pod';
  }
  return isRecord(labels) && labels[SKIP_LABEL] === 'true' ? 'skip-label' : undefined;
}
