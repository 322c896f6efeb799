import {
  AdmissionregistrationV1Api,
  ApiException,
  CoreV1Api,
  KubeConfig,
} from './kubernetes-client.ts';

/** A Secret as it was read; `data` is decoded. */
export interface SecretReading {
  readonly resourceVersion: string;
  readonly data: Readonly<Record<string, string>>;
}

export interface WebhookReading {
  readonly resourceVersion: string;
  /** PEM text of each webhook entry, in order; empty where there is none. */
  readonly bundles: readonly string[];
}

/** `conflict`: somebody else wrote first; read again. */
export type WriteResult = 'written' | 'conflict';

/** The objects of the cluster that a self-managed certificate needs. */
export interface Cluster {
  /** Undefined where there is none. */
  readSecret(): Promise<SecretReading | undefined>;
  /** Replaces the data, but only of the version that was read; without one the Secret is created. */
  writeSecret(
    data: Readonly<Record<string, string>>,
    read: SecretReading | undefined,
  ): Promise<WriteResult>;
  /** Undefined where there is none. */
  readWebhook(): Promise<WebhookReading | undefined>;
  writeBundles(bundles: readonly string[], read: WebhookReading): Promise<WriteResult>;
}

export interface ClusterNames {
  readonly namespace: string;
  readonly secret: string;
  readonly webhookConfiguration: string;
}

/** The cluster that this process runs in, or that KUBECONFIG names. */
export function connectCluster({ namespace, secret, webhookConfiguration }: ClusterNames): Cluster {
  const config = new KubeConfig();
  config.loadFromDefault();
  const core = config.makeApiClient(CoreV1Api);
  const admission = config.makeApiClient(AdmissionregistrationV1Api);
  return {
    readSecret: () =>
      unlessMissing(async () => {
        const { metadata, data } = await core.readNamespacedSecret({ name: secret, namespace });
        return {
          resourceVersion: metadata?.resourceVersion ?? '',
          data: mapValues(data ?? {}, (value) => Buffer.from(value, 'base64').toString()),
        };
      }),
    writeSecret(data, read) {
      const encoded = mapValues(data, (value) => Buffer.from(value).toString('base64'));
      return unlessConflict(async () => {
        await (read === undefined
          ? core.createNamespacedSecret({
              namespace,
              body: { metadata: { name: secret }, type: 'Opaque', data: encoded },
            })
          : core.patchNamespacedSecret({
              name: secret,
              namespace,
              body: [sameVersion(read), { op: 'add', path: '/data', value: encoded }],
            }));
      });
    },
    readWebhook: () =>
      unlessMissing(async () => {
        const { metadata, webhooks = [] } = await admission.readMutatingWebhookConfiguration({
          name: webhookConfiguration,
        });
        return {
          resourceVersion: metadata?.resourceVersion ?? '',
          bundles: webhooks.map(({ clientConfig: { caBundle = '' } }) =>
            Buffer.from(caBundle, 'base64').toString(),
          ),
        };
      }),
    // A patch of single fields: a typed round trip would drop what this client does not know yet.
    writeBundles: (bundles, read) =>
      unlessConflict(async () => {
        const operations = bundles.map((bundle, index) => ({
          op: 'add',
          path: `/webhooks/${index}/clientConfig/caBundle`,
          value: Buffer.from(bundle).toString('base64'),
        }));
        await admission.patchMutatingWebhookConfiguration({
          name: webhookConfiguration,
          body: [sameVersion(read), ...operations],
        });
      }),
  };
}

function sameVersion({ resourceVersion }: { readonly resourceVersion: string }): object {
  return { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion };
}

async function unlessMissing<Value>(read: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ApiException && error.code === 404) {
      return undefined;
    }
    throw error;
  }
}

/** 409: created or changed meanwhile; 422: the version that the patch asks for is gone; 404: deleted. */
async function unlessConflict(write: () => Promise<void>): Promise<WriteResult> {
  try {
    await write();
    return 'written';
  } catch (error) {
    if (error instanceof ApiException && [404, 409, 422].includes(error.code)) {
      return 'conflict';
    }
    throw error;
  }
}

function mapValues(
  record: Readonly<Record<string, string>>,
  change: (value: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
