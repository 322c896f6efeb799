import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { FastifyError, FastifyRequest } from 'fastify';
import { type ErrorCode, RewriterError } from '../core/errors.ts';

export interface ErrorAnswer {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What a failure of Fastify, or of a handler, is answered with. */
export function describeError(
  error: FastifyError,
  { headers }: Pick<IncomingMessage, 'headers'>,
): ErrorAnswer {
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const type = headers['content-type'] ?? 'none';
    const message = `the content type is ${JSON.stringify(type.slice(0, 80))}; send application/json`;
    return { code: 'REVIEW_MEDIA_TYPE', message };
  }
  const isOfCaller = (error.statusCode ?? 500) < 500;
  return { code: isOfCaller ? 'REVIEW_INVALID' : 'INTERNAL', message: error.message };
}

/** Why a body is not read, or undefined where it is: a compressed one could grow without bound. */
export function encodingFault({ headers }: FastifyRequest): RewriterError | undefined {
  const encoding = headers['content-encoding'] ?? 'identity';
  return encoding.toLowerCase() === 'identity'
    ? undefined
    : new RewriterError(
        'REVIEW_MEDIA_TYPE',
        `the content encoding is ${JSON.stringify(encoding.slice(0, 80))}; send the review uncompressed`,
      );
}

/** Why this client may not call, or undefined where it may. */
export function clientFault(
  socket: Socket,
  subjects: readonly string[],
): RewriterError | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) {
    const reason = socket instanceof TLSSocket ? String(socket.authorizationError) : 'no TLS';
    const message = `the client certificate is missing or not signed by server.tls.clientCAFile (${reason})`;
    return new RewriterError('CLIENT_UNAUTHORIZED', message);
  }
  const { CN } = socket.getPeerCertificate().subject;
  const names = Array.isArray(CN) ? CN : [CN];
  if (
    subjects.length === 0 ||
    names.some((name) => name !== undefined && subjects.includes(name))
  ) {
    return undefined;
  }
  const message = `the client ${JSON.stringify(names.join(','))} is not among server.tls.clientSubjects`;
  return new RewriterError('CLIENT_UNAUTHORIZED', message);
}
