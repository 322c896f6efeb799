import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { RewriterError } from '../core/errors.ts';
import { fileFaultText } from './text-file.ts';

const verifyInPool = promisify(verify);

const RAW_LENGTH = 64;
/** So many earlier signatures stay beside a new one; see `joinSignatures`. */
const KEPT_SIGNATURES = 4;
const PEM_BLOCK = /-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----/g;

/** Reads one or several Ed25519 public keys (PEM). Throws `SIGNATURE_KEY_INVALID`. */
export function parsePublicKeys(pem: string): KeyObject[] {
  const blocks = pem.match(PEM_BLOCK) ?? [];
  if (blocks.length === 0) {
    throw keyError('it holds no PEM block');
  }
  return blocks.map((block) => ed25519(() => createPublicKey(block)));
}

/** Reads the keys in a file. Throws `SIGNATURE_KEY_INVALID`. */
export async function readPublicKeys(path: string): Promise<KeyObject[]> {
  return parsePublicKeys(await readKeyFile(path));
}

/** Reads the key in a file. Throws `SIGNATURE_KEY_INVALID`. */
export async function readPrivateKey(path: string): Promise<KeyObject> {
  return parsePrivateKey(await readKeyFile(path));
}

async function readKeyFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw keyError(fileFaultText(path, error));
  }
}

/** Reads an Ed25519 private key (PEM). Throws `SIGNATURE_KEY_INVALID`. */
export function parsePrivateKey(pem: string): KeyObject {
  return ed25519(() => createPrivateKey(pem));
}

function ed25519(parse: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = parse();
  } catch (error) {
    throw keyError((error as Error).message);
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw keyError(`it is of type ${String(key.asymmetricKeyType)}`);
  }
  return key;
}

function keyError(reason: string): RewriterError {
  return new RewriterError(
    'SIGNATURE_KEY_INVALID',
    `the key cannot be used: ${reason}; make an Ed25519 key with openssl genpkey -algorithm ed25519`,
  );
}

/** The text of a signature file: base64 of the Ed25519 signature over exactly these bytes. */
export function signBytes(bytes: Uint8Array, key: KeyObject): string {
  return `${sign(null, bytes, key).toString('base64')}\n`;
}

/**
 * A signature file for a new version of a map, in front of what is there. Map and signature are two
 * objects, written one after the other: while the earlier signatures stay, every reader in between
 * finds one that fits the map that it has.
 */
export function joinSignatures(next: string, present: Uint8Array | undefined): string {
  const earlier = present === undefined ? [] : splitSignatures(present).slice(0, KEPT_SIGNATURES);
  return [next, ...earlier.map((each) => `${each.toString('base64')}\n`)].join('');
}

/** Whether one of the signatures was made over exactly these bytes with one of the keys. */
export function verifyBytes(
  bytes: Uint8Array,
  signatures: Uint8Array,
  keys: readonly KeyObject[],
): boolean {
  return splitSignatures(signatures).some((signature) =>
    keys.some((key) => verify(null, bytes, key, signature)),
  );
}

/** As `verifyBytes`, on another thread: a signature over 15 MB takes tens of milliseconds. */
export async function verifyInBackground(
  bytes: Uint8Array,
  signatures: Uint8Array,
  keys: readonly KeyObject[],
): Promise<boolean> {
  for (const signature of splitSignatures(signatures)) {
    for (const key of keys) {
      if (await verifyInPool(null, bytes, key, signature)) {
        return true;
      }
    }
  }
  return false;
}

/** A file holds 64 raw bytes, as OpenSSL writes them, or one base64 signature a line. */
function splitSignatures(file: Uint8Array): Buffer[] {
  if (file.length === RAW_LENGTH) {
    return [Buffer.from(file)];
  }
  return Buffer.from(file)
    .toString('latin1')
    .split(/\s+/)
    .map((line) => Buffer.from(line, 'base64'))
    .filter((signature) => signature.length === RAW_LENGTH);
}
