import type { ClientRequest } from 'node:http';

/** Makes a request fail whose server wants to speak another protocol: Node.js would tell nothing of it, for ever. */
export function refuseUpgrade(request: ClientRequest): void {
  request.once('upgrade', ({ statusCode }, socket) => {
    socket.destroy();
    request.emit('error', new Error(`the server answered HTTP ${statusCode ?? 101}`));
  });
}
