import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority } from './certificates.ts';

const TOKEN = 'a-token';

interface Listing {
  /** `PodList` */
  readonly kind: string;
  readonly apiVersion: string;
  readonly items: readonly object[];
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What happens to a continue token that has expired. */
type Expiry = 'restart' | 'inconsistent';

/**
 * An API server that only lists: over HTTPS, with a bearer token, in pages, as strict about both as the
 * real one. Lists that were not put there answer 404.
 */
export class FakeApiServer implements AsyncDisposable {
  /** `GET /api/v1/pods?limit=500`, in order. */
  readonly requests: string[] = [];
  readonly #server: Server;
  readonly #authority: string;
  readonly #listings = new Map<string, Listing>();
  readonly #objects = new Map<string, object>();
  readonly #scripted = new Map<string, Answer[]>();
  readonly #forbidden = new Set<string>();
  readonly #connections = new Set<object>();
  /** Items on a page, whatever the caller asks for beyond. */
  pageSize = 500;
  expiries: Expiry[] = [];

  private constructor(server: Server, authority: string) {
    this.#server = server;
    this.#authority = authority;
    server.on('request', (request, response) => this.#answer(request, response));
    server.on('secureConnection', (socket) => this.#connections.add(socket));
  }

  static async start(): Promise<FakeApiServer> {
    const authority = await createAuthority();
    const server = createServer(await authority.issue('kube-apiserver'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeApiServer(server, authority.cert);
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many TLS connections were made. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The text of a kubeconfig for this server; `user` and `cluster` go over what works. */
  kubeconfig(parts: { user?: object; cluster?: object } = {}): string {
    const ca = Buffer.from(this.#authority).toString('base64');
    const cluster = { server: this.url, 'certificate-authority-data': ca, ...parts.cluster };
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'fake', cluster }],
      users: [{ name: 'reader', user: parts.user ?? { token: TOKEN } }],
      contexts: [
        { name: 'fake', context: { cluster: 'fake', user: 'reader' } },
        { name: 'broken', context: { cluster: 'gone', user: 'reader' } },
      ],
      'current-context': 'fake',
    });
  }

  /** Puts a list at a path such as `/api/v1/pods`; items get no kind of their own, as in a real list. */
  list(path: string, kind: string, items: readonly object[], apiVersion = 'v1'): void {
    this.#listings.set(path, { kind, apiVersion, items });
  }

  object(path: string, object: object): void {
    this.#objects.set(path, object);
  }

  forbid(path: string): void {
    this.#forbidden.add(path);
  }

  /** The next answers at a path, before the regular ones. */
  script(path: string, ...answers: readonly Answer[]): void {
    this.#scripted.set(path, [...answers]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '' } = request;
    this.requests.push(`${method} ${url}`);
    const { status, body, headers } = this.#decide(request, new URL(url, this.url));
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  #decide(request: IncomingMessage, { pathname, searchParams }: URL): Answer {
    if (request.headers.authorization !== `Bearer ${TOKEN}`) {
      return statusAnswer(401, 'Unauthorized');
    }
    const scripted = this.#scripted.get(pathname)?.shift();
    if (scripted !== undefined) {
      return scripted;
    }
    if (this.#forbidden.has(pathname)) {
      return statusAnswer(403, `${pathname} is forbidden: User "reader" cannot list it`);
    }
    const object = this.#objects.get(pathname);
    if (object !== undefined) {
      return { status: 200, body: object };
    }
    const listing = this.#listings.get(pathname);
    if (listing === undefined) {
      return pathname === '/apis'
        ? { status: 200, body: { kind: 'APIGroupList', groups: [] } }
        : statusAnswer(404, 'the server could not find the requested resource');
    }
    return this.#page(listing, searchParams);
  }

  #page({ kind, apiVersion, items }: Listing, query: URLSearchParams): Answer {
    const token = query.get('continue');
    const [, from = '0', consistency] = /^(\d+)(~?)$/.exec(token ?? '0') ?? [];
    if (token !== null && consistency === '' && this.expiries.length > 0) {
      const expiry = this.expiries.shift();
      const metadata = expiry === 'inconsistent' ? { continue: `${from}~` } : {};
      return statusAnswer(410, 'The provided continue parameter is too old', metadata);
    }
    const start = Number(from);
    const end = start + Math.min(this.pageSize, Number(query.get('limit') ?? Infinity));
    const metadata = end < items.length ? { continue: String(end) } : {};
    return { status: 200, body: { kind, apiVersion, metadata, items: items.slice(start, end) } };
  }
}

function statusAnswer(status: number, message: string, metadata: object = {}): Answer {
  return { status, body: { kind: 'Status', apiVersion: 'v1', metadata, message, code: status } };
}
