import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Configuration,
  HttpMethod,
  type RequestContext,
  type ResponseContext,
} from './kubernetes-client.ts';
import { RewriterError } from '../core/errors.ts';
import { isRecord, parseJson } from '../core/json-value.ts';
import { type ClusterChoice, firstLine, loadKubeConfig } from './kubeconfig.ts';

/** Milliseconds for one answer, its body included. */
const TIMEOUT = 60_000;
/** How often a busy API server is asked again, and the longest pause between, in seconds. */
const RETRIES = 5;
const LONGEST_PAUSE = 30;
/** What the caller decides about; everything else is a failure. */
const EXPECTED = [403, 404, 410];

export interface ApiAnswer {
  readonly status: 200 | 403 | 404 | 410;
  readonly body: unknown;
}

/**
 * Asks an API server with GET alone. Answers are raw JSON: the library's typed calls would drop fields
 * that it does not know yet, and cost several times the memory.
 */
export interface ApiReader {
  /** Throws a `RewriterError` where there is no answer to go on with. */
  get(path: string, query?: Readonly<Record<string, string>>): Promise<ApiAnswer>;
}

/** Connects as the kubeconfig says; nothing is sent yet. Throws `KUBECONFIG_INVALID`. */
export function connectApi(choice: ClusterChoice): ApiReader {
  return loadKubeConfig(choice).makeApiClient(HttpApiReader);
}

class HttpApiReader implements ApiReader {
  readonly #configuration: Configuration;
  #dispatcher: ReturnType<RequestContext['getDispatcher']>;

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
  }

  async get(path: string, query: Readonly<Record<string, string>> = {}): Promise<ApiAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      const response = await this.#send(path, query);
      const pause = attempt < RETRIES ? pauseBefore(response) : undefined;
      if (pause === undefined) {
        return this.#read(path, response);
      }
      await sleep(pause * 1000);
    }
  }

  async #send(path: string, query: Readonly<Record<string, string>>): Promise<ResponseContext> {
    const { baseServer, httpApi } = this.#configuration;
    const request = baseServer.makeRequestContext(path, HttpMethod.GET);
    request.setHeaderParam('Accept', 'application/json');
    request.setSignal(AbortSignal.timeout(TIMEOUT));
    for (const [name, value] of Object.entries(query)) {
      request.setQueryParam(name, value);
    }
    await this.#authenticate(request);
    try {
      return await httpApi.send(request).toPromise();
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #authenticate(request: RequestContext): Promise<void> {
    try {
      await this.#configuration.authMethods.default?.applySecurityAuthentication(request);
    } catch (error) {
      // A plugin that fails without a word leaves an empty message.
      const reason = firstLine(error) || 'its exec plugin failed';
      const message = `the credentials of the kubeconfig cannot be used: ${reason}`;
      throw new RewriterError('CLUSTER_UNAUTHORIZED', message, { cause: error });
    }
    // The library makes a new one for each request, and so a new connection.
    this.#dispatcher ??= request.getDispatcher();
    if (this.#dispatcher !== undefined) {
      request.setDispatcher(this.#dispatcher);
    }
  }

  async #read(path: string, response: ResponseContext): Promise<ApiAnswer> {
    const status = response.httpStatusCode;
    const body = parseJson(await this.#text(response));
    if (isExpected(status)) {
      return { status, body };
    }
    if (status === 200 && isRecord(body)) {
      return { status, body };
    }
    if (status === 401) {
      const message = `the API server ${this.#server} does not accept the credentials (401)`;
      throw new RewriterError('CLUSTER_UNAUTHORIZED', message);
    }
    const what = status === 200 ? 'something that is not JSON' : `${status} ${messageOf(body)}`;
    const message = `the API server ${this.#server} answers ${path} with ${what}`;
    throw new RewriterError('CLUSTER_READ_FAILED', message.trim());
  }

  async #text({ body }: ResponseContext): Promise<string> {
    try {
      return await body.text();
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  #unreachable(error: unknown): RewriterError {
    const message = `the API server ${this.#server} cannot be reached: ${causeText(error)}`;
    return new RewriterError('CLUSTER_UNREACHABLE', message, { cause: error });
  }

  get #server(): string {
    return this.#configuration.baseServer.makeRequestContext('', HttpMethod.GET).getUrl();
  }
}

/** Seconds after which to ask again; undefined where that is not asked for. */
function pauseBefore({ httpStatusCode, headers }: ResponseContext): number | undefined {
  const seconds = Number(headers['retry-after'] ?? NaN);
  const isBusy = httpStatusCode === 429 || httpStatusCode === 503;
  return isBusy && seconds >= 0 ? Math.min(seconds, LONGEST_PAUSE) : undefined;
}

function isExpected(status: number): status is 403 | 404 | 410 {
  return EXPECTED.includes(status);
}

/** The sentence of a Status object. */
export function messageOf(body: unknown): string {
  return isRecord(body) && typeof body.message === 'string' ? body.message : '';
}

/** The innermost cause: `fetch failed` alone tells nobody anything. */
function causeText(error: unknown): string {
  const { cause, errors, name }: Record<string, unknown> = isRecord(error) ? error : {};
  // Where a host has several addresses there is one for each.
  const inner: unknown = Array.isArray(errors) ? errors[0] : cause;
  if (inner !== undefined) {
    return causeText(inner);
  }
  return name === 'TimeoutError' ? `no answer within ${TIMEOUT / 1000} s` : firstLine(error);
}
