import { createHash } from 'node:crypto';
import { RewriterError } from '../core/errors.ts';
import { type ImageManifest, readManifest } from '../core/image-manifest.ts';
import { isRecord, parseJson } from '../core/json-value.ts';
import { algorithmOf, DOCKER_HUB, type Reference } from '../core/reference.ts';
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
/** After so many refusals in a row credentials are not sent any more: directories lock who fails too often. */
const MOST_REFUSALS = 3;
const CLIENT_ID = 'sdr-image-rewriter';
const USUAL_ALGORITHM = 'sha256';

export type Repository = Pick<Reference, 'registry' | 'path'>;

export interface ClientSettings {
  readonly caller: HttpCaller;
  readonly credentials: Credentials;
  /** Registries that speak HTTP without TLS. */
  readonly plainHttp: ReadonlySet<string>;
}

/**
 * Reads from registries by the OCI distribution specification
 * (https://github.com/opencontainers/distribution-spec). Throws `TARGET_ACCESS_DENIED` where a registry
 * wants other credentials, `TARGET_CREDENTIALS_INVALID` where those that there are cannot be used, and
 * `TARGET_REGISTRY_FAILED` where it gives no answer to go on with.
 */
export class RegistryClient {
  readonly #caller: HttpCaller;
  readonly #credentials: Credentials;
  readonly #plainHttp: ReadonlySet<string>;
  /** By repository: what lets read it. One that is asked for is waited for, not asked for again. */
  readonly #authorizations = new Map<string, Promise<string | undefined>>();
  /** By registry and user: refusals since something was let read. */
  readonly #refusals = new Map<string, number>();

  constructor({ caller, credentials, plainHttp }: ClientSettings) {
    this.#caller = caller;
    this.#credentials = credentials;
    this.#plainHttp = plainHttp;
  }

  /** The digest, by this algorithm, of what a tag or digest stands for; undefined where there is nothing. */
  async digestOf(
    repository: Repository,
    reference: string,
    algorithm = USUAL_ALGORITHM,
  ): Promise<string | undefined> {
    const what = `manifests/${reference}`;
    const answer = await this.#read(repository, what, 'HEAD');
    if (answer === undefined) {
      return undefined;
    }
    const digest = answer.headers['docker-content-digest'];
    if (typeof digest === 'string' && digest.startsWith(`${algorithm}:`)) {
      return digest;
    }
    // Not every registry names it, and none names it by two algorithms.
    const whole = await this.#read(repository, what, 'GET');
    if (whole === undefined) {
      return undefined;
    }
    manifestOf(whole);
    return hashOf(algorithm, whole.bytes);
  }

  /** The manifest or index itself; undefined where there is none. Behind a digest it has that very digest. */
  async manifest(repository: Repository, reference: string): Promise<ImageManifest | undefined> {
    const answer = await this.#read(repository, `manifests/${reference}`, 'GET');
    if (answer === undefined) {
      return undefined;
    }
    if (reference.includes(':')) {
      checkDigest(answer, reference);
    }
    return manifestOf(answer);
  }

  /** A small blob such as the configuration of an image; undefined where there is none. */
  async blob(repository: Repository, digest: string): Promise<string | undefined> {
    const answer = await this.#read(repository, `blobs/${digest}`, 'GET');
    if (answer === undefined) {
      return undefined;
    }
    checkDigest(answer, digest);
    return answer.bytes.toString('utf8');
  }

  /** Whether there is a repository of this name, with a tag at least. */
  async hasTags(repository: Repository): Promise<boolean> {
    const answer = await this.#read(repository, 'tags/list?n=1', 'GET');
    if (answer === undefined) {
      return false;
    }
    const body = parseJson(answer.bytes.toString('utf8'));
    if (!isRecord(body) || !('tags' in body)) {
      throw failed(`${place(answer.url)} answers with what is no list of tags`);
    }
    return Array.isArray(body.tags) && body.tags.length > 0;
  }

  async #read(
    repository: Repository,
    what: string,
    method: 'GET' | 'HEAD',
  ): Promise<Answer | undefined> {
    const url = this.#url(repository, what);
    const credential = await this.#credentials.find(repository.registry, repository.path);
    const user = `${repository.registry} ${userOf(credential)}`;
    const refusals = this.#refusals.get(user) ?? 0;
    if (refusals >= MOST_REFUSALS) {
      const message = `${repository.registry} refused ${userOf(credential)} ${refusals} times in a row, and is not asked again`;
      throw denied(message);
    }
    try {
      const answer = await this.#authorized(repository, credential, url, method);
      if (answer.status !== 200 && answer.status !== 404) {
        throw answer.status === 401 || answer.status === 403
          ? deniedBy(answer, credential)
          : failed(`${place(answer.url)} answers ${answer.status}`);
      }
      this.#refusals.delete(user);
      return answer.status === 200 ? answer : undefined;
    } catch (error) {
      const isRefusal = error instanceof RewriterError && error.code === 'TARGET_ACCESS_DENIED';
      if (isRefusal && credential !== undefined) {
        this.#refusals.set(user, refusals + 1);
      }
      throw error;
    }
  }

  async #authorized(
    repository: Repository,
    credential: Credential | undefined,
    url: URL,
    method: 'GET' | 'HEAD',
  ): Promise<Answer> {
    const key = `${repository.registry}/${repository.path}`;
    const used = this.#authorizations.get(key);
    const sent = await used;
    const answer = await this.#send(url, method, sent);
    const header = answer.headers['www-authenticate'];
    // A store that the registry redirects to must not say where its credentials go.
    const isAsked = answer.url.origin === url.origin && header !== undefined;
    if (answer.status !== 401 || !isAsked) {
      return answer;
    }
    const present = this.#authorizations.get(key);
    // Another one may have got a new one meanwhile.
    const next =
      present === undefined || present === used
        ? this.#answerTo(parseChallenges(header), repository, credential)
        : present;
    this.#authorizations.set(key, next);
    // Whoever waits for it is told; the next one tries again.
    next.catch(() => this.#authorizations.delete(key));
    const authorization = await next;
    return authorization === undefined || authorization === sent
      ? answer
      : this.#send(url, method, authorization);
  }

  #send(url: URL, method: Call['method'], authorization: string | undefined): Promise<Answer> {
    const headers = {
      'user-agent': CLIENT_ID,
      accept: url.pathname.includes('/manifests/') ? MANIFEST_TYPES : '*/*',
    };
    return this.#caller.call(url, { method, headers, authorization, maxBytes: MANIFEST_LIMIT });
  }

  /** The header that answers the challenges; undefined where there are no credentials to answer with. */
  async #answerTo(
    challenges: readonly Challenge[],
    repository: Repository,
    credential: Credential | undefined,
  ): Promise<string | undefined> {
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
      throw deniedBy(answer, credential);
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
      headers,
      authorization: credential?.kind === 'password' ? basic(credential) : undefined,
      maxBytes: TOKEN_LIMIT,
    });
  }

  #url({ registry, path }: Repository, what: string): URL {
    const scheme = this.#plainHttp.has(registry) ? 'http' : 'https';
    const host = registry === DOCKER_HUB ? HUB_HOST : registry;
    const url = URL.parse(`${scheme}://${host}/v2/${path}/${what}`);
    if (url === null) {
      throw failed(`${registry} is no host that can be asked, such as one with a port over 65535`);
    }
    return url;
  }
}

/** What an answer holds, unless it is a page of something that is no registry. */
function manifestOf({ bytes, url }: Answer): ImageManifest {
  const manifest = readManifest(bytes.toString('utf8'));
  if (manifest === undefined) {
    throw failed(`${place(url)} answers with what is no image that runtimes pull`);
  }
  return manifest;
}

function checkDigest({ bytes, url }: Answer, digest: string): void {
  const found = hashOf(algorithmOf(digest), bytes);
  if (found !== digest) {
    throw failed(`${place(url)} answers with other bytes, of ${found}`);
  }
}

function hashOf(algorithm: string, bytes: Uint8Array): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

function basic({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function userOf(credential: Credential | undefined): string {
  return credential?.kind === 'password' ? `the user ${credential.user}` : 'its token';
}

/** Many registries say the same of what they do not have. */
function deniedBy({ url, status }: Answer, credential: Credential | undefined): RewriterError {
  const who = credential === undefined ? 'one who asks without credentials' : userOf(credential);
  return denied(
    `${place(url)} answers ${status} to ${who}: it may not read this, or there is no such repository`,
  );
}

function denied(message: string): RewriterError {
  return new RewriterError('TARGET_ACCESS_DENIED', message);
}
