import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as forward,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Issued } from './certificates.ts';

/** What is wrong with the store at the moment. */
export type StoreFault =
  | { readonly kind: 'none' }
  /** Takes the request and never answers. */
  | { readonly kind: 'stall-headers' }
  /** Sends half of the body and then nothing. */
  | { readonly kind: 'stall-body' }
  /** Sends half of the body and breaks the connection. */
  | { readonly kind: 'cut-body' }
  /** Announces more bytes than it has, and keeps the connection. */
  | { readonly kind: 'wrong-length' }
  /** The good object, without its length. */
  | { readonly kind: 'no-length' }
  /** The good object, without its ETag. */
  | { readonly kind: 'no-etag' }
  /** The good object as it is, and this said of how it is encoded. */
  | { readonly kind: 'encoding'; readonly encoding: string }
  /** 304 to everything, asked for or not. */
  | { readonly kind: 'not-modified' }
  /** An error document as S3 writes it. */
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly code: string;
      readonly message?: string;
      /** Seconds until it wants to be asked again. */
      readonly retryAfter?: number;
    }
  /** A status and nothing else, as proxies and load balancers give it. */
  | { readonly kind: 'bare-status'; readonly status: number }
  /** So many times 500, then good again. */
  | { readonly kind: 'error-burst'; readonly count: number }
  /** 50 MB. */
  | { readonly kind: 'huge'; readonly announced: boolean }
  /** 50 MB, compressed to a few kilobytes. */
  | { readonly kind: 'gzip-bomb' }
  /** Half of an error, and then nothing. */
  | { readonly kind: 'stall-error' }
  /** A megabyte of an error, and never its end. */
  | { readonly kind: 'endless-error'; readonly status: number }
  /** 500 with a body that is no XML. */
  | { readonly kind: 'garbage-error' }
  /** 200 with a body that is no map. */
  | { readonly kind: 'garbage-map' }
  | { readonly kind: 'redirect'; readonly location: string }
  /** Writes what it is given, and then breaks the connection or answers 500 instead of saying so. */
  | { readonly kind: 'lost-answer'; readonly how: 'reset' | 'error' };

/** The errors that S3 names, as it sends them. */
export const S3_ERRORS = {
  accessDenied: { kind: 'error', status: 403, code: 'AccessDenied', message: 'Access Denied' },
  kmsDenied: {
    kind: 'error',
    status: 403,
    code: 'AccessDenied',
    message:
      'User: arn:aws:iam::111122223333:role/sdr is not authorized to perform: kms:Decrypt on this resource',
  },
  kmsDisabled: {
    kind: 'error',
    status: 400,
    code: 'KMS.DisabledException',
    message: 'the KMS key is disabled',
  },
  expiredToken: { kind: 'error', status: 400, code: 'ExpiredToken', message: 'it has expired' },
  invalidAccessKey: { kind: 'error', status: 403, code: 'InvalidAccessKeyId' },
  wrongSecret: { kind: 'error', status: 403, code: 'SignatureDoesNotMatch' },
  clockSkew: { kind: 'error', status: 403, code: 'RequestTimeTooSkewed' },
  invalidToken: { kind: 'error', status: 400, code: 'InvalidToken' },
  archived: { kind: 'error', status: 403, code: 'InvalidObjectState' },
  noSuchKey: { kind: 'error', status: 404, code: 'NoSuchKey' },
  noSuchBucket: { kind: 'error', status: 404, code: 'NoSuchBucket' },
  noSuchVersion: { kind: 'error', status: 404, code: 'NoSuchVersion' },
  wrongRegion: { kind: 'error', status: 301, code: 'PermanentRedirect' },
  wrongSigningRegion: { kind: 'error', status: 400, code: 'AuthorizationHeaderMalformed' },
  slowDown: { kind: 'error', status: 503, code: 'SlowDown', message: 'reduce your request rate' },
  internalError: { kind: 'error', status: 500, code: 'InternalError' },
} as const satisfies Record<string, StoreFault>;

export interface StoreRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

interface StoredVersion {
  readonly bytes: Buffer;
  /** In quotes. */
  readonly etag: string;
  readonly versionId: string;
}

const MEGABYTE = 1_048_576;
const HUGE_MEGABYTES = 50;
const PATIENCE = 5000;
const NEVER = /(?!)/;
const ALWAYS = /^/;

/**
 * A store on loopback that speaks as much of S3 (path style) and of plain HTTPS as a map needs, with
 * versions and conditional writes, and that can be made ill at any time.
 */
export class FaultServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #isTls: boolean;
  readonly #sockets = new Set<Socket>();
  readonly #objects = new Map<string, StoredVersion[]>();
  #port = 0;
  #fault: StoreFault = { kind: 'none' };
  #where = NEVER;
  #versions = 0;
  #bomb: Buffer | undefined;
  /** Every request since the start, or since `forgetRequests`. */
  readonly requests: StoreRequest[] = [];

  private constructor(tls: Issued | undefined) {
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      // A client that gives up in the middle is what most of these tests are about.
      response.on('error', () => undefined);
      void this.#handle(request, response).catch(() => response.destroy());
    };
    this.#isTls = tls !== undefined;
    this.#server = tls === undefined ? createHttpServer(handle) : createHttpsServer(tls, handle);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** With a certificate it speaks HTTPS, else HTTP. */
  static async start(tls?: Issued): Promise<FaultServer> {
    const server = new FaultServer(tls);
    await server.listen();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `${this.#isTls ? 'https' : 'http'}://127.0.0.1:${this.#port}`;
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  /** Puts a new version at a path such as `/bucket/key`; returns its ID. */
  put(path: string, bytes: string | Uint8Array, etag?: string): string {
    return this.#store(path, Buffer.from(bytes), etag).versionId;
  }

  /** Shows another certificate from the next connection on. */
  showCertificate(tls: Issued): void {
    (this.#server as HttpsServer).setSecureContext(tls);
  }

  remove(path: string): void {
    this.#objects.delete(path);
  }

  /** The latest bytes at a path, as text. */
  textAt(path: string): string | undefined {
    return this.#objects.get(path)?.at(-1)?.bytes.toString();
  }

  /** Makes the store ill from the next request on; `where` limits it to some paths. */
  break(fault: StoreFault, where = ALWAYS): void {
    this.#fault = fault;
    this.#where = where;
  }

  heal(): void {
    this.break({ kind: 'none' }, NEVER);
  }

  forgetRequests(): void {
    this.requests.length = 0;
  }

  /** Resolves once at most so many sockets are open; fails where they stay open. */
  async drained(most = 0): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (this.openSockets > most) {
      if (Date.now() > deadline) {
        throw new Error(`${this.openSockets} sockets are still open`);
      }
      await sleep(5);
    }
  }

  /** Connections are refused from now on, until `listen`. */
  async refuse(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Accepts connections, again at the same port. */
  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) {
      await this.refuse();
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const path = decodeURIComponent(pathname);
    const { method = 'GET', headers } = request;
    this.requests.push({ method, path, query: searchParams, headers });
    const body = await buffer(request);
    const fault = this.#where.test(path) ? this.#fault : ({ kind: 'none' } as const);
    if (!(await this.#fail(fault, response, path))) {
      if (method === 'PUT') this.#write(path, body, headers, response, fault);
      else this.#read(path, searchParams.get('versionId'), headers, response);
    }
  }

  /** Whether the fault gave the answer. */
  async #fail(fault: StoreFault, response: ServerResponse, path: string): Promise<boolean> {
    const object = this.#objects.get(path)?.at(-1);
    const bytes = object?.bytes ?? Buffer.from('{}');
    const etag = object?.etag ?? '"none"';
    const half = bytes.subarray(0, bytes.length / 2);
    switch (fault.kind) {
      case 'none':
      case 'lost-answer':
        return false;
      case 'stall-headers':
        return true;
      case 'stall-body':
        response.writeHead(200, { etag, 'content-length': bytes.length }).write(half);
        return true;
      case 'cut-body':
        response.writeHead(200, { etag, 'content-length': bytes.length });
        response.write(half, () => response.destroy());
        return true;
      case 'wrong-length':
        response.writeHead(200, { etag, 'content-length': bytes.length + 1 }).write(bytes);
        return true;
      case 'no-length':
        response.writeHead(200, { etag, 'transfer-encoding': 'chunked' }).end(bytes);
        return true;
      case 'no-etag':
        response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
        return true;
      case 'encoding':
        response.writeHead(200, { etag, 'content-encoding': fault.encoding }).end(bytes);
        return true;
      case 'not-modified':
        response.writeHead(304, { etag }).end();
        return true;
      case 'error':
        if (fault.retryAfter !== undefined) response.setHeader('retry-after', fault.retryAfter);
        sendError(response, fault.status, fault.code, fault.message);
        return true;
      case 'bare-status':
        response.writeHead(fault.status).end();
        return true;
      case 'error-burst':
        if (fault.count === 0) {
          return false;
        }
        this.#fault = { kind: 'error-burst', count: fault.count - 1 };
        sendError(response, 500, 'InternalError');
        return true;
      case 'huge': {
        const length = { 'content-length': HUGE_MEGABYTES * MEGABYTE };
        response.writeHead(200, { etag: '"huge"', ...(fault.announced && length) });
        await sendHuge(response);
        return true;
      }
      case 'gzip-bomb':
        this.#bomb ??= gzipSync(Buffer.alloc(HUGE_MEGABYTES * MEGABYTE));
        response.writeHead(200, {
          etag: '"bomb"',
          'content-encoding': 'gzip',
          'content-length': this.#bomb.length,
        });
        response.end(this.#bomb);
        return true;
      case 'stall-error':
        response.writeHead(500).write('<Error><Code>');
        return true;
      case 'endless-error':
        response.writeHead(fault.status).write(Buffer.alloc(MEGABYTE, ' '));
        return true;
      case 'garbage-error':
        response.writeHead(500, { 'content-type': 'application/xml' }).end('<Error><Code>&&<<');
        return true;
      case 'garbage-map':
        response.writeHead(200, { etag: '"garbage"' }).end('<html>Sign in to the guest network');
        return true;
      case 'redirect':
        response.writeHead(302, { location: fault.location }).end();
        return true;
    }
  }

  #read(
    path: string,
    versionId: string | null,
    headers: IncomingHttpHeaders,
    response: ServerResponse,
  ): void {
    const versions = this.#objects.get(path) ?? [];
    const found =
      versionId === null
        ? versions.at(-1)
        : versions.find((version) => version.versionId === versionId);
    if (found === undefined) {
      sendError(response, 404, versionId === null ? 'NoSuchKey' : 'NoSuchVersion');
      return;
    }
    const { bytes, etag } = found;
    const about = { etag, 'x-amz-version-id': found.versionId };
    if (headers['if-none-match'] === etag) {
      response.writeHead(304, about).end();
    } else {
      response.writeHead(200, { ...about, 'content-length': bytes.length }).end(bytes);
    }
  }

  #write(
    path: string,
    body: Buffer,
    headers: IncomingHttpHeaders,
    response: ServerResponse,
    fault: StoreFault,
  ): void {
    const present = this.#objects.get(path)?.at(-1);
    const { 'if-match': replaces, 'if-none-match': creates } = headers;
    if (replaces !== undefined && present === undefined) {
      sendError(response, 404, 'NoSuchKey');
    } else if (
      (replaces !== undefined && replaces !== present?.etag) ||
      (creates === '*' && present !== undefined)
    ) {
      sendError(response, 412, 'PreconditionFailed');
    } else {
      const { etag, versionId } = this.#store(path, body);
      if (fault.kind === 'lost-answer') {
        if (fault.how === 'reset') response.destroy();
        else sendError(response, 500, 'InternalError');
        return;
      }
      response.writeHead(200, { etag, 'x-amz-version-id': versionId }).end();
    }
  }

  #store(path: string, bytes: Buffer, etag?: string): StoredVersion {
    this.#versions += 1;
    const version = {
      bytes,
      etag: etag ?? `"${createHash('md5').update(bytes).digest('hex')}"`,
      versionId: `v${this.#versions}`,
    };
    this.#objects.set(path, [...(this.#objects.get(path) ?? []), version]);
    return version;
  }
}

function sendError(response: ServerResponse, status: number, code: string, message = code): void {
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>1</RequestId></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml' }).end(text);
}

async function sendHuge(response: ServerResponse): Promise<void> {
  const chunk = Buffer.alloc(MEGABYTE, ' ');
  const closed = once(response, 'close').catch(() => undefined);
  for (let sent = 0; sent < HUGE_MEGABYTES && !response.destroyed; sent += 1) {
    if (!response.write(chunk)) {
      await Promise.race([once(response, 'drain'), closed]);
    }
  }
  response.end();
}

/** A proxy on loopback that takes every host for one server; it keeps what it was asked for. */
export class ForwardProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** `CONNECT host:port` and `GET http://host/path`. */
  readonly asked: string[] = [];
  /** What it answers in place of a tunnel, such as `407 Who are you`; nothing where it is empty. */
  refusal: string | undefined;

  private constructor(targetPort: number) {
    this.#server = createHttpServer((request, response) => {
      const { method = 'GET', url = '', headers } = request;
      this.asked.push(`${method} ${url}`);
      const { pathname, search } = new URL(url);
      const path = pathname + search;
      const call = forward({ host: '127.0.0.1', port: targetPort, method, path, headers });
      call.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      call.on('error', () => response.destroy());
      request.pipe(call);
    });
    this.#server.on('connect', (request: IncomingMessage, socket: Socket) => {
      this.asked.push(`CONNECT ${request.url ?? ''}`);
      if (this.refusal !== undefined) {
        socket.end(this.refusal && `HTTP/1.1 ${this.refusal}\r\n\r\n`);
        return;
      }
      const tunnel = connect(targetPort, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        tunnel.pipe(socket).pipe(tunnel);
      });
      this.#watch(tunnel);
    });
    this.#server.on('connection', (socket: Socket) => this.#watch(socket));
  }

  static async start(targetPort: number): Promise<ForwardProxy> {
    const proxy = new ForwardProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
