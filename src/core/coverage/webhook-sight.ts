import { isRecord } from '../json-value.ts';
import {
  type Labels,
  readSelector,
  type Requirement,
  unmetRequirements,
  unmetText,
} from './label-selector.ts';
import type { Mode } from '../verdict.ts';
import type { KubernetesObject } from '../workload.ts';

const NAME_LABEL = 'app.kubernetes.io/name';
const PRODUCT = 'sdr-image-rewriter';
const PRODUCT_DOMAIN = '.sdr-image-rewriter.io';
export const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name';

/** Conditions of the chart, which only spare calls that would change nothing. */
const OWN_CONDITIONS = new Set(['images-change', 'no-mirror-pod', 'no-skip-label']);

/** One entry of a MutatingWebhookConfiguration of this program. */
export interface Webhook {
  /** `configuration/entry`. */
  readonly name: string;
  readonly mode: Mode;
  readonly failurePolicy: string;
  readonly namespaceSelector: readonly Requirement[];
  readonly objectSelector: readonly Requirement[];
  /** Whether the API server calls it for the creation of pods at all. */
  readonly coversPods: boolean;
  /** Names of matchConditions that are not the chart's. */
  readonly foreignConditions: readonly string[];
  /** Whether the API server could trust its certificate. */
  readonly hasAuthority: boolean;
}

/** Why no webhook is asked about a pod. */
export const UNSEEN_REASONS = {
  'no-webhook': 'the cluster has no MutatingWebhookConfiguration of this program',
  'pod-rules': 'the `rules` of the webhook do not name the creation of pods',
  'namespace-selector': 'the `namespaceSelector` does not take the namespace, by its labels',
  'object-selector': 'the `objectSelector` does not take the pod, by its labels',
} as const;
export type UnseenReason = keyof typeof UNSEEN_REASONS;

/** Who is asked about a pod: a webhook that patches, one that only audits, or none. */
export type Sight =
  | { readonly mode: Mode; readonly webhook: Webhook }
  | { readonly mode: 'none'; readonly reason: UnseenReason; readonly why: string };

/** The webhooks of a configuration; undefined where it is none of this program's. */
export function readWebhooks(configuration: KubernetesObject): Webhook[] | undefined {
  const { kind, metadata, webhooks } = configuration;
  if (kind !== 'MutatingWebhookConfiguration' || !isRecord(metadata)) {
    return undefined;
  }
  const entries = Array.isArray(webhooks) ? webhooks.filter(isRecord) : [];
  const hasLabel = isRecord(metadata.labels) && metadata.labels[NAME_LABEL] === PRODUCT;
  const isOurs = hasLabel || entries.some(({ name }) => String(name).endsWith(PRODUCT_DOMAIN));
  return isOurs ? entries.map((entry) => readEntry(String(metadata.name), entry)) : undefined;
}

function readEntry(configuration: string, entry: Record<string, unknown>): Webhook {
  const { rules, clientConfig, matchConditions } = entry;
  const client = isRecord(clientConfig) ? clientConfig : {};
  const conditions = Array.isArray(matchConditions) ? matchConditions.filter(isRecord) : [];
  return {
    name: `${configuration}/${String(entry.name)}`,
    mode: pathOf(client).endsWith('/audit') ? 'audit' : 'enforce',
    failurePolicy: typeof entry.failurePolicy === 'string' ? entry.failurePolicy : 'Fail',
    namespaceSelector: readSelector(entry.namespaceSelector),
    objectSelector: readSelector(entry.objectSelector),
    coversPods: Array.isArray(rules) && rules.some(coversPodCreation),
    foreignConditions: conditions
      .map(({ name }) => String(name))
      .filter((name) => !OWN_CONDITIONS.has(name)),
    // A URL may lead to a host with a certificate of a public authority; a Service never does.
    hasAuthority:
      !isRecord(client.service) || (typeof client.caBundle === 'string' && client.caBundle !== ''),
  };
}

function pathOf({ service, url }: Record<string, unknown>): string {
  const path = isRecord(service) ? service.path : url;
  return typeof path === 'string' ? path.replace(/[?#].*/, '') : '';
}

function coversPodCreation(rule: unknown): boolean {
  if (!isRecord(rule)) {
    return false;
  }
  const names = (list: unknown, ...accepted: string[]): boolean =>
    Array.isArray(list) && accepted.some((each) => list.includes(each));
  return (
    names(rule.apiGroups, '', '*') &&
    names(rule.apiVersions, 'v1', '*') &&
    names(rule.resources, 'pods', '*', '*/*') &&
    names(rule.operations, 'CREATE', '*') &&
    rule.scope !== 'Cluster'
  );
}

/** Who is asked about the pods of a namespace; with `pod`, about one with these labels. */
export function findSight(webhooks: readonly Webhook[], namespace: Labels, pod?: Labels): Sight {
  const unseen = (reason: UnseenReason, why: string = UNSEEN_REASONS[reason]): Sight => {
    return { mode: 'none', reason, why };
  };
  const unmetBy = ({ namespaceSelector }: Webhook): Requirement[] =>
    unmetRequirements(namespaceSelector, namespace);
  const called = webhooks.filter(({ coversPods }) => coversPods);
  const selecting = called.filter((webhook) => unmetBy(webhook).length === 0);
  const asked = selecting.filter(
    ({ objectSelector }) =>
      pod === undefined || unmetRequirements(objectSelector, pod).length === 0,
  );
  const webhook = asked.find(({ mode }) => mode === 'enforce') ?? asked[0];
  if (webhook !== undefined) {
    return { mode: webhook.mode, webhook };
  }
  if (selecting.length > 0) {
    return unseen('object-selector');
  }
  if (called.length === 0) {
    return unseen(webhooks.length === 0 ? 'no-webhook' : 'pod-rules');
  }
  const patching = called.filter(({ mode }) => mode === 'enforce');
  const why = (patching.length > 0 ? patching : called).map(
    (each) => `${each.name} wants ${unmetText(unmetBy(each), namespace)}`,
  );
  return unseen('namespace-selector', why.join('; '));
}
