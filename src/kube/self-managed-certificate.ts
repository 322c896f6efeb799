import { RewriterError } from '../core/errors.ts';
import type { Clock } from '../clock.ts';
import {
  type CertificateState,
  type CertificateStep,
  isUsable,
  planStep,
  PROPAGATION,
} from './certificate-plan.ts';
import type { Cluster, SecretReading, WebhookReading } from './cluster.ts';
import { createAuthority, issueLeaf, type PemPair } from './x509.ts';

/** Milliseconds between two looks at the cluster: how long an emptied caBundle stays empty. */
const INTERVAL = 10_000;
const RETRY_INTERVAL = 2000;
/** Replicas that start at once get in each other's way a few times, not for ever. */
const STEP_LIMIT = 20;

const AUTHORITY_CERT = 'ca.crt';
const AUTHORITY_KEY = 'ca.key';
const LEAF_CERT = 'tls.crt';
const LEAF_KEY = 'tls.key';

export interface SelfManagedSettings {
  readonly dnsNames: readonly string[];
  /** Milliseconds. */
  readonly authorityLifetime: number;
  readonly leafLifetime: number;
}

export interface SelfManagedObserver {
  /** Another leaf is to be served. */
  issued(leaf: PemPair): void;
  /** The cluster was changed: `authority` made, `bundle` published or repaired, `leaf` issued. */
  changed(what: 'authority' | 'bundle' | 'leaf'): void;
  failed(error: RewriterError): void;
}

export interface SelfManagedOptions {
  readonly cluster: Cluster;
  readonly settings: SelfManagedSettings;
  readonly observer: SelfManagedObserver;
  readonly clock: Clock;
}

/**
 * Keeps a certificate authority and a serving certificate in a Secret that all replicas share, and the
 * authority in the webhook configuration. Whichever replica comes first does what is due; the others
 * see it at their next look. A cluster that does not answer changes nothing but the log.
 */
export class SelfManagedCertificate {
  readonly #options: SelfManagedOptions;
  #served: { readonly cert: string; readonly authority: string } | undefined;
  #publishedSince: Date | undefined;
  #wasPublished = false;
  #isRunning = false;
  #cancelTimer: (() => void) | undefined;

  constructor(options: SelfManagedOptions) {
    this.#options = options;
  }

  /**
   * Whether the webhook configuration was ever seen with our authority in it, or was seen not to be there, so
   * that nobody calls. Not whether it is now: a cluster that refuses a repair must not take all replicas out
   * of service at once.
   */
  get isPublished(): boolean {
    return this.#wasPublished;
  }

  /** Looks at the cluster now and then again and again; resolves after the first look. */
  async start(): Promise<void> {
    this.#isRunning = true;
    await this.#look();
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancelTimer?.();
  }

  async #look(): Promise<void> {
    let pause: number;
    try {
      pause = (await this.reconcile()) === 'wait' ? PROPAGATION : INTERVAL;
    } catch (error) {
      pause = RETRY_INTERVAL;
      const message = `the certificate of the webhook cannot be kept up: ${(error as Error).message}`;
      this.#options.observer.failed(new RewriterError('CLUSTER_FAILED', message, { cause: error }));
    }
    if (this.#isRunning) {
      this.#cancelTimer = this.#options.clock.after(pause, () => void this.#look());
    }
  }

  /** Does what is due until nothing is, or until it has to wait. */
  async reconcile(): Promise<'done' | 'wait'> {
    const { cluster, settings, clock } = this.#options;
    for (let steps = 0; steps < STEP_LIMIT; steps += 1) {
      const secret = await cluster.readSecret();
      const webhook = await cluster.readWebhook();
      const state = readState(secret);
      const now = new Date(clock.now());
      const step = planStep({
        state,
        bundles: webhook?.bundles ?? [],
        dnsNames: settings.dnsNames,
        now,
        publishedSince: this.#publishedSince,
        servedAuthority: this.#served?.authority,
      });
      this.#notePublication(step, now);
      // A first leaf is served whoever signed it: its authority stays in the bundles until it expires.
      if (step.kind === 'done' || this.#served === undefined) {
        this.#serve(state);
      }
      if (step.kind === 'done' || step.kind === 'wait') {
        return step.kind;
      }
      await this.#take(step, state, secret, webhook, now);
    }
    throw new Error('other writers keep changing the Secret or the webhook configuration');
  }

  #notePublication({ kind }: CertificateStep, now: Date): void {
    const isPublished = kind !== 'create-authority' && kind !== 'publish';
    this.#wasPublished ||= isPublished;
    this.#publishedSince = isPublished ? (this.#publishedSince ?? now) : undefined;
  }

  #serve({ authority, leaf }: CertificateState): void {
    if (leaf !== undefined && leaf.cert !== this.#served?.cert && isUsable(leaf)) {
      this.#served = { cert: leaf.cert, authority: authority?.cert ?? '' };
      this.#options.observer.issued(leaf);
    }
  }

  async #take(
    step: Exclude<CertificateStep, { kind: 'done' | 'wait' }>,
    { authority, leaf }: CertificateState,
    secret: SecretReading | undefined,
    webhook: WebhookReading | undefined,
    now: Date,
  ): Promise<void> {
    const { cluster, observer, settings } = this.#options;
    if (step.kind === 'publish') {
      const result = webhook && (await cluster.writeBundles(step.bundles, webhook));
      if (result === 'written') observer.changed('bundle');
      return;
    }
    if (step.kind === 'create-authority') {
      const lifetime = settings.authorityLifetime;
      const next = await createAuthority('sdr-image-rewriter CA', { now, lifetime });
      // The leaf of the authority before is served on until the new one is known everywhere.
      const result = await cluster.writeSecret(writeState({ authority: next, leaf }), secret);
      if (result === 'written') observer.changed('authority');
      return;
    }
    if (authority !== undefined) {
      const validity = { now, lifetime: settings.leafLifetime };
      const next = await issueLeaf(authority, settings, validity);
      const result = await cluster.writeSecret(writeState({ authority, leaf: next }), secret);
      if (result === 'written') observer.changed('leaf');
    }
  }
}

function readState(secret: SecretReading | undefined): CertificateState {
  const pair = (certKey: string, keyKey: string): PemPair | undefined => {
    const [cert, key] = [secret?.data[certKey], secret?.data[keyKey]];
    return cert === undefined || key === undefined ? undefined : { cert, key };
  };
  return { authority: pair(AUTHORITY_CERT, AUTHORITY_KEY), leaf: pair(LEAF_CERT, LEAF_KEY) };
}

function writeState({ authority, leaf }: CertificateState): Record<string, string> {
  return {
    ...(authority && { [AUTHORITY_CERT]: authority.cert, [AUTHORITY_KEY]: authority.key }),
    ...(leaf && { [LEAF_CERT]: leaf.cert, [LEAF_KEY]: leaf.key }),
  };
}
