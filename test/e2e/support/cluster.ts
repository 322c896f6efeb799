import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** Reads a variable that the run must set; see CONTRIBUTING.md. */
export function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new Error(`${name} is not set; CONTRIBUTING.md says what the end-to-end tests need`);
  }
  return value;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code. */
export async function run(
  command: string,
  args: readonly string[],
  input?: string,
): Promise<CommandResult> {
  const child = spawn(command, args, { stdio: 'pipe' });
  // A command may end before it has read its input.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

/** As `run`, but a failing command fails the test. */
export async function must(
  command: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, input);
  if (code !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}: ${stderr}${stdout}`);
  }
  return stdout;
}

export function kubectl(...args: readonly string[]): Promise<string> {
  return must('kubectl', args);
}

/** Applies objects as a user would; returns what kubectl said, warnings included. */
export async function apply(objects: readonly object[]): Promise<string> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  const { code, stdout, stderr } = await run('kubectl', ['apply', '-f', '-'], JSON.stringify(list));
  if (code !== 0) {
    throw new Error(stderr);
  }
  return stdout + stderr;
}

export async function getJson<Value>(...args: readonly string[]): Promise<Value> {
  return JSON.parse(await kubectl('get', ...args, '-o', 'json')) as Value;
}

/** Asks again until the answer fits; the error shows the last one. */
export async function eventually<Value>(
  ask: () => Promise<Value>,
  fits: (value: Value) => boolean,
  seconds = 60,
): Promise<Value> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await ask();
    if (fits(value)) {
      return value;
    }
    if (Date.now() > deadline) {
      throw new Error(`not within ${seconds} s; last seen: ${JSON.stringify(value)}`);
    }
    await sleep(250);
  }
}

interface Manifest {
  readonly mediaType: string;
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

const MANIFEST_TYPES =
  'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json';

/** Gives an image of the registry another name, over the registry's own API. Returns its digest. */
export async function copyImage(registry: string, from: string, to: string): Promise<string> {
  const [fromName = '', fromTag = 'latest'] = from.split(':');
  const [toName = '', toTag = 'latest'] = to.split(':');
  const url = `http://${registry}/v2`;
  const response = await fetch(`${url}/${fromName}/manifests/${fromTag}`, {
    headers: { accept: MANIFEST_TYPES },
  });
  const body = await response.text();
  if (!response.ok) {
    throw new Error(`${registry}/${from}: ${body}`);
  }
  const { config, layers } = JSON.parse(body) as Manifest;
  for (const { digest } of [config, ...layers]) {
    const mount = `${url}/${toName}/blobs/uploads/?mount=${digest}&from=${fromName}`;
    const { status } = await fetch(mount, { method: 'POST' });
    if (status !== 201) {
      throw new Error(`the registry did not mount ${digest}: ${status}`);
    }
  }
  const put = await fetch(`${url}/${toName}/manifests/${toTag}`, {
    method: 'PUT',
    headers: { 'content-type': response.headers.get('content-type') ?? '' },
    body,
  });
  if (!put.ok) {
    throw new Error(`the registry refused ${to}: ${await put.text()}`);
  }
  return put.headers.get('docker-content-digest') ?? '';
}

/** Lets a tag point to another image: the same layers, another configuration. */
export async function republishImage(registry: string, name: string, tag: string): Promise<void> {
  const url = `http://${registry}/v2/${name}`;
  const response = await fetch(`${url}/manifests/${tag}`, { headers: { accept: MANIFEST_TYPES } });
  const manifest = (await response.json()) as Manifest;
  const old = await fetch(`${url}/blobs/${manifest.config.digest}`);
  const created = new Date().toISOString();
  const bytes = JSON.stringify({ ...((await old.json()) as object), created });
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const upload = await fetch(`${url}/blobs/uploads/`, { method: 'POST' });
  const place = new URL(upload.headers.get('location') ?? '', url);
  place.searchParams.set('digest', digest);
  await fetch(place, { method: 'PUT', body: bytes });
  const config = { ...manifest.config, digest, size: Buffer.byteLength(bytes) };
  const put = await fetch(`${url}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': response.headers.get('content-type') ?? '' },
    body: JSON.stringify({ ...manifest, config }),
  });
  if (!put.ok) {
    throw new Error(`the registry refused ${name}:${tag}: ${await put.text()}`);
  }
}
