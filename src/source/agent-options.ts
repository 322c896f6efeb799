import type { AgentOptions } from 'node:https';

/**
 * Milliseconds that a proxy may be silent before it has opened the way: Node.js would wait for it for ever.
 * A store that is silent is given up by the signal of each request.
 */
const SILENCE_LIMIT = 60_000;

/** How all sources connect; `env` is where the standard proxy variables are looked up. */
export function agentOptions(env: NodeJS.ProcessEnv): AgentOptions {
  return { keepAlive: true, proxyEnv: env, timeout: SILENCE_LIMIT };
}
