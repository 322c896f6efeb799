import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Authority, createAuthority } from '../support/certificates.ts';
import { apply, eventually, getJson, kubectl } from './support/cluster.ts';
import { decidedImage, untilRewritten } from './support/decided-image.ts';
import { namespaceObject } from './support/pods.ts';
import { imageValues, uninstall, upgrade } from './support/release.ts';

const RELEASE = 'with-cert-manager';
const RELEASE_NAMESPACE = 'cert-manager-release-e2e';
const NAMESPACE = 'cert-manager-e2e';
const MIRROR = 'registry.corp.example/mirror';
const ORIGINAL = 'atlanhq/x:1';

/** cert-manager's kinds without cert-manager: the test plays its part. */
function customResource(kind: string): object {
  const plural = `${kind.toLowerCase()}s`;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.cert-manager.io` },
    spec: {
      group: 'cert-manager.io',
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase() },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
          },
        },
      ],
    },
  };
}

const VALUES = {
  ...imageValues(),
  webhook: { failurePolicy: 'Fail' },
  config: {
    apiVersion: 'sdr-image-rewriter/v1',
    procurement: 'prefix',
    containerRegistryBase: MIRROR,
  },
};

async function issueSecret(authority: Authority): Promise<void> {
  const { cert, key } = await authority.issue('webhook', [`${RELEASE}.${RELEASE_NAMESPACE}.svc`]);
  await apply([
    {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: `${RELEASE}-cert-manager`, namespace: RELEASE_NAMESPACE },
      stringData: { 'tls.crt': cert, 'tls.key': key },
    },
  ]);
}

async function injectAuthorities(...authorities: readonly Authority[]): Promise<void> {
  const value = Buffer.from(authorities.map(({ cert }) => `${cert}\n`).join('')).toString('base64');
  const { webhooks } = await getJson<{ webhooks: unknown[] }>(
    'mutatingwebhookconfiguration',
    RELEASE,
  );
  const operations = webhooks.map((_, index) => ({
    op: 'add',
    path: `/webhooks/${index}/clientConfig/caBundle`,
    value,
  }));
  await kubectl(
    'patch',
    'mutatingwebhookconfiguration',
    RELEASE,
    '--type=json',
    '-p',
    JSON.stringify(operations),
  );
}

beforeAll(async () => {
  await apply([
    customResource('Issuer'),
    customResource('Certificate'),
    namespaceObject(RELEASE_NAMESPACE),
    namespaceObject(NAMESPACE, { 'sdr-image-rewriter.io/mode': 'enforce' }),
  ]);
  await kubectl(
    'wait',
    '--for=condition=established',
    'crd/issuers.cert-manager.io',
    'crd/certificates.cert-manager.io',
    '--timeout=30s',
  );
});

afterAll(async () => {
  await uninstall(RELEASE, RELEASE_NAMESPACE);
  await kubectl('delete', 'namespace', RELEASE_NAMESPACE, NAMESPACE, '--wait=false');
  await kubectl('delete', 'crd', 'issuers.cert-manager.io', 'certificates.cert-manager.io');
});

describe('a release whose certificate comes from cert-manager', () => {
  it('serves it, and the renewed one of a new authority without a restart', async () => {
    const [first, second] = [await createAuthority('first CA'), await createAuthority('second CA')];
    await issueSecret(first);
    await upgrade(RELEASE, RELEASE_NAMESPACE, { ...VALUES, tls: { mode: 'certManager' } });
    await injectAuthorities(first);
    expect(await untilRewritten(ORIGINAL, NAMESPACE)).toBe(`${MIRROR}/${ORIGINAL}`);

    await injectAuthorities(first, second);
    await issueSecret(second);
    const logs = (): Promise<string> =>
      kubectl(
        'logs',
        '-n',
        RELEASE_NAMESPACE,
        '-l',
        'app.kubernetes.io/name=sdr-image-rewriter',
        '--tail=-1',
      );
    // The kubelet takes up to a minute or two to hand a changed Secret to both pods.
    await eventually(logs, (text) => text.match(/"event":"tls.loaded"/g)?.length === 4, 150);
    await injectAuthorities(second);
    for (let call = 0; call < 10; call += 1) {
      expect(await decidedImage(ORIGINAL, NAMESPACE)).toBe(`${MIRROR}/${ORIGINAL}`);
    }
  }, 240_000);

  it('may see to its certificate itself from then on, although the Secret of cert-manager is there', async () => {
    await upgrade(RELEASE, RELEASE_NAMESPACE, { ...VALUES, tls: { mode: 'selfManaged' } });
    expect(await untilRewritten(ORIGINAL, NAMESPACE)).toBe(`${MIRROR}/${ORIGINAL}`);
  }, 240_000);
});
