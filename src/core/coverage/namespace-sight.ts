import type { Labels } from './label-selector.ts';
import { findSight, NAMESPACE_NAME_LABEL, type Sight, type Webhook } from './webhook-sight.ts';

/** What the webhooks make of a namespace. */
export interface NamespaceRow {
  readonly namespace: string;
  readonly webhook: Sight['mode'];
  /** Of the webhook that is asked; null where none is. */
  readonly failurePolicy: string | null;
  /** Why none is asked; null where one is. */
  readonly reason: string | null;
  readonly why: string;
}

/** The labels of namespaces and the webhooks, as far as they were read. */
export class NamespaceSight {
  readonly #labels = new Map<string, Labels>();
  readonly #webhooks = new Map<string, readonly Webhook[]>();
  #knowsWebhooks = false;

  addNamespace(name: string, labels: Labels): void {
    // The API server sets this one on every namespace; manifests do not have it.
    this.#labels.set(name, { [NAMESPACE_NAME_LABEL]: name, ...labels });
  }

  addWebhooks(configuration: string, webhooks: readonly Webhook[]): void {
    this.#webhooks.set(configuration, webhooks);
    this.#knowsWebhooks = true;
  }

  /** Every webhook was added; so none at all means that there is none. */
  webhooksAreRead(): void {
    this.#knowsWebhooks = true;
  }

  /** Who is asked about the pods of a namespace, or about one with these labels; undefined: unknown. */
  find(namespace: string | undefined, pod?: Labels): Sight | undefined {
    const labels = namespace === undefined ? undefined : this.#labels.get(namespace);
    return this.#knowsWebhooks && labels !== undefined
      ? findSight(this.#allWebhooks(), labels, pod)
      : undefined;
  }

  /** A row for each of the namespaces of which something is known. */
  rows(namespaces: Iterable<string>): NamespaceRow[] {
    return [...new Set(namespaces)].sort().flatMap((namespace) => {
      const sight = this.find(namespace);
      return sight === undefined ? [] : [namespaceRow(namespace, sight)];
    });
  }

  /** What there is about the webhooks that no selector shows. */
  notes(): string[] {
    return this.#allWebhooks().flatMap(({ name, foreignConditions, hasAuthority }) => [
      ...(foreignConditions.length === 0
        ? []
        : [`${name} has matchConditions that are not evaluated: ${foreignConditions.join(', ')}`]),
      ...(hasAuthority
        ? []
        : [`${name} has no caBundle: the API server cannot call it, and failurePolicy decides`]),
    ]);
  }

  #allWebhooks(): Webhook[] {
    return this.#webhooks.values().toArray().flat();
  }
}

function namespaceRow(namespace: string, sight: Sight): NamespaceRow {
  if (sight.mode === 'none') {
    const { mode: webhook, reason, why } = sight;
    return { namespace, webhook, failurePolicy: null, reason, why };
  }
  const { name, failurePolicy } = sight.webhook;
  const audited = `${name} only audits`;
  const enforced =
    failurePolicy === 'Ignore'
      ? `${name}, failurePolicy Ignore: a pod that starts while it is away keeps its images`
      : `${name}, failurePolicy ${failurePolicy}`;
  const why = sight.mode === 'audit' ? audited : enforced;
  return { namespace, webhook: sight.mode, failurePolicy, reason: null, why };
}
