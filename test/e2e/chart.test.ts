import { once } from 'node:events';
import { globSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { CHART, listChartValues } from '../../scripts/chart-docs.ts';
import { ROOT } from '../../scripts/docs.ts';
import { parseConfig } from '../../src/config/config.ts';
import { CONFIG_API_VERSION } from '../../src/config/schema.ts';
import { PATH_LIMIT } from '../../src/core/reference.ts';
import { createAuthority } from '../support/certificates.ts';
import {
  apply,
  copyImage,
  eventually,
  getJson,
  kubectl,
  must,
  run,
  setting,
} from './support/cluster.ts';
import { helmTest } from './support/release.ts';

const RELEASE = 'rewriter';
const NAMESPACE = 'sdr-chart-e2e';
const NAMESPACES = [NAMESPACE, 'sdr-apps', 'sdr-orchestrator', 'sdr-chart-audit'];
/** Not in every cluster: what they define is only looked at as YAML. */
const OPTIONAL_GROUPS = ['cert-manager.io/', 'monitoring.coreos.com/'];
const PREFIX = { procurement: 'prefix', containerRegistryBase: 'registry.corp.example/mirror' };

type Values = Readonly<Record<string, unknown>>;

interface Selector {
  readonly matchExpressions: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values: readonly string[];
  }[];
}

interface Webhook {
  readonly name: string;
  readonly failurePolicy: string;
  readonly sideEffects: string;
  readonly matchPolicy: string;
  readonly reinvocationPolicy: string;
  readonly timeoutSeconds: number;
  readonly clientConfig: {
    readonly caBundle?: string;
    readonly service: { readonly path: string; readonly name: string; readonly namespace: string };
  };
  readonly rules: readonly object[];
  readonly namespaceSelector: Selector;
  readonly objectSelector: Selector;
  readonly matchConditions?: readonly { readonly name: string; readonly expression: string }[];
}

interface PodSpec {
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: object;
  readonly containers: readonly {
    readonly securityContext: object;
    readonly resources: { readonly limits?: object };
    readonly args?: readonly string[];
    readonly env?: readonly { readonly name: string; readonly value?: string }[];
    readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  }[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly secret?: { readonly optional?: boolean };
  }[];
}

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly webhooks?: readonly Webhook[];
  readonly rules?: readonly object[];
  readonly subjects?: readonly object[];
  readonly spec?: Readonly<Record<string, unknown>> & {
    readonly template?: {
      readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
      readonly spec: PodSpec;
    };
  };
}

interface Install {
  readonly version?: string;
  readonly release?: string;
  readonly namespace?: string;
}

function helmArgs(
  values: Values,
  { version = '1.36.0', release = RELEASE, namespace = NAMESPACE }: Install = {},
): string[] {
  const file = typeof values.file === 'string' ? ['-f', values.file] : ['-f', '-'];
  return ['template', release, CHART, '-n', namespace, '--kube-version', version, ...file];
}

/** Renders the chart with some values, or with those of a file. Throws where a key stands twice in a map. */
async function render(values: Values, install?: Install): Promise<Manifest[]> {
  const text = await must('helm', helmArgs(values, install), JSON.stringify(values));
  return parseAllDocuments(text).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      throw error;
    }
    return document.toJS() as Manifest;
  });
}

/** What Helm says about values that the chart refuses, beside `config`; null where it renders them. */
async function refusal(values: Values, install?: Install): Promise<string | null> {
  const input = JSON.stringify({ config: PREFIX, ...values });
  const { code, stderr } = await run('helm', helmArgs({}, install), input);
  return code === 0 ? null : stderr;
}

function one(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  const [first] = found;
  if (first === undefined || found.length > 1) {
    throw new Error(`there are ${found.length} of ${kind}`);
  }
  return first;
}

function kinds(manifests: readonly Manifest[]): string[] {
  return manifests.map(({ kind }) => kind);
}

function podOf(manifests: readonly Manifest[]): PodSpec {
  const spec = one(manifests, 'Deployment').spec?.template?.spec;
  if (spec === undefined) {
    throw new Error('the Deployment has no pod');
  }
  return spec;
}

const ENTRIES = ['enforce', 'enforce-update', 'audit', 'audit-update'] as const;
type Entry = (typeof ENTRIES)[number];

/** One of the webhooks: those without a suffix are asked about creations. */
function webhookOf(manifests: readonly Manifest[], entry: Entry): Webhook {
  const { webhooks = [] } = one(manifests, 'MutatingWebhookConfiguration');
  const found = webhooks.find(({ name }) => name === `${entry}.sdr-image-rewriter.io`);
  if (found === undefined) {
    throw new Error(`there is no webhook ${entry}`);
  }
  return found;
}

/** Whether a namespace is selected, as the API server would decide. */
function selects({ matchExpressions }: Selector, name: string, mode?: string): boolean {
  const labels: Record<string, string | undefined> = {
    'kubernetes.io/metadata.name': name,
    'sdr-image-rewriter.io/mode': mode,
  };
  return matchExpressions.every(({ key, operator, values }) => {
    const isIn = values.includes(labels[key] ?? '');
    return operator === 'In' ? isIn : !isIn;
  });
}

function configText(manifests: readonly Manifest[]): string {
  const found = manifests.find(({ data }) => data?.['config.yaml'] !== undefined);
  return found?.data?.['config.yaml'] ?? '';
}

const examples = globSync(`${CHART}/ci/*-values.yaml`, { cwd: ROOT })
  .sort()
  .map((file): [string, string] => [basename(file), file]);

describe.each(examples)('the values of ci/%s', (_name, file) => {
  it('pass helm lint', async () => {
    await must('helm', ['lint', '--strict', CHART, '-f', file]);
  });

  it.each([
    ['1.24.0', false],
    ['1.29.0', true],
    ['v1.29.4-eks-036c24b', true],
    ['v1.28.9-gke.1000000', true],
    ['1.36.0', true],
  ])('are rendered for Kubernetes %s', async (version, hasConditions) => {
    const manifests = await render({ file }, { version });
    const conditional = ENTRIES.filter((entry) => 'matchConditions' in webhookOf(manifests, entry));
    // On a creation they would cost the API server more than they could spare.
    expect(conditional).toEqual(hasConditions ? ['enforce-update', 'audit-update'] : []);
    expect(parseConfig(configText(manifests))).not.toHaveProperty('faults');
  });

  it('make pods of the restricted standard without a CPU limit', async () => {
    const manifests = await render({ file });
    for (const { securityContext, containers } of [podOf(manifests), testPodOf(manifests)]) {
      expect(securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const container of containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(container.resources.limits).not.toHaveProperty('cpu');
      }
    }
  });
});

function testPodOf(manifests: readonly Manifest[]): PodSpec {
  return one(manifests, 'Pod').spec as unknown as PodSpec;
}

/** Helm leaves the namespace of the release to whoever applies. */
function inNamespace(manifest: Manifest): Manifest {
  const isOfCluster =
    manifest.kind.startsWith('Cluster') ||
    manifest.kind.startsWith('MutatingWebhook') ||
    manifest.kind.startsWith('ValidatingAdmission');
  const { metadata } = manifest;
  return isOfCluster ? manifest : { ...manifest, metadata: { namespace: NAMESPACE, ...metadata } };
}

describe('the webhook configuration', () => {
  it('says of each webhook what the API server needs to know', async () => {
    const manifests = await render({ config: PREFIX });
    for (const [entry, path, operation] of [
      ['enforce', '/mutate', 'CREATE'],
      ['enforce-update', '/mutate', 'UPDATE'],
      ['audit', '/audit', 'CREATE'],
      ['audit-update', '/audit', 'UPDATE'],
    ] as const) {
      expect(webhookOf(manifests, entry)).toMatchObject({
        failurePolicy: 'Ignore',
        sideEffects: 'None',
        matchPolicy: 'Equivalent',
        reinvocationPolicy: 'IfNeeded',
        timeoutSeconds: 5,
        admissionReviewVersions: ['v1'],
        clientConfig: { service: { name: RELEASE, namespace: NAMESPACE, path } },
        rules: [
          {
            apiGroups: [''],
            apiVersions: ['v1'],
            operations: [operation],
            resources: ['pods', 'pods/ephemeralcontainers'],
            scope: 'Namespaced',
          },
        ],
        objectSelector: {
          matchExpressions: [
            { key: 'sdr-image-rewriter.io/skip', operator: 'NotIn', values: ['true'] },
          ],
        },
      });
    }
  });

  it('never blocks an audited namespace, not even with failurePolicy Fail', async () => {
    const manifests = await render({ config: PREFIX, webhook: { failurePolicy: 'Fail' } });
    const policies = ENTRIES.map((entry) => webhookOf(manifests, entry).failurePolicy);
    expect(policies).toEqual(['Fail', 'Fail', 'Ignore', 'Ignore']);
  });

  it('leaves caBundle to whoever writes it', async () => {
    const manifests = await render({ config: PREFIX });
    const certManager = await render({ config: PREFIX, tls: { mode: 'certManager' } });
    for (const entry of ENTRIES) {
      expect(webhookOf(manifests, entry).clientConfig).not.toHaveProperty('caBundle');
      expect(webhookOf(certManager, entry).clientConfig).not.toHaveProperty('caBundle');
    }
    const { metadata } = one(certManager, 'MutatingWebhookConfiguration');
    expect(metadata.annotations).toEqual({
      'cert-manager.io/inject-ca-from': `${NAMESPACE}/${RELEASE}-tls`,
    });
  });

  const named = { namespaces: ['apps'] };
  const all = { allNamespaces: true };
  it.each([
    // Values, namespace, label; enforced, audited
    [{}, 'apps', undefined, false, false],
    [{}, 'apps', 'enforce', true, false],
    [{}, 'apps', 'audit', false, true],
    [{}, 'apps', 'none', false, false],
    [named, 'apps', undefined, true, false],
    [named, 'apps', 'enforce', true, false],
    [named, 'apps', 'audit', false, true],
    [named, 'apps', 'none', false, false],
    [named, 'other', undefined, false, false],
    [named, 'other', 'enforce', false, false],
    [named, 'other', 'audit', false, false],
    [all, 'apps', undefined, true, false],
    [all, 'apps', 'audit', false, true],
    [all, 'apps', 'none', false, false],
  ])(
    'with %j selects the namespace %s labelled %s: %s, %s',
    async (webhook, name, label, ...expected) => {
      const manifests = await render({ config: PREFIX, webhook });
      const selected = ENTRIES.map((entry) =>
        selects(webhookOf(manifests, entry).namespaceSelector, name, label),
      );
      expect(selected).toEqual(expected.flatMap((isSelected) => [isSelected, isSelected]));
    },
  );

  it.each([{}, named, all])('with %j never selects itself or the system', async (webhook) => {
    const manifests = await render({ config: PREFIX, webhook });
    for (const entry of ENTRIES) {
      for (const name of [NAMESPACE, 'kube-system', 'kube-node-lease']) {
        const { namespaceSelector } = webhookOf(manifests, entry);
        expect(selects(namespaceSelector, name, 'enforce')).toBe(false);
        expect(selects(namespaceSelector, name, 'audit')).toBe(false);
        expect(selects(namespaceSelector, name)).toBe(false);
      }
    }
  });
});

describe('what is rendered', () => {
  it('gives a token and rights only to a process that keeps its own certificate', async () => {
    const own = await render({ config: PREFIX });
    expect(podOf(own).automountServiceAccountToken).toBe(true);
    expect(one(own, 'Secret')).not.toHaveProperty('data');
    expect(one(own, 'ClusterRole').rules).toEqual([
      {
        apiGroups: ['admissionregistration.k8s.io'],
        resources: ['mutatingwebhookconfigurations'],
        resourceNames: [RELEASE],
        verbs: ['get', 'patch'],
      },
    ]);
    expect(one(own, 'Role').rules).toEqual([
      {
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: [`${RELEASE}-tls`],
        verbs: ['get', 'patch'],
      },
      { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
    ]);
    const others = await render({ config: PREFIX, tls: { mode: 'certManager' } });
    expect(podOf(others).automountServiceAccountToken).toBe(false);
    expect(kinds(others).filter((kind) => /Role|Secret/.test(kind))).toEqual([]);
  });

  it('makes a CA of its own for cert-manager, or uses the issuer that is named', async () => {
    const own = await render({ config: PREFIX, tls: { mode: 'certManager' } });
    expect(kinds(own).filter((kind) => kind === 'Issuer')).toHaveLength(2);
    const issuerRef = { name: 'corp', kind: 'ClusterIssuer', group: 'cert-manager.io' };
    const tls = { mode: 'certManager', certManager: { issuerRef } };
    const named = await render({ config: PREFIX, tls });
    expect(kinds(named)).not.toContain('Issuer');
    expect(one(named, 'Certificate').spec).toMatchObject({
      issuerRef,
      dnsNames: [`${RELEASE}.${NAMESPACE}.svc`],
      privateKey: { algorithm: 'ECDSA', size: 256 },
    });
  });

  it('keeps the map over a restart in map mode only, unless it is told not to', async () => {
    const imageMap = { url: 's3://bucket/map.json' };
    const hasCache = async (config: object): Promise<boolean> => {
      const { volumes, containers } = podOf(await render({ config }));
      const mounts = containers[0]?.volumeMounts ?? [];
      const isMounted = mounts.some(
        ({ mountPath }) => mountPath === '/var/cache/sdr-image-rewriter',
      );
      expect(volumes?.some(({ name }) => name === 'cache')).toBe(isMounted);
      return isMounted;
    };
    expect(await hasCache(PREFIX)).toBe(false);
    expect(await hasCache({ procurement: 'map', imageMap })).toBe(true);
    expect(await hasCache({ procurement: 'map', imageMap: { ...imageMap, cacheFile: '' } })).toBe(
      false,
    );
  });

  it('restarts the pods for what only a restart can apply', async () => {
    const checksum = async (config: object): Promise<string | undefined> => {
      const { spec } = one(await render({ config: { ...PREFIX, ...config } }), 'Deployment');
      return spec?.template?.metadata.annotations['checksum/restart-needed'];
    };
    expect(await checksum({ unmapped: 'deny' })).toBe(await checksum({}));
    expect(await checksum({ ops: { port: 9090 } })).not.toBe(await checksum({}));
  });

  it('hands over the credentials of a Secret before the environment of the values', async () => {
    const manifests = await render({
      config: { procurement: 'map', imageMap: { url: 's3://bucket/map.json' } },
      s3Credentials: { existingSecret: 'store' },
      extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }],
    });
    expect(podOf(manifests).containers[0]?.env?.map(({ name }) => name)).toEqual([
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_SESSION_TOKEN',
      'HTTPS_PROXY',
    ]);
  });

  it('writes names and labels as strings, whatever they look like', async () => {
    const manifests = await render(
      { config: PREFIX, fullnameOverride: 'true', test: { namespace: '789' } },
      { release: '123', namespace: '456' },
    );
    const { clientConfig } = webhookOf(manifests, 'enforce');
    expect(clientConfig.service).toMatchObject({ name: 'true', namespace: '456' });
    for (const { metadata } of manifests) {
      const { name, namespace = '', labels = {} } = metadata;
      const all = [name, namespace, ...Object.values(labels)];
      expect(all.filter((each) => typeof each !== 'string')).toEqual([]);
    }
    const [subject] = one(manifests, 'ClusterRoleBinding').subjects ?? [];
    expect(subject).toEqual({ kind: 'ServiceAccount', name: 'true', namespace: '456' });
  });

  it('cuts a name that comes from a long release', async () => {
    const manifests = await render({ config: PREFIX }, { release: 'a'.repeat(53) });
    expect(one(manifests, 'Deployment').metadata.name).toBe('a'.repeat(52));
  });

  it('leaves out what does not fit the cluster or the number of replicas', async () => {
    const values = { config: PREFIX, replicas: 1, validatingAdmissionPolicy: { enabled: true } };
    const kindsOn = async (version: string) => kinds(await render(values, { version }));
    expect(await kindsOn('1.29.0')).not.toContain('ValidatingAdmissionPolicy');
    expect(await kindsOn('1.30.0')).toContain('ValidatingAdmissionPolicy');
    expect(kinds(await render(values))).not.toContain('PodDisruptionBudget');
    expect(kinds(await render({ config: PREFIX, hostNetwork: true }))).not.toContain(
      'NetworkPolicy',
    );
  });
});

describe('helm test', () => {
  const existingSecret = { mode: 'existingSecret', existingSecret: 'tls' };
  const webhook = { annotations: { 'cert-manager.io/inject-ca-from': 'sdr/webhook' } };
  const settingsOf = ({ containers }: PodSpec): Record<string, unknown> => {
    const [{ env = [] } = { env: [] }] = containers;
    return JSON.parse(env.find(({ name }) => name === 'SETTINGS')?.value ?? '') as never;
  };

  it('makes a pod where it is told to, and without a cluster to look into nowhere else', async () => {
    const namespaceFor = async (values: Values) =>
      settingsOf(testPodOf(await render({ config: PREFIX, ...values }))).namespace;
    const namespaces = ['apps', 'more'];
    expect(await namespaceFor({})).toBe('');
    expect(await namespaceFor({ webhook: { namespaces } })).toBe('');
    expect(await namespaceFor({ webhook: { namespaces }, test: { namespace: 'more' } })).toBe(
      'more',
    );
  });

  it('takes the CA from the values, or else from the Secret, which need not have it', async () => {
    const caOf = async (values: Values) =>
      testPodOf(await render({ config: PREFIX, ...values })).volumes?.map(
        ({ secret }) => secret?.optional,
      );
    const caBundle = '-----BEGIN CERTIFICATE-----\n';
    expect(await caOf({})).toEqual([false]);
    expect(await caOf({ tls: { mode: 'certManager' } })).toEqual([false]);
    expect(await caOf({ tls: existingSecret, webhook })).toEqual([true]);
    expect(await caOf({ tls: { ...existingSecret, caBundle } })).toBeUndefined();
  });

  it('passes without a CA, and fails with a wrong one', async () => {
    const authority = await createAuthority();
    const { cert, key } = await authority.issue('webhook', [`${RELEASE}.${NAMESPACE}.svc`]);
    const patch = [{ op: 'replace', path: '/spec/containers/0/image', value: 'mirrored:1' }];
    const encoded = Buffer.from(JSON.stringify(patch)).toString('base64');
    const server = createServer({ cert, key }, (request, response) => {
      void text(request).then((body) => {
        const { uid } = (JSON.parse(body) as { request: { uid: string } }).request;
        response.end(JSON.stringify({ response: { uid, allowed: true, patch: encoded } }));
      });
    });
    server.listen(0, '127.0.0.1').unref();
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const testWith = async (values: Values) => {
      const pod = testPodOf(await render({ config: PREFIX, service: { port }, ...values }));
      const script = pod.containers[0]?.args?.[0]?.replace('40_000', '0') ?? '';
      const settings = `SETTINGS=${JSON.stringify(settingsOf(pod))}`;
      const host = `${RELEASE.toUpperCase()}_SERVICE_HOST=127.0.0.1`;
      return run('env', [settings, host, process.execPath, '-e', script]);
    };
    const other = await createAuthority('other CA');

    expect(await testWith({ tls: existingSecret, webhook })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/not checked[^]*becomes mirrored:1/) as unknown,
    });
    expect(await testWith({ tls: { ...existingSecret, caBundle: authority.cert } })).toMatchObject({
      code: 0,
      stdout: expect.not.stringContaining('not checked') as unknown,
    });
    expect(await testWith({ tls: { ...existingSecret, caBundle: other.cert } })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('FAILED') as unknown,
    });
  });
});

describe('values that contradict each other', () => {
  const map = { procurement: 'map', imageMap: { url: 's3://bucket/map.json' } };
  const existingSecret = { mode: 'existingSecret', existingSecret: 'tls', caBundle: '' };
  it.each<[RegExp, Values]>([
    [/Fail with one replica/, { replicas: 1, webhook: { failurePolicy: 'Fail' } }],
    [/Fail for all/, { webhook: { failurePolicy: 'Fail', allNamespaces: true } }],
    [/both set: keep one/, { webhook: { namespaces: ['a'], allNamespaces: true } }],
    [/always excluded/, { webhook: { namespaces: ['kube-system'] } }],
    [/always excluded/, { webhook: { namespaces: [NAMESPACE] } }],
    [/always excluded/, { test: { namespace: NAMESPACE } }],
    [/webhook.namespaces does not/, { webhook: { namespaces: ['a'] }, test: { namespace: 'b' } }],
    [/tls.existingSecret is empty/, { tls: { mode: 'existingSecret' } }],
    [/tls.caBundle is empty/, { tls: existingSecret }],
    [
      /has none of a CA injector/,
      { tls: existingSecret, webhook: { annotations: { 'example.com/owner': 'platform' } } },
    ],
    [/tls.existingSecret is set, but/, { tls: { existingSecret: 'tls' } }],
    ...['tls', 'cert-manager', 'ca'].map((suffix): [RegExp, Values] => [
      /a name that the chart uses in another tls.mode/,
      { tls: { ...existingSecret, existingSecret: `${RELEASE}-${suffix}` } },
    ]),
    [
      /inject-ca-from: a\/b, but in tls.mode selfManaged the chart sees to caBundle/,
      { webhook: { annotations: { 'cert-manager.io/inject-ca-from': 'a/b' } } },
    ],
    [
      /issuerRef has no name/,
      { tls: { mode: 'certManager', certManager: { issuerRef: { kind: 'ClusterIssuer' } } } },
    ],
    [
      /renewed for ever/,
      { tls: { mode: 'certManager', certManager: { duration: '1h30m', renewBefore: '90m' } } },
    ],
    [/leafLifetime is 1s: set it between/, { tls: { selfManaged: { leafLifetime: '1s' } } }],
    [/leafLifetime is 87600h/, { tls: { selfManaged: { leafLifetime: '87600h' } } }],
    [/authorityLifetime is 876000h/, { tls: { selfManaged: { authorityLifetime: '876000h' } } }],
    [/issuerRef is set, but/, { tls: { certManager: { issuerRef: { name: 'a' } } } }],
    [/filled in by the chart/, { config: { ...PREFIX, server: { tls: { certFile: '/a' } } } }],
    [/there is no rule/, { config: { procurement: 'prefix' } }],
    [/there is no map/, { config: { procurement: 'map' } }],
    [/ftp:\/\/x\/y: write s3/, { config: { procurement: 'map', imageMap: { url: 'ftp://x/y' } } }],
    [/refreshInterval is 0s/, { config: { ...PREFIX, imageMap: { refreshInterval: '0s' } } }],
    [/timeout is 2h/, { config: { ...PREFIX, imageMap: { timeout: '2h' } } }],
    [/leave the scheme away/, { config: { ...PREFIX, containerRegistryBase: 'https://x' } }],
    [/sources\[0\] is "a.b\/C"/, { config: { ...PREFIX, sources: ['a.b/C'] } }],
    [
      /write docker.io\/atlan$/m,
      { config: { ...PREFIX, prefixes: [{ source: 'docker.io/atlanhq', target: 'atlan' }] } },
    ],
    [/lies outside/, { config: { ...PREFIX, allowedTargets: ['registry.corp.example/mir'] } }],
    [
      /would move again/,
      {
        config: {
          ...PREFIX,
          prefixes: [
            { source: 'docker.io/atlanhq', target: 'registry.atlan.com/mirror' },
            { source: 'registry.atlan.com', target: 'registry.corp.example' },
          ],
        },
      },
    ],
    [
      /the source docker.io\/atlanhq twice/,
      {
        config: {
          ...PREFIX,
          prefixes: [
            { source: 'docker.io/atlanhq', target: 'registry.corp.example/a' },
            { source: 'atlanhq', target: 'registry.corp.example/b' },
          ],
        },
      },
    ],
    [/mounted nowhere/, { config: { procurement: 'map', imageMap: { url: 'file:///a/b.json' } } }],
    [/mounted nowhere/, { config: { procurement: 'map', imageMap: { urlFile: '/a/url' } } }],
    [/is a volume of the chart/, { extraVolumes: [{ name: 'config', emptyDir: {} }] }],
    ...[
      '/etc/sdr-image-rewriter',
      '/etc/sdr-image-rewriter/keys.pem',
      '/etc/sdr-image-rewriter-tls/',
    ].map((mountPath): [RegExp, Values] => [
      /where the chart mounts a volume of its own/,
      {
        extraVolumes: [{ name: 'a', emptyDir: {} }],
        extraVolumeMounts: [{ name: 'a', mountPath }],
      },
    ]),
    [/extraVolumes does not/, { extraVolumeMounts: [{ name: 'a', mountPath: '/a' }] }],
    [/nothing outside/, { config: { ...PREFIX, ops: { host: '127.0.0.1' } } }],
    [/nobody knows/, { config: { ...PREFIX, server: { port: 0 } } }],
    [/set two ports/, { config: { ...PREFIX, server: { port: 8080 } } }],
    [/are both 8080: set two ports/, { service: { port: 8080 } }],
    [
      /SingleStack, but/,
      { service: { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4', 'IPv6'] } },
    ],
    [/value must be one of/, { dnsPolicy: 'None' }],
    [/name the one to use/, { serviceAccount: { create: false } }],
    [
      /annotate mine yourself/,
      { serviceAccount: { create: false, name: 'mine', annotations: { a: 'b' } } },
    ],
    [
      /silently win/,
      {
        s3Credentials: { existingSecret: 'a' },
        serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'a' } },
      },
    ],
    [/could ever be replaced/, { rollingUpdate: { maxSurge: 0 } }],
    [/could ever be replaced/, { rollingUpdate: { maxUnavailable: '0%', maxSurge: '0%' } }],
    [
      /2 of 2 replicas/,
      { webhook: { failurePolicy: 'Fail' }, rollingUpdate: { maxUnavailable: 2 } },
    ],
    [
      /100% of 2 replicas/,
      { webhook: { failurePolicy: 'Fail' }, rollingUpdate: { maxUnavailable: '100%' } },
    ],
    [/enabled is false/, { networkPolicy: { enabled: false, egress: 'deny' } }],
    [/needs the API server/, { networkPolicy: { egress: 'deny' } }],
    [
      /comes over the network/,
      { config: map, tls: { mode: 'certManager' }, networkPolicy: { egress: 'deny' } },
    ],
    [/allows everything/, { networkPolicy: { extraEgress: [{ ports: [{ port: 443 }] }] } }],
    [
      /procurement is public/,
      { config: { procurement: 'public' }, validatingAdmissionPolicy: { enabled: true } },
    ],
    [
      /Deny and Warn/,
      { validatingAdmissionPolicy: { enabled: true, validationActions: ['Deny', 'Warn'] } },
    ],
    [
      /more than twice/,
      {
        config: { ...map, imageMap: { ...map.imageMap, refreshInterval: '1h' } },
        metrics: { prometheusRule: { enabled: true } },
      },
    ],
    [
      /clientSubjects has a, b, but config.server.tls.clientCAFile is empty/,
      { config: { ...PREFIX, server: { tls: { clientSubjects: ['a', 'b'] } } } },
    ],
    [
      /server.port is 443, which the container may not bind/,
      { hostNetwork: true, config: { ...PREFIX, server: { port: 443 } } },
    ],
    [
      /ops.port is 1023, which the container may not bind/,
      { hostNetwork: true, config: { ...PREFIX, ops: { port: 1023 } } },
    ],
    [/additional properties .*'replica'/i, { replica: 2 }],
    [/additional properties .*'unmaped'/i, { config: { ...PREFIX, unmaped: 'deny' } }],
  ])('fail with a sentence: %s', async (sentence, values) => {
    expect(await refusal(values)).toMatch(sentence);
  });

  it.each([
    'http://x y',
    'http://x:65536',
    'http://10.0.0.256:9000',
    'http://[::1',
    'https://:443',
  ])('fail as the program does for the endpoint %s', async (endpoint) => {
    const config = { apiVersion: CONFIG_API_VERSION, ...PREFIX, imageMap: { s3: { endpoint } } };
    expect(await refusal({ config })).toMatch(/s3.endpoint is ".*", which is no URL: write http/);
    expect(parseConfig(JSON.stringify(config))).toHaveProperty('faults');
  });

  it.each(['https://x y/map.json', 'https://x:65536/map.json', 's3://my bucket/map.json'])(
    'fail as the program does for the map %s',
    async (url) => {
      const config = { apiVersion: CONFIG_API_VERSION, ...map, imageMap: { url } };
      expect(await refusal({ config })).toContain(`imageMap.url is ${url}: write s3://`);
      expect(parseConfig(JSON.stringify(config))).toHaveProperty('faults');
    },
  );

  const longPath = 'a'.repeat(PATH_LIMIT + 1);
  it.each<[string, object]>([
    ['containerRegistryBase', { containerRegistryBase: `registry.corp.example/${longPath}` }],
    ['sources[0]', { sources: [longPath] }],
    ['prefixes[0].source', { prefixes: [{ source: longPath, target: 'registry.corp.example' }] }],
    ['prefixes[0].target', { prefixes: [{ source: 'atlanhq', target: `a.example/${longPath}` }] }],
  ])('fail as the program does for too long a path in %s', async (place, part) => {
    const config = { apiVersion: CONFIG_API_VERSION, ...PREFIX, ...part };
    const said = await refusal({ config });
    expect(said).toContain(`config.${place} is `);
    expect(said).toContain('whose path has 256 characters: write at most 255');
    expect(parseConfig(JSON.stringify(config))).toHaveProperty('faults');
  });

  const digest = `sha256:${'0'.repeat(64)}`;
  it.each([
    ['registry.corp.example/x:0.1.0', 'has a tag: put the tag 0.1.0 into image.tag'],
    ['registry.corp.example:5000/x:0.1.0', 'has a tag: put the tag 0.1.0 into image.tag'],
    ['x:0.1.0', 'has a tag: put the tag 0.1.0 into image.tag'],
    [`a.example/x@${digest}`, `has a digest: put the digest ${digest} into image.digest`],
    [`a.example/x:1@${digest}`, `${digest} into image.digest, and take the tag 1 away`],
    [
      'registry.corp.example/Team/x',
      'is no repository: write registry/path, the path in lower case',
    ],
    ['Atlanhq/x', 'is no repository'],
    ['registry.corp.example/x/', 'is no repository'],
    ['registry.corp.example/x y', 'is no repository'],
    ['https://registry.corp.example/x', 'begins with a scheme: leave it away'],
  ])('fail with a sentence for the repository %s', async (repository, sentence) => {
    const said = await refusal({ image: { repository } });
    expect(said).toContain(repository);
    expect(said).toContain(sentence);
  });

  const monitored = (part: string, key: string): Values => ({
    metrics: { [part]: { enabled: true, labels: { [key]: 'mine' } } },
  });
  it.each<[string, string, Values]>([
    ['podLabels', 'app.kubernetes.io/name', { podLabels: { 'app.kubernetes.io/name': 'mine' } }],
    ['podLabels', 'helm.sh/chart', { podLabels: { 'helm.sh/chart': 'mine' } }],
    [
      'podAnnotations',
      'checksum/restart-needed',
      { podAnnotations: { 'checksum/restart-needed': 'mine' } },
    ],
    ...['serviceMonitor', 'prometheusRule', 'grafanaDashboard'].map(
      (part): [string, string, Values] => [
        `metrics.${part}.labels`,
        'app.kubernetes.io/instance',
        monitored(part, 'app.kubernetes.io/instance'),
      ],
    ),
  ])('fail with a sentence where %s has %s, which the chart sets', async (place, key, values) => {
    expect(await refusal(values)).toContain(
      `${place} has ${key}: mine, a key that the chart sets itself: remove it`,
    );
  });

  it.each([
    ['a'.repeat(53), 'a'.repeat(52)],
    [`${'a'.repeat(51)}-b`, 'a'.repeat(51)],
    ['webhook-', 'webhook'],
  ])('fail with a sentence for the fullnameOverride %s', async (fullnameOverride, name) => {
    expect(await refusal({ fullnameOverride })).toContain(
      `fullnameOverride is ${fullnameOverride}, which would be cut to ${name}, perhaps the name`,
    );
  });

  it.each([
    ['my.rel', {}],
    ['123', {}],
    [RELEASE, { fullnameOverride: '1abc' }],
    [RELEASE, { fullnameOverride: 'Webhook' }],
  ])(
    'fail with a sentence for a name that no Service can have: %s, %j',
    async (release, values) => {
      expect(await refusal(values, { release })).toMatch(/cannot name a Service/);
    },
  );

  it('fail with a sentence where a section is null', async () => {
    const paths = listChartValues().map(({ path }) => path);
    const faults = await Promise.all(
      paths.map(async (path) => {
        const nothing = path
          .split('.')
          .reduceRight<unknown>((inside, key) => ({ [key]: inside }), null) as Values;
        const said = await refusal(nothing);
        return said === null || said.includes('missing propert') ? [] : [[path, said]];
      }),
    );
    expect(faults.flat()).toEqual([]);
  });
});

describe('values that look contradictory', () => {
  it.each<Values>([
    { rollingUpdate: { maxUnavailable: '0%', maxSurge: '25%' } },
    { rollingUpdate: { maxUnavailable: '50%', maxSurge: 0 } },
    { rollingUpdate: { maxUnavailable: '50%' }, webhook: { failurePolicy: 'Fail' } },
    { tls: { mode: 'certManager', certManager: { duration: '1h30m', renewBefore: '1h' } } },
    { tls: { selfManaged: { authorityLifetime: '87600h', leafLifetime: '1m' } } },
    { tls: { selfManaged: { authorityLifetime: '60s', leafLifetime: '8760h' } } },
    { metrics: { serviceMonitor: { enabled: true, interval: '1m30s' } } },
    { service: { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv6'] } },
    { config: { ...PREFIX, containerRegistryBase: 'registry.corp.example:5000/' } },
    { config: { ...PREFIX, allowedTargets: ['other.example', 'registry.corp.example'] } },
    {
      config: {
        ...PREFIX,
        prefixes: [{ source: 'registry.atlan.com', target: 'registry.atlan.com/mirror' }],
      },
    },
    { config: { ...PREFIX, imageMap: { refreshInterval: '24h', timeout: '100ms' } } },
    { config: { ...PREFIX, imageMap: { s3: { endpoint: 'http://10.0.0.1:9000' } } } },
    { config: { ...PREFIX, imageMap: { s3: { endpoint: 'https://[fd00::1]:9000/a b' } } } },
    { config: { ...PREFIX, imageMap: { s3: { endpoint: 'http://key:p@ss@my_store' } } } },
    { config: { procurement: 'map', imageMap: { url: 's3://backup.2026/map.json' } } },
    {
      config: {
        ...PREFIX,
        containerRegistryBase: `registry.corp.example/${'a'.repeat(PATH_LIMIT)}/`,
      },
    },
    { config: { ...PREFIX, server: { port: 443 } } },
    { hostNetwork: true, config: { ...PREFIX, server: { port: 1024 } } },
    { image: { repository: 'host:5000/x' } },
    { image: { repository: 'Registry.corp.example/team/my__x' } },
    { image: { repository: '[fd00::1]:5000/x' } },
    { image: { repository: 'x' } },
    { fullnameOverride: 'a'.repeat(52) },
    { podLabels: { 'app.kubernetes.io/component': 'webhook' } },
    {
      config: {
        ...PREFIX,
        prefixes: [
          { source: 'atlanhq', target: 'index.docker.io/mirror' },
          { source: 'docker.io/atlanhq/', target: 'docker.io/mirror' },
        ],
      },
    },
  ])('are rendered where they are none, and the program takes them: %j', async (values) => {
    const manifests = await render({ config: PREFIX, ...values });
    expect(parseConfig(configText(manifests))).not.toHaveProperty('faults');
  });
});

describe('a cluster', () => {
  beforeAll(async () => {
    const labels = {
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/warn': 'restricted',
    };
    await apply(
      NAMESPACES.map((name) => ({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name, labels },
      })),
    );
  });

  afterAll(async () => {
    await kubectl('delete', 'namespace', ...NAMESPACES, '--wait=false');
  });

  it.each(examples)('accepts the values of ci/%s', async (_name, file) => {
    const { serverVersion } = JSON.parse(await kubectl('version', '-o', 'json')) as {
      serverVersion: { gitVersion: string };
    };
    const items = (await render({ file }, { version: serverVersion.gitVersion }))
      .filter(({ apiVersion }) => !OPTIONAL_GROUPS.some((group) => apiVersion.startsWith(group)))
      .map(inNamespace);
    // A pod is refused whose service account is not there, and a dry run leaves none.
    const accounts = items.filter(({ kind }) => kind === 'ServiceAccount');
    await apply(accounts);
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const { code, stderr } = await run(
      'kubectl',
      ['apply', '--dry-run=server', '--validate=strict', '-f', '-'],
      list,
    );
    for (const { metadata } of accounts) {
      await kubectl('delete', 'serviceaccount', metadata.name, '-n', NAMESPACE);
    }
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  describe('the admission policy for the final state', () => {
    const dryRun = (namespace: string, spec: object, metadata: object = {}) =>
      run(
        'kubectl',
        ['create', '--dry-run=server', '-n', namespace, '-f', '-'],
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'checked', ...metadata },
          spec,
        }),
      );
    const containerOf = (image: string): object => ({
      name: 'main',
      image,
      securityContext: {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      },
    });
    const isDenied = async (image: string, namespace = 'sdr-apps'): Promise<boolean> => {
      const { code, stderr } = await dryRun(namespace, { containers: [containerOf(image)] });
      if (code !== 0 && !stderr.includes('not mirrored: ')) {
        throw new Error(stderr);
      }
      return code !== 0;
    };
    let objects: Manifest[] = [];

    beforeAll(async () => {
      const manifests = await render({
        config: {
          procurement: 'prefix',
          sources: [
            'docker.io/atlanhq',
            'ghcr.io/atlanhq/agent',
            'registry.atlan.com',
            'docker.io/library/busybox',
          ],
          prefixes: [{ source: 'docker.io/atlanhq', target: 'registry.atlan.com/mirror' }],
        },
        validatingAdmissionPolicy: { enabled: true, validationActions: ['Deny'] },
      });
      objects = manifests.filter(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy'));
      const before = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'before', namespace: 'sdr-apps', finalizers: ['example.com/test'] },
        spec: { containers: [containerOf('atlanhq/before:1')] },
      };
      await apply([before]);
      await apply(objects);
      await kubectl('label', 'namespace', 'sdr-apps', 'sdr-image-rewriter.io/mode=enforce');
      await kubectl('label', 'namespace', 'sdr-chart-audit', 'sdr-image-rewriter.io/mode=audit');
      await eventually(() => isDenied('atlanhq/x:1'), Boolean, 30);
    });

    afterAll(async () => {
      for (const { kind, metadata } of objects) {
        await kubectl('delete', kind, metadata.name);
      }
      await kubectl(
        'patch',
        'pod',
        'before',
        '-n',
        'sdr-apps',
        '--type=merge',
        '-p',
        '{"metadata":{"finalizers":null}}',
      );
      await kubectl(
        'label',
        'namespace',
        'sdr-apps',
        'sdr-chart-audit',
        'sdr-image-rewriter.io/mode-',
      );
    });

    it('passed the type check of the API server', async () => {
      const policy = await getJson<{
        status: { typeChecking?: { expressionWarnings?: object[] } };
      }>('validatingadmissionpolicy', RELEASE);
      expect(policy.status.typeChecking?.expressionWarnings ?? []).toEqual([]);
    });

    it.each([
      'atlanhq/x:1',
      'atlanhq/x',
      'docker.io/atlanhq/x:1',
      'index.docker.io/atlanhq/x:1',
      'registry-1.docker.io/atlanhq/x:1',
      `atlanhq/x:1@sha256:${'1'.repeat(64)}`,
      'ghcr.io/atlanhq/agent',
      'ghcr.io/atlanhq/agent:1',
      'ghcr.io/atlanhq/agent/sub:1',
      'registry.atlan.com/public/x:3',
      'registry.atlan.com/mirror2/x:3',
      'busybox',
      'busybox:1',
      'docker.io/busybox:1',
    ])('denies %s', async (image) => {
      expect(await isDenied(image)).toBe(true);
    });

    it.each([
      'atlanhq2/x:1',
      'localhost/atlanhq/x:1',
      'localhost:5000/atlanhq/x:1',
      'ghcr.io/atlanhq/agent2:1',
      'ghcr.io/other/agent:1',
      'registry.atlan.com:5000/x:1',
      'registry.atlan.com:5000',
      'registry.atlan.com/mirror/x:1',
      'registry.corp.example/atlanhq/x:1',
      'busybox2',
      'nginx:1',
    ])('lets %s pass', async (image) => {
      expect(await isDenied(image)).toBe(false);
    });

    it('sees init containers and image volumes, and no namespace that is only audited', async () => {
      const kept = containerOf('nginx');
      const init = { initContainers: [{ ...containerOf('atlanhq/x'), name: 'init' }] };
      const volume = { volumes: [{ name: 'tools', image: { reference: 'atlanhq/tools:1' } }] };
      for (const spec of [init, volume]) {
        const { code, stderr } = await dryRun('sdr-apps', { containers: [kept], ...spec });
        expect({ code, stderr }).toEqual({
          code: 1,
          stderr: expect.stringMatching(/not mirrored: docker\.io\/atlanhq/) as unknown,
        });
      }
      expect(await isDenied('atlanhq/x:1', 'sdr-chart-audit')).toBe(false);
    });

    it('lets a pod from before be edited, but not to another image that is not mirrored', async () => {
      await kubectl('label', 'pod', 'before', 'touched=1', '-n', 'sdr-apps');
      const set = ['set', 'image', 'pod/before', '-n', 'sdr-apps'];
      expect((await run('kubectl', [...set, 'main=atlanhq/next:1'])).stderr).toContain(
        'not mirrored',
      );
      await kubectl(...set, 'main=registry.corp.example/next:1');
      await kubectl('delete', 'pod', 'before', '-n', 'sdr-apps', '--wait=false');
    });
  });

  describe('a release with default values and a prefix rule', () => {
    const ownObjects = async (): Promise<string[]> => {
      const kinds = [
        'all',
        'secret',
        'configmap',
        'serviceaccount',
        'role',
        'rolebinding',
        'networkpolicy',
        'poddisruptionbudget',
      ];
      const inside = await kubectl('get', kinds.join(','), '-n', NAMESPACE, '-o', 'name');
      const cluster = ['mutatingwebhookconfiguration', 'clusterrole', 'clusterrolebinding'];
      const outside = await kubectl('get', cluster.join(','), '-o', 'name');
      const apps = await kubectl('get', 'role,rolebinding', '-n', 'sdr-apps', '-o', 'name');
      return `${inside}${outside}${apps}`
        .split('\n')
        .filter((name) => name.includes(`/${RELEASE}`));
    };

    it('is ready, passes helm test in an enforced namespace, survives an upgrade and leaves nothing behind', async () => {
      const image = setting('LAB_IMAGE');
      const registry = setting('LAB_REGISTRY');
      await copyImage(registry, image.slice(image.indexOf('/') + 1), 'mirror/atlanhq/helm-test:1');
      const colon = image.lastIndexOf(':');
      const values = {
        image: { repository: image.slice(0, colon), tag: image.slice(colon + 1) },
        config: { procurement: 'prefix', containerRegistryBase: `${registry}/mirror` },
        test: { namespace: 'sdr-apps' },
      };
      await kubectl(
        'label',
        'namespace',
        'sdr-apps',
        'sdr-image-rewriter.io/mode=enforce',
        '--overwrite',
      );
      const upgrade = [
        'upgrade',
        '--install',
        RELEASE,
        CHART,
        '-n',
        NAMESPACE,
        '-f',
        '-',
        '--wait',
      ];
      await must('helm', [...upgrade, '--timeout', '60s'], JSON.stringify(values));
      const bundle = await caBundle();
      expect(bundle).not.toBe('');
      await helmTest(RELEASE, NAMESPACE);

      const denied = {
        ...values,
        config: { ...values.config, unmapped: 'deny' },
        webhook: { namespaces: ['not-made-yet', 'sdr-apps'] },
        test: {},
      };
      await must('helm', [...upgrade, '--timeout', '60s'], JSON.stringify(denied));
      expect(await caBundle()).toBe(bundle);
      // The first one that is there and enforced.
      expect(await must('helm', ['get', 'hooks', RELEASE, '-n', NAMESPACE])).toContain(
        'namespace: "sdr-apps"',
      );
      await helmTest(RELEASE, NAMESPACE);

      await must('helm', ['uninstall', RELEASE, '-n', NAMESPACE, '--wait', '--timeout', '90s']);
      expect(await eventually(ownObjects, (names) => names.length === 0, 30)).toEqual([]);
    });

    async function caBundle(): Promise<string> {
      const { webhooks } = await getJson<{ webhooks: Webhook[] }>(
        'mutatingwebhookconfiguration',
        RELEASE,
      );
      return webhooks[0]?.clientConfig.caBundle ?? '';
    }
  });
});
