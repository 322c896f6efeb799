import { createAuthority } from '../../support/certificates.ts';
import { apply, kubectl } from './cluster.ts';
import { namespaceObject } from './pods.ts';

export interface BareWebhook {
  /** Of the webhook configuration, and of the namespace that the webhook runs in. */
  readonly name: string;
  /** The image of this program: it brings Node.js. */
  readonly image: string;
  /** The namespace whose pods it patches. */
  readonly namespace: string;
  /** Base64, as an answer has it. */
  readonly patch: string;
}

/**
 * Installs the least that a patching webhook can be: it answers every review with the same patch, and
 * takes the uid out of the first bytes without reading the rest. Returns the name of the webhook.
 */
export async function installBareWebhook(webhook: BareWebhook): Promise<string> {
  const { name, image, namespace, patch } = webhook;
  const authority = await createAuthority('bare webhook CA');
  const { cert, key } = await authority.issue('bare', [`bare.${name}.svc`]);
  const program = `
    const fs = require('node:fs');
    const options = { cert: fs.readFileSync('/tls/tls.crt'), key: fs.readFileSync('/tls/tls.key'), keepAliveTimeout: 120_000 };
    const headers = { 'content-type': 'application/json' };
    const server = require('node:https').createServer(options, (call, answer) => {
      call.once('data', (chunk) => {
        const uid = /"uid":"([^"]+)"/.exec(chunk.toString('latin1', 0, 512))[1];
        const response = '{"uid":"' + uid + '","allowed":true,"patchType":"JSONPatch","patch":"${patch}"}';
        answer.writeHead(200, headers);
        answer.end('{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":' + response + '}');
        call.resume();
      });
    });
    server.listen(8443);`;
  await apply([namespaceObject(name)]);
  await apply([
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'tls', namespace: name },
      stringData: { 'tls.crt': cert, 'tls.key': key },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'bare', namespace: name },
      spec: { selector: { app: 'bare' }, ports: [{ port: 443, targetPort: 8443 }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'bare', namespace: name, labels: { app: 'bare' } },
      spec: {
        terminationGracePeriodSeconds: 0,
        volumes: [{ name: 'tls', secret: { secretName: 'tls' } }],
        containers: [
          {
            name: 'main',
            image,
            command: ['/nodejs/bin/node', '-e', program],
            readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
            volumeMounts: [{ name: 'tls', mountPath: '/tls' }],
          },
        ],
      },
    },
  ]);
  await kubectl('wait', '--for=condition=ready', 'pod/bare', '-n', name, '--timeout=60s');
  const webhookName = `${name}.example.com`;
  await apply([
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name },
      webhooks: [
        {
          name: webhookName,
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          failurePolicy: 'Fail',
          clientConfig: {
            service: { name: 'bare', namespace: name },
            caBundle: Buffer.from(authority.cert).toString('base64'),
          },
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
          rules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] },
          ],
        },
      ],
    },
  ]);
  return webhookName;
}
