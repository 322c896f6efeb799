import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { readPrivateKey, signBytes } from '../source/signature.ts';
import { SIGNATURE_SUFFIX } from '../source/source.ts';
import { readInput } from './files.ts';
import { goodMap } from './map-input.ts';
import { loadConfig } from './policy-options.ts';

export function addMapSignCommand(map: Command): void {
  map
    .command('sign')
    .description('Signs an image map: writes the detached Ed25519 signature beside it.')
    .argument('<file>', 'the map; - for standard input, and the signature goes to standard output')
    .requiredOption('--key <file>', 'Ed25519 private key (PEM)')
    .option('--out <file>', 'where to write the signature; otherwise <file>.sig')
    .action(async (file: string, options: { key: string; out?: string }) => {
      const bytes = await readInput(file);
      goodMap(bytes, file, await loadConfig({}));
      const signature = signBytes(bytes, await readPrivateKey(options.key));
      const out = options.out ?? (file === '-' ? undefined : file + SIGNATURE_SUFFIX);
      if (out === undefined) {
        process.stdout.write(signature);
        return;
      }
      await writeFile(out, signature);
      process.stderr.write(`signed: ${out}\n`);
    });
}
