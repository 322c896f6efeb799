// Measures the built program against a bare HTTPS server and a bare Fastify, all in one run: on a shared
// machine only the ratios mean anything. `--json` prints the measurements; `--seconds N` sets their length.
import { type ChildProcess, spawn, type SpawnOptions, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createAuthority, issueLeaf } from '../../src/kube/x509.ts';

const REVIEW = 'test/fixtures/admission-reviews/create-deployment-pod.json';
const SOURCE = 'docker.io/atlanhq/atlan-mysql-app:main-97b8c95';
const CONNECTIONS = [8, 64];
/** Of user and system time in /proc, on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;
const WARM_UP_SECONDS = 2;

interface Subject {
  readonly name: string;
  readonly args: readonly string[];
}

interface Measurement {
  readonly name: string;
  readonly connections: number;
  readonly reviewsPerSecond: number;
  readonly reviewsPerCpuSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly errors: number;
  readonly peakMebibytes: number;
}

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '6' } },
});
const seconds = Number(values.seconds);
const folder = mkdtempSync(join(tmpdir(), 'sdr-image-rewriter-bench-'));
const canPin = cpus().length > 1 && spawnSync('taskset', ['-c', '0', 'true']).status === 0;

try {
  const subjects = await prepare();
  const measurements: Measurement[] = [];
  for (const subject of subjects) {
    measurements.push(...(await measure(subject)));
  }
  process.stdout.write(
    values.json ? `${JSON.stringify(measurements, null, 2)}\n` : render(measurements),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function write(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function prepare(): Promise<Subject[]> {
  const validity = { now: new Date(), lifetime: 3_600_000 };
  const authority = await createAuthority('bench CA', validity);
  const { cert, key } = await issueLeaf(authority, { dnsNames: ['localhost'] }, validity);
  const [certFile, keyFile] = [write('tls.crt', cert), write('tls.key', key)];
  const serve = (name: string, rules: string): Subject => {
    const head = `apiVersion: sdr-image-rewriter/v1\nserver: {host: 127.0.0.1, port: 0, tls: {certFile: ${certFile}, keyFile: ${keyFile}}}\nops: {host: 127.0.0.1, port: 0}\n`;
    const config = write(`${name.replaceAll(/\W+/g, '-')}.yaml`, head + rules);
    return { name, args: ['dist/sdr-image-rewriter.js', 'serve', '--config', config] };
  };
  const withMap = (entries: number): Subject => {
    const map = write(`map-${entries}.json`, mapOf(entries));
    const rules = `procurement: map\nimageMap: {url: "file://${map}", maxBytes: 67108864}\n`;
    return serve(`ours, map of ${entries} entries`, rules);
  };
  const yardstick = (kind: string): string[] => [
    'test/bench/yardstick.ts',
    kind,
    certFile,
    keyFile,
  ];
  return [
    { name: 'floor: node:https that drains', args: yardstick('floor') },
    { name: 'Fastify, constant answer', args: yardstick('fastify') },
    serve(
      'ours, prefix rule',
      'procurement: prefix\ncontainerRegistryBase: registry.corp.example/mirror\n',
    ),
    withMap(10_000),
    withMap(100_000),
  ];
}

function mapOf(entries: number): string {
  const images: Record<string, string> = { [SOURCE]: 'registry.corp.example/atlan/mysql:1' };
  for (let index = 1; index < entries; index += 1) {
    const digest = index.toString(16).padStart(64, '0');
    images[`docker.io/atlanhq/app-${index % 500}:${index}`] =
      `registry.corp.example/atlan/app-${index % 500}:${index}-r1@sha256:${digest}`;
  }
  return JSON.stringify(images);
}

/** Runs a Node.js process on a processor of its own, where the machine lets us. */
function startOn(processor: number, args: readonly string[]): ChildProcess {
  const pin = ['-c', String(processor), process.execPath, ...args];
  const options: SpawnOptions = { stdio: ['ignore', 'pipe', 'inherit'] };
  return canPin ? spawn('taskset', pin, options) : spawn(process.execPath, args, options);
}

async function measure({ name, args }: Subject): Promise<Measurement[]> {
  const server = startOn(0, args);
  const exited = once(server, 'exit');
  try {
    const port = await listeningPort(server, args.includes('serve') && name.includes('map'));
    await load(port, 8, WARM_UP_SECONDS);
    const measurements: Measurement[] = [];
    for (const connections of CONNECTIONS) {
      const before = cpuSeconds(server.pid);
      const { reviews, errors, p50, p99, p999 } = await load(port, connections, seconds);
      const cpu = cpuSeconds(server.pid) - before;
      measurements.push({
        name,
        connections,
        reviewsPerSecond: Math.round(reviews / seconds),
        reviewsPerCpuSecond: Math.round(reviews / cpu),
        p50,
        p99,
        p999,
        errors,
        peakMebibytes: peakMebibytes(server.pid),
      });
    }
    return measurements;
  } finally {
    server.kill('SIGINT');
    await exited;
  }
}

/** Waits until the server answers, with its map if it has one. Its log is read on and thrown away. */
async function listeningPort(server: ChildProcess, hasMap: boolean): Promise<number> {
  if (server.stdout === null) throw new Error('the server has no output');
  const lines = createInterface({ input: server.stdout });
  const wanted = new Set(hasMap ? ['server.started', 'map.loaded'] : ['server.started']);
  return new Promise((resolve, reject) => {
    let port = 0;
    server.once('exit', () => reject(new Error('the server ended before it was ready')));
    lines.on('line', (line) => {
      if (wanted.size === 0) return;
      const { event, url } = JSON.parse(line) as { event: string; url?: string };
      if (event === 'server.started') port = Number(new URL(url ?? '').port);
      wanted.delete(event);
      if (wanted.size === 0) resolve(port);
    });
  });
}

interface LoadResult {
  readonly reviews: number;
  readonly errors: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

async function load(port: number, connections: number, length: number): Promise<LoadResult> {
  const args = ['test/bench/load.ts', String(port), String(connections), String(length), REVIEW];
  const generator = startOn(1, args);
  let output = '';
  generator.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(generator, 'close');
  return JSON.parse(output) as LoadResult;
}

function cpuSeconds(pid = 0): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function peakMebibytes(pid = 0): number {
  const [, kibibytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kibibytes) / 1024);
}

function render(measurements: readonly Measurement[]): string {
  const floor = (connections: number): Measurement | undefined =>
    measurements.find((each) => each.connections === connections && each.name.startsWith('floor'));
  const rows = measurements.map((each) => [
    each.name,
    String(each.connections),
    String(each.reviewsPerSecond),
    String(each.reviewsPerCpuSecond),
    (each.reviewsPerCpuSecond / (floor(each.connections)?.reviewsPerCpuSecond ?? NaN)).toFixed(2),
    ...[each.p50, each.p99, each.p999].map((value) => value.toFixed(2)),
    String(each.peakMebibytes),
    String(each.errors),
  ]);
  const head = [
    '',
    'connections',
    'reviews/s',
    'reviews/CPU s',
    '× floor',
    'p50 ms',
    'p99 ms',
    'p99.9 ms',
    'peak MiB',
    'errors',
  ];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = [head, ...rows].map((row) =>
    row
      .map((value, column) =>
        column === 0 ? value.padEnd(widths[0] ?? 0) : value.padStart(widths[column] ?? 0),
      )
      .join('  '),
  );
  return `${lines.join('\n')}\n`;
}
