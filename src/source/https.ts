import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, validateHeaderName, validateHeaderValue } from 'node:http';
import { Agent, request } from 'node:https';
import { RewriterError } from '../core/errors.ts';
import { isRecord } from '../core/json-value.ts';
import { agentOptions } from './agent-options.ts';
import { clientByCa, closedOnAbort } from './ca-file.ts';
import { describeNetworkError } from './network-error.ts';
import { readBody, timeoutError, unaskedError } from './read-body.ts';
import { refuseUpgrade } from './refuse-upgrade.ts';
import {
  type MapReading,
  type MapSource,
  namesVersion,
  type ReadRequest,
  SIGNATURE_LIMIT,
  SIGNATURE_SUFFIX,
} from './source.ts';
import { fileFaultText } from '../files/text-file.ts';

const REDIRECT_LIMIT = 3;

export interface HttpsSourceSettings {
  /** PEM file of the CA of the server; empty: the usual ones. Read anew each time as well. */
  readonly caFile: string;
  /** JSON file of extra request headers; empty: none. Read anew each time, since tokens rotate. */
  readonly headersFile: string;
  /** Where the standard proxy variables are looked up. */
  readonly env: NodeJS.ProcessEnv;
}

interface Fetched {
  readonly status: number;
  readonly etag: string;
  readonly bytes: Uint8Array;
}

/** A map on any web server: Azure Blob with a SAS token, GCS, or your own. */
export function createHttpsSource(url: string, settings: HttpsSourceSettings): MapSource {
  const { caFile, headersFile, env } = settings;
  const agentOf = clientByCa(
    caFile,
    (ca) => new Agent({ ...agentOptions(env), ca }),
    (agent) => agent.destroy(),
  );
  const target = new URL(url);
  const location = displayUrl(target);

  const get = async (
    from: URL,
    limits: { maxBytes: number; signal: AbortSignal; etag?: string | undefined },
  ): Promise<Fetched> => {
    const { maxBytes, signal, etag } = limits;
    const headers = {
      ...(await readHeaders(headersFile)),
      // A compressed answer could grow without bound on its way into memory.
      'accept-encoding': 'identity',
      ...(namesVersion(etag) && { 'if-none-match': etag }),
    };
    const response = await follow(from, { agent: await agentOf(), headers, signal });
    const status = response.statusCode ?? 0;
    if (status !== 200) {
      response.destroy();
      return { status, etag: '', bytes: new Uint8Array() };
    }
    const encoding = response.headers['content-encoding'] ?? '';
    if (!/^(?:identity)?$/i.test(encoding)) {
      response.destroy();
      throw new RewriterError(
        'MAP_ENCODED',
        `${location} has the content encoding ${encoding}; serve the map uncompressed`,
      );
    }
    const length = response.headers['content-length'];
    const announced = length === undefined ? undefined : Number(length);
    const bytes = await readBody(response, { location, maxBytes, announced, signal });
    return { status, etag: response.headers.etag ?? '', bytes };
  };

  const read = async ({ etag, maxBytes, signal, signed }: ReadRequest): Promise<MapReading> => {
    try {
      const map = await get(target, { maxBytes, signal, etag });
      if (map.status === 304) {
        if (!namesVersion(etag)) {
          throw unaskedError(location);
        }
        return { kind: 'unchanged' };
      }
      if (map.status !== 200) {
        throw statusError(map.status, location);
      }
      const signature = signed
        ? await get(besideMap(target), { maxBytes: SIGNATURE_LIMIT, signal })
        : undefined;
      if (signature !== undefined && ![200, 404, 410].includes(signature.status)) {
        throw statusError(signature.status, location + SIGNATURE_SUFFIX);
      }
      return {
        kind: 'changed',
        bytes: map.bytes,
        etag: map.etag,
        signature: signature?.status === 200 ? signature.bytes : undefined,
      };
    } catch (error) {
      throw describeHttpsError(error, location, signal);
    }
  };

  return {
    location,
    place: location + queryDigest(target),
    read: (request) => closedOnAbort(agentOf, request.signal, () => read(request)),
    close: () => agentOf.close(),
  };
}

/** Names that make a query a token, such as `sig`, `X-Amz-Signature`, `Signature` and `private_token`. */
const TOKEN = /(?:sig|signature|token|api[_-]?key)$/i;
/** What tells places apart in a query with a token, whose other parameters change when it is renewed. */
const SELECTING = /^(?:version-?id|generation|snapshot|path|file|name|ref|id)$/i;

/** What a query tells of a place; a token is another one after each renewal, and the place the same. */
function queryDigest({ searchParams }: URL): string {
  const all = [...searchParams];
  const hasToken = all.some(([name]) => TOKEN.test(name));
  const telling = hasToken ? all.filter(([name]) => SELECTING.test(name)) : all;
  return telling.length === 0
    ? ''
    : `?sha256:${createHash('sha256').update(JSON.stringify(telling)).digest('hex')}`;
}

/** Host and path: what follows may be a token. */
function displayUrl(url: URL): string {
  return `https://${url.host}${url.pathname}`;
}

function besideMap(map: URL): URL {
  const url = new URL(map);
  url.pathname += SIGNATURE_SUFFIX;
  return url;
}

interface CallOptions {
  readonly agent: Agent;
  readonly headers: Record<string, string>;
  readonly signal: AbortSignal;
}

/** Follows redirects on the same host only: another one must not see the headers, nor give the map. */
async function follow(start: URL, options: CallOptions): Promise<IncomingMessage> {
  let url = start;
  for (let redirects = 0; redirects <= REDIRECT_LIMIT; redirects += 1) {
    const call = request(url, options);
    refuseUpgrade(call);
    call.end();
    const [response] = (await once(call, 'response', { signal: options.signal })) as [
      IncomingMessage,
    ];
    const { location } = response.headers;
    if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0) || location === undefined) {
      return response;
    }
    response.destroy();
    const next = new URL(location, url);
    if (next.protocol !== 'https:' || next.host !== start.host) {
      throw new RewriterError(
        'MAP_REDIRECTED',
        `${displayUrl(start)} redirects to another host (${next.protocol}//${next.host}); name that one in imageMap.url if you trust it`,
      );
    }
    url = next;
  }
  throw new RewriterError(
    'MAP_REDIRECTED',
    `${displayUrl(start)} redirects more than ${REDIRECT_LIMIT} times`,
  );
}

async function readHeaders(path: string): Promise<Record<string, string>> {
  if (path === '') {
    return {};
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    // The message of a JSON error quotes the text, which holds a secret.
    const reason = error instanceof SyntaxError ? 'it is not JSON' : fileFaultText(path, error);
    throw new RewriterError(
      'MAP_HEADERS_INVALID',
      `imageMap.headersFile cannot be used: ${reason}`,
    );
  }
  if (!isRecord(parsed) || !Object.values(parsed).every((value) => typeof value === 'string')) {
    throw new RewriterError(
      'MAP_HEADERS_INVALID',
      `imageMap.headersFile ${path} must hold one JSON object of strings, such as {"Authorization": "Bearer …"}`,
    );
  }
  const headers = parsed as Record<string, string>;
  for (const [name, value] of Object.entries(headers)) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      throw new RewriterError(
        'MAP_HEADERS_INVALID',
        `imageMap.headersFile ${path} has a name or value that no HTTP header can have, such as one with a line break`,
      );
    }
  }
  return headers;
}

function statusError(status: number, location: string): RewriterError {
  if (status === 401 || status === 403) {
    return new RewriterError(
      'MAP_ACCESS_DENIED',
      `${location} answered ${status}; check the token in the URL or the headers, and its expiry`,
    );
  }
  if (status === 404 || status === 410) {
    return new RewriterError(
      'MAP_NOT_FOUND',
      `${location} answered ${status}; publish a map there, or correct imageMap.url`,
    );
  }
  return new RewriterError(
    'MAP_SOURCE_FAILED',
    `${location} answered ${status}; it is read again by a running server`,
  );
}

function describeHttpsError(error: unknown, location: string, signal: AbortSignal): RewriterError {
  if (error instanceof RewriterError) {
    return error;
  }
  if (signal.aborted) {
    return timeoutError(location);
  }
  return (
    describeNetworkError(error, location) ??
    new RewriterError('MAP_SOURCE_FAILED', `${location}: ${(error as Error).message}`, {
      cause: error,
    })
  );
}
