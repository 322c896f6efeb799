// A load generator as a process of its own: sends one review over and over on keep-alive TLS connections.
// Arguments: port, connections, seconds, file of the review. Prints one line of JSON.
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';

const [port = '', connections = '', seconds = '', file = ''] = process.argv.slice(2);
const body = readFileSync(file);
const head = `POST /mutate?timeout=5s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
const request = Buffer.concat([Buffer.from(head), body]);

const latencies: number[] = [];
let errors = 0;
const end = performance.now() + Number(seconds) * 1000;

await Promise.all(Array.from({ length: Number(connections) }, () => runConnection()));
latencies.sort((one, other) => one - other);
process.stdout.write(
  `${JSON.stringify({ reviews: latencies.length, errors, p50: percentile(0.5), p99: percentile(0.99), p999: percentile(0.999) })}\n`,
);

function runConnection(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false });
    socket.once('error', reject);
    socket.once('close', () => resolve());
    socket.once('secureConnect', () => sendNext(socket));
    let answer = '';
    let sentAt = 0;
    const sendNext = (to: TLSSocket): void => {
      if (performance.now() >= end) {
        to.end();
        return;
      }
      sentAt = performance.now();
      to.write(request);
    };
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      if (!isComplete(answer)) return;
      latencies.push(performance.now() - sentAt);
      if (!answer.startsWith('HTTP/1.1 200')) errors += 1;
      answer = '';
      sendNext(socket);
    });
  });
}

function isComplete(answer: string): boolean {
  const headEnd = answer.indexOf('\r\n\r\n');
  const [, length] = /content-length: (\d+)/i.exec(answer) ?? [];
  return headEnd >= 0 && answer.length >= headEnd + 4 + Number(length);
}

function percentile(share: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
}
