import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAuthority } from '../support/certificates.ts';
import { FaultServer } from '../support/fault-server.ts';
import { writeKeyPair } from '../support/key-files.ts';
import { mapDocument } from '../support/maps.ts';
import { runProgram } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';

const IMAGE = 'docker.io/atlanhq/mysql:1';
const TOKEN = 'the-token';
const GOOD = mapDocument({ prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/a' }] });
const FAULTY = mapDocument({ images: [{ source: IMAGE, target: 'NO TARGET' }] });

let store: FaultServer;
let workspace: Workspace;
let key: string;
let config: string;

beforeAll(async () => {
  const authority = await createAuthority();
  store = await FaultServer.start(await authority.issue('store'));
  workspace = await Workspace.create();
  key = (await writeKeyPair(workspace)).privateKey;
  const caFile = await workspace.write('ca.crt', authority.cert);
  const settings = { apiVersion: 'sdr-image-rewriter/v1', procurement: 'public' };
  config = await workspace.write(
    'config.yaml',
    JSON.stringify({ ...settings, imageMap: { s3: { caFile } } }),
  );
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

describe('the token in the URL of a map', () => {
  const commands: readonly [string, (url: string) => readonly string[]][] = [
    ['map lint', (url) => ['map', 'lint', url]],
    ['map diff', (url) => ['map', 'diff', url, url]],
    ['map verify', (url) => ['map', 'verify', url]],
    ['map import', (url) => ['map', 'import', url]],
    ['map sign', (url) => ['map', 'sign', url, '--key', key, '--out', '-']],
    ['map publish', (url) => ['map', 'publish', url, 's3://b/key', '--sign-key', 'none']],
    ['resolve', (url) => ['resolve', IMAGE, '--map', url, '--explain']],
  ];
  it.each(
    commands.flatMap(([name, args]) =>
      ['a good map', 'a map with a fault', 'nothing'].map((what) => [name, what, args] as const),
    ),
  )('is in no line of %s, where it finds %s', async (_name, what, args) => {
    store.remove('/map.json');
    if (what !== 'nothing') {
      store.put('/map.json', JSON.stringify(what === 'a good map' ? GOOD : FAULTY));
    }
    for (const url of [store.url, store.url.replace('https', 'HTTPS')]) {
      const asked = store.requests.length;
      const command = args(`${url}/map.json?sig=${TOKEN}`);
      const { stdout, stderr } = await runProgram([...command, '--config', config]);
      expect(stdout + stderr).not.toContain(TOKEN);
      expect(store.requests.length).toBeGreaterThan(asked);
    }
  });
});
