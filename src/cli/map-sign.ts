import type { KeyObject } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Config } from '../config/schema.ts';
import { environment } from '../environment.ts';
import { RewriterError } from '../core/errors.ts';
import { unless } from '../files/text-file.ts';
import { publishSignature } from '../source/publish-map.ts';
import { openStore, parseS3Url } from '../source/s3.ts';
import { joinSignatures, readPrivateKey, signBytes } from '../source/signature.ts';
import { SIGNATURE_SUFFIX } from '../source/source.ts';
import { STANDARD_INPUT } from './input.ts';
import { readGoodMap } from './map-input.ts';
import { parseMapPlace } from './map-place.ts';
import { loadConfig } from './load-config.ts';

interface SignOptions {
  readonly key: string;
  readonly out?: string;
  readonly config?: string;
}

export function addMapSignCommand(map: Command): void {
  map
    .command('sign')
    .description('Signs an image map: writes the detached Ed25519 signature beside it.')
    .argument(
      '<map>',
      'a file, s3://bucket/key, or - for standard input, and the signature goes to standard output',
    )
    .requiredOption('--key <file>', 'Ed25519 private key (PEM)')
    .option(
      '--out <file>',
      'where to write the signature, - for standard output; otherwise beside the map, with .sig',
    )
    .option('--config <file>', 'configuration with allowedTargets, limits and S3 settings')
    .action(async (map: string, options: SignOptions) => {
      const { key, out } = options;
      const place = parseMapPlace(map);
      const { kind, text } = place;
      const isInStore = out === undefined && text.startsWith('s3://');
      if (out === undefined && kind === 'url' && !isInStore) {
        throw new RewriterError(
          'USAGE',
          'a signature is written beside a file or an s3:// object only; say with --out where this one goes',
        );
      }
      const config = await loadConfig(options);
      const { bytes } = await readGoodMap(place, config);
      const privateKey = await readPrivateKey(key);
      if (isInStore) {
        await signInStore(text, bytes, privateKey, config);
      } else {
        const path = out ?? (kind === 'standard-input' ? STANDARD_INPUT : text + SIGNATURE_SUFFIX);
        await writeSignature(path, signBytes(bytes, privateKey));
      }
    });
}

/** Into a file, or to standard output for `-`. */
async function writeSignature(path: string, signature: string): Promise<void> {
  if (path === STANDARD_INPUT) {
    process.stdout.write(signature);
    return;
  }
  try {
    // Readers that have another key, or the map before, go on to find a signature that fits.
    const present = await unless(readFile(path), 'ENOENT');
    await writeFile(path, joinSignatures(signature, present));
    process.stderr.write(`signed: ${path}\n`);
  } catch (error) {
    const { message } = error as Error;
    throw new RewriterError('USAGE', `cannot write the signature: ${message}`, { cause: error });
  }
}

async function signInStore(
  url: string,
  bytes: Uint8Array,
  signKey: KeyObject,
  { imageMap: { s3, timeout } }: Config,
): Promise<void> {
  const { bucket, key } = parseS3Url(url);
  const store = await openStore(bucket, { ...s3, env: environment() });
  try {
    const kind = await publishSignature({ store, key, bytes, signKey, timeout });
    if (kind === 'lost') {
      throw new RewriterError(
        'MAP_RACE_LOST',
        `somebody else signed ${url} meanwhile, and this signature was not written; run the command again`,
      );
    }
    process.stderr.write(`signed: ${url}${SIGNATURE_SUFFIX}\n`);
  } finally {
    store.close();
  }
}
