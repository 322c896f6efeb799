import { X509Certificate } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import type { Config } from '../config/schema.ts';
import { environment } from '../environment.ts';
import { type Fault, RewriterError } from '../core/errors.ts';
import type { ImageMap } from '../core/image-map.ts';
import { parseJson } from '../core/json-value.ts';
import { type MapTarget, MapTargets } from '../core/map-targets.ts';
import { isRegistryText } from '../core/reference.ts';
import { readText } from '../files/text-file.ts';
import { checkTarget } from '../registry/check-target.ts';
import { Credentials } from '../registry/credentials.ts';
import { HttpCaller } from '../registry/http-caller.ts';
import { RegistryClient } from '../registry/registry-client.ts';
import { EXIT_FAULT, EXIT_FINE } from './exit-codes.ts';
import { addMapOptions, type MapOptions, readGoodMap } from './map-input.ts';
import { parseMapPlace } from './map-place.ts';
import { count, paint, printable, renderJsonLines } from './output.ts';
import { loadConfig } from './load-config.ts';
import { takesInputOnce } from './policy-options.ts';
import { createProgress } from './progress.ts';
import { requireImages } from './required-images.ts';

interface VerifyOptions extends MapOptions {
  readonly require: readonly string[];
  readonly platform: readonly string[];
  readonly authFile?: string;
  readonly caFile?: string;
  readonly plainHttp: readonly string[];
  readonly concurrency: number;
  /** Seconds. */
  readonly timeout: number;
}

interface VerifyReport {
  readonly file: string;
  readonly ok: boolean;
  readonly serial: number | null;
  /** Targets that the registries were asked for. */
  readonly targets: number;
  /** Prefixes, of which nothing can be asked. */
  readonly unchecked: number;
  readonly faults: readonly Fault[];
}

export function addMapVerifyCommand(map: Command, finish: (exitCode: number) => void): void {
  const command = map
    .command('verify')
    .description(
      'Looks in the registries for every target of an image map: tag, digest, platforms.',
    )
    .argument('<map>', 'a file, - for standard input, or an s3:// or https:// URL')
    .option(
      '--require <image...>',
      'images that the map must have a rule for; what it makes of them is looked for as well',
      [],
    )
    .option(
      '--platform <platform...>',
      'platforms such as linux/arm64 that every image must have, beside those of its entry',
      parsePlatform,
      [],
    )
    .option(
      '--auth-file <file>',
      'credentials as docker or podman login keeps them; otherwise REGISTRY_AUTH_FILE, or those of podman and docker',
    )
    .option('--ca-file <file>', 'PEM file of authorities to trust beside the usual ones')
    .option(
      '--plain-http <registry...>',
      'registries that speak HTTP without TLS',
      parseRegistry,
      [],
    )
    .option('--concurrency <number>', 'targets looked for at one time', parseNumber, 8)
    .option('--timeout <seconds>', 'how long one answer of a registry may take', parseNumber, 15);
  takesInputOnce(addMapOptions(command)).action(async (text: string, options: VerifyOptions) => {
    const config = await loadConfig(options);
    const place = parseMapPlace(text);
    const { bytes, map } = await readGoodMap(place, config);
    const report = await verify(place.shown, bytes, map, config, options);
    process.stdout.write(
      options.output === 'json' ? renderJsonLines([report]) : reportText(report),
    );
    finish(report.ok ? EXIT_FINE : EXIT_FAULT);
  });
}

/** Commander calls it for each of several values. */
function parsePlatform(value: string, before: readonly string[]): string[] {
  if (!/^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/.test(value)) {
    throw new InvalidArgumentError(
      `"${value}" is no platform such as linux/amd64 or linux/arm/v7.`,
    );
  }
  return [...before, value];
}

function parseRegistry(value: string, before: readonly string[]): string[] {
  if (!isRegistryText(value)) {
    throw new InvalidArgumentError(
      `"${value}" is no host, or host:port; leave out http:// and a path.`,
    );
  }
  return [...before, value];
}

function parseNumber(value: string): number {
  if (!/^[1-9]\d{0,3}$/.test(value)) {
    throw new InvalidArgumentError(`"${value}" is no whole number from 1 to 9999.`);
  }
  return Number(value);
}

async function verify(
  file: string,
  bytes: Uint8Array,
  map: ImageMap,
  config: Config,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const document = parseJson(new TextDecoder().decode(bytes));
  const targets = new MapTargets(map, document, options.platform);
  const { rewritten, faults } = requireImages(map, config, options.require);
  for (const { image, target } of rewritten) {
    targets.add('image', target, image, options.platform);
  }
  const found = await lookForAll(targets.all, options);
  return {
    file,
    ok: faults.length + found.length === 0,
    serial: map.serial ?? null,
    targets: targets.all.length,
    unchecked: targets.prefixes,
    faults: [...faults, ...found],
  };
}

async function lookForAll(
  targets: readonly MapTarget[],
  { authFile, caFile, plainHttp, concurrency, timeout }: VerifyOptions,
): Promise<Fault[]> {
  const env = environment();
  const credentials = await Credentials.read(authFile, env);
  const ca = caFile === undefined ? undefined : await readAuthorities(caFile);
  const caller = new HttpCaller({ ca, env, timeout: 1000 * timeout });
  const registry = new RegistryClient({ caller, credentials, plainHttp: new Set(plainHttp) });
  const progress = createProgress(process.stderr);
  const found: Fault[][] = [];
  // All take from one iterator, so that each is busy until there is nothing left.
  const waiting = targets.entries();
  let [done, isOver] = [0, false];
  const look = async (): Promise<void> => {
    for (const [index, target] of waiting) {
      found[index] = await checkTarget(target, registry);
      done += 1;
      if (isOver) return;
      progress.show('targets looked for', done);
    }
  };
  try {
    await Promise.all(Array.from({ length: concurrency }, look));
  } finally {
    isOver = true;
    progress.clear();
    caller.close();
  }
  return found.flat();
}

async function readAuthorities(path: string): Promise<string> {
  const text = await readText(path, '--ca-file', 'USAGE');
  try {
    // Node.js would say so only when it connects, and of the registry.
    new X509Certificate(text);
  } catch (error) {
    const message = `--ca-file ${path} holds no certificate in PEM`;
    throw new RewriterError('USAGE', message, { cause: error });
  }
  return text;
}

function reportText({ file, ok, serial, targets, unchecked, faults }: VerifyReport): string {
  const verdict = ok
    ? `${paint('green', 'good')}: serial ${serial ?? 'none'}, ${count(targets, 'target')} found`
    : `${paint('red', 'refused')}: ${count(faults.length, 'fault')} in ${count(targets, 'target')}`;
  const rest = unchecked === 0 ? '' : `, ${count(unchecked, 'prefix', 'prefixes')} not looked for`;
  // What a registry says of itself stands in some of them.
  const lines = faults.map(
    ({ path, message, code }) =>
      `  ${paint('red', 'fault')}  ${printable(`${path}: ${message}`)} [${code}]`,
  );
  return [`${file}: ${verdict}${rest}`, ...lines].map((line) => `${line}\n`).join('');
}
