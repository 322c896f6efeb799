// The usual way: parses the body as Fastify does by itself and answers a constant. Arguments: port,
// certificate file, key file.
import { readFileSync } from 'node:fs';
import { fastify } from 'fastify';
import { CONSTANT_ANSWER } from './constant-answer.ts';

const [port, certFile = '', keyFile = ''] = process.argv.slice(2);
const app = fastify({ https: { cert: readFileSync(certFile), key: readFileSync(keyFile) } });
app.post('/mutate', () => CONSTANT_ANSWER);
await app.listen({ host: '127.0.0.1', port: Number(port) });
