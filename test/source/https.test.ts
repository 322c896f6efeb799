import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseConfig } from '../../src/config/config.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { createSource } from '../../src/source/create-source.ts';
import { createHttpsSource, type HttpsSourceSettings } from '../../src/source/https.ts';
import type { MapSource } from '../../src/source/source.ts';
import { createUrlFileSource } from '../../src/source/url-file.ts';
import { acceptCoreErrors } from '../support/core-errors.ts';
import { type Authority, createAuthority } from '../support/certificates.ts';
import { FaultServer, ForwardProxy, S3_ERRORS, type StoreFault } from '../support/fault-server.ts';
import { Workspace } from '../support/workspace.ts';
import {
  expectRenewedCa,
  etagOf,
  itConforms,
  itKeepsTheLimit,
  refusalOf,
  requestOf,
  SHORT,
  shown,
  type SourceBench,
  STALLS,
} from './conformance.ts';

const PATH = '/maps/image-map.json';
const QUERY = '?sv=2024-11-04&sig=SECRETTOKEN';
const MAP = '{"docker.io/atlanhq/mysql:1":"registry.corp.example/mysql:1"}';

let authority: Authority;
let workspace: Workspace;
let caFile: string;

beforeAll(async () => {
  authority = await createAuthority();
  workspace = await Workspace.create();
  caFile = await workspace.write('ca.crt', authority.cert);
});

afterAll(() => workspace[Symbol.asyncDispose]());

async function startServer(...names: string[]): Promise<FaultServer> {
  return FaultServer.start(await authority.issue('store', names));
}

function sourceAt(
  server: FaultServer,
  overrides: Partial<HttpsSourceSettings> = {},
  query = QUERY,
): MapSource {
  const url = server.url + PATH + query;
  return createHttpsSource(url, { caFile, headersFile: '', env: {}, ...overrides });
}

async function openBench(): Promise<SourceBench> {
  const server = await startServer();
  const put = (path: string, bytes: Uint8Array): Promise<void> => {
    server.heal();
    server.put(path, bytes);
    return Promise.resolve();
  };
  return {
    source: sourceAt(server),
    location: server.url + PATH,
    missing: 'MAP_NOT_FOUND',
    put: (bytes) => put(PATH, bytes),
    putUncounted: async (bytes) => {
      await put(PATH, bytes);
      server.break({ kind: 'no-length' });
    },
    putSignature: (bytes) => put(`${PATH}.sig`, bytes),
    breakSignature: () => {
      server.break(S3_ERRORS.internalError, /\.sig$/);
      return Promise.resolve();
    },
    remove: () => {
      server.remove(PATH);
      return Promise.resolve();
    },
    stall: (where) => {
      const fault = where === 'body' ? 'stall-body' : 'stall-headers';
      server.break({ kind: fault }, where === 'signature' ? /\.sig$/ : /\.json$/);
    },
    signatureReads: () => server.requests.filter(({ path }) => path.endsWith('.sig')).length,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe('a map on a web server', () => {
  acceptCoreErrors();
  itConforms(openBench, STALLS);
  itKeepsTheLimit(openBench);

  const FAULTS: readonly (readonly [ErrorCode, RegExp, StoreFault])[] = [
    ['MAP_TIMEOUT', /imageMap\.timeout/, { kind: 'stall-headers' }],
    ['MAP_TIMEOUT', /imageMap\.timeout/, { kind: 'stall-body' }],
    ['MAP_TIMEOUT', /imageMap\.timeout/, { kind: 'wrong-length' }],
    ['MAP_UNREACHABLE', /cannot be reached/, { kind: 'cut-body' }],
    ['MAP_ACCESS_DENIED', /token/, { kind: 'bare-status', status: 401 }],
    ['MAP_ACCESS_DENIED', /token/, S3_ERRORS.accessDenied],
    ['MAP_NOT_FOUND', /publish a map/, S3_ERRORS.noSuchKey],
    ['MAP_NOT_FOUND', /publish a map/, { kind: 'bare-status', status: 410 }],
    ['MAP_SOURCE_FAILED', /500/, S3_ERRORS.internalError],
    ['MAP_SOURCE_FAILED', /500/, { kind: 'garbage-error' }],
    ['MAP_SOURCE_FAILED', /500/, { kind: 'endless-error', status: 500 }],
    ['MAP_SOURCE_FAILED', /gave nothing before/, { kind: 'not-modified' }],
    ['MAP_SOURCE_FAILED', /503/, S3_ERRORS.slowDown],
    ['MAP_SOURCE_FAILED', /429/, { kind: 'bare-status', status: 429 }],
    ['MAP_SOURCE_FAILED', /204/, { kind: 'bare-status', status: 204 }],
    ['MAP_SOURCE_FAILED', /302/, { kind: 'bare-status', status: 302 }],
    ['MAP_TOO_LARGE', /maxBytes/, { kind: 'huge', announced: true }],
    ['MAP_TOO_LARGE', /maxBytes/, { kind: 'huge', announced: false }],
    ['MAP_ENCODED', /gzip/, { kind: 'gzip-bomb' }],
    ['MAP_ENCODED', /br/, { kind: 'encoding', encoding: 'br' }],
    ['MAP_REDIRECTED', /localhost:1\b/, { kind: 'redirect', location: 'https://localhost:1/m' }],
    ['MAP_REDIRECTED', /http:/, { kind: 'redirect', location: 'http://127.0.0.1:1/m' }],
    ['MAP_REDIRECTED', /more than 3 times/, { kind: 'redirect', location: PATH }],
  ];

  it.each(FAULTS)('says %s with %s for %j, and is read as soon as that passes', async (...row) => {
    const [code, words, fault] = row;
    await using server = await startServer();
    server.put(PATH, MAP);
    const source = sourceAt(server);
    server.break(fault);
    const deadline = code === 'MAP_TIMEOUT' ? { signal: AbortSignal.timeout(SHORT) } : {};
    const refusal = await refusalOf(source.read(requestOf(deadline)));
    expect([refusal.code, refusal.message]).toEqual([code, expect.stringMatching(words)]);
    expect(refusal.message).toContain(server.url + PATH);
    expect(refusal.message).not.toContain('SECRETTOKEN');
    server.heal();
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    await server.drained(1);
  });

  it('hands on what is no map, for the parser to refuse', async () => {
    await using server = await startServer();
    server.break({ kind: 'garbage-map' });
    expect(shown(await sourceAt(server).read(requestOf()))).toMatchObject({
      text: expect.stringContaining('<html>') as unknown,
    });
  });

  it('is read whole where the server does not tell its length', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    server.break({ kind: 'no-length' });
    expect(shown(await sourceAt(server).read(requestOf()))).toMatchObject({ text: MAP });
  });

  it('is read each time, and without a condition, where it has no ETag', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    server.break({ kind: 'no-etag' });
    const source = sourceAt(server);
    const etag = await etagOf(source);
    expect(shown(await source.read(requestOf({ etag })))).toMatchObject({ text: MAP });
    expect(server.requests.at(-1)?.headers).not.toHaveProperty('if-none-match');
  });

  it('is not taken for unchanged where it had no ETag to ask by', async () => {
    await using server = await startServer();
    server.break({ kind: 'not-modified' });
    const refusal = await refusalOf(sourceAt(server).read(requestOf({ etag: '' })));
    expect(refusal.code).toBe('MAP_SOURCE_FAILED');
    expect(refusal.message).toContain('gave nothing before');
  });

  it.each(['identity', 'Identity', ''])('is read where its encoding is %j', async (encoding) => {
    await using server = await startServer();
    server.put(PATH, MAP);
    server.break({ kind: 'encoding', encoding });
    expect(shown(await sourceAt(server).read(requestOf()))).toMatchObject({ text: MAP });
  });

  it('is asked for with its query, its own etag, and uncompressed; the signature with the same query', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    server.put(`${PATH}.sig`, 'signature');
    const source = sourceAt(server);
    const etag = await etagOf(source);
    await source.read(requestOf({ etag }));
    expect(server.requests.at(-1)?.headers).toMatchObject({
      'if-none-match': etag,
      'accept-encoding': 'identity',
    });
    await source.read(requestOf({ signed: true }));
    expect(server.requests.at(-1)?.path).toBe(`${PATH}.sig`);
    expect(server.requests.map(({ query }) => query.get('sig'))).toEqual(
      server.requests.map(() => 'SECRETTOKEN'),
    );
  });

  it.each([
    ['with another query', '?ref=prod', '?ref=test', false],
    ['with a renewed SAS token', '?sv=1&sig=one', '?sv=1&sig=two', true],
    ['with a renewed token of GCS', '?X-Goog-Signature=one', '?X-Goog-Signature=two', true],
    [
      'with a renewed token of CloudFront',
      '?Expires=1&Signature=a',
      '?Expires=2&Signature=b',
      true,
    ],
    ['with a renewed token of GitLab', '?private_token=a', '?private_token=b', true],
    ['of another version, with a token', '?versionId=1&sig=a', '?versionId=2&sig=a', false],
    ['with and without a query', '', '?ref=test', false],
  ])('says whether a URL %s is the same place, and shows no query', (_name, one, other, isSame) => {
    const [first, second] = [one, other].map((query) =>
      createHttpsSource(`https://store.example/map.json${query}`, {
        caFile: '',
        headersFile: '',
        env: {},
      }),
    );
    expect(first?.place === second?.place).toBe(isSame);
    expect(second?.location).toBe('https://store.example/map.json');
    expect(second?.place).not.toMatch(/ref|one|two/);
  });

  it('cannot be reached while connections are refused, and is read again after that', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    const source = sourceAt(server);
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    await server.refuse();
    const refusal = await refusalOf(source.read(requestOf()));
    expect(refusal.code).toBe('MAP_UNREACHABLE');
    expect(refusal.message).not.toContain('SECRETTOKEN');
    await server.listen();
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
  });

  it('cannot be reached at a host without an address', async () => {
    // A label of over 63 characters fails in the resolver itself; nothing is asked of the network.
    const url = `https://${'a'.repeat(64)}.invalid/image-map.json${QUERY}`;
    const source = createHttpsSource(url, { caFile, headersFile: '', env: {} });
    const refusal = await refusalOf(source.read(requestOf()));
    expect(refusal.code).toBe('MAP_UNREACHABLE');
    expect(refusal.message).not.toContain('SECRETTOKEN');
  });

  it('is read with the CA that is set, and with no other', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    const other = await workspace.write('other.crt', (await createAuthority('another')).cert);
    for (const wrong of [other, '', workspace.path('none.crt')]) {
      const refusal = await refusalOf(sourceAt(server, { caFile: wrong }).read(requestOf()));
      expect([wrong, refusal.code]).toEqual([wrong, 'MAP_TLS_FAILED']);
    }
    expect(server.requests).toEqual([]);
  });

  it('is read with the CA that its file holds by then, over no connection made before', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    await expectRenewedCa(server, authority, MAP, (file) => sourceAt(server, { caFile: file }));
  });

  it.each<StoreFault>([
    { kind: 'stall-headers' },
    { kind: 'stall-body' },
    { kind: 'cut-body' },
    { kind: 'huge', announced: true },
    { kind: 'huge', announced: false },
    { kind: 'gzip-bomb' },
    { kind: 'not-modified' },
    { kind: 'garbage-error' },
    { kind: 'endless-error', status: 500 },
    { kind: 'redirect', location: PATH },
    { kind: 'redirect', location: 'https://localhost:1/' },
  ])('piles up no sockets over twenty reads of %j', async (fault) => {
    await using server = await startServer();
    server.put(PATH, MAP);
    const source = sourceAt(server);
    server.break(fault);
    for (let round = 0; round < 20; round += 1) {
      const signal = AbortSignal.timeout(fault.kind.startsWith('stall') ? 50 : 10_000);
      await source.read(requestOf({ signal })).catch(() => undefined);
    }
    await server.drained(1);
    server.heal();
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    await server.drained(1);
  });

  it('follows a redirect on the same host with the same headers', async () => {
    await using server = await startServer();
    server.put('/moved/image-map.json', MAP);
    server.break({ kind: 'redirect', location: '/moved/image-map.json' }, /^\/maps/);
    const headersFile = await workspace.write('redirect.json', '{"Authorization":"Bearer a"}');
    const source = sourceAt(server, { headersFile });
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    expect(server.requests.map(({ path }) => path)).toEqual([PATH, '/moved/image-map.json']);
    expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer a');
  });

  it('asks no other host, so that none sees the headers', async () => {
    await using server = await startServer();
    await using other = await startServer();
    other.put('/image-map.json', MAP);
    const headersFile = await workspace.write('other.json', '{"Authorization":"Bearer a"}');
    for (const host of ['127.0.0.1', 'localhost']) {
      const location = `https://${host}:${other.port}/image-map.json?sig=OTHERTOKEN`;
      server.break({ kind: 'redirect', location });
      const refusal = await refusalOf(sourceAt(server, { headersFile }).read(requestOf()));
      expect(refusal.code).toBe('MAP_REDIRECTED');
      expect(refusal.message).toContain(`${host}:${other.port}`);
      expect(refusal.message).not.toContain('OTHERTOKEN');
    }
    expect(other.requests).toEqual([]);
    expect(other.openSockets).toBe(0);
  });

  it('is not read from a server that wants to speak another protocol', async () => {
    const { cert, key } = await authority.issue('store');
    const server = createTlsServer({ cert, key }, (socket) => {
      socket.once('data', () => {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
        );
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const settings = { caFile, headersFile: '', env: {} };
    const source = createHttpsSource(`https://localhost:${port}${PATH}`, settings);
    const refusal = await refusalOf(source.read(requestOf()));
    expect([refusal.code, refusal.message]).toEqual([
      'MAP_SOURCE_FAILED',
      expect.stringContaining('HTTP 101'),
    ]);
    source.close?.();
    server.close();
  });

  it('goes through the proxy of the environment', async () => {
    await using server = await startServer('store.example');
    await using proxy = await ForwardProxy.start(server.port);
    server.put(PATH, MAP);
    const read = (url: string, env: NodeJS.ProcessEnv): ReturnType<MapSource['read']> =>
      createHttpsSource(url + PATH, { caFile, headersFile: '', env }).read(requestOf());
    for (const name of ['HTTPS_PROXY', 'https_proxy']) {
      const reading = await read('https://store.example', { [name]: proxy.url });
      expect(shown(reading)).toMatchObject({ text: MAP });
    }
    for (const name of ['NO_PROXY', 'no_proxy']) {
      const reading = await read(server.url, { HTTPS_PROXY: proxy.url, [name]: '127.0.0.1' });
      expect(shown(reading)).toMatchObject({ text: MAP });
    }
    expect(proxy.asked).toEqual(Array.from({ length: 2 }, () => 'CONNECT store.example:443'));
  });

  it.each(['407 Proxy Authentication Required', '403 Forbidden', '503 Service Unavailable', ''])(
    'cannot be reached through a proxy that answers %j',
    async (answer) => {
      await using proxy = await ForwardProxy.start(1);
      proxy.refusal = answer;
      const url = `https://store.example${PATH}${QUERY}`;
      const env = { HTTPS_PROXY: proxy.url.replace('//', '//user:SECRETTOKEN@') };
      const source = createHttpsSource(url, { caFile, headersFile: '', env });
      const refusal = await refusalOf(source.read(requestOf()));
      expect(refusal.code).toBe('MAP_UNREACHABLE');
      expect(refusal.message).toContain('proxy variables');
      expect(refusal.message).not.toContain('SECRETTOKEN');
    },
  );

  it('cannot be reached through a proxy that is gone', async () => {
    const proxy = await FaultServer.start();
    await proxy.refuse();
    const url = `https://store.example${PATH}${QUERY}`;
    const env = { HTTPS_PROXY: proxy.url };
    const source = createHttpsSource(url, { caFile, headersFile: '', env });
    const refusal = await refusalOf(source.read(requestOf()));
    expect(refusal.code).toBe('MAP_UNREACHABLE');
    expect(refusal.message).not.toContain('SECRETTOKEN');
  });
});

describe('imageMap.headersFile', () => {
  acceptCoreErrors();

  it('is sent for map and signature, and read anew each time', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    server.put(`${PATH}.sig`, 'signature');
    const headersFile = await workspace.write(
      'headers.json',
      '{"Authorization":"Bearer first","x-ms-version":"2024-11-04","Accept-Encoding":"gzip"}',
    );
    const source = sourceAt(server, { headersFile });
    await source.read(requestOf({ signed: true }));
    await workspace.write('headers.json', '{"Authorization":"Bearer second"}');
    await source.read(requestOf());
    const sent = server.requests.map(({ headers }) => headers);
    expect(sent.map(({ authorization }) => authorization)).toEqual([
      'Bearer first',
      'Bearer first',
      'Bearer second',
    ]);
    expect(sent[0]).toMatchObject({ 'x-ms-version': '2024-11-04', 'accept-encoding': 'identity' });
  });

  it.each([
    ['no JSON', 'Authorization: Bearer SECRETTOKEN'],
    ['cut JSON', '{"Authorization":"Bearer SECRETTOKEN'],
    ['a list', '["Bearer SECRETTOKEN"]'],
    ['a string', '"Bearer SECRETTOKEN"'],
    ['a list of values', '{"Authorization":["Bearer SECRETTOKEN"]}'],
    ['a value that ends its line', '{"Authorization":"Bearer SECRETTOKEN\\n"}'],
    ['a name with a space', '{"Authorization Bearer SECRETTOKEN":"1"}'],
  ])('that is %s is refused, and never quoted', async (_name, text) => {
    await using server = await startServer();
    server.put(PATH, MAP);
    const headersFile = await workspace.write('broken.json', text);
    const refusal = await refusalOf(sourceAt(server, { headersFile }).read(requestOf()));
    expect(refusal.message).not.toContain('SECRETTOKEN');
    expect(refusal.code).toBe('MAP_HEADERS_INVALID');
    expect(server.requests).toEqual([]);
  });

  it('is named where a folder stands in its place', async () => {
    await using server = await startServer();
    const refusal = await refusalOf(
      sourceAt(server, { headersFile: workspace.folder }).read(requestOf()),
    );
    expect(refusal).toMatchObject({
      code: 'MAP_HEADERS_INVALID',
      message: `imageMap.headersFile cannot be used: ${workspace.folder} is a folder, not a file`,
    });
  });

  it('must be there', async () => {
    await using server = await startServer();
    const headersFile = workspace.path('none.json');
    const refusal = await refusalOf(sourceAt(server, { headersFile }).read(requestOf()));
    expect(refusal.code).toBe('MAP_HEADERS_INVALID');
  });
});

describe('imageMap.urlFile', () => {
  acceptCoreErrors();

  function urlFileSource(path: string): MapSource {
    return createUrlFileSource(path, (url) =>
      createHttpsSource(url, { caFile, headersFile: '', env: {} }),
    );
  }

  it('gives the URL, of which only host and path are ever shown', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    const urlFile = await workspace.write('url', `${server.url}${PATH}${QUERY}\n`);
    const source = urlFileSource(urlFile);
    expect(source.location).not.toContain('SECRETTOKEN');
    await source.prepare?.();
    expect(source.location).toBe(server.url + PATH);
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    expect(server.requests[0]?.query.get('sig')).toBe('SECRETTOKEN');
    server.break(S3_ERRORS.accessDenied);
    const refusal = await refusalOf(source.read(requestOf()));
    expect(refusal.code).toBe('MAP_ACCESS_DENIED');
    expect(refusal.message + source.location).not.toContain('SECRETTOKEN');
  });

  it('is read anew each time, so that a renewed token is used at once', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    const urlFile = await workspace.write('url', `${server.url}${PATH}?sig=first`);
    const source = urlFileSource(urlFile);
    await source.read(requestOf());
    await workspace.write('url', `${server.url}${PATH}?sig=second`);
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
    expect(server.requests.map(({ query }) => query.get('sig'))).toEqual(['first', 'second']);
    expect(source.location).toBe(server.url + PATH);
  });

  it('tells places apart by what the query asks for, and not by its token', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    const placeOf = async (query: string): Promise<string | undefined> => {
      const source = urlFileSource(await workspace.write('place', `${server.url}${PATH}${query}`));
      await source.prepare?.();
      return source.place;
    };
    expect(await placeOf('?env=a')).not.toBe(await placeOf('?env=b'));
    expect(await placeOf('?sv=1&sig=first')).toBe(await placeOf('?sv=1&sig=second'));
  });

  it('asks another place for all that it has, whatever the etag of the place before', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    server.put('/other.json', MAP);
    const urlFile = await workspace.write('url', server.url + PATH);
    const source = urlFileSource(urlFile);
    const etag = await etagOf(source);
    expect(shown(await source.read(requestOf({ etag })))).toBe('unchanged');
    await workspace.write('url', `${server.url}/other.json`);
    expect(shown(await source.read(requestOf({ etag })))).toMatchObject({ text: MAP });
    expect(source.location).toBe(`${server.url}/other.json`);
  });

  it('does not take for unchanged what another place never gave, however often that says so', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    const urlFile = await workspace.write('url', server.url + PATH);
    const source = urlFileSource(urlFile);
    const etag = await etagOf(source);
    await workspace.write('url', `${server.url}/other.json`);
    server.break({ kind: 'not-modified' });
    for (let round = 0; round < 2; round += 1) {
      const refusal = await refusalOf(source.read(requestOf({ etag })));
      expect(refusal.code).toBe('MAP_SOURCE_FAILED');
      expect(refusal.message).toContain('gave nothing before');
    }
    const asked = server.requests.filter(({ path }) => path === '/other.json');
    expect(asked.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, undefined]);
  });

  it('may be repaired', async () => {
    await using server = await startServer();
    server.put(PATH, MAP);
    const urlFile = workspace.path('repaired-url');
    const source = urlFileSource(urlFile);
    for (const text of [undefined, '', 'SECRETTOKEN', 'not a url?sig=SECRETTOKEN']) {
      if (text !== undefined) await workspace.write('repaired-url', text);
      const refusal = await refusalOf(source.read(requestOf()));
      expect(refusal.code).toBe('MAP_UNREADABLE');
      expect(refusal.message).toContain('imageMap.urlFile');
      expect(refusal.message).not.toContain('SECRETTOKEN');
    }
    await workspace.write('repaired-url', server.url + PATH);
    expect(shown(await source.read(requestOf()))).toMatchObject({ text: MAP });
  });

  it.each(['http://127.0.0.1:1/map.json', 'ftp://host/map.json', 'data:,{}', 's3://bucket'])(
    'refuses %s, and quotes no query',
    async (url) => {
      const urlFile = await workspace.write('url', url + QUERY);
      const config = parseConfig(
        `apiVersion: sdr-image-rewriter/v1\nprocurement: map\nimageMap: {urlFile: "${urlFile}"}\n`,
      );
      if ('faults' in config) {
        throw new Error(config.faults[0]?.message);
      }
      const source = createSource(config.imageMap, {});
      const refusal = await refusalOf(source.read(requestOf()));
      expect(refusal.message).not.toContain('SECRETTOKEN');
      expect(refusal.code).toBe('MAP_UNREADABLE');
    },
  );
});
