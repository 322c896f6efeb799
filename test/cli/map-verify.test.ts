import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FakeRegistry } from '../support/fake-registry.ts';
import { mapDocument } from '../support/maps.ts';
import { type Finished, runProgram } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';

let registry: FakeRegistry;
let workspace: Workspace;
let auth: string;

beforeAll(async () => {
  registry = await FakeRegistry.start();
  workspace = await Workspace.create();
  auth = await workspace.write('auth.json', '{"auths":{}}');
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

async function verify(document: object, ...args: readonly string[]): Promise<Finished> {
  const map = await workspace.write('map.json', JSON.stringify(document));
  const usual = ['--auth-file', auth, '--plain-http', registry.host];
  return runProgram(['map', 'verify', map, ...usual, ...args]);
}

describe('map verify', () => {
  it('finds every target, says how many prefixes it did not look for, and ends with 0', async () => {
    const digest = registry.putIndex('atlan/mysql', '1', ['linux/amd64', 'linux/arm64']);
    registry.putImage('atlan/oracle', '2');
    const document = mapDocument({
      serial: 7,
      images: [
        {
          source: 'docker.io/atlanhq/mysql:1',
          aliases: ['ghcr.io/atlanhq/mysql:1'],
          target: `${registry.host}/atlan/mysql:1@${digest}`,
          platforms: ['linux/amd64', 'linux/arm64'],
        },
      ],
      repositories: [
        { source: 'docker.io/atlanhq/oracle', target: `${registry.host}/atlan/oracle` },
      ],
      prefixes: [{ source: 'docker.io/atlanhq', target: `${registry.host}/atlan` }],
    });
    const { code, stdout, stderr } = await verify(document);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(
      `${workspace.path('map.json')}: good: serial 7, 2 targets found, 1 prefix not looked for\n`,
    );
  });

  it('names each fault with path and code, and ends with 1', async () => {
    registry.putImage('atlan/amd-only', '1');
    const document = mapDocument({
      images: [
        { source: 'docker.io/atlanhq/a:1', target: `${registry.host}/atlan/none:1` },
        { source: 'docker.io/atlanhq/b:1', target: `${registry.host}/atlan/amd-only:1` },
      ],
    });
    const text = await verify(document, '--platform', 'linux/arm64');
    expect(text.code).toBe(1);
    expect(text.stdout.split('\n')).toEqual([
      `${workspace.path('map.json')}: refused: 2 faults in 2 targets`,
      `  fault  $.images[0].target: the registry has no ${registry.host}/atlan/none:1 [TARGET_MISSING]`,
      `  fault  $.images[1].target: ${registry.host}/atlan/amd-only:1 has no image for linux/arm64 in the registry; it has linux/amd64 [TARGET_PLATFORM_MISSING]`,
      '',
    ]);
    const json = await verify(document, '--output', 'json');
    expect(JSON.parse(json.stdout)).toEqual({
      file: workspace.path('map.json'),
      ok: false,
      serial: null,
      targets: 2,
      unchecked: 0,
      faults: [
        {
          code: 'TARGET_MISSING',
          path: '$.images[0].target',
          message: `the registry has no ${registry.host}/atlan/none:1`,
        },
      ],
    });
  });

  it('looks for what the map makes of required images', async () => {
    registry.putImage('atlan/mysql', '9');
    const document = { 'docker.io/atlanhq/': `${registry.host}/atlan/` };
    const { code, stdout } = await verify(
      document,
      '--require',
      'atlanhq/mysql:9',
      'atlanhq/mysql:10',
      'docker.io/library/nginx:1',
    );
    expect(code).toBe(1);
    expect(stdout).toContain(
      'docker.io/library/nginx:1 must have a rule and stays as it is (out-of-scope) [MAP_REQUIRED_MISSING]',
    );
    expect(stdout).toContain(
      `atlanhq/mysql:10: the registry has no ${registry.host}/atlan/mysql:10 [TARGET_MISSING]`,
    );
    expect(stdout).not.toContain('mysql:9');
  });

  it('shows what a registry says of its images, and lets it do nothing to a terminal', async () => {
    registry.putImage('atlan/evil', '1', 'linux\u001b[2J/amd64');
    const document = { 'docker.io/atlanhq/a:1': `${registry.host}/atlan/evil:1` };
    const { code, stdout } = await verify(document, '--platform', 'linux/amd64');
    expect(code).toBe(1);
    expect(stdout).toContain('it has linux\\u001b[2J/amd64');
  });

  it('refuses a map with faults before any registry is asked', async () => {
    const asked = registry.requests.length;
    const { code, stderr } = await verify({ 'docker.io/atlanhq/a:1': `${registry.host}/A` });
    expect(code).toBe(1);
    expect(stderr).toContain('[MAP_REFERENCE_INVALID]');
    expect(registry.requests).toHaveLength(asked);
  });

  it('ends with 2 where the credentials for a target cannot be used', async () => {
    const content = { auths: { [registry.host]: { auth: 'bm9jb2xvbg==' } } };
    const bad = await workspace.write('bad-auth.json', JSON.stringify(content));
    registry.access = { kind: 'basic', user: 'ada', password: 'secret' };
    try {
      const document = { 'docker.io/atlanhq/a:1': `${registry.host}/atlan/mysql:1` };
      const { code, stdout, stderr } = await verify(document, '--auth-file', bad);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toBe(
        `error: "auth" of ${bad}, ${registry.host} is not the Base64 of user:password [TARGET_CREDENTIALS_INVALID]\n`,
      );
    } finally {
      registry.access = { kind: 'open' };
    }
  });

  it.each([
    [['--platform', 'amd64'], '"amd64" is no platform'],
    [['--plain-http', 'http://a.example'], '"http://a.example" is no host'],
    [['--concurrency', '0'], '"0" is no whole number'],
    [['--timeout', '1.5'], '"1.5" is no whole number'],
    [['--auth-file', '/none/auth.json'], '/none/auth.json'],
    [['--ca-file', 'package.json'], '--ca-file package.json holds no certificate'],
  ])('says what is wrong with %j, and ends with 2', async (args, message) => {
    const { code, stdout, stderr } = await verify({}, ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });
});
