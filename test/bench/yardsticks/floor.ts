// The least that Node.js can do: drains the body and answers a constant. Arguments: port, certificate file,
// key file.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { CONSTANT_ANSWER } from './constant-answer.ts';

const [port, certFile = '', keyFile = ''] = process.argv.slice(2);
const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
const answer = JSON.stringify(CONSTANT_ANSWER);
const headers = { 'content-type': 'application/json', 'content-length': answer.length };

const server = createServer(pair, (request, response) => {
  request.resume();
  request.once('end', () => response.writeHead(200, headers).end(answer));
});
server.listen({ host: '127.0.0.1', port: Number(port) });
