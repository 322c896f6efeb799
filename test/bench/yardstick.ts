// What the program is measured against. Arguments: `floor` or `fastify`, certificate file, key file.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';

const [kind, certFile = '', keyFile = ''] = process.argv.slice(2);
const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
const ANSWER = {
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  response: { uid: 'u', allowed: true },
};

if (kind === 'floor') {
  const answer = JSON.stringify(ANSWER);
  const server = createServer(pair, (request, response) => {
    request.resume();
    request.once('end', () => {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': answer.length,
      });
      response.end(answer);
    });
  });
  server.listen(0, '127.0.0.1', () => announce((server.address() as AddressInfo).port));
} else {
  const app = fastify({ https: pair });
  app.post('/mutate', () => ANSWER);
  await app.listen({ host: '127.0.0.1', port: 0 });
  announce((app.server.address() as AddressInfo).port);
}

function announce(port: number): void {
  process.stdout.write(
    `${JSON.stringify({ event: 'server.started', url: `https://127.0.0.1:${port}` })}\n`,
  );
}
