import { createAuthority } from '../../support/certificates.ts';
import { apply, eventually, kubectl, run } from './cluster.ts';
import { namespaceObject } from './pods.ts';

export interface OtherWebhook {
  /** Of the webhook configuration, and of the namespace that the webhook runs in. */
  readonly name: string;
  /** The image of this program: it brings Node.js. */
  readonly image: string;
  /** The namespace whose pods it is asked about. */
  readonly namespace: string;
  /** A function of Node.js for each request: `(call, answer) => …`. */
  readonly handler: string;
}

/** Installs a webhook beside ours, and waits until it answers. Returns the name of the webhook. */
export async function installOtherWebhook(webhook: OtherWebhook): Promise<string> {
  const { name, image, namespace, handler } = webhook;
  const authority = await createAuthority('CA of another webhook');
  const { cert, key } = await authority.issue('webhook', [`webhook.${name}.svc`]);
  const program = `
    const fs = require('node:fs');
    const options = { cert: fs.readFileSync('/tls/tls.crt'), key: fs.readFileSync('/tls/tls.key'), keepAliveTimeout: 120_000 };
    require('node:https').createServer(options, ${handler}).listen(8443);`;
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
      metadata: { name: 'webhook', namespace: name },
      spec: { selector: { app: 'webhook' }, ports: [{ port: 443, targetPort: 8443 }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'webhook', namespace: name, labels: { app: 'webhook' } },
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
  await kubectl('wait', '--for=condition=ready', 'pod/webhook', '-n', name, '--timeout=60s');
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
            service: { name: 'webhook', namespace: name },
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
  // The nodes learn of the Service a moment later, and until then every pod would be refused.
  await eventually(
    () => run('kubectl', ['run', 'probe', '-n', namespace, '--image=nginx', '--dry-run=server']),
    ({ stderr }) => !stderr.includes('failed calling webhook'),
    30,
  );
  return webhookName;
}

/** The least that a patching webhook can be: always this patch (base64), and of the review no more than its uid. */
export function bareHandler(patch: string): string {
  return `(call, answer) => {
    call.once('data', (chunk) => {
      const uid = /"uid":"([^"]+)"/.exec(chunk.toString('latin1', 0, 512))[1];
      const response = '{"uid":"' + uid + '","allowed":true,"patchType":"JSONPatch","patch":"${patch}"}';
      answer.writeHead(200, { 'content-type': 'application/json' });
      answer.end('{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":' + response + '}');
      call.resume();
    });
  }`;
}

/** Puts one more container into each pod. */
export function injectingHandler(container: object): string {
  return `async (call, answer) => {
    let body = '';
    for await (const chunk of call) body += chunk;
    const { request } = JSON.parse(body);
    const container = ${JSON.stringify(container)};
    const has = request.object.spec.containers.some(({ name }) => name === container.name);
    const operations = [{ op: 'add', path: '/spec/containers/-', value: container }];
    const patch = Buffer.from(JSON.stringify(operations)).toString('base64');
    const response = { uid: request.uid, allowed: true, ...(!has && { patchType: 'JSONPatch', patch }) };
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }));
  }`;
}
