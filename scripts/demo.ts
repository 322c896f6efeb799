// The tour of the README: starts the real server with the sample configuration and sends it reviews
// that a kube-apiserver 1.36 once sent, over HTTPS as it would.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { styleText } from 'node:util';
import type { PatchOperation } from '../src/core/patch.ts';
import { REASONS, RULES } from '../src/core/decision.ts';

const CONFIG = 'examples/config.yaml';
const REVIEWS: readonly (readonly [file: string, story: string])[] = [
  [
    'create-deployment-pod',
    'A Deployment starts a pod: init container, native sidecar, main container',
  ],
  ['create-job-pod-digest', 'A Job starts a pod whose image is pinned by tag and digest'],
  ['create-plain-pod-image-volume', 'Somebody creates a bare pod with an image volume'],
  ['update-label-only', 'Somebody edits a label of that running pod: nothing may restart'],
  ['update-set-image', 'kubectl set image changes one container of the running pod'],
  ['update-ephemeralcontainers', 'kubectl debug adds a container to the running pod'],
];

interface LoggedImage {
  readonly container: string;
  readonly field: string;
  readonly source: string;
  readonly target: string | null;
  readonly rule: keyof typeof RULES | null;
  readonly reason: keyof typeof REASONS | null;
}

interface LogLine {
  readonly event: string;
  readonly url?: string;
  readonly outcome?: string;
  readonly images?: readonly LoggedImage[];
}

interface Review {
  readonly request: {
    readonly operation: string;
    readonly namespace: string;
    readonly object: object;
  };
}

interface Answer {
  readonly response: { readonly allowed: boolean; readonly patch?: string };
}

const bold = (value: string): string => styleText('bold', value);
const print = (line = ''): void => void process.stdout.write(`${line}\n`);

const folder = await mkdtemp(join(tmpdir(), 'sdr-image-rewriter-demo-'));
try {
  await tour();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function tour(): Promise<void> {
  const sample = await readFile(CONFIG, 'utf8');
  const config = join(folder, 'config.yaml');
  // Any free port, so that the tour runs whatever else does.
  await writeFile(
    config,
    `${sample}\nserver: { host: localhost, port: 0 }\nops: { host: localhost, port: 0 }\n`,
  );
  print(bold(`The configuration (${CONFIG})`));
  print(indent(sample.trim()));

  const server = spawn(
    process.execPath,
    ['dist/sdr-image-rewriter.js', 'serve', '--config', config, '--self-signed'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const exited = once(server, 'exit');
  try {
    const lines = logLines(server);
    const ca = await readFile(await trialCertificate(server), 'utf8');
    const { url } = await nextEvent(lines, 'server.started');
    print(`\n${bold('The server')} answers on ${url ?? ''} with a certificate it made for itself.`);
    for (const [index, [file, story]] of REVIEWS.entries()) {
      await showReview(`${url ?? ''}/mutate`, ca, lines, index + 1, file, story);
    }
  } finally {
    server.kill('SIGINT');
  }
  const [exitCode] = (await exited) as [number | null];
  print(`\n${bold('Done.')} The server stopped with exit code ${exitCode ?? 'none'}.`);
  print(
    'Ask about any other image: npx sdr-image-rewriter resolve --config examples/config.yaml IMAGE',
  );
  process.exitCode = exitCode ?? 1;
}

async function showReview(
  url: string,
  ca: string,
  lines: AsyncGenerator<LogLine, void>,
  number: number,
  file: string,
  story: string,
): Promise<void> {
  const body = await readFile(`test/fixtures/admission-reviews/${file}.json`, 'utf8');
  const review = JSON.parse(body) as Review;
  const answer = JSON.parse(await post(url, ca, body)) as Answer;
  const line = await nextEvent(lines, 'admission');

  print(`\n${bold(`${number}. ${story}`)}`);
  print(
    `   ${review.request.operation} in namespace ${review.request.namespace}: ${line.outcome ?? ''}`,
  );
  for (const image of line.images ?? []) {
    print(`   ${describeImage(image)}`);
  }
  const patch = decodePatch(answer.response.patch);
  print(patch.length === 0 ? '   No patch: the pod stays as it is.' : '   Patch:');
  for (const operation of patch) {
    print(`     ${operation.op} ${operation.path} ${JSON.stringify(operation.value)}`);
  }
  print('   Audit line:');
  print(`     ${styleText('dim', JSON.stringify(line))}`);
}

function describeImage({ field, container, source, target, rule, reason }: LoggedImage): string {
  const where = `${field}/${container}`;
  if (target !== null && rule !== null) {
    return `${styleText('green', 'rewritten')}  ${where}: ${source}\n              → ${target}\n                because of ${RULES[rule]}`;
  }
  const why = reason === null ? '' : REASONS[reason];
  return `kept       ${where}: ${source}\n                because ${why}`;
}

function decodePatch(patch: string | undefined): PatchOperation[] {
  return patch === undefined
    ? []
    : (JSON.parse(Buffer.from(patch, 'base64').toString()) as PatchOperation[]);
}

async function* logLines({ stdout }: ChildProcess): AsyncGenerator<LogLine, void> {
  if (stdout !== null) {
    for await (const line of createInterface({ input: stdout })) {
      yield JSON.parse(line) as LogLine;
    }
  }
}

async function nextEvent(lines: AsyncGenerator<LogLine, void>, event: string): Promise<LogLine> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done === true) {
      throw new Error(`the server ended before it logged ${event}`);
    }
    if (value.event === event) {
      return value;
    }
  }
}

/** The server says on standard error where it put the certificate of the trial. */
async function trialCertificate({ stderr }: ChildProcess): Promise<string> {
  let said = '';
  for await (const chunk of stderr ?? []) {
    said += String(chunk);
    const path = /--cacert (\S+)/.exec(said)?.[1];
    if (path !== undefined) {
      return path;
    }
  }
  throw new Error(`the server did not start: ${said}`);
}

async function post(url: string, ca: string, body: string): Promise<string> {
  const call = request(url, {
    method: 'POST',
    ca,
    headers: { 'content-type': 'application/json' },
  });
  call.end(body);
  const [answer] = (await once(call, 'response')) as [NodeJS.ReadableStream];
  return text(answer);
}

function indent(lines: string): string {
  return lines.replaceAll(/^/gm, '   ');
}
