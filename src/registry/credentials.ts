import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RewriterError } from '../core/errors.ts';
import { isRecord, parseJson } from '../core/json-value.ts';
import { DOCKER_HUB, HUB_ALIASES, normaliseRegistry } from '../core/reference.ts';
import { readText } from '../files/text-file.ts';

/** Who asks a registry. */
export type Credential =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  /** An OAuth refresh token, for which a token service gives others. */
  | { readonly kind: 'identity'; readonly token: string }
  /** What the registry itself takes. */
  | { readonly kind: 'bearer'; readonly token: string };

/** Milliseconds for a credential helper, which may ask a cloud. */
const HELPER_TIMEOUT = 30_000;
/** Under which name tools keep what they know of Docker Hub. */
const HUB_KEY = 'https://index.docker.io/v1/';
/** The user that credential helpers name with an identity token. */
const TOKEN_USER = '<token>';

interface HelperFailure {
  /** Its exit code, the error of the system that it could not be run for, or null where it was killed. */
  readonly code: string | number | null;
  readonly stdout?: string;
  readonly stderr?: string;
}

interface AuthFile {
  readonly path: string;
  /** By name of a registry, or of a part of it; the key is what stands in the file. */
  readonly entries: ReadonlyMap<string, { readonly key: string; readonly entry: unknown }>;
  readonly credHelpers: unknown;
  readonly credsStore: unknown;
}

/** Credentials as `docker login`, `podman login` and Secrets of type dockerconfigjson keep them. */
export class Credentials {
  readonly #files: readonly AuthFile[];
  readonly #env: NodeJS.ProcessEnv;
  /** By registry: what a helper said, since it may ask a cloud each time. */
  readonly #helped = new Map<string, Promise<Credential | undefined>>();

  private constructor(files: readonly AuthFile[], env: NodeJS.ProcessEnv) {
    this.#files = files;
    this.#env = env;
  }

  /**
   * Reads `file`, or else what there is of the files that Podman and Docker read. Throws
   * `TARGET_CREDENTIALS_INVALID` where one that is named cannot be used.
   */
  static async read(file: string | undefined, env: NodeJS.ProcessEnv): Promise<Credentials> {
    const named = file ?? env.REGISTRY_AUTH_FILE;
    if (named) {
      return new Credentials([await readAuthFile(named)], env);
    }
    const files: AuthFile[] = [];
    for (const path of usualFiles(env)) {
      const found = await readAuthFile(path).catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      files.push(...(found === undefined ? [] : [found]));
    }
    return new Credentials(files, env);
  }

  /** Those of the longest name that covers the repository, or undefined: then it is asked as anybody. */
  async find(registry: string, path: string): Promise<Credential | undefined> {
    for (const file of this.#files) {
      const found =
        (await this.#askOnce(helperOf(file.credHelpers, registry), registry)) ??
        entryOf(file, `${registry}/${path}`) ??
        (await this.#askOnce(helperName(file.credsStore), registry));
      if (found !== undefined) {
        return found;
      }
    }
    return undefined;
  }

  #askOnce(
    helper: string | undefined,
    registry: string,
  ): Promise<Credential | undefined> | undefined {
    if (helper === undefined) {
      return undefined;
    }
    const key = `${helper} ${registry}`;
    const answer = this.#helped.get(key) ?? this.#ask(helper, registry);
    this.#helped.set(key, answer);
    return answer;
  }

  async #ask(helper: string, registry: string): Promise<Credential | undefined> {
    const asked = registry === DOCKER_HUB ? HUB_KEY : registry;
    const answer = parseJson(await this.#run(helper, asked));
    if (!isRecord(answer) || typeof answer.Secret !== 'string' || answer.Secret === '') {
      return undefined;
    }
    const { Username: user, Secret: secret } = answer;
    return user === TOKEN_USER
      ? { kind: 'identity', token: secret }
      : { kind: 'password', user: typeof user === 'string' ? user : '', password: secret };
  }

  /** What it prints; nothing where it knows nothing, which it tells by failing with these words. */
  async #run(helper: string, asked: string): Promise<string> {
    const program = `docker-credential-${helper}`;
    try {
      const running = promisify(execFile)(program, ['get'], {
        env: this.#env,
        timeout: HELPER_TIMEOUT,
        killSignal: 'SIGKILL',
      });
      // One that ends before it has read its input.
      running.child.stdin?.on('error', () => undefined);
      running.child.stdin?.end(asked);
      return (await running).stdout;
    } catch (error) {
      const { code, stdout, stderr } = error as HelperFailure;
      if (/credentials not found/i.test(`${stdout ?? ''}${stderr ?? ''}`)) {
        return '';
      }
      // What it says may hold a secret.
      const how =
        code === null ? `gave no answer in ${HELPER_TIMEOUT / 1000} s` : `failed (${code})`;
      throw invalid(`the credential helper ${program} ${how} when asked for ${asked}`, error);
    }
  }
}

/** See containers-auth.json(5), and `docker login`; an empty variable is none. */
function usualFiles(env: NodeJS.ProcessEnv): string[] {
  const folder = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const home = folder('HOME') ?? homedir();
  const runtime = folder('XDG_RUNTIME_DIR');
  return [
    runtime === undefined
      ? `/run/containers/${uid()}/auth.json`
      : join(runtime, 'containers', 'auth.json'),
    join(folder('XDG_CONFIG_HOME') ?? join(home, '.config'), 'containers', 'auth.json'),
    join(folder('DOCKER_CONFIG') ?? join(home, '.docker'), 'config.json'),
  ];
}

/** Windows has none. */
function uid(): number {
  return process.getuid?.() ?? 0;
}

async function readAuthFile(path: string): Promise<AuthFile> {
  const what = 'the file of registry credentials';
  const text = await readText(path, what, 'TARGET_CREDENTIALS_INVALID');
  // The message of a JSON error would quote the text, which holds secrets.
  const content = parseJson(text);
  if (!isRecord(content)) {
    throw invalid(
      `the file of registry credentials ${path} is no JSON object such as {"auths": {…}}`,
    );
  }
  const { auths, credHelpers, credsStore } = content;
  const entries = Object.entries(isRecord(auths) ? auths : {});
  return {
    path,
    entries: new Map(entries.map(([key, entry]) => [nameOf(key), { key, entry }])),
    credHelpers,
    credsStore,
  };
}

function isMissing(error: unknown): boolean {
  const cause = error instanceof RewriterError ? error.cause : undefined;
  return ['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** The entry for the whole path, for a part of it, or for the registry: Podman has all of them. */
function entryOf({ path, entries }: AuthFile, repository: string): Credential | undefined {
  let name = repository;
  for (;;) {
    const found = entries.get(name);
    const credential = found && credentialOf(found.entry, `${path}, ${found.key}`);
    const slash = name.lastIndexOf('/');
    if (credential !== undefined || slash < 0) {
      return credential;
    }
    name = name.slice(0, slash);
  }
}

/** `https://host/v1/` and `host` are one; Docker Hub has several names. */
function nameOf(key: string): string {
  const name = key.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
  const [registry = '', ...rest] = name.split('/');
  return [normaliseRegistry(registry), ...rest].join('/');
}

/** Docker leaves an empty entry where a helper keeps the credentials. */
function credentialOf(entry: unknown, where: string): Credential | undefined {
  if (!isRecord(entry)) {
    return undefined;
  }
  const text = (key: string): string => (typeof entry[key] === 'string' ? entry[key] : '');
  if (text('identitytoken') !== '') {
    return { kind: 'identity', token: text('identitytoken') };
  }
  if (text('registrytoken') !== '') {
    return { kind: 'bearer', token: text('registrytoken') };
  }
  if (text('auth') !== '') {
    const decoded = Buffer.from(text('auth'), 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    if (colon < 0) {
      throw invalid(`"auth" of ${where} is not the Base64 of user:password`);
    }
    const [user, password] = [decoded.slice(0, colon), decoded.slice(colon + 1)];
    // Some tools pad what they encode.
    return { kind: 'password', user, password: password.replace(/\0+$/, '') };
  }
  return text('username') === ''
    ? undefined
    : { kind: 'password', user: text('username'), password: text('password') };
}

/** The helper that a file names for one registry, under any of its names. */
function helperOf(helpers: unknown, registry: string): string | undefined {
  if (!isRecord(helpers)) {
    return undefined;
  }
  const names = registry === DOCKER_HUB ? [registry, HUB_KEY, ...HUB_ALIASES] : [registry];
  return helperName(names.map((name) => helpers[name]).find((each) => each !== undefined));
}

/** It becomes the name of a program. */
function helperName(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w.-]+$/.test(value) ? value : undefined;
}

function invalid(message: string, cause?: unknown): RewriterError {
  return new RewriterError('TARGET_CREDENTIALS_INVALID', message, { cause });
}
