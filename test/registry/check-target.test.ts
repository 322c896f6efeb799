import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ServerResponse } from 'node:http';
import { isInvalid } from '../../src/core/errors.ts';
import type { MapTarget } from '../../src/core/map-targets.ts';
import { parseReference } from '../../src/core/reference.ts';
import { checkTarget } from '../../src/registry/check-target.ts';
import { Credentials } from '../../src/registry/credentials.ts';
import { HttpCaller } from '../../src/registry/http-caller.ts';
import { RegistryClient } from '../../src/registry/registry-client.ts';
import { createAuthority } from '../support/certificates.ts';
import { acceptCoreErrors } from '../support/core-errors.ts';
import { digestOf } from '../support/digests.ts';
import { FakeRegistry, IMAGE_TYPE, INDEX_TYPE } from '../support/fake-registry.ts';
import { Workspace } from '../support/workspace.ts';

/** Milliseconds: for what answers, however slow the machine is, and for what never does. */
const LONG = 30_000;
const SHORT = 1000;
const PATH = '$.images[0].target';

let registry: FakeRegistry;
let workspace: Workspace;
const callers: HttpCaller[] = [];

beforeEach(async () => {
  registry = await FakeRegistry.start();
  workspace = await Workspace.create();
});
afterEach(async () => {
  for (const caller of callers.splice(0)) caller.close();
  await registry[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

/** A client of the registry, with the entry of a file of credentials where one is given. */
async function clientOf(
  auth?: object,
  {
    ca,
    plainHttp = [registry.host],
    timeout = LONG,
  }: { ca?: string; plainHttp?: string[]; timeout?: number } = {},
): Promise<RegistryClient> {
  const auths = auth === undefined ? {} : { [registry.host]: auth };
  const file = await workspace.write('auth.json', JSON.stringify({ auths }));
  const credentials = await Credentials.read(file, {});
  const caller = new HttpCaller({ ca, env: {}, timeout });
  callers.push(caller);
  return new RegistryClient({ caller, credentials, plainHttp: new Set(plainHttp) });
}

function targetOf(
  text: string,
  { kind = 'image', platforms = [] }: Partial<Pick<MapTarget, 'kind' | 'platforms'>> = {},
  host = registry.host,
): MapTarget {
  const reference = parseReference(`${host}/${text}`);
  if (isInvalid(reference)) throw new Error(reference.message);
  return { kind, reference, platforms, path: PATH };
}

/** `CODE message` of every fault. */
async function faultsOf(target: MapTarget, client?: RegistryClient): Promise<string[]> {
  const faults = await checkTarget(target, client ?? (await clientOf()));
  expect(faults.every(({ path }) => path === PATH)).toBe(true);
  return faults.map(({ code, message }) => `${code} ${message}`);
}

/** Answers so many requests in this way, and those after them as usual. */
function answerFirst(count: number, answer: (response: ServerResponse) => void): void {
  let left = count;
  registry.intercept = (_, response) => {
    if (left === 0) return undefined;
    left -= 1;
    answer(response);
    return true;
  };
}

describe('an image target', () => {
  it('is good where its tag, or its digest, or both are in the registry', async () => {
    const digest = registry.putImage('team/app', '1');
    expect(await faultsOf(targetOf('team/app:1'))).toEqual([]);
    expect(await faultsOf(targetOf(`team/app@${digest}`))).toEqual([]);
    expect(await faultsOf(targetOf(`team/app:1@${digest}`))).toEqual([]);
    expect(registry.requests.every(({ method }) => method === 'HEAD')).toBe(true);
  });

  it.each(['team/app:2', `team/app@${digestOf('a')}`, `team/app:1@${digestOf('a')}`, 'other:1'])(
    'is missing as %s where the registry has another one',
    async (text) => {
      registry.putImage('team/app', '1');
      const [fault, ...rest] = await faultsOf(targetOf(text));
      expect(fault).toBe(`TARGET_MISSING the registry has no ${registry.host}/${text}`);
      expect(rest).toEqual([]);
    },
  );

  it('without a tag is the one that is tagged latest', async () => {
    registry.putImage('team/app', 'latest');
    expect(await faultsOf(targetOf('team/app'))).toEqual([]);
  });

  it('is at fault where its tag stands for another digest, or is gone', async () => {
    const old = registry.putImage('team/app', '1');
    const moved = registry.putImage('team/app', '1', 'linux/arm64');
    const target = targetOf(`team/app:1@${old}`);
    expect(await faultsOf(target)).toEqual([
      expect.stringMatching(new RegExp(`^TARGET_TAG_MOVED .*its tag stands for ${moved}$`)),
    ]);
    registry.remove('team/app', '1');
    expect(await faultsOf(target)).toEqual([
      expect.stringMatching(/^TARGET_TAG_MOVED .*its tag is not there$/),
    ]);
  });

  it('with a digest of another algorithm than the registry names is judged by its bytes', async () => {
    registry.putImage('team/app', '1');
    const bytes = registry.bytesAt('team/app', '1');
    const digest = `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
    registry.alias('team/app', digest, '1');
    expect(await faultsOf(targetOf(`team/app:1@${digest}`))).toEqual([]);
    registry.putImage('team/app', '1', 'linux/arm64');
    expect(await faultsOf(targetOf(`team/app:1@${digest}`))).toEqual([
      expect.stringContaining('TARGET_TAG_MOVED'),
    ]);
  });

  it('is judged by the bytes where answers name no digest', async () => {
    registry.namesDigests = false;
    const digest = registry.putImage('team/app', '1');
    expect(await faultsOf(targetOf(`team/app:1@${digest}`))).toEqual([]);
    registry.putImage('team/app', '1', 'linux/arm64');
    expect(await faultsOf(targetOf(`team/app:1@${digest}`))).toEqual([
      expect.stringContaining('TARGET_TAG_MOVED'),
    ]);
  });

  it('is at fault where the bytes are not those of its digest', async () => {
    registry.putImage('team/app', '1');
    registry.intercept = ({ method }, response) => {
      if (method !== 'GET') return undefined;
      response.end('{"schemaVersion":2,"manifests":[]}');
      return true;
    };
    const target = targetOf(`team/app@${digestOf('a')}`, { platforms: ['linux/amd64'] });
    expect(await faultsOf(target)).toEqual([
      expect.stringMatching(/^TARGET_REGISTRY_FAILED .*answers with other bytes, of sha256:/),
    ]);
  });
});

describe('the platforms of a target', () => {
  it('are those that an index lists', async () => {
    const digest = registry.putIndex('team/app', '1', ['linux/amd64', 'linux/arm/v7']);
    const has = (...platforms: string[]) =>
      faultsOf(targetOf(`team/app:1@${digest}`, { platforms }));
    expect(await has('linux/amd64', 'linux/arm/v7', 'linux/arm')).toEqual([]);
    expect(await has('linux/s390x')).toEqual([
      `TARGET_PLATFORM_MISSING ${registry.host}/team/app:1@${digest} has no image for linux/s390x in the registry; it has linux/amd64, linux/arm/v7`,
    ]);
  });

  it('is the one of its configuration where it is a single image', async () => {
    registry.putImage('team/app', '1', 'linux/arm64');
    const has = (platform: string) => faultsOf(targetOf('team/app:1', { platforms: [platform] }));
    expect(await has('linux/arm64')).toEqual([]);
    expect(await has('linux/amd64')).toEqual([expect.stringContaining('it has linux/arm64')]);
  });

  it('are missing where an index was copied whole, and the images of it in part', async () => {
    registry.putIndex('team/app', '1', ['linux/amd64', 'linux/arm64']);
    registry.remove('team/app', registry.putImage('team/app', undefined, 'linux/arm64'));
    const platforms = ['linux/amd64', 'linux/arm64'];
    expect(await faultsOf(targetOf('team/app:1', { platforms }))).toEqual([
      `TARGET_PLATFORM_MISSING ${registry.host}/team/app:1 has no image for linux/arm64 in the registry; it has linux/amd64`,
    ]);
  });

  it('are there where one of several images for them is', async () => {
    registry.putIndex('team/app', '1', ['linux/arm/v6', 'linux/arm/v7']);
    registry.remove('team/app', registry.putImage('team/app', undefined, 'linux/arm/v6'));
    expect(await faultsOf(targetOf('team/app:1', { platforms: ['linux/arm'] }))).toEqual([]);
  });

  it('are read from the images where an index does not name them', async () => {
    const digest = registry.putImage('team/app', undefined, 'linux/arm64');
    registry.putManifest('team/app', '1', INDEX_TYPE, {
      schemaVersion: 2,
      manifests: [{ digest }],
    });
    const has = (platform: string) => faultsOf(targetOf('team/app:1', { platforms: [platform] }));
    expect(await has('linux/arm64')).toEqual([]);
    expect(await has('linux/amd64')).toEqual([expect.stringContaining('it has linux/arm64')]);
  });

  it('cannot be told where the configuration of an image was not copied', async () => {
    const configDigest = digestOf('c');
    registry.putManifest('team/app', '1', IMAGE_TYPE, {
      schemaVersion: 2,
      config: { digest: configDigest },
    });
    expect(await faultsOf(targetOf('team/app:1', { platforms: ['linux/amd64'] }))).toEqual([
      `TARGET_MISSING ${registry.host}/team/app:1 is there, but the registry has no ${configDigest}, its configuration`,
    ]);
  });
});

describe('what is no registry', () => {
  it.each([
    ['image', 'answers with what is no image that runtimes pull'],
    ['repository', 'answers with what is no list of tags'],
  ] as const)('has no %s, though it answers everything with 200', async (kind, message) => {
    registry.intercept = (_, response) => {
      response.end('<html>sign in</html>');
      return true;
    };
    expect(await faultsOf(targetOf('team/app', { kind }))).toEqual([
      expect.stringMatching(new RegExp(`^TARGET_REGISTRY_FAILED .*${message}$`)),
    ]);
  });

  it('has a form of images that runtimes do not pull any more', async () => {
    registry.putManifest('team/app', '1', IMAGE_TYPE, '{"schemaVersion":1}');
    expect(await faultsOf(targetOf('team/app:1', { platforms: ['linux/amd64'] }))).toEqual([
      expect.stringContaining('answers with what is no image that runtimes pull'),
    ]);
  });

  it('may have a name that is no host', async () => {
    expect(await faultsOf(targetOf('team/app:1', {}, 'registry.example:99999'))).toEqual([
      expect.stringMatching(/^TARGET_REGISTRY_FAILED registry\.example:99999 is no host/),
    ]);
  });
});

describe('a repository target', () => {
  it('is good where there is a repository of its name', async () => {
    registry.putImage('team/app', '1');
    expect(await faultsOf(targetOf('team/app', { kind: 'repository' }))).toEqual([]);
    expect(await faultsOf(targetOf('team/none', { kind: 'repository' }))).toEqual([
      `TARGET_MISSING the registry has no repository ${registry.host}/team/none, or no tag in it`,
    ]);
    registry.putImage('team/empty', undefined);
    expect(await faultsOf(targetOf('team/empty', { kind: 'repository' }))).toEqual([
      expect.stringContaining('TARGET_MISSING'),
    ]);
  });
});

describe('a registry that lets not everybody read', () => {
  const auth = { auth: Buffer.from('ada:secret').toString('base64') };

  it('gets user and password where it asks for them', async () => {
    registry.access = { kind: 'basic', user: 'ada', password: 'secret' };
    registry.putImage('team/app', '1');
    expect(await faultsOf(targetOf('team/app:1'), await clientOf(auth))).toEqual([]);
  });

  it.each([
    ['of a user', { kind: 'token', user: 'ada', password: 'secret' } as const, auth],
    ['of anybody', { kind: 'token' } as const, undefined],
    [
      'for an identity token',
      { kind: 'identity', refreshToken: 'r' } as const,
      { identitytoken: 'r' },
    ],
  ])('gets a token %s, one for each repository', async (_, access, entry) => {
    registry.access = access;
    const client = await clientOf(entry);
    for (const name of ['team/a', 'team/b']) {
      registry.putImage(name, '1');
      registry.putImage(name, '2');
    }
    const targets = ['team/a:1', 'team/a:2', 'team/b:1', 'team/b:2'].map((each) => targetOf(each));
    for (const target of targets) {
      expect(await faultsOf(target, client)).toEqual([]);
    }
    const asked = registry.requests.map(({ path }) => path).filter((path) => path === '/token');
    expect(asked).toHaveLength(2);
  });

  it('is asked for one token where many ask at one time', async () => {
    registry.access = { kind: 'token' };
    registry.putImage('team/app', '1');
    const client = await clientOf();
    const all = Array.from({ length: 10 }, () => faultsOf(targetOf('team/app:1'), client));
    expect((await Promise.all(all)).flat()).toEqual([]);
    expect(registry.requests.filter(({ path }) => path === '/token')).toHaveLength(1);
  });

  it('is asked for another token where one is not good any more', async () => {
    registry.access = { kind: 'token' };
    registry.putImage('team/app', '1');
    const client = await clientOf();
    expect(await faultsOf(targetOf('team/app:1'), client)).toEqual([]);
    registry.forgetTokens();
    expect(await faultsOf(targetOf('team/app:1'), client)).toEqual([]);
  });

  it.each([
    ['one who asks without credentials', undefined],
    ['the user ada', { auth: Buffer.from('ada:wrong').toString('base64') }],
  ])('refuses %s, and no secret is shown', async (who, entry) => {
    registry.access = { kind: 'basic', user: 'ada', password: 'secret' };
    registry.putImage('team/app', '1');
    const [fault] = await faultsOf(targetOf('team/app:1'), await clientOf(entry));
    expect(fault).toMatch(
      /^TARGET_ACCESS_DENIED http:.* answers 401 to .*: it may not read this, or there is no such repository$/,
    );
    expect(fault).toContain(who);
    expect(fault).not.toMatch(/wrong|YWRh/);
  });

  it('may have a token service that refuses', async () => {
    registry.access = { kind: 'token', user: 'ada', password: 'secret' };
    registry.putImage('team/app', '1');
    expect(await faultsOf(targetOf('team/app:1'))).toEqual([
      `TARGET_ACCESS_DENIED http://${registry.host}/token answers 401 to one who asks without credentials: it may not read this, or there is no such repository`,
    ]);
  });

  it('is not sent a wrong password again and again', async () => {
    const wrong = { auth: Buffer.from('ada:wrong').toString('base64') };
    for (const access of [
      { kind: 'basic', user: 'ada', password: 'secret' },
      { kind: 'token', user: 'ada', password: 'secret' },
    ] as const) {
      registry.access = access;
      registry.requests.length = 0;
      const client = await clientOf(wrong);
      for (let number = 0; number < 6; number += 1) {
        const [fault] = await faultsOf(targetOf(`team/app-${number}:1`), client);
        expect(fault).toMatch(/^TARGET_ACCESS_DENIED/);
      }
      const sent = registry.requests.filter(({ authorization }) => authorization !== undefined);
      expect(sent).toHaveLength(3);
    }
  });

  it('gets no credentials where its token service has no TLS', async () => {
    const authority = await createAuthority();
    await using secure = await FakeRegistry.start(await authority.issue('registry'));
    secure.intercept = (_, response) => {
      const realm = `Bearer realm="http://${registry.host}/token",service="test"`;
      response.writeHead(401, { 'www-authenticate': realm }).end();
      return true;
    };
    const client = await clientOf(undefined, { ca: authority.cert, plainHttp: [] });
    const target = targetOf('team/app:1', {}, secure.host);
    expect(await faultsOf(target, client)).toEqual([
      expect.stringMatching(/^TARGET_REGISTRY_FAILED .* as its token service; that must be https:/),
    ]);
    expect(registry.requests).toEqual([]);
  });
});

describe('a registry that is ill', () => {
  acceptCoreErrors();

  it('is asked again after as long as it says', async () => {
    registry.putImage('team/app', '1');
    answerFirst(2, (response) => response.writeHead(429, { 'retry-after': '0' }).end());
    const begun = performance.now();
    expect(await faultsOf(targetOf('team/app:1'))).toEqual([]);
    // By itself it would wait for three.
    expect(performance.now() - begun).toBeLessThan(3000);
  });

  it('is asked again where it breaks off', async () => {
    registry.putImage('team/app', '1');
    answerFirst(1, (response) => response.destroy());
    expect(await faultsOf(targetOf('team/app:1'))).toEqual([]);
  });

  it('fails the target where it stays ill', async () => {
    answerFirst(Infinity, (response) => response.writeHead(503, { 'retry-after': '0' }).end());
    expect(await faultsOf(targetOf('team/app:1'))).toEqual([
      `TARGET_REGISTRY_FAILED http://${registry.host}/v2/team/app/manifests/1 answers 503`,
    ]);
    expect(registry.requests).toHaveLength(4);
  });

  it.each([
    ['do not come', (): true => true],
    [
      'ask for patience',
      (_: unknown, response: ServerResponse): true => {
        response.writeHead(503, { 'retry-after': '0' }).end();
        return true;
      },
    ],
  ])('is given up after three answers in a row that %s', async (_, intercept) => {
    registry.intercept = intercept;
    const client = await clientOf(undefined, { timeout: SHORT });
    for (let times = 0; times < 3; times += 1) {
      expect(await faultsOf(targetOf('team/app:1'), client)).toEqual([
        expect.stringContaining('TARGET_REGISTRY_FAILED'),
      ]);
    }
    const asked = registry.requests.length;
    expect(await faultsOf(targetOf('team/app:2'), client)).toEqual([
      `TARGET_REGISTRY_FAILED ${registry.host} failed 3 times in a row and is not asked again`,
    ]);
    expect(registry.requests).toHaveLength(asked);
  });

  it('is not given up for one hiccup that many see at one time', async () => {
    registry.putImage('team/app', '1');
    const client = await clientOf();
    answerFirst(Infinity, (response) => response.destroy());
    await Promise.all(Array.from({ length: 8 }, () => faultsOf(targetOf('team/app:1'), client)));
    registry.intercept = () => undefined;
    expect(await faultsOf(targetOf('team/app:1'), client)).toEqual([]);
  });

  it('may stall in the middle of a body', async () => {
    registry.intercept = (_, response) => {
      response.writeHead(200).write('{"schemaVersion":2,');
      return true;
    };
    const target = targetOf('team/app:1', { platforms: ['linux/amd64'] });
    expect(await faultsOf(target, await clientOf(undefined, { timeout: SHORT }))).toEqual([
      expect.stringMatching(/^TARGET_REGISTRY_FAILED .* gave no whole answer within 1 s$/),
    ]);
  });

  it('may send a body without end', async () => {
    registry.intercept = (_, response) => {
      response.end(Buffer.alloc(5 * 1024 * 1024, ' '));
      return true;
    };
    expect(await faultsOf(targetOf('team/app:1', { platforms: ['linux/amd64'] }))).toEqual([
      expect.stringMatching(/^TARGET_REGISTRY_FAILED .* answers with more than 4194304 bytes$/),
    ]);
  });

  it('may want to speak another protocol', async () => {
    registry.intercept = (_, { socket }) => {
      socket?.write(
        'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      );
      return true;
    };
    expect(await faultsOf(targetOf('team/app:1'))).toEqual([
      expect.stringMatching(/^TARGET_REGISTRY_FAILED .*the server answered HTTP 101/),
    ]);
  });

  it('cannot be reached: the message names host and cause', async () => {
    const gone = await FakeRegistry.start();
    const { host } = gone;
    await gone[Symbol.asyncDispose]();
    const target = targetOf('team/app:1', {}, host);
    expect(await faultsOf(target)).toEqual([
      `TARGET_REGISTRY_FAILED ${host} cannot be reached (ECONNREFUSED)`,
    ]);
  });

  it('with a certificate of a CA of its own is read with that CA, and else named', async () => {
    const authority = await createAuthority();
    await using secure = await FakeRegistry.start(await authority.issue('registry'));
    secure.putImage('team/app', '1');
    const target = targetOf('team/app:1', {}, secure.host);
    expect(await faultsOf(target, await clientOf(undefined, { ca: authority.cert }))).toEqual([]);
    expect(await faultsOf(target)).toEqual([
      expect.stringMatching(
        /^TARGET_REGISTRY_FAILED there is no TLS with .* give a CA of your own with --ca-file/,
      ),
    ]);
  });
});

describe('a store that a registry redirects to', () => {
  acceptCoreErrors();

  it('gives the bytes, and is not shown the credentials', async () => {
    await using store = await FakeRegistry.start();
    registry.access = { kind: 'basic', user: 'ada', password: 'secret' };
    registry.putImage('team/app', '1', 'linux/arm64');
    store.putImage('team/app', '1', 'linux/arm64');
    registry.intercept = ({ path }, response) => {
      if (!path.includes('/blobs/')) return undefined;
      response.writeHead(307, { location: `http://${store.host}${path}?sig=hush` }).end();
      return true;
    };
    const auth = { auth: Buffer.from('ada:secret').toString('base64') };
    const target = targetOf('team/app:1', { platforms: ['linux/arm64'] });
    expect(await faultsOf(target, await clientOf(auth))).toEqual([]);
    expect(store.requests.map(({ authorization }) => authorization)).toEqual([undefined]);
  });

  it('cannot ask for the credentials of the registry', async () => {
    await using store = await FakeRegistry.start();
    store.access = { kind: 'token', user: 'ada', password: 'secret' };
    registry.intercept = (_, response) => {
      response.writeHead(307, { location: `http://${store.host}/v2/team/app/manifests/1` }).end();
      return true;
    };
    const auth = { auth: Buffer.from('ada:secret').toString('base64') };
    expect(await faultsOf(targetOf('team/app:1'), await clientOf(auth))).toEqual([
      expect.stringMatching(`^TARGET_ACCESS_DENIED http://${store.host}/v2/team/app/manifests/1 `),
    ]);
    expect(store.requests.map(({ path }) => path)).toEqual(['/v2/team/app/manifests/1']);
  });

  it('is named where it is the one that fails', async () => {
    const gone = await FakeRegistry.start();
    const { host } = gone;
    await gone[Symbol.asyncDispose]();
    registry.intercept = (_, response) => {
      response.writeHead(307, { location: `http://${host}/blob` }).end();
      return true;
    };
    expect(await faultsOf(targetOf('team/app:1'))).toEqual([
      `TARGET_REGISTRY_FAILED ${host} cannot be reached (ECONNREFUSED)`,
    ]);
  });

  it('is not followed for ever', async () => {
    registry.intercept = ({ path }, response) => {
      response.writeHead(302, { location: path }).end();
      return true;
    };
    expect(await faultsOf(targetOf('team/app:1'))).toEqual([
      expect.stringMatching(/^TARGET_REGISTRY_FAILED .* redirects more than 5 times$/),
    ]);
  });
});
