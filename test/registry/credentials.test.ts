import { chmod, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Credentials } from '../../src/registry/credentials.ts';
import { Workspace } from '../support/workspace.ts';

let workspace: Workspace;

beforeEach(async () => {
  workspace = await Workspace.create();
});
afterEach(() => workspace[Symbol.asyncDispose]());

const basic = (user: string, password: string): string =>
  Buffer.from(`${user}:${password}`).toString('base64');
const password = (user: string, secret: string) => ({
  kind: 'password',
  user,
  password: secret,
});

async function fileOf(content: object | string): Promise<string> {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  return workspace.write('auth.json', text);
}

async function credentialsOf(content: object): Promise<Credentials> {
  return Credentials.read(await fileOf(content), {});
}

async function writeAt(path: string, content: object): Promise<void> {
  await mkdir(dirname(workspace.path(path)), { recursive: true });
  await workspace.write(path, JSON.stringify(content));
}

describe('credentials in a file', () => {
  it.each([
    ['registry.example', 'registry.example'],
    ['https://registry.example', 'registry.example'],
    ['https://registry.example/v2/', 'registry.example'],
    ['registry.example:5000', 'registry.example:5000'],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['docker.io', 'docker.io'],
  ])('under the name %s are those of %s', async (key, registry) => {
    const credentials = await credentialsOf({ auths: { [key]: { auth: basic('ada', 's:3') } } });
    expect(await credentials.find(registry, 'team/app')).toEqual(password('ada', 's:3'));
    expect(await credentials.find('other.example', 'team/app')).toBeUndefined();
  });

  it.each([
    [{ username: 'ada', password: 'x' }, password('ada', 'x')],
    [{ identitytoken: 'refresh' }, { kind: 'identity', token: 'refresh' }],
    [
      { auth: basic('<token>', ''), identitytoken: 'r' },
      { kind: 'identity', token: 'r' },
    ],
    [{ registrytoken: 'bearer' }, { kind: 'bearer', token: 'bearer' }],
    [{}, undefined],
  ])('may be written as %j', async (entry, credential) => {
    const credentials = await credentialsOf({ auths: { 'registry.example': entry } });
    expect(await credentials.find('registry.example', 'a')).toEqual(credential);
  });

  it('of the longest name that covers the repository are taken', async () => {
    const credentials = await credentialsOf({
      auths: {
        'registry.example': { auth: basic('all', '') },
        'registry.example/team': { auth: basic('team', '') },
        'registry.example/team/app': { auth: basic('app', '') },
      },
    });
    const userOf = async (path: string): Promise<unknown> =>
      credentials.find('registry.example', path);
    expect(await userOf('team/app')).toEqual(password('app', ''));
    expect(await userOf('team/other')).toEqual(password('team', ''));
    expect(await userOf('team2')).toEqual(password('all', ''));
  });

  it.each(['[]', 'null', '{', 'secret'])(
    'are refused where the file holds %s, without quoting it',
    async (content) => {
      const file = await fileOf(content);
      const reading = Credentials.read(file, {});
      await expect(reading).rejects.toMatchObject({ code: 'TARGET_CREDENTIALS_INVALID' });
      await expect(reading).rejects.not.toThrow(/secret/);
    },
  );

  it('are refused where "auth" has no user, and the secret is not shown', async () => {
    const auth = Buffer.from('hush').toString('base64');
    const credentials = await credentialsOf({ auths: { 'registry.example': { auth } } });
    const finding = credentials.find('registry.example', 'a');
    await expect(finding).rejects.toMatchObject({ code: 'TARGET_CREDENTIALS_INVALID' });
    await expect(finding).rejects.toThrow(/auth\.json, registry\.example/);
  });

  it('that is named and not there are a fault', async () => {
    const missing = workspace.path('none.json');
    await expect(Credentials.read(missing, {})).rejects.toMatchObject({
      code: 'TARGET_CREDENTIALS_INVALID',
    });
    await expect(Credentials.read(undefined, { REGISTRY_AUTH_FILE: missing })).rejects.toThrow(
      missing,
    );
  });
});

describe('credentials without a file', () => {
  it('are those of Podman, and then those of Docker', async () => {
    const env = { HOME: workspace.path('home'), XDG_RUNTIME_DIR: workspace.path('run') };
    const auths = (user: string, ...names: string[]): object => ({
      auths: Object.fromEntries(names.map((name) => [name, { auth: basic(user, '') }])),
    });
    await writeAt('run/containers/auth.json', auths('podman', 'a.example'));
    await writeAt('home/.config/containers/auth.json', auths('kept', 'a.example', 'c.example'));
    await writeAt('home/.docker/config.json', auths('docker', 'a.example', 'b.example'));
    const credentials = await Credentials.read(undefined, env);
    expect(await credentials.find('a.example', 'x')).toEqual(password('podman', ''));
    expect(await credentials.find('b.example', 'x')).toEqual(password('docker', ''));
    expect(await credentials.find('c.example', 'x')).toEqual(password('kept', ''));
  });

  it('are not looked for in the current folder where a variable is empty', async () => {
    await writeAt('home/.docker/config.json', { auths: { 'a.example': { auth: basic('u', '') } } });
    const env = { HOME: workspace.path('home'), DOCKER_CONFIG: '', XDG_RUNTIME_DIR: '' };
    const credentials = await Credentials.read(undefined, env);
    expect(await credentials.find('a.example', 'x')).toEqual(password('u', ''));
  });

  it('are none where there is no file', async () => {
    const credentials = await Credentials.read(undefined, { HOME: workspace.path('nobody') });
    expect(await credentials.find('docker.io', 'library/nginx')).toBeUndefined();
  });
});

describe('a credential helper', () => {
  async function helperThat(script: string): Promise<NodeJS.ProcessEnv> {
    const program = await workspace.write(
      'docker-credential-test',
      `#!/bin/sh\nread -r asked\n${script}\n`,
    );
    await chmod(program, 0o755);
    return { PATH: `${workspace.folder}:${process.env.PATH ?? ''}` };
  }

  it('is asked for the registry', async () => {
    const env = await helperThat('printf \'{"Username":"%s","Secret":"s"}\' "$asked"');
    const file = await fileOf({ credHelpers: { 'registry.example': 'test' } });
    const credentials = await Credentials.read(file, env);
    expect(await credentials.find('registry.example', 'a')).toEqual(
      password('registry.example', 's'),
    );
    expect(await credentials.find('other.example', 'a')).toBeUndefined();
  });

  it('knows Docker Hub by its old name, and may give an identity token', async () => {
    const env = await helperThat(
      'test "$asked" = https://index.docker.io/v1/ || { echo credentials not found in native keychain; exit 1; }\nprintf \'{"Username":"<token>","Secret":"t"}\'',
    );
    const credentials = await Credentials.read(
      await fileOf({ auths: { 'https://index.docker.io/v1/': {} }, credsStore: 'test' }),
      env,
    );
    expect(await credentials.find('docker.io', 'library/nginx')).toEqual({
      kind: 'identity',
      token: 't',
    });
    expect(await credentials.find('registry.example', 'a')).toBeUndefined();
  });

  it('that is named for a registry is asked before the entry, and one for all after it', async () => {
    const env = await helperThat('echo \'{"Username":"helper","Secret":"s"}\'');
    const auths = { 'registry.example': { auth: basic('entry', 's') } };
    const find = async (content: object): Promise<unknown> => {
      const credentials = await Credentials.read(await fileOf({ auths, ...content }), env);
      return credentials.find('registry.example', 'a');
    };
    expect(await find({ credHelpers: { 'registry.example': 'test' } })).toEqual(
      password('helper', 's'),
    );
    expect(await find({ credsStore: 'test' })).toEqual(password('entry', 's'));
  });

  it('is run once for a registry', async () => {
    const log = workspace.path('runs');
    const env = await helperThat(`echo run >> ${log}; echo '{"Username":"u","Secret":"s"}'`);
    const credentials = await Credentials.read(await fileOf({ credsStore: 'test' }), env);
    await Promise.all(['a', 'b', 'c'].map((path) => credentials.find('registry.example', path)));
    expect(await readFile(log, 'utf8')).toBe('run\n');
  });

  it('that fails is a fault, and what it says is not shown', async () => {
    const env = await helperThat('echo hush >&2; exit 3');
    const credentials = await Credentials.read(await fileOf({ credsStore: 'test' }), env);
    const finding = credentials.find('registry.example', 'a');
    await expect(finding).rejects.toMatchObject({
      code: 'TARGET_CREDENTIALS_INVALID',
      message:
        'the credential helper docker-credential-test failed (3) when asked for registry.example',
    });
  });

  it('that cannot be run is a fault', async () => {
    const file = await fileOf({ credsStore: 'absent' });
    const credentials = await Credentials.read(file, { PATH: workspace.folder });
    await expect(credentials.find('registry.example', 'a')).rejects.toThrow(
      /docker-credential-absent/,
    );
  });

  it('is not run under a name that is a path', async () => {
    const name = join('..', 'evil');
    const credentials = await credentialsOf({ credsStore: name });
    expect(await credentials.find('registry.example', 'a')).toBeUndefined();
  });
});
