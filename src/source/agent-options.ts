import type { AgentOptions } from 'node:https';

/** Milliseconds without a byte. Node.js waits for ever for a proxy that takes a connection and does not answer. */
const SILENCE_LIMIT = 60_000;

/** How all sources connect; `env` is where the standard proxy variables are looked up. */
export function agentOptions(env: NodeJS.ProcessEnv): AgentOptions {
  return { keepAlive: true, proxyEnv: env, timeout: SILENCE_LIMIT };
}
