import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';

/** Milliseconds for the request of a connection that was just opened, or being opened, when the server closed. */
const LAST_CALL = 500;

/**
 * So many may be unused at once; then the one that waits longest is closed. Each takes 50 KiB, and a client
 * opens no more than it has requests to send.
 */
const LIMIT = 512;

type Serve = (socket: TLSSocket) => void;

/**
 * Holds connections back from HTTP until their first byte. Node counts the time of a request from when it
 * is given the connection (https://nodejs.org/api/http.html#serverheaderstimeout), and does not take one
 * that has carried no request for idle; a Go client opens spare ones and keeps them for later.
 */
export class UnusedConnections {
  readonly #longest: number;
  readonly #sockets = new Set<TLSSocket>();
  #isClosing = false;

  /** `longest` is how long a connection may stay unused, in milliseconds. */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /** To be called once, before `server` listens. */
  watch(server: Server): void {
    // Node's own listener is the one that begins to read HTTP.
    const own = server.listeners('secureConnection') as Serve[];
    server.removeAllListeners('secureConnection');
    server.on('secureConnection', (socket) => {
      this.#hold(socket, () => {
        for (const serve of own) {
          serve.call(server, socket);
        }
      });
    });
  }

  /** Closes them after a moment, also one whose handshake ends later: a request may have come, or be on its way. */
  close(): void {
    this.#isClosing = true;
    for (const socket of this.#sockets) {
      socket.setTimeout(LAST_CALL);
    }
  }

  #hold(socket: TLSSocket, serve: () => void): void {
    const sockets = this.#sockets;
    const discard = (): void => {
      socket.destroy();
    };
    const release = (): void => {
      sockets.delete(socket);
      socket.setTimeout(0);
      socket.off('timeout', discard).off('error', discard).off('close', release);
    };
    sockets.add(socket);
    const [oldest] = sockets;
    if (sockets.size > LIMIT && oldest !== undefined) {
      // At once: its own end comes later, and there may be others before.
      sockets.delete(oldest);
      oldest.destroy();
    }
    socket.setTimeout(this.#isClosing ? LAST_CALL : this.#longest);
    socket.on('timeout', discard).on('error', discard).on('close', release);
    // Comes with the first byte, which stays in the socket, and also at the end of the stream.
    socket.once('readable', () => {
      release();
      serve();
    });
  }
}
