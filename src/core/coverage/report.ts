import { Controllers } from './controllers.ts';
import { type CoverageRow, mergeRows } from './row.ts';
import { canonical, classify, originalOf } from './state.ts';
import { isRecord } from '../json-value.ts';
import { MovedTags } from './moving-tag.ts';
import { type NamespaceRow, NamespaceSight } from './namespace-sight.ts';
import { type Observation, observe, type ObservedImage } from './observation.ts';
import type { Policy } from '../policy.ts';
import { canonicalText } from '../reference.ts';
import { readWebhooks } from './webhook-sight.ts';
import { type KubernetesObject, listObjects } from '../workload.ts';

export interface CoverageReport {
  readonly rows: readonly CoverageRow[];
  /** Of the namespaces in the rows. */
  readonly namespaces: readonly NamespaceRow[];
  /** What the reader should know about the report. */
  readonly notes: readonly string[];
  /** False where something that may have images could not be read. */
  readonly isComplete: boolean;
}

/** One image where it was seen. */
interface Finding {
  readonly observation: Observation;
  readonly observed: ObservedImage;
  readonly original: string;
  /** As it stands in a pod that exists. */
  readonly current: string | undefined;
  readonly file: string | null;
}

/**
 * Collects Kubernetes objects in any order and says what becomes of their images. What is added twice,
 * as when a list has to be read again, counts once.
 */
export class Coverage {
  readonly #policy: Policy;
  /** By object; only of those that have an image of ours. */
  readonly #findings = new Map<string, readonly Finding[]>();
  readonly #controllers = new Controllers();
  readonly #sight = new NamespaceSight();
  readonly #notes: string[] = [];
  #added = 0;
  #isComplete = true;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  /** Takes a parsed document, an object or a List; `file` is the place that it came from. */
  add(document: unknown, file: string | null = null): void {
    for (const { object } of listObjects(document)) {
      this.#addObject(object, file);
    }
  }

  /** Every webhook was added; so none at all means that there is none. */
  webhooksAreRead(): void {
    this.#sight.webhooksAreRead();
  }

  note(message: string): void {
    this.#notes.push(message);
  }

  /** As `note`, where what is missing may have images. */
  noteMissing(message: string): void {
    this.#notes.push(message);
    this.#isComplete = false;
  }

  report(): CoverageReport {
    const findings = this.#findings.values().toArray().flat();
    const ofPods = findings.filter(({ observation }) => observation.isPod);
    const inPods = new Set(ofPods.flatMap((finding) => this.#keysOf(finding)));
    const ofTemplates = findings.filter(
      (finding) => !finding.observation.isPod && !this.#isSpokenFor(finding, inPods),
    );
    const moved = new MovedTags();
    for (const { observed } of ofPods) {
      moved.add(observed.image, observed.pulledFrom);
    }
    const rows = mergeRows(
      [...ofPods, ...ofTemplates].flatMap((finding) => this.#rowOf(finding, moved)),
    );
    return {
      rows,
      namespaces: this.#sight.rows(rows.flatMap(({ namespace }) => namespace ?? [])),
      notes: [...this.#notes, ...this.#sight.notes()],
      isComplete: this.#isComplete,
    };
  }

  #addObject(object: KubernetesObject, file: string | null): void {
    const { name, labels } = isRecord(object.metadata) ? object.metadata : {};
    if (object.kind === 'Namespace' && typeof name === 'string') {
      this.#sight.addNamespace(name, isRecord(labels) ? labels : {});
    }
    const webhooks = readWebhooks(object);
    if (webhooks !== undefined) {
      this.#sight.addWebhooks(String(name), webhooks);
    }
    const observation = observe(object);
    if (observation !== undefined) {
      this.#addObservation(observation, file);
    }
  }

  #addObservation(observation: Observation, file: string | null): void {
    const { apiVersion, kind, namespace, name, isPod, images } = observation;
    if (!isPod) {
      this.#controllers.add(observation);
    }
    const findings = images.flatMap((observed): Finding[] => {
      const original = originalOf(this.#policy, observed.image, observed.annotated);
      const current = isPod ? observed.image : undefined;
      const subject = { original, current, exemption: undefined, sight: undefined };
      const isOurs = classify(subject, this.#policy) !== undefined;
      return isOurs ? [{ observation, observed, original, current, file }] : [];
    });
    this.#added += 1;
    const identity = name === '' ? this.#added : name;
    const key = JSON.stringify([file, apiVersion, kind, namespace, identity]);
    if (findings.length > 0) {
      this.#findings.set(key, findings);
    } else {
      this.#findings.delete(key);
    }
  }

  #rowOf(finding: Finding, moved: MovedTags): CoverageRow[] {
    const { observation, observed, original, current, file } = finding;
    const { namespace, name, isPod } = observation;
    const { container, exemption, labels, pulledFrom } = observed;
    const sight = this.#sight.find(namespace, labels);
    const found = classify({ original, current, exemption, sight }, this.#policy);
    if (found === undefined) {
      return [];
    }
    const { state, decision, reason } = found;
    const rewritten = decision.outcome === 'rewritten' ? decision : undefined;
    const row: CoverageRow = {
      state,
      namespace: namespace ?? null,
      workload: this.#workloadOf(observation),
      containers: [container],
      image: original,
      canonical: decision.outcome === 'invalid' ? null : canonicalText(decision.reference),
      runs: current ?? null,
      pods: isPod ? [name] : [],
      pulledFrom: pulledFrom === undefined ? [] : [pulledFrom],
      target: rewritten?.target ?? null,
      rule: rewritten?.rule ?? null,
      reason: reason ?? null,
      webhook: sight?.mode ?? null,
      // What a node pulls counts: a target may pin what its source leaves open.
      moving: moved.movingOf(current ?? rewritten?.target ?? original) ?? null,
      file,
    };
    return [row];
  }

  #workloadOf(observation: Observation): string {
    const { isPod, controller } = observation;
    // A node is named as the controller of its static pods, but has no template that one could edit.
    const isUnread =
      isPod && controller?.kind !== 'Node' && !this.#controllers.knowsAbove(observation);
    const { kind, name } =
      (isUnread ? controller : undefined) ?? this.#controllers.topOf(observation);
    return `${kind}/${name === '' ? (observation.generateName ?? '-') : name}`;
  }

  /** Whether a template says nothing that its controller or its pods do not say. */
  #isSpokenFor(finding: Finding, inPods: ReadonlySet<string>): boolean {
    return (
      this.#controllers.knowsAbove(finding.observation) ||
      this.#keysOf(finding).some((key) => inPods.has(key))
    );
  }

  /** A pod and its template meet where one of these is the same. */
  #keysOf({ observation, original, current }: Finding): string[] {
    const decision = this.#policy.decide(original);
    const next = decision.outcome === 'rewritten' ? decision.target : original;
    return [original, current ?? next].map((image) =>
      JSON.stringify([observation.namespace, this.#workloadOf(observation), canonical(image)]),
    );
  }
}
