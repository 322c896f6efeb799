import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createAuthority, issueLeaf } from '../../src/kube/x509.ts';
import { FaultServer } from '../support/fault-server.ts';
import { expectConstant, expectRewrite } from './answer-check.ts';
import { buildTarget, type Target } from './connection.ts';
import { answersTls, freePort, get } from './http.ts';
import { nodeCommand } from './processors.ts';
import { productionArgs } from './production.ts';
import { capturedReview, IMAGE, type SampleReview } from './reviews.ts';
import { mapTarget, REGISTRY, sampleMap } from './sample-map.ts';
import { ServerProcess, type StartOptions } from './server-process.ts';
import { MAP_SIZES, type MapSubject, type Subject } from './subjects.ts';
import { buildYardstick } from './yardstick-build.ts';

const LIFETIME = 3_600_000;
const MAP_LIMIT = 64 * 1024 * 1024;
const BASE = `${REGISTRY}/mirror`;
/** Milliseconds. */
const CACHE_TIMEOUT = 60_000;
const CACHED_PATH = '/bench/image-map.json';
const CACHED_URL = `s3:/${CACHED_PATH}`;

/** A subject that runs and is ready. */
export interface Running extends AsyncDisposable {
  readonly process: ServerProcess;
  /** Plain HTTP, for probes and metrics; of the program itself only. */
  readonly opsPort: number;
  /** Where a review goes. A map may answer it by any of the versions. */
  target(review?: SampleReview, versions?: readonly number[]): Target;
}

export type Extras = Pick<StartOptions, 'env' | 'hasChannel'> & {
  /** Flags of Node.js, on top of those of the container image. */
  readonly flags?: readonly string[];
};

/** The folder with certificate, configurations and maps, and the servers that run with them. */
export class Testbed implements Disposable {
  readonly #folder: string;
  readonly #processors: readonly number[];

  private constructor(folder: string, processors: readonly number[]) {
    this.#folder = folder;
    this.#processors = processors;
  }

  /** Servers run on these processors; none: where this process runs. */
  static async create(processors: readonly number[]): Promise<Testbed> {
    const folder = mkdtempSync(join(tmpdir(), 'sdr-image-rewriter-bench-'));
    const testbed = new Testbed(folder, processors);
    const validity = { now: new Date(), lifetime: LIFETIME };
    const authority = await createAuthority('bench CA', validity);
    const { cert, key } = await issueLeaf(authority, { dnsNames: ['localhost'] }, validity);
    testbed.#write('tls.crt', cert);
    testbed.#write('tls.key', key);
    return testbed;
  }

  /** Starts a subject; a map is at version 1. */
  async start(subject: Subject, extras: Extras = {}): Promise<Running> {
    switch (subject) {
      case 'floor':
      case 'fastify':
        return this.#startYardstick(subject, extras);
      case 'prefix':
        return this.#startProgram({ procurement: 'prefix', containerRegistryBase: BASE }, extras);
      case 'map-10k':
      case 'map-100k': {
        this.writeMap(subject, 1);
        this.useMap(subject, 1);
        const url = `file://${this.#path(liveName(subject))}`;
        return this.#startProgram(
          { procurement: 'map', imageMap: { url, maxBytes: MAP_LIMIT } },
          extras,
        );
      }
    }
  }

  /** Starts with a map of 10,000 entries in the cache file, as an earlier run left it, while nothing answers for S3. */
  async startFromCache(): Promise<Running> {
    const cacheFile = this.#path('cached-map.json');
    if (!existsSync(cacheFile)) {
      await this.#fillCache(cacheFile);
    }
    return this.#startWithS3(1, cacheFile);
  }

  /** The module to load into a server that is to be asked for its garbage collections; see collection-probe.ts. */
  async collectionProbe(): Promise<string> {
    const program = this.#path('collection-probe.mjs');
    await buildYardstick('collection-probe', program);
    return program;
  }

  /** Writes a version of a map aside, so that taking it into use takes no time. Returns its path. */
  writeMap(subject: MapSubject, version: number): string {
    return this.#write(versionName(subject, version), sampleMap(MAP_SIZES[subject], version));
  }

  /** Puts a version into the place that the servers read, as a mounted ConfigMap changes. */
  useMap(subject: MapSubject, version: number): void {
    const aside = this.#path(`${liveName(subject)}.next`);
    symlinkSync(this.#path(versionName(subject, version)), aside);
    renameSync(aside, this.#path(liveName(subject)));
  }

  /** Runs the built program with a configuration that is not there: it loads all code of a server, and ends. */
  async runWithoutConfig(): Promise<void> {
    const args = [...productionArgs(), 'serve', '--config', this.#path('none.yaml')];
    const failure = await this.run(args).catch((error: unknown) => error as { stderr?: string });
    if (typeof failure === 'string' || !failure.stderr?.includes('[CONFIG_UNREADABLE]')) {
      throw new Error('the program did not say that there is no configuration');
    }
  }

  /** Runs a program of Node.js to its end, where the servers run. Returns what it printed. */
  async run(args: readonly string[]): Promise<string> {
    const [command, rest] = nodeCommand(this.#processors, args);
    return (await promisify(execFile)(command, rest)).stdout;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #fillCache(cacheFile: string): Promise<void> {
    await using store = await FaultServer.start();
    store.put(CACHED_PATH, sampleMap(MAP_SIZES['map-10k'], 1));
    const running = await this.#startWithS3(store.port, cacheFile);
    for (const deadline = Date.now() + CACHE_TIMEOUT; !existsSync(cacheFile);) {
      if (Date.now() > deadline) throw new Error(`no cache file was written to ${cacheFile}`);
      await sleep(10);
    }
    await running[Symbol.asyncDispose]();
  }

  #startWithS3(port: number, cacheFile: string): Promise<Running> {
    const s3 = { region: 'eu-west-1', endpoint: `http://127.0.0.1:${port}` };
    return this.#startProgram(
      { procurement: 'map', imageMap: { url: CACHED_URL, maxBytes: MAP_LIMIT, cacheFile, s3 } },
      { env: { AWS_ACCESS_KEY_ID: 'bench', AWS_SECRET_ACCESS_KEY: 'bench' } },
    );
  }

  async #startYardstick(kind: 'floor' | 'fastify', extras: Extras): Promise<Running> {
    const port = await freePort();
    const program = this.#path(`${kind}.mjs`);
    await buildYardstick(kind, program);
    const [cert, key] = [this.#path('tls.crt'), this.#path('tls.key')];
    const args = [program, String(port), cert, key];
    const process = await this.#startProcess(args, extras, () => answersTls(port));
    return {
      process,
      opsPort: NaN,
      target: (review = capturedReview()) => buildTarget(port, review, expectConstant),
      [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
    };
  }

  async #startProgram(rules: object, extras: Extras): Promise<Running> {
    const [port, opsPort] = [await freePort(), await freePort()];
    const tls = { certFile: this.#path('tls.crt'), keyFile: this.#path('tls.key') };
    const config = {
      apiVersion: 'sdr-image-rewriter/v1',
      server: { host: '127.0.0.1', port, tls },
      ops: { host: '127.0.0.1', port: opsPort },
      ...rules,
    };
    const file = this.#write(`config-${port}.yaml`, JSON.stringify(config));
    const args = [...productionArgs(), 'serve', '--config', file];
    const process = await this.#startProcess(args, extras, () => isReady(opsPort));
    return {
      process,
      opsPort,
      target: (review = capturedReview(), versions = [1]) => {
        const targets = 'imageMap' in rules ? versions.map(mapTarget) : [`${BASE}/${IMAGE}`];
        return buildTarget(port, review, expectRewrite(review, targets));
      },
      [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
    };
  }

  #startProcess(
    args: readonly string[],
    { flags = [], ...extras }: Extras,
    ready: () => Promise<boolean>,
  ): Promise<ServerProcess> {
    return ServerProcess.start({
      args: [...flags, ...args],
      processors: this.#processors,
      isReady: ready,
      ...extras,
    });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #write(name: string, content: string): string {
    writeFileSync(this.#path(name), content);
    return this.#path(name);
  }
}

async function isReady(opsPort: number): Promise<boolean> {
  const answer = await get(opsPort, '/readyz').catch(() => undefined);
  return answer?.status === 200;
}

function liveName(subject: MapSubject): string {
  return `${subject}.json`;
}

function versionName(subject: MapSubject, version: number): string {
  return `${subject}-${version}.json`;
}
