import { once } from 'node:events';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Agent, request, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';

export interface ApiAnswer {
  readonly status: number | undefined;
  readonly body: string;
}

/** Talks to the API server over keep-alive connections, for what is too much for kubectl. */
export class ApiClient {
  readonly #server: string;
  readonly #headers: OutgoingHttpHeaders;
  readonly #agent: Agent;

  private constructor(server: string, headers: OutgoingHttpHeaders, agent: Agent) {
    this.#server = server;
    this.#headers = headers;
    this.#agent = agent;
  }

  /** Connects as kubectl would, over so many connections at most. */
  static async connect(maxSockets: number): Promise<ApiClient> {
    const config = new KubeConfig();
    config.loadFromDefault();
    const headers: OutgoingHttpHeaders = { 'content-type': 'application/json' };
    const options: RequestOptions = { headers };
    await config.applyToHTTPSOptions(options);
    const { ca, cert, key } = options;
    const agent = new Agent({ keepAlive: true, maxSockets, ca, cert, key });
    return new ApiClient(config.getCurrentCluster()?.server ?? '', headers, agent);
  }

  async send(method: string, path: string, body?: string): Promise<ApiAnswer> {
    const [agent, headers] = [this.#agent, this.#headers];
    const call = request(this.#server + path, { method, headers, agent }).end(body);
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    return { status: response.statusCode, body: await text(response) };
  }

  close(): void {
    this.#agent.destroy();
  }
}
