import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RewriterError } from '../core/errors.ts';
import { isRecord, parseJson } from '../core/json-path.ts';
import { DOCKER_HUB, type Reference } from '../core/reference.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credential, Credentials } from './credentials.ts';
import { type Answer, type Call, failed, type HttpCaller, place } from './http-caller.ts';

/** What runtimes ask for; a registry may answer with another form where none of them is wanted. */
const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
/** Where the API of Docker Hub is. */
const HUB_HOST = 'registry-1.docker.io';
/** What the specification lets registries refuse, in bytes. */
const MANIFEST_LIMIT = 4 * 1024 * 1024;
const TOKEN_LIMIT = 1024 * 1024;
/** How often a registry that is busy or breaks off is asked again, and the longest pause, in seconds. */
const RETRIES = 3;
const LONGEST_PAUSE = 30;
const BUSY = [429, 500, 502, 503, 504];
/** After so many failures in a row nothing more is asked of a registry: each may take as long as the timeout. */
const PATIENCE = 3;
const CLIENT_ID = 'sdr-image-rewriter';

export type Repository = Pick<Reference, 'registry' | 'path'>;

export interface Content {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface ClientSettings {
  readonly caller: HttpCaller;
  readonly credentials: Credentials;
  /** Registries that speak HTTP without TLS. */
  readonly plainHttp: ReadonlySet<string>;
}

/**
 * Reads from registries by the OCI distribution specification
 * (https://github.com/opencontainers/distribution-spec). Throws `TARGET_ACCESS_DENIED` where a registry
 * wants other credentials, and `TARGET_REGISTRY_FAILED` where it gives no answer to go on with.
 */
export class RegistryClient {
  readonly #caller: HttpCaller;
  readonly #credentials: Credentials;
  readonly #plainHttp: ReadonlySet<string>;
  /** By repository: what registries let read it. One that is asked for is waited for, not asked for again. */
  readonly #authorizations = new Map<string, Promise<string | undefined>>();
  /** By registry: how it wants to be told who asks, once it was heard. */
  readonly #challenges = new Map<string, readonly Challenge[]>();
  readonly #failures = new Map<string, number>();

  constructor({ caller, credentials, plainHttp }: ClientSettings) {
    this.#caller = caller;
    this.#credentials = credentials;
    this.#plainHttp = plainHttp;
  }

  /** The digest of what a tag or digest stands for; undefined where there is nothing. */
  async digestOf(repository: Repository, reference: string): Promise<string | undefined> {
    const answer = await this.#read(repository, `manifests/${reference}`, 'HEAD');
    if (answer === undefined) {
      return undefined;
    }
    const digest = answer.headers['docker-content-digest'];
    // Not every registry names it.
    return typeof digest === 'string'
      ? digest
      : (await this.manifest(repository, reference))?.digest;
  }

  /** The manifest or index itself; undefined where there is none. Its bytes are those of its digest. */
  async manifest(repository: Repository, reference: string): Promise<Content | undefined> {
    return this.#content(repository, `manifests/${reference}`, reference);
  }

  /** A small blob such as the configuration of an image; undefined where there is none. */
  async blob(repository: Repository, digest: string): Promise<Content | undefined> {
    return this.#content(repository, `blobs/${digest}`, digest);
  }

  /** Whether there is a repository of this name. */
  async hasRepository(repository: Repository): Promise<boolean> {
    return (await this.#read(repository, 'tags/list?n=1', 'GET')) !== undefined;
  }

  async #content(
    repository: Repository,
    what: string,
    reference: string,
  ): Promise<Content | undefined> {
    const answer = await this.#read(repository, what, 'GET');
    if (answer === undefined) {
      return undefined;
    }
    const { bytes } = answer;
    const isDigest = reference.includes(':');
    const algorithm = isDigest ? reference.slice(0, reference.indexOf(':')) : 'sha256';
    const digest = `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
    if (isDigest && digest !== reference) {
      throw failed(`${this.#place(repository, what)} answers with other bytes, of ${digest}`);
    }
    return { digest, bytes };
  }

  async #read(
    repository: Repository,
    what: string,
    method: 'GET' | 'HEAD',
  ): Promise<Answer | undefined> {
    const answer = await this.#patiently(repository, () =>
      this.#authorized(repository, this.#url(repository, what), method),
    );
    const { status } = answer;
    if (status === 200) {
      return answer;
    }
    if (status === 404) {
      return undefined;
    }
    const where = this.#place(repository, what);
    if (status === 401 || status === 403) {
      const known = await this.#credentials.find(repository.registry, repository.path);
      const who =
        known === undefined ? 'without credentials' : 'with the credentials that it knows';
      throw denied(`${where} answers ${status} to one who asks ${who}`);
    }
    throw failed(`${where} answers ${status}`);
  }

  /** Asks again while a registry is busy, and not at all where it failed again and again. */
  async #patiently({ registry }: Repository, ask: () => Promise<Answer>): Promise<Answer> {
    if ((this.#failures.get(registry) ?? 0) >= PATIENCE) {
      throw failed(`${registry} failed ${PATIENCE} times in a row and is not asked again`);
    }
    try {
      for (let attempt = 0; ; attempt += 1) {
        const answer = await ask();
        if (!BUSY.includes(answer.status) || attempt === RETRIES) {
          this.#failures.delete(registry);
          return answer;
        }
        await sleep(1000 * pauseAfter(answer, attempt));
      }
    } catch (error) {
      if (error instanceof RewriterError && error.code === 'TARGET_REGISTRY_FAILED') {
        this.#failures.set(registry, (this.#failures.get(registry) ?? 0) + 1);
      }
      throw error;
    }
  }

  async #authorized(repository: Repository, url: URL, method: 'GET' | 'HEAD'): Promise<Answer> {
    const { registry, path } = repository;
    const key = `${registry}/${path}`;
    const challenges = this.#challenges.get(registry);
    if (challenges !== undefined && !this.#authorizations.has(key)) {
      this.#authorize(repository, challenges);
    }
    const used = this.#authorizations.get(key);
    const answer = await this.#send(url, method, await used);
    const header = answer.headers['www-authenticate'];
    if (answer.status !== 401 || header === undefined) {
      return answer;
    }
    const asked = parseChallenges(header);
    this.#challenges.set(registry, asked);
    // Another one may have got a new one meanwhile.
    if (this.#authorizations.get(key) === used) {
      this.#authorize(repository, asked);
    }
    const authorization = await this.#authorizations.get(key);
    return authorization === undefined ? answer : this.#send(url, method, authorization);
  }

  #authorize(repository: Repository, challenges: readonly Challenge[]): void {
    const key = `${repository.registry}/${repository.path}`;
    const authorization = this.#answerTo(challenges, repository);
    this.#authorizations.set(key, authorization);
    // Whoever waits for it is told; the next one tries again.
    authorization.catch(() => this.#authorizations.delete(key));
  }

  #send(url: URL, method: Call['method'], authorization: string | undefined): Promise<Answer> {
    const headers = {
      'user-agent': CLIENT_ID,
      accept: url.pathname.includes('/manifests/') ? MANIFEST_TYPES : '*/*',
      ...(authorization !== undefined && { authorization }),
    };
    return this.#caller.call(url, { method, headers, maxBytes: MANIFEST_LIMIT });
  }

  /** The header that answers the challenges; undefined where there are no credentials to answer with. */
  async #answerTo(
    challenges: readonly Challenge[],
    repository: Repository,
  ): Promise<string | undefined> {
    const credential = await this.#credentials.find(repository.registry, repository.path);
    if (credential?.kind === 'bearer') {
      return `Bearer ${credential.token}`;
    }
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) {
      return `Bearer ${await this.#token(bearer, repository, credential)}`;
    }
    const isBasic = challenges.some(({ scheme }) => scheme === 'basic');
    return isBasic && credential?.kind === 'password' ? basic(credential) : undefined;
  }

  /** Asks the token service; see https://distribution.github.io/distribution/spec/auth/token/. */
  async #token(
    { parameters }: Challenge,
    { registry, path }: Repository,
    credential: Credential | undefined,
  ): Promise<string> {
    const realm = URL.parse(parameters.get('realm') ?? '');
    const isSafe = realm?.protocol === 'https:' || this.#plainHttp.has(registry);
    if (realm === null || !/^https?:$/.test(realm.protocol) || !isSafe) {
      const named = realm === null ? 'no URL' : place(realm);
      throw failed(`${registry} names ${named} as its token service; that must be https://`);
    }
    const service = parameters.get('service');
    const wanted = {
      ...(service !== undefined && { service }),
      scope: `repository:${path}:pull`,
    };
    const answer = await this.#askForToken(realm, wanted, credential);
    if ([400, 401, 403].includes(answer.status)) {
      throw denied(`the token service ${place(realm)} answers ${answer.status} for ${registry}`);
    }
    const body = parseJson(answer.bytes.toString('utf8'));
    const token = isRecord(body) ? (body.token ?? body.access_token) : undefined;
    if (answer.status !== 200 || typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
      throw failed(`the token service ${place(realm)} answers ${answer.status} without a token`);
    }
    return token;
  }

  #askForToken(
    realm: URL,
    wanted: Readonly<Record<string, string>>,
    credential: Credential | undefined,
  ): Promise<Answer> {
    const headers = { 'user-agent': CLIENT_ID, accept: 'application/json' };
    if (credential?.kind === 'identity') {
      const form = {
        ...wanted,
        grant_type: 'refresh_token',
        refresh_token: credential.token,
        client_id: CLIENT_ID,
      };
      return this.#caller.call(realm, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
        maxBytes: TOKEN_LIMIT,
      });
    }
    const url = new URL(realm);
    for (const [name, value] of Object.entries(wanted)) {
      url.searchParams.set(name, value);
    }
    return this.#caller.call(url, {
      method: 'GET',
      headers: {
        ...headers,
        ...(credential?.kind === 'password' && { authorization: basic(credential) }),
      },
      maxBytes: TOKEN_LIMIT,
    });
  }

  #url({ registry, path }: Repository, what: string): URL {
    const scheme = this.#plainHttp.has(registry) ? 'http' : 'https';
    const host = registry === DOCKER_HUB ? HUB_HOST : registry;
    return new URL(`${scheme}://${host}/v2/${path}/${what}`);
  }

  #place(repository: Repository, what: string): string {
    return place(this.#url(repository, what));
  }
}

/** Seconds: as long as the registry says, or longer each time. */
function pauseAfter({ headers }: Answer, attempt: number): number {
  const asked = Number(headers['retry-after'] ?? NaN);
  return asked >= 0 ? Math.min(asked, LONGEST_PAUSE) : 2 ** attempt;
}

function basic({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function denied(message: string): RewriterError {
  return new RewriterError('TARGET_ACCESS_DENIED', message);
}
