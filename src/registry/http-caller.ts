import { once } from 'node:events';
import {
  Agent as HttpAgent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { getCACertificates } from 'node:tls';
import { RewriterError } from '../core/errors.ts';
import { agentOptions } from '../source/agent-options.ts';
import { networkFault } from '../source/network-error.ts';

const REDIRECTS = [301, 302, 303, 307, 308];
const REDIRECT_LIMIT = 5;

export interface CallerSettings {
  /** PEM text of authorities to trust beside the usual ones. */
  readonly ca: string | undefined;
  /** Where the standard proxy variables are looked up. */
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds for one answer, its body included. */
  readonly timeout: number;
}

export interface Call {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  /** Of a POST. */
  readonly body?: string;
  /** Of the answer. */
  readonly maxBytes: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

/** HTTP calls with limits. Throws `TARGET_REGISTRY_FAILED` where there is no answer. */
export class HttpCaller {
  readonly #timeout: number;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor({ ca, env, timeout }: CallerSettings) {
    this.#timeout = timeout;
    const options = agentOptions(env);
    this.#http = new HttpAgent(options);
    // A list takes the place of the usual ones.
    const authorities = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] };
    this.#https = new HttpsAgent({ ...options, ...authorities });
  }

  async call(url: URL, call: Call): Promise<Answer> {
    const signal = AbortSignal.timeout(this.#timeout);
    try {
      const response = await this.#follow(url, call, signal);
      const bytes = await readBody(response, call.maxBytes, signal, url);
      return { status: response.statusCode ?? 0, headers: response.headers, bytes };
    } catch (error) {
      throw error instanceof RewriterError ? error : this.#failure(error, url, signal);
    }
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  /** Blobs are often given by a store of their own, which must not see the credentials of the registry. */
  async #follow(start: URL, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    let url = start;
    for (let redirects = 0; redirects <= REDIRECT_LIMIT; redirects += 1) {
      const isSameOrigin = url.origin === start.origin;
      const response = await this.#send(url, call, isSameOrigin, signal);
      const { location } = response.headers;
      const isRedirect = REDIRECTS.includes(response.statusCode ?? 0) && location !== undefined;
      if (!isRedirect || call.method === 'POST') {
        return response;
      }
      response.destroy();
      const next = URL.parse(location, url.href);
      if (next === null || ![start.protocol, 'https:'].includes(next.protocol)) {
        throw failed(`${place(start)} redirects to ${next?.protocol ?? 'what is no URL'}`);
      }
      url = next;
    }
    throw failed(`${place(start)} redirects more than ${REDIRECT_LIMIT} times`);
  }

  async #send(
    url: URL,
    call: Call,
    withCredentials: boolean,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { method, headers, body } = call;
    const { authorization, ...others } = headers;
    const sent =
      withCredentials && authorization !== undefined ? { ...others, authorization } : others;
    const options = { method, headers: { ...sent, 'accept-encoding': 'identity' }, signal };
    const request =
      url.protocol === 'http:'
        ? httpRequest(url, { ...options, agent: this.#http })
        : httpsRequest(url, { ...options, agent: this.#https });
    request.end(body);
    try {
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      return response;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Closed by the other side while nothing was asked of it.
      if (request.reusedSocket && code === 'ECONNRESET') {
        return this.#send(url, call, withCredentials, signal);
      }
      throw error;
    }
  }

  #failure(error: unknown, url: URL, signal: AbortSignal): RewriterError {
    if (signal.aborted) {
      return failed(`${place(url)} gave no whole answer within ${this.#timeout / 1000} s`, error);
    }
    const fault = networkFault(error);
    switch (fault?.kind) {
      case 'dns':
        return failed(`the host ${url.host} has no address (${fault.code})`, error);
      case 'tls':
        return failed(
          `there is no TLS with ${url.host} (${fault.code}: ${fault.message}); give its CA with --ca-file, or --plain-http ${url.host} if it speaks HTTP`,
          error,
        );
      case 'connection':
        return failed(`${url.host} cannot be reached (${fault.code})`, error);
      case undefined:
        return failed(`${place(url)}: ${(error as Error).message}`, error);
    }
  }
}

/** Without the query, which may hold a token. */
export function place(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

export function failed(message: string, cause?: unknown): RewriterError {
  return new RewriterError('TARGET_REGISTRY_FAILED', message, { cause });
}

async function readBody(
  response: IncomingMessage,
  maxBytes: number,
  signal: AbortSignal,
  url: URL,
): Promise<Buffer> {
  // Of a response that stalls nothing else would end the reading.
  const abort = (): void => void response.destroy(new Error('it takes too long'));
  signal.addEventListener('abort', abort);
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) {
        throw failed(`${place(url)} answers with more than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    signal.removeEventListener('abort', abort);
    response.destroy();
  }
}
