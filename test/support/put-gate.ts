import { once } from 'node:events';
import { createServer, request as forward, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands before a store on loopback and holds every PUT until `beforePut` lets it pass. */
export class PutGate implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(
    target: string,
    beforePut: (path: string) => Promise<void> | void,
  ): Promise<PutGate> {
    const server = createServer((request, response) => {
      const { method, headers, url = '/' } = request;
      const pass = (): void => {
        const call = forward(new URL(url, target), { method, headers }, (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        });
        call.on('error', () => response.destroy());
        request.pipe(call);
      };
      void Promise.resolve(method === 'PUT' ? beforePut(url) : undefined).then(pass);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PutGate(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
