import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { RewriterError } from '../core/errors.ts';
import { readText } from '../files/text-file.ts';

const verifyInPool = promisify(verify);

const RAW_LENGTH = 64;
/** So many earlier signatures stay beside a new one; see `joinSignatures`. */
const KEPT_SIGNATURES = 4;
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END [A-Z0-9 ]+-----/g;
const MAKE_ONE = 'make an Ed25519 key with openssl genpkey -algorithm ed25519';

interface PemBlock {
  readonly text: string;
  /** What stands behind BEGIN, such as `PUBLIC KEY`. */
  readonly label: string;
}

/** Reads one or several Ed25519 public keys (PEM). Throws `SIGNATURE_KEY_INVALID`, which says `name`. */
export function parsePublicKeys(pem: string, name: string): KeyObject[] {
  return pemBlocks(pem, name).map((block) => {
    // Node.js would take the public half of it, and every reader of maps could sign them.
    if (isPrivate(block)) {
      const reason = 'it is a private key, and verifying needs the public one alone';
      throw keyError(name, `${reason}; write that one with openssl pkey -in KEY -pubout`);
    }
    return ed25519(name, () => createPublicKey(block.text));
  });
}

/** Reads an Ed25519 private key (PEM). Throws `SIGNATURE_KEY_INVALID`, which says `name`. */
export function parsePrivateKey(pem: string, name: string): KeyObject {
  const blocks = pemBlocks(pem, name);
  const block = blocks.find(isPrivate);
  if (block === undefined) {
    const label = blocks[0]?.label ?? '';
    const kind = label === 'PUBLIC KEY' ? 'a public key' : `a PEM block of type ${label}`;
    const reason = `it is ${kind}, and signing needs the private key`;
    throw keyError(name, `${reason}; name the file that openssl genpkey -algorithm ed25519 wrote`);
  }
  if (isEncrypted(block)) {
    const reason = 'it is encrypted, and nobody is asked for its passphrase';
    throw keyError(name, `${reason}; take the passphrase off with openssl pkey -in KEY -out NEW`);
  }
  if (block.label === 'OPENSSH PRIVATE KEY') {
    throw keyError(name, `it is in the format of OpenSSH, not in PKCS #8; ${MAKE_ONE}`);
  }
  return ed25519(name, () => createPrivateKey(block.text));
}

/** Reads the keys in a file. Throws `SIGNATURE_KEY_UNREADABLE` or `SIGNATURE_KEY_INVALID`. */
export async function readPublicKeys(path: string): Promise<KeyObject[]> {
  return parsePublicKeys(await readKeyFile(path), `the key ${path}`);
}

/** Reads the key in a file. Throws `SIGNATURE_KEY_UNREADABLE` or `SIGNATURE_KEY_INVALID`. */
export async function readPrivateKey(path: string): Promise<KeyObject> {
  return parsePrivateKey(await readKeyFile(path), `the key ${path}`);
}

function readKeyFile(path: string): Promise<string> {
  return readText(path, 'the key', 'SIGNATURE_KEY_UNREADABLE');
}

function pemBlocks(pem: string, name: string): PemBlock[] {
  const blocks = Array.from(pem.matchAll(PEM_BLOCK), ([text, label = '']) => ({ text, label }));
  if (blocks.length === 0) {
    throw keyError(name, `it holds no whole PEM block; ${MAKE_ONE}`);
  }
  return blocks;
}

function isPrivate({ label }: PemBlock): boolean {
  return label.endsWith('PRIVATE KEY');
}

/** In PKCS #8 the label says so, in the older formats a header (RFC 1421). */
function isEncrypted({ label, text }: PemBlock): boolean {
  return label === 'ENCRYPTED PRIVATE KEY' || text.includes('Proc-Type: 4,ENCRYPTED');
}

function ed25519(name: string, parse: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = parse();
  } catch {
    // OpenSSL says where in its own code it stopped, and nothing of the file.
    throw keyError(
      name,
      `its PEM block holds no key, or a damaged one; copy it again, or ${MAKE_ONE}`,
    );
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw keyError(
      name,
      `it is of type ${String(key.asymmetricKeyType)}, not Ed25519; ${MAKE_ONE}`,
    );
  }
  return key;
}

function keyError(name: string, reason: string): RewriterError {
  return new RewriterError('SIGNATURE_KEY_INVALID', `${name} cannot be used: ${reason}`);
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
  const earlier = (present === undefined ? [] : splitSignatures(present))
    .map((each) => `${each.toString('base64')}\n`)
    .filter((line) => line !== next);
  return [next, ...earlier.slice(0, KEPT_SIGNATURES)].join('');
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
