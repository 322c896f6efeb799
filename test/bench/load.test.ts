import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAuthority } from '../support/certificates.ts';
import { expectConstant } from './answer-check.ts';
import { buildTarget, type Target } from './connection.ts';
import {
  connectionLoad,
  fullLoad,
  openFullLoad,
  pacedLoad,
  type Sample,
  warmUpLoad,
} from './load.ts';
import { capturedReview } from './reviews.ts';
import { CONSTANT_ANSWER } from './yardsticks/constant-answer.ts';

const RIGHT = JSON.stringify(CONSTANT_ANSWER);
const SHORT = {
  connections: 4,
  seconds: 0.1,
  cpu: () => process.cpuUsage().user / 1e6,
};

let server: Server;
let target: Target;
let connections: number;
let requests: number;
/** What the server does with the n-th request, counted from 0. */
let answer: (index: number) => { status: number; body: string };

beforeEach(async () => {
  const { cert, key } = await (await createAuthority()).issue('localhost');
  [connections, requests] = [0, 0];
  answer = () => ({ status: 200, body: RIGHT });
  server = createServer({ cert, key }, (request, response) => {
    request.resume();
    request.once('end', () => {
      const { status, body } = answer(requests);
      requests += 1;
      response.writeHead(status, { 'content-length': Buffer.byteLength(body) }).end(body);
    });
  });
  server.on('secureConnection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  target = buildTarget(port, capturedReview(), expectConstant);
});

afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

describe('a full load', () => {
  it('counts every answer, and keeps its latency', async () => {
    const result = await fullLoad(target, SHORT);
    expect(result.answers).toBe(requests);
    expect(result.errors).toBe(0);
    expect(result.latencies).toHaveLength(requests);
    expect(connections).toBe(SHORT.connections);
  });

  it('keeps its connections open between its turns, and counts each turn for itself', async () => {
    const load = await openFullLoad(target, SHORT);
    const first = await load.measure();
    await sleep(20);
    const second = await load.measure();
    load.close();
    expect(first.answers + second.answers).toBe(requests);
    expect(connections).toBe(SHORT.connections);
  });

  it.each([
    ['with another status', { status: 500, body: RIGHT }],
    ['with a body that says something else', { status: 200, body: '{"response":{}}' }],
    ['with a body that is no JSON', { status: 200, body: 'oops' }],
  ])('counts an answer %s as wrong', async (_name, wrong) => {
    answer = (index) => (index % 10 === 3 ? wrong : { status: 200, body: RIGHT });
    const { errors } = await fullLoad(target, SHORT);
    expect(errors).toBe(Math.floor((requests + 6) / 10));
  });

  it('takes an answer that comes in parts as one', async () => {
    const long = JSON.stringify({ ...CONSTANT_ANSWER, filling: 'x'.repeat(200_000) });
    answer = () => ({ status: 200, body: long });
    const result = await fullLoad(target, SHORT);
    expect(result.errors).toBe(0);
    expect(result.answers).toBe(requests);
  });

  it('fails where the server closes a connection', async () => {
    answer = (index) => {
      if (index === 20) server.closeAllConnections();
      return { status: 200, body: RIGHT };
    };
    await expect(fullLoad(target, SHORT)).rejects.toThrow();
  });
});

describe('a warm-up', () => {
  it('opens connections anew for each of its spells, and counts every answer', async () => {
    const answers = await warmUpLoad(target, 0.6);
    expect(connections).toBe(8 + 64);
    expect(answers).toBe(requests);
  });

  it('fails where an answer is wrong', async () => {
    answer = (index) => ({ status: index === 5 ? 500 : 200, body: RIGHT });
    await expect(warmUpLoad(target, 0.1)).rejects.toThrow('1 of');
  });
});

describe('a load of connections', () => {
  it('opens one for each review', async () => {
    const result = await connectionLoad(target, SHORT);
    expect(result.errors).toBe(0);
    expect(connections).toBe(requests);
    expect(result.answers).toBe(requests);
  });
});

describe('a paced load', () => {
  it('has a review due at every step of the pace, also while the server makes it wait', async () => {
    const samples: Sample[] = [];
    const options = {
      connections: 2,
      perSecond: 1000,
      onSample: (each: Sample) => samples.push(each),
    };
    answer = (index) => {
      // The event loop of the server is that of the load as well: nothing is sent meanwhile.
      if (index === 20) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      return { status: 200, body: RIGHT };
    };
    await pacedLoad(target, options, async () => {
      while (samples.length < 60) await sleep(10);
    });
    const dues = samples.map(({ due }) => due).sort((one, other) => one - other);
    const steps = dues.slice(1).map((due, index) => due - (dues[index] ?? NaN));
    for (const step of steps) expect(step).toBeCloseTo(1, 6);
    expect(samples.every(({ due, answered }) => answered >= due)).toBe(true);
    expect(samples).toHaveLength(requests);
  });
});
