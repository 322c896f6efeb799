// Lets the bundled server start, answer and end, and keeps what V8 compiled meanwhile, so that the next start does
// not compile it again. What it is good for is the very Node.js that runs it.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { loadProgram } from '../src/cli/load-program.ts';
import type * as X509 from '../src/kube/x509.ts';

const FOLDER = resolve('dist');
/** Milliseconds. */
const LIFETIME = 600_000;
const REVIEW = JSON.stringify({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: '0',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    operation: 'CREATE',
    namespace: 'default',
    object: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'sample', labels: { app: 'sample' } },
      spec: {
        initContainers: [{ name: 'init', image: 'busybox:1.37' }],
        containers: [{ name: 'main', image: 'docker.io/atlanhq/atlan-oracle-app:2.1.0' }],
      },
    },
  },
});
/** The first one is decided, the others are known. */
const REVIEWS = 3;

const folder = mkdtempSync(join(tmpdir(), 'sdr-image-rewriter-code-'));
const [certFile, keyFile] = await writeCertificate();
const [port, opsPort] = [await freePort(), await freePort()];
const config = join(folder, 'config.yaml');
writeFileSync(
  config,
  `
apiVersion: sdr-image-rewriter/v1
procurement: prefix
containerRegistryBase: registry.example/mirror
server: { host: localhost, port: ${port}, tls: { certFile: ${certFile}, keyFile: ${keyFile} } }
ops: { host: localhost, port: ${opsPort} }
`,
);

const { program, keepCompiled } = loadProgram(FOLDER);
if (keepCompiled === undefined) {
  throw new Error('Node.js maps sources here and so loads the program itself; unset NODE_OPTIONS');
}
const exitCode = await program.run(['', '', 'serve', '--config', config]);
if (exitCode !== 0) {
  throw new Error(`the server did not start: exit code ${exitCode}`);
}
await expectOk(get({ host: 'localhost', port: opsPort, path: '/readyz' }).end());
for (let count = 0; count < REVIEWS; count += 1) {
  await expectOk(postReview());
}
process.once('exit', () => {
  rmSync(folder, { recursive: true });
  keepCompiled();
});
// As ^C does it: nothing but requests in flight is waited for.
process.kill(process.pid, 'SIGINT');

/** A certificate for this run, and its private key. */
async function writeCertificate(): Promise<[certFile: string, keyFile: string]> {
  const { createAuthority, issueLeaf } = createRequire(import.meta.url)(
    join(FOLDER, 'x509.cjs'),
  ) as typeof X509;
  const validity = { now: new Date(), lifetime: LIFETIME };
  const authority = await createAuthority('sdr-image-rewriter code cache', validity);
  const pair = await issueLeaf(authority, { dnsNames: ['localhost'] }, validity);
  const files: [string, string] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  writeFileSync(files[0], `${pair.cert}\n${authority.cert}`);
  writeFileSync(files[1], pair.key);
  return files;
}

function postReview(): ClientRequest {
  const headers = { 'content-type': 'application/json' };
  const options = { host: 'localhost', port, path: '/mutate', ca: readFileSync(certFile) };
  return request({ ...options, method: 'POST', headers }).end(REVIEW);
}

async function expectOk(call: ClientRequest): Promise<void> {
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  const body = await text(answer);
  if (answer.statusCode !== 200) {
    throw new Error(`${call.path} was answered with ${answer.statusCode ?? 'nothing'}: ${body}`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, 'localhost');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
