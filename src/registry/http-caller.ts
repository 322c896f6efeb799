import { once } from 'node:events';
import {
  Agent as HttpAgent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates } from 'node:tls';
import { RewriterError } from '../core/errors.ts';
import { agentOptions } from '../source/agent-options.ts';
import { networkFault } from '../source/network-error.ts';
import { refuseUpgrade } from '../source/refuse-upgrade.ts';

const REDIRECTS = [301, 302, 303, 307, 308];
const REDIRECT_LIMIT = 5;
/** How often a host that is busy is asked again, and the longest pause before that, in seconds. */
const RETRIES = 3;
const LONGEST_PAUSE = 30;
const BUSY = [429, 500, 502, 503, 504];
/** After so many failures in a row nothing more is asked of a host: each may take as long as the timeout. */
const PATIENCE = 3;

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
  /** The header of that name, for the origin that is asked alone. */
  readonly authorization?: string | undefined;
  /** Of a POST. */
  readonly body?: string;
  /** Of the answer. */
  readonly maxBytes: number;
}

export interface Answer {
  /** Who gave it, at the end of all redirects. */
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

/** Failures of a host in a row; those that began before the last one was counted are the same one. */
interface Failures {
  readonly count: number;
  readonly countedAt: number;
}

/**
 * HTTP calls that are repeated where a host is busy or breaks off, and have limits. Throws
 * `TARGET_REGISTRY_FAILED` where there is no answer.
 */
export class HttpCaller {
  readonly #timeout: number;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;
  readonly #closing = new AbortController();
  readonly #failures = new Map<string, Failures>();

  /** Throws `USAGE` where a proxy variable cannot be used. */
  constructor({ ca, env, timeout }: CallerSettings) {
    this.#timeout = timeout;
    const usual = agentOptions(env);
    // A proxy that says nothing is left by the agent alone.
    const options = { ...usual, timeout: Math.min(usual.timeout ?? timeout, timeout) };
    // A list takes the place of the usual ones.
    const authorities = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] };
    try {
      this.#http = new HttpAgent(options);
      this.#https = new HttpsAgent({ ...options, ...authorities });
    } catch (error) {
      const message = `a proxy variable cannot be used: ${(error as Error).message}`;
      throw new RewriterError('USAGE', message, { cause: error });
    }
  }

  /** Follows redirects; only the origin that is asked for sees the credentials. */
  async call(start: URL, call: Call): Promise<Answer> {
    let url = start;
    for (let redirects = 0; redirects <= REDIRECT_LIMIT; redirects += 1) {
      const isStart = url.origin === start.origin;
      const answer = await this.#patiently(
        url,
        isStart ? call : { ...call, authorization: undefined },
      );
      const { location } = answer.headers;
      const isRedirect = REDIRECTS.includes(answer.status) && location !== undefined;
      if (!isRedirect || call.method === 'POST') {
        return answer;
      }
      const next = URL.parse(location, url.href);
      if (next === null || ![start.protocol, 'https:'].includes(next.protocol)) {
        throw failed(`${place(start)} redirects to ${next?.protocol ?? 'what is no URL'}`);
      }
      url = next;
    }
    throw failed(`${place(start)} redirects more than ${REDIRECT_LIMIT} times`);
  }

  /** Ends what is under way; nothing is asked any more. */
  close(): void {
    this.#closing.abort();
    this.#http.destroy();
    this.#https.destroy();
  }

  async #patiently(url: URL, call: Call): Promise<Answer> {
    const { host } = url;
    if ((this.#failures.get(host)?.count ?? 0) >= PATIENCE) {
      throw failed(`${host} failed ${PATIENCE} times in a row and is not asked again`);
    }
    const begun = performance.now();
    try {
      const answer = await this.#repeatedly(url, call);
      this.#failures.delete(host);
      return answer;
    } catch (error) {
      const last = this.#failures.get(host);
      // Many are asked at one time: one hiccup fails all of them.
      if (last === undefined || begun >= last.countedAt) {
        this.#failures.set(host, { count: (last?.count ?? 0) + 1, countedAt: performance.now() });
      }
      throw error;
    }
  }

  async #repeatedly(url: URL, call: Call): Promise<Answer> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#exchange(url, call);
      } catch (error) {
        const pause = pauseBefore(error, attempt);
        if (pause === undefined) {
          throw error;
        }
        await sleep(1000 * pause, undefined, { signal: this.#closing.signal });
      }
    }
  }

  async #exchange(url: URL, call: Call): Promise<Answer> {
    const timeout = AbortSignal.timeout(this.#timeout);
    const signal = AbortSignal.any([timeout, this.#closing.signal]);
    try {
      const response = await this.#send(url, call, signal);
      const bytes = await readBody(response, call.maxBytes, signal, url);
      const { statusCode: status = 0, headers } = response;
      if (BUSY.includes(status)) {
        throw new BusyError(`${place(url)} answers ${status}`, headers);
      }
      return { url, status, headers, bytes };
    } catch (error) {
      throw error instanceof RewriterError ? error : this.#failure(error, url, timeout);
    }
  }

  async #send(url: URL, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const { method, authorization, body } = call;
    const headers = {
      ...call.headers,
      ...(authorization !== undefined && { authorization }),
      'accept-encoding': 'identity',
    };
    const options = { method, headers, signal };
    const request =
      url.protocol === 'http:'
        ? httpRequest(url, { ...options, agent: this.#http })
        : httpsRequest(url, { ...options, agent: this.#https });
    refuseUpgrade(request);
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  }

  #failure(error: unknown, url: URL, timeout: AbortSignal): RewriterError {
    if (timeout.aborted) {
      return failed(`${place(url)} gave no whole answer within ${this.#timeout / 1000} s`, error);
    }
    const fault = networkFault(error);
    switch (fault?.kind) {
      case 'dns':
        return failed(`the host ${url.host} has no address (${fault.code})`, error);
      case 'tls':
        return failed(
          `there is no TLS with ${url.host} (${fault.code}: ${fault.message}); give a CA of your own with --ca-file, or name the registry with --plain-http if it speaks HTTP`,
          error,
        );
      case 'connection':
        return failed(`${url.host} cannot be reached (${fault.code})`, error);
      case 'proxy':
        return failed(`${url.host} cannot be reached: ${fault.message}`, error);
      case undefined:
        return failed(`${place(url)}: ${(error as Error).message}`, error);
    }
  }
}

/** An answer that asks for patience. */
class BusyError extends RewriterError {
  readonly headers: IncomingHttpHeaders;

  constructor(message: string, headers: IncomingHttpHeaders) {
    super('TARGET_REGISTRY_FAILED', message);
    this.headers = headers;
  }
}

/** Seconds after which to ask again: as the host says, or longer each time; undefined where not to. */
function pauseBefore(error: unknown, attempt: number): number | undefined {
  if (error instanceof BusyError) {
    return attempt < RETRIES ? (askedPause(error.headers) ?? 2 ** attempt) : undefined;
  }
  // A connection may have been closed by the other side just when it was used again.
  const isBroken =
    error instanceof RewriterError && networkFault(error.cause)?.kind === 'connection';
  return isBroken && attempt === 0 ? 1 : undefined;
}

/** https://www.rfc-editor.org/rfc/rfc9110#field.retry-after: seconds, or a date. */
function askedPause({ 'retry-after': value }: IncomingHttpHeaders): number | undefined {
  if (value === undefined) {
    return undefined;
  }
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), LONGEST_PAUSE);
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
