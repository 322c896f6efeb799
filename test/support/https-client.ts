import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface ClientOptions {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

/** A keep-alive HTTPS client, as the API server is one. */
export class HttpsClient {
  readonly #agent: Agent;
  readonly #url: string;

  constructor(url: string, options: ClientOptions) {
    this.#url = url;
    this.#agent = new Agent({ keepAlive: true, ...options });
  }

  async send(
    path: string,
    body: string | Uint8Array,
    headers: Record<string, string> = { 'content-type': 'application/json' },
    method = 'POST',
  ): Promise<HttpAnswer> {
    const call = request(this.#url + path, { agent: this.#agent, method, headers });
    call.end(body);
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: await text(response),
    };
  }

  close(): void {
    this.#agent.destroy();
  }
}
