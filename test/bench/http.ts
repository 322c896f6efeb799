import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';

export interface PlainAnswer {
  readonly status: number | undefined;
  readonly body: string;
}

/** Asks a plain HTTP port of this machine; rejects where nothing listens. */
export async function get(port: number, path: string): Promise<PlainAnswer> {
  const call = request({ host: '127.0.0.1', port, path, agent: false }).end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  return { status: response.statusCode, body: await text(response) };
}

/** Whether a port of this machine does a TLS handshake. */
export async function answersTls(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A port of this machine where nothing listens now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The sum over all labels of a metric on an operations port; NaN where there is none of that name. */
export async function readMetric(opsPort: number, name: string): Promise<number> {
  return sumMetric((await get(opsPort, '/metrics')).body, name);
}

/** Reads the Prometheus text format. */
export function sumMetric(text: string, name: string): number {
  const values = text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
  return values.length === 0 ? NaN : values.reduce((one, other) => one + other);
}
