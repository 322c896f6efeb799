import { SKIP_LABEL } from './exemption.ts';
import {
  inParts,
  items,
  members,
  type Selection,
  parseSelected,
  type TellEnd,
  WHOLE,
} from './selected-json.ts';

const CONTAINERS = items(members({ name: WHOLE, image: WHOLE }));
const VOLUMES = items(members({ name: WHOLE, image: members({ reference: WHOLE }) }));

const POD = members({
  metadata: members({
    name: WHOLE,
    generateName: WHOLE,
    namespace: WHOLE,
    labels: members({ [SKIP_LABEL]: WHOLE }),
    annotations: WHOLE,
    // Has the time in it, and is else the same in all pods of a template.
    managedFields: inParts(items(members({ fieldsV1: members({}) }))),
    ownerReferences: items(members({ kind: WHOLE, name: WHOLE, controller: WHOLE })),
  }),
  spec: members({
    containers: CONTAINERS,
    initContainers: CONTAINERS,
    ephemeralContainers: CONTAINERS,
    volumes: VOLUMES,
    imagePullSecrets: items(members({ name: WHOLE })),
  }),
});

/** What `admit` reads of a review. Most of a pod is something else, `managedFields` more than all. */
const REVIEW: Selection = members({
  apiVersion: WHOLE,
  kind: WHOLE,
  request: members({
    uid: WHOLE,
    operation: WHOLE,
    resource: members({ group: WHOLE, resource: WHOLE }),
    subResource: WHOLE,
    namespace: WHOLE,
    name: WHOLE,
    dryRun: WHOLE,
    userInfo: members({ username: WHOLE }),
    object: POD,
    oldObject: POD,
  }),
});

/**
 * Parses an AdmissionReview as far as `admit` looks at it; `bytes` is the text, and `tellEnd` is asked about
 * what is passed over. Throws a `SyntaxError`.
 */
export function parseReview(text: string, bytes: Uint8Array, tellEnd?: TellEnd): unknown {
  return parseSelected(text, bytes, REVIEW, tellEnd);
}
