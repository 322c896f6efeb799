import { once } from 'node:events';
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import type { AnswerCheck } from './answer-check.ts';
import { reviewsInTurn, type SampleReview } from './reviews.ts';

const OK = Buffer.from('HTTP/1.1 200 ');
const HEAD_END = Buffer.from('\r\n\r\n');
// One for all connections: to make one takes longer than a handshake.
const CONTEXT = createSecureContext();

/** Where reviews go, and what is to come back. */
export interface Target {
  readonly port: number;
  /** Whole HTTP requests, which every connection sends in turn. */
  readonly requests: readonly Buffer[];
  readonly check: AnswerCheck;
}

export function buildTarget(port: number, review: SampleReview, check: AnswerCheck): Target {
  return { port, requests: reviewsInTurn(review).map(httpRequest), check };
}

function httpRequest(body: Buffer): Buffer {
  const head = [
    'POST /mutate?timeout=5s HTTP/1.1',
    'host: localhost',
    'user-agent: kube-apiserver-admission',
    'accept: application/json, */*',
    'accept-encoding: gzip',
    'content-type: application/json',
    `content-length: ${body.length}`,
  ].join('\r\n');
  return Buffer.concat([Buffer.from(head), HEAD_END, body]);
}

/**
 * A keep-alive TLS connection that sends one review at a time, as the API server does. Knows just enough
 * of HTTP to take less of the processor than the server that it loads: a body that it has checked before
 * is compared by its bytes.
 */
export class Connection {
  readonly #target: Target;
  readonly #socket: TLSSocket;
  #sent = 0;
  #received: Buffer | undefined;
  /** The latest right body, and what it said. */
  #checked: { readonly body: Buffer; readonly answer: string } | undefined;
  #pending: PromiseWithResolvers<string | undefined> | undefined;
  #fault: Error | undefined;

  private constructor(target: Target, socket: TLSSocket) {
    this.#target = target;
    this.#socket = socket;
    socket.setNoDelay();
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error: Error) => this.#break(error));
    socket.on('end', () => this.#break(new Error('the server closed a connection')));
  }

  /** Resolves when the handshake is done. */
  static async open(target: Target): Promise<Connection> {
    const socket = connect({
      host: '127.0.0.1',
      port: target.port,
      secureContext: CONTEXT,
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    return new Connection(target, socket);
  }

  /** Sends the review; resolves to what the answer said, undefined where it was wrong. One at a time. */
  ask(): Promise<string | undefined> {
    this.#pending = Promise.withResolvers();
    const { requests } = this.#target;
    const request = requests[this.#sent % requests.length] ?? '';
    this.#sent += 1;
    if (this.#fault === undefined) this.#socket.write(request);
    else this.#pending.reject(this.#fault);
    return this.#pending.promise;
  }

  /** Of the latest right answer; NaN while there is none. */
  get answerBytes(): number {
    return this.#checked?.body.length ?? NaN;
  }

  close(): void {
    this.#socket.destroy();
  }

  #break(error: Error): void {
    this.#fault = error;
    this.#pending?.reject(error);
  }

  #receive(chunk: Buffer): void {
    const all = this.#received === undefined ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = all.indexOf(HEAD_END);
    const bodyStart = headEnd + HEAD_END.length;
    const isWhole = headEnd >= 0 && all.length >= bodyStart + this.#bodyLength(all, headEnd);
    this.#received = isWhole ? undefined : all;
    if (isWhole) {
      this.#pending?.resolve(this.#judge(all, all.subarray(bodyStart)));
    }
  }

  #bodyLength(all: Buffer, headEnd: number): number {
    const there = all.length - headEnd - HEAD_END.length;
    if (there === this.#checked?.body.length) {
      return there;
    }
    const [, length] = /\r\ncontent-length: (\d+)/i.exec(all.toString('latin1', 0, headEnd)) ?? [];
    // What has no length is taken as it comes, and is wrong if that is not all.
    return Number(length ?? there);
  }

  #judge(all: Buffer, body: Buffer): string | undefined {
    if (all.compare(OK, 0, OK.length, 0, OK.length) !== 0) {
      return undefined;
    }
    if (this.#checked !== undefined && body.equals(this.#checked.body)) {
      return this.#checked.answer;
    }
    const answer = this.#read(body.toString());
    // The body is part of a larger buffer, which a view of it would keep.
    this.#checked = answer === undefined ? undefined : { body: Buffer.from(body), answer };
    return answer;
  }

  #read(body: string): string | undefined {
    try {
      return this.#target.check(body);
    } catch {
      // What is no JSON is a wrong answer too.
      return undefined;
    }
  }
}
