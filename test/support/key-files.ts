import { generateKeyPairSync } from 'node:crypto';
import type { Workspace } from './workspace.ts';

export interface KeyFiles {
  readonly privateKey: string;
  readonly publicKey: string;
  /** PEM of the public key. */
  readonly publicPem: string;
}

/** A fresh Ed25519 pair as two PEM files. */
export async function writeKeyPair(workspace: Workspace, name = 'key'): Promise<KeyFiles> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return {
    privateKey: await workspace.write(
      `${name}.pem`,
      privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ),
    publicKey: await workspace.write(`${name}.pub`, publicPem),
    publicPem,
  };
}
