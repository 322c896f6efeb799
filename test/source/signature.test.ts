import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import {
  joinSignatures,
  parsePrivateKey,
  parsePublicKeys,
  readPrivateKey,
  readPublicKeys,
  signBytes,
  verifyBytes,
  verifyInBackground,
} from '../../src/source/signature.ts';
import { bytesOfText } from '../support/maps.ts';
import { Workspace } from '../support/workspace.ts';

const NAME = 'the key';
const MAP = bytesOfText('{"apiVersion":"sdr-image-map/v1"}');

interface PemPair {
  readonly publicPem: string;
  readonly privatePem: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function ed25519Pair(): PemPair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    publicKey,
    privateKey,
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function signatureOf(bytes: Uint8Array, { privateKey }: PemPair): Uint8Array {
  return bytesOfText(signBytes(bytes, privateKey));
}

describe('a signature', () => {
  const pair = ed25519Pair();

  it('fits exactly the bytes that it was made over', () => {
    const signature = signatureOf(MAP, pair);
    expect(verifyBytes(MAP, signature, [pair.publicKey])).toBe(true);
    for (let index = 0; index < MAP.length; index += 1) {
      const changed = Uint8Array.from(MAP);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(verifyBytes(changed, signature, [pair.publicKey])).toBe(false);
    }
    expect(verifyBytes(Buffer.concat([MAP, Buffer.from('\n')]), signature, [pair.publicKey])).toBe(
      false,
    );
  });

  it('is one line of base64', () => {
    expect(signBytes(MAP, pair.privateKey)).toMatch(/^[A-Za-z0-9+/]{86}==\n$/);
  });

  it('may be 64 raw bytes, as openssl pkeyutl -sign -rawin writes them', () => {
    const raw = sign(null, MAP, pair.privateKey);
    expect(verifyBytes(MAP, raw, [pair.publicKey])).toBe(true);
    raw[5] = (raw[5] ?? 0) ^ 1;
    expect(verifyBytes(MAP, raw, [pair.publicKey])).toBe(false);
  });

  it.each(['', '\n', 'no signature', 'AAAA\n', 'A'.repeat(64), '<html>Not found</html>'])(
    'is not found in %j',
    (text) => {
      expect(verifyBytes(MAP, bytesOfText(text), [pair.publicKey])).toBe(false);
    },
  );

  it('is accepted from any of several keys, and from no other', () => {
    const [old, next] = [ed25519Pair(), ed25519Pair()];
    const keys = parsePublicKeys(`# old\n${old.publicPem}\n# next\n${next.publicPem}`, NAME);
    expect(keys).toHaveLength(2);
    expect(verifyBytes(MAP, signatureOf(MAP, old), keys)).toBe(true);
    expect(verifyBytes(MAP, signatureOf(MAP, next), keys)).toBe(true);
    expect(verifyBytes(MAP, signatureOf(MAP, pair), keys)).toBe(false);
    expect(verifyBytes(MAP, signatureOf(MAP, pair), [])).toBe(false);
  });
});

describe('joinSignatures', () => {
  const pair = ed25519Pair();
  const maps = Array.from({ length: 8 }, (_, index) => bytesOfText(`{"serial":${index}}`));

  it('keeps the signatures of the maps before, so that a reader between two writes finds its own', () => {
    const [first = MAP, second = MAP] = maps;
    const joined = bytesOfText(
      joinSignatures(signBytes(second, pair.privateKey), signatureOf(first, pair)),
    );
    expect(verifyBytes(first, joined, [pair.publicKey])).toBe(true);
    expect(verifyBytes(second, joined, [pair.publicKey])).toBe(true);
    expect(verifyBytes(MAP, joined, [pair.publicKey])).toBe(false);
  });

  it('keeps four of them and stays under the limit of a signature file', () => {
    let file: Uint8Array | undefined;
    for (const map of maps) {
      file = bytesOfText(joinSignatures(signBytes(map, pair.privateKey), file));
    }
    const accepted = maps.map((map) => verifyBytes(map, file ?? MAP, [pair.publicKey]));
    expect(accepted).toEqual([false, false, false, true, true, true, true, true]);
    expect(file?.length).toBeLessThan(4096);
  });

  it('begins anew over a file that holds no signature, and takes over one of raw bytes', () => {
    const next = signBytes(MAP, pair.privateKey);
    expect(joinSignatures(next, undefined)).toBe(next);
    expect(joinSignatures(next, bytesOfText('nonsense'))).toBe(next);
    const [first = MAP] = maps;
    const joined = bytesOfText(joinSignatures(next, sign(null, first, pair.privateKey)));
    expect(verifyBytes(first, joined, [pair.publicKey])).toBe(true);
  });
});

describe('a key', () => {
  const pair = ed25519Pair();
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  it('is read from a file', async () => {
    await using workspace = await Workspace.create();
    const [publicFile, privateFile] = [
      await workspace.write('map.pub', pair.publicPem),
      await workspace.write('map.key', pair.privatePem),
    ];
    const signature = bytesOfText(signBytes(MAP, await readPrivateKey(privateFile)));
    expect(verifyBytes(MAP, signature, await readPublicKeys(publicFile))).toBe(true);
  });

  it('must be there', async () => {
    await using workspace = await Workspace.create();
    const missing = workspace.path('none.pem');
    for (const read of [readPublicKeys, readPrivateKey]) {
      await expect(read(missing)).rejects.toMatchObject({
        code: 'SIGNATURE_KEY_UNREADABLE',
        message: expect.stringMatching(/^cannot read the key: ENOENT: .*none\.pem'$/) as unknown,
      });
    }
  });

  it.each([
    ['nothing', ''],
    ['no PEM', 'ssh-ed25519 AAAA'],
    ['a private one', pair.privatePem],
    ['a broken PEM', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
    ['RSA', rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    ['ECDSA', ec.publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    [
      'one good and one other',
      pair.publicPem + ec.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    ],
  ])('that is %s is refused for verifying', (_name, pem) => {
    expect(() => parsePublicKeys(pem, NAME)).toThrow(
      expect.objectContaining({ code: 'SIGNATURE_KEY_INVALID' }),
    );
  });

  it.each([
    ['nothing', ''],
    ['a public one', pair.publicPem],
    ['RSA', rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
  ])('that is %s is refused for signing, and never quoted', (_name, pem) => {
    let refusal: unknown;
    try {
      parsePrivateKey(pem, NAME);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ code: 'SIGNATURE_KEY_INVALID' });
    expect((refusal as Error).message).not.toContain('BEGIN');
  });
});

describe('a refused key', () => {
  const pair = ed25519Pair();
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const encrypted = { format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;

  it.each([
    [
      'encrypted',
      pair.privateKey.export({ type: 'pkcs8', ...encrypted }),
      'it is encrypted, and nobody is asked for its passphrase; take the passphrase off with openssl pkey -in KEY -out NEW',
    ],
    [
      'encrypted in the older format',
      rsa.privateKey.export({ type: 'pkcs1', ...encrypted }),
      'it is encrypted, and nobody is asked for its passphrase; take the passphrase off with openssl pkey -in KEY -out NEW',
    ],
    [
      'the public one',
      pair.publicPem,
      'it is a public key, and signing needs the private key; name the file that openssl genpkey -algorithm ed25519 wrote',
    ],
    [
      'RSA',
      rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      'it is of type rsa, not Ed25519; make an Ed25519 key with openssl genpkey -algorithm ed25519',
    ],
    [
      'damaged',
      '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
      'its PEM block holds no key, or a damaged one; copy it again, or make an Ed25519 key with openssl genpkey -algorithm ed25519',
    ],
    [
      'in the format of OpenSSH',
      '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n',
      'it is in the format of OpenSSH, not in PKCS #8; make an Ed25519 key with openssl genpkey -algorithm ed25519',
    ],
  ])('for signing is named with what to do: %s', async (_title, pem, reason) => {
    await using workspace = await Workspace.create();
    const file = await workspace.write('key.pem', pem);
    await expect(readPrivateKey(file)).rejects.toThrow(
      new Error(`the key ${file} cannot be used: ${reason}`),
    );
  });

  it('for verifying is named with what to do, where it is the private one', async () => {
    await using workspace = await Workspace.create();
    const file = await workspace.write('key.pem', pair.publicPem + pair.privatePem);
    await expect(readPublicKeys(file)).rejects.toThrow(
      new Error(
        `the key ${file} cannot be used: it is a private key, and verifying needs the public one alone; write that one with openssl pkey -in KEY -pubout`,
      ),
    );
  });
});

describe('verifyInBackground', () => {
  it('says what verifyBytes says', async () => {
    const [one, other] = [ed25519Pair(), ed25519Pair()];
    const signatures = [signatureOf(MAP, one), signatureOf(MAP, other), bytesOfText('nothing')];
    const joined = bytesOfText(joinSignatures(signBytes(MAP, one.privateKey), signatures[1]));
    const verdicts = [];
    for (const signature of [...signatures, joined]) {
      for (const keys of [[one.publicKey], [other.publicKey, one.publicKey], []]) {
        const verdict = await verifyInBackground(MAP, signature, keys);
        expect(verdict).toBe(verifyBytes(MAP, signature, keys));
        verdicts.push(verdict);
      }
    }
    expect(verdicts).toEqual([
      true,
      true,
      false,
      false,
      true,
      false,
      false,
      false,
      false,
      true,
      true,
      false,
    ]);
  });
});
