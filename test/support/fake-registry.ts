import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Issued } from './certificates.ts';
import { sha256 } from './digests.ts';

export const IMAGE_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

/** How a registry lets read: as anybody, by user and password, or by a token for a user, or for anybody. */
export type Access =
  | { readonly kind: 'open' }
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly user?: string; readonly password?: string }
  | { readonly kind: 'identity'; readonly refreshToken: string };

export interface RegistryRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
}

/** Answers a request in place of the registry; undefined: the registry does. */
export type Intercept = (request: RegistryRequest, response: ServerResponse) => true | undefined;

interface Stored {
  readonly type: string;
  readonly bytes: Buffer;
}

function digestOfBytes(bytes: Uint8Array): string {
  return `sha256:${sha256(bytes)}`;
}

/** A registry on loopback that speaks as much of the distribution specification as reading needs. */
export class FakeRegistry implements AsyncDisposable {
  readonly #server: Server;
  readonly #scheme: 'http' | 'https';
  /** By `repository/tag` and `repository/digest`. */
  readonly #manifests = new Map<string, Stored>();
  readonly #blobs = new Map<string, Stored>();
  /** The tags of each. */
  readonly #repositories = new Map<string, string[]>();
  readonly #tokens = new Set<string>();
  #given = 0;
  access: Access = { kind: 'open' };
  intercept: Intercept = () => undefined;
  /** Whether answers name the digest of what they hold. */
  namesDigests = true;
  readonly requests: RegistryRequest[] = [];

  private constructor(tls: Issued | undefined) {
    const handle = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#handle(request, response);
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server = tls === undefined ? createHttpServer(handle) : createHttpsServer(tls, handle);
  }

  /** With a certificate it speaks HTTPS, else HTTP. */
  static async start(tls?: Issued): Promise<FakeRegistry> {
    const registry = new FakeRegistry(tls);
    registry.#server.listen(0, '127.0.0.1');
    await once(registry.#server, 'listening');
    return registry;
  }

  /** `host:port`, as it stands in a reference. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Puts an image of one platform there, under a tag where one is given. Returns its digest. */
  putImage(repository: string, tag: string | undefined, platform = 'linux/amd64'): string {
    const [os, architecture, variant] = platform.split('/');
    const config = Buffer.from(JSON.stringify({ os, architecture, variant, made: repository }));
    const configDigest = digestOfBytes(config);
    this.#blobs.set(`${repository}/${configDigest}`, { type: 'application/json', bytes: config });
    return this.putManifest(repository, tag, IMAGE_TYPE, {
      schemaVersion: 2,
      config: { digest: configDigest, size: config.length },
      layers: [],
    });
  }

  /** Puts an index of images there. Returns its digest. */
  putIndex(repository: string, tag: string, platforms: readonly string[]): string {
    const entries = platforms.map((each) => {
      const [os, architecture, variant] = each.split('/');
      const digest = this.putImage(repository, undefined, each);
      return { digest, platform: { os, architecture, variant } };
    });
    return this.putManifest(repository, tag, INDEX_TYPE, { schemaVersion: 2, manifests: entries });
  }

  putManifest(
    repository: string,
    tag: string | undefined,
    type: string,
    manifest: object | string,
  ): string {
    const bytes = Buffer.from(typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
    const digest = digestOfBytes(bytes);
    const tags = this.#repositories.get(repository) ?? [];
    this.#repositories.set(repository, [...tags, ...(tag === undefined ? [] : [tag])]);
    for (const reference of [digest, ...(tag === undefined ? [] : [tag])]) {
      this.#manifests.set(`${repository}/${reference}`, { type, bytes });
    }
    return digest;
  }

  bytesAt(repository: string, reference: string): Buffer {
    return this.#manifests.get(`${repository}/${reference}`)?.bytes ?? Buffer.alloc(0);
  }

  /** Gives what is there under a reference under another one as well. */
  alias(repository: string, reference: string, of: string): void {
    const stored = this.#manifests.get(`${repository}/${of}`);
    if (stored !== undefined) this.#manifests.set(`${repository}/${reference}`, stored);
  }

  remove(repository: string, reference: string): void {
    this.#manifests.delete(`${repository}/${reference}`);
  }

  /** From now on no token that was given is good any more. */
  forgetTokens(): void {
    this.#tokens.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname: path, searchParams } = new URL(request.url ?? '', 'http://registry');
    const { authorization } = request.headers;
    const seen = { method: request.method ?? '', path, authorization };
    this.requests.push(seen);
    if (this.intercept(seen, response) === true) {
      return;
    }
    if (path === '/token') {
      const form =
        request.method === 'POST' ? new URLSearchParams(await text(request)) : searchParams;
      this.#giveToken(authorization, form, response);
    } else if (this.#mayRead(path, authorization)) {
      this.#answer(path, request, response);
    } else {
      response.writeHead(401, { 'www-authenticate': this.#challenge(path) }).end();
    }
  }

  #challenge(path: string): string {
    if (this.access.kind === 'basic') {
      return 'Basic realm="a, registry"';
    }
    const realm = `${this.#scheme}://${this.host}/token`;
    return `Bearer realm="${realm}",service="test",scope="repository:${repositoryOf(path)}:pull"`;
  }

  #mayRead(path: string, authorization: string | undefined): boolean {
    switch (this.access.kind) {
      case 'open':
        return true;
      case 'basic':
        return authorization === basic(this.access);
      case 'token':
      case 'identity':
        return this.#tokens.has(`${repositoryOf(path)} ${authorization ?? ''}`);
    }
  }

  #giveToken(
    authorization: string | undefined,
    form: URLSearchParams,
    response: ServerResponse,
  ): void {
    const { access } = this;
    const isKnown =
      access.kind === 'identity'
        ? form.get('refresh_token') === access.refreshToken
        : access.kind === 'token' && (access.user === undefined || authorization === basic(access));
    if (!isKnown || form.get('service') !== 'test') {
      response.writeHead(401).end();
      return;
    }
    const repository = /^repository:(.+):pull$/.exec(form.get('scope') ?? '')?.[1] ?? '';
    this.#given += 1;
    const token = `token-${this.#given}-${repository.replaceAll('/', '.')}`;
    this.#tokens.add(`${repository} Bearer ${token}`);
    response.end(JSON.stringify(access.kind === 'identity' ? { access_token: token } : { token }));
  }

  #answer(path: string, request: IncomingMessage, response: ServerResponse): void {
    const [, repository = '', kind, reference = ''] =
      /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/]+)$/.exec(path) ?? [];
    if (kind === 'tags') {
      const tags = this.#repositories.get(repository);
      response
        .writeHead(tags === undefined ? 404 : 200)
        .end(JSON.stringify({ name: repository, tags }));
      return;
    }
    const store = kind === 'blobs' ? this.#blobs : this.#manifests;
    const stored = store.get(`${repository}/${reference}`);
    const isAccepted =
      kind === 'blobs' || request.headers.accept?.split(', ').includes(stored?.type ?? '');
    if (stored === undefined || isAccepted !== true) {
      response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}');
      return;
    }
    response.writeHead(200, {
      'content-type': stored.type,
      ...(this.namesDigests && { 'docker-content-digest': digestOfBytes(stored.bytes) }),
    });
    response.end(request.method === 'HEAD' ? undefined : stored.bytes);
  }
}

function repositoryOf(path: string): string {
  return /^\/v2\/(.+)\/(?:manifests|blobs|tags)\//.exec(path)?.[1] ?? '';
}

function basic({ user, password }: { user?: string; password?: string }): string {
  return `Basic ${Buffer.from(`${user ?? ''}:${password ?? ''}`).toString('base64')}`;
}
