import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseConfig, policySettings } from '../../src/config/config.ts';
import { idleSettings } from '../../src/config/relations.ts';
import { type Config, configJsonSchema } from '../../src/config/schema.ts';
import { valueAt } from '../support/pods.ts';

const HEAD = 'apiVersion: sdr-image-rewriter/v1\n';
const PUBLIC = `${HEAD}procurement: public\n`;
const PREFIX = `${HEAD}procurement: prefix\ncontainerRegistryBase: r.example\n`;
const MAP = `${HEAD}procurement: map\nimageMap: {url: s3://bucket/map.json}\n`;

/** The configuration of a text; one with faults is a fault of the test. */
function configOf(text: string): Config {
  const config = parseConfig(text);
  if ('faults' in config) {
    throw new Error(config.faults.map(({ path, message }) => `${path}: ${message}`).join('; '));
  }
  return config;
}

/** `code path` of every fault, sorted; empty where there is none. */
function faultsOf(text: string): string[] {
  const config = parseConfig(text);
  return 'faults' in config
    ? config.faults.map(({ code, path }) => `${code} ${path}`).toSorted()
    : [];
}

function messagesOf(text: string): string {
  const config = parseConfig(text);
  return 'faults' in config ? config.faults.map(({ message }) => message).join('\n') : '';
}

describe('the defaults', () => {
  it('are those of the documented sample', () => {
    const config = configOf(PUBLIC);
    expect({ ...config, sources: config.sources.map(({ value }) => value) }).toEqual({
      apiVersion: 'sdr-image-rewriter/v1',
      procurement: 'public',
      sources: ['docker.io/atlanhq', 'ghcr.io/atlanhq', 'registry.atlan.com'],
      containerRegistryBase: undefined,
      prefixes: [],
      unmapped: 'warn',
      allowedTargets: [],
      imagePullSecrets: [],
      annotate: true,
      imageMap: {
        url: '',
        urlFile: '',
        headersFile: '',
        refreshInterval: 60_000,
        timeout: 15_000,
        maxBytes: 8_388_608,
        cacheFile: '',
        allowRollback: false,
        maxShrink: 0.5,
        publicKeyFile: '',
        s3: {
          region: '',
          endpoint: '',
          forcePathStyle: false,
          caFile: '',
          versionId: '',
          expectedBucketOwner: '',
        },
      },
      server: {
        host: '::',
        port: 8443,
        tls: {
          certFile: '',
          keyFile: '',
          minVersion: 'TLSv1.2',
          clientCAFile: '',
          clientSubjects: [],
        },
      },
      ops: { host: '::', port: 8080 },
      log: { level: 'info' },
    });
  });

  it('fill what an object leaves out', () => {
    const config = configOf(`${PUBLIC}server: {tls: {certFile: /tls.crt}}\nimageMap: {s3: {}}`);
    expect(config.server).toMatchObject({ host: '::', port: 8443 });
    expect(config.server.tls).toMatchObject({ certFile: '/tls.crt', minVersion: 'TLSv1.2' });
    expect(config.imageMap.s3.forcePathStyle).toBe(false);
  });
});

describe('the documented sample', () => {
  const sample = `
apiVersion: sdr-image-rewriter/v1
procurement: map
sources: [docker.io/atlanhq, ghcr.io/atlanhq, registry.atlan.com]
containerRegistryBase: registry.corp.example/mirror
prefixes: [{source: docker.io/atlanhq, target: registry.corp.example/atlan}]
unmapped: warn
allowedTargets: [registry.corp.example]
imagePullSecrets: [corp-registry]
annotate: true
imageMap:
  url: s3://sdr-config/image-map.json
  urlFile: ""
  headersFile: ""
  refreshInterval: 60s
  timeout: 15s
  maxBytes: 8388608
  cacheFile: /var/cache/sdr-image-rewriter/image-map.json
  allowRollback: false
  maxShrink: 0.5
  publicKeyFile: ""
  s3: {region: eu-west-1, endpoint: "", forcePathStyle: false, caFile: "", versionId: "", expectedBucketOwner: ""}
server: {host: "::", port: 8443, tls: {certFile: /tls/tls.crt, keyFile: /tls/tls.key, minVersion: TLSv1.2, clientCAFile: "", clientSubjects: []}}
ops: {host: "::", port: 8080}
log: {level: info}
`;

  it('is read as it stands', () => {
    const config = configOf(sample);
    expect(config).toMatchObject({
      procurement: 'map',
      imagePullSecrets: ['corp-registry'],
      imageMap: { url: 's3://sdr-config/image-map.json', s3: { region: 'eu-west-1' } },
      server: { tls: { certFile: '/tls/tls.crt' } },
    });
    expect(config.containerRegistryBase?.value).toBe('registry.corp.example/mirror');
    expect(config.prefixes.map(({ source, target }) => [source.value, target.value])).toEqual([
      ['docker.io/atlanhq', 'registry.corp.example/atlan'],
    ]);
    expect(idleSettings(config)).toEqual([]);
  });

  it('is a policy but for the map', () => {
    expect(policySettings(configOf(sample))).toMatchObject({
      procurement: 'map',
      unmapped: 'warn',
      imagePullSecrets: ['corp-registry'],
      annotate: true,
    });
  });

  it('may be JSON as well', () => {
    const json = JSON.stringify({
      apiVersion: 'sdr-image-rewriter/v1',
      procurement: 'prefix',
      containerRegistryBase: 'r.example',
    });
    expect(configOf(json).containerRegistryBase?.value).toBe('r.example');
  });

  it('has its like among the examples, and they load', () => {
    const text = readFileSync(new URL('../../examples/config.yaml', import.meta.url), 'utf8');
    expect(faultsOf(text)).toEqual([]);
  });
});

describe('a text that is no configuration', () => {
  it.each([
    ['nothing', '', 'CONFIG_VALUE_INVALID $'],
    ['a comment', '# later', 'CONFIG_VALUE_INVALID $'],
    ['a list', '[]', 'CONFIG_VALUE_INVALID $'],
    ['a word', 'map', 'CONFIG_VALUE_INVALID $'],
    ['broken YAML', 'a: [', 'CONFIG_NOT_YAML $'],
    ['tabs', `${HEAD}server:\n\tport: 1`, 'CONFIG_NOT_YAML $'],
    ['two documents', `${PUBLIC}---\n${PUBLIC}`, 'CONFIG_NOT_YAML $'],
    ['a key that stands twice', `${PUBLIC}unmapped: warn\nunmapped: deny`, 'CONFIG_NOT_YAML $'],
    ['an inner key that stands twice', `${PUBLIC}ops: {port: 1, port: 2}`, 'CONFIG_NOT_YAML $'],
    [
      'aliases that multiply',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${['b', 'c', 'd', 'e']
        .map((key, index) => `${key}: &${key} [${`*${'abcd'[index] ?? ''},`.repeat(9)}]`)
        .join('\n')}`,
      'CONFIG_NOT_YAML $',
    ],
  ])('is refused: %s', (_title, text, fault) => {
    expect(new Set(faultsOf(text))).toEqual(new Set([fault]));
  });

  it('is told to an operator with line and column, where it is two documents', () => {
    expect(messagesOf(`${PUBLIC}---\nunmapped: deny\n`)).toBe(
      'a second document begins at line 3, column 1; write all settings into one, without a --- between them',
    );
  });

  it.each([
    [
      'a list without its end',
      `${PUBLIC}sources: [a`,
      'Flow sequence in block collection must be sufficiently indented and end with a ] at line 3, column 12',
    ],
    [
      'a tab',
      `${PUBLIC}ops:\n\tport: 1\n`,
      'Tabs are not allowed as indentation at line 4, column 1',
    ],
    [
      'a key that stands twice',
      `${PUBLIC}unmapped: warn\nunmapped: deny\n`,
      'the key at line 4, column 1 stands twice in one map, and readers keep one of the two; remove one',
    ],
    [
      'aliases that multiply',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(9)}]\nc: [${'*b,'.repeat(12)}]\n`,
      'the aliases stand for too many values, the last of them at line 3, column 38; write fewer of them',
    ],
    [
      'an alias of what it stands in',
      `${PUBLIC}sources: &s [*s]\n`,
      '*s stands inside of &s at line 3, column 14; break the circle',
    ],
  ])('is told in one sentence with line and column: %s', (_title, text, message) => {
    expect(messagesOf(text)).toBe(message);
  });

  it.each([1000, 3000, 10_000, 100_000])(
    'is told in the words of the format where lists are nested %i deep',
    (depth) => {
      const text = `${PUBLIC}sources: ${'['.repeat(depth)}${']'.repeat(depth)}\n`;
      const messages = messagesOf(text);
      expect(messages).not.toMatch(/call stack|\n/);
      expect(messages).toMatch(
        /^maps and lists are nested too deeply to be read .*line \d+, column \d+.*; write them flat$|is not valid/,
      );
    },
  );

  it('is told with line and column of each alias without an anchor before it', () => {
    const text = `${HEAD}procurement: *a\nunmapped: &b warn\nsources: [*b, *c]\nlog: &c {}\n`;
    expect(messagesOf(text)).toBe(
      [
        'no anchor &a stands before the alias *a at line 2, column 14',
        'no anchor &c stands before the alias *c at line 4, column 15',
      ].join('\n'),
    );
  });
});

describe('an unknown key', () => {
  it.each([
    ['the top', 'containerRegistry: r.example', '$.containerRegistry', ['containerRegistryBase']],
    ['the map', 'imageMap: {refresh: 60s}', '$.imageMap.refresh', ['refreshInterval', 'maxShrink']],
    ['S3', 'imageMap: {s3: {pathStyle: true}}', '$.imageMap.s3.pathStyle', ['forcePathStyle']],
    ['the server', 'server: {bind: "::"}', '$.server.bind', ['host', 'port', 'tls']],
    ['TLS', 'server: {tls: {cert: x}}', '$.server.tls.cert', ['certFile', 'clientSubjects']],
    ['the operations port', 'ops: {metrics: true}', '$.ops.metrics', ['host', 'port']],
    ['the log', 'log: {format: text}', '$.log.format', ['level']],
    [
      'a prefix rule',
      'prefixes: [{source: docker.io/atlanhq, target: r.example, from: x}]',
      '$.prefixes[0].from',
      ['source', 'target'],
    ],
  ])('at %s is a fault that lists the allowed ones', (_title, line, path, allowed) => {
    const text = PUBLIC + line;
    expect(faultsOf(text)).toEqual([`CONFIG_KEY_UNKNOWN ${path}`]);
    for (const key of allowed) {
      expect(messagesOf(text)).toContain(key);
    }
  });

  it.each(['__proto__', 'constructor', 'prototype', 'Sources', ' sources', 'x-note'])(
    'may be called %p and is still a fault',
    (key) => {
      const text = JSON.stringify({
        apiVersion: 'sdr-image-rewriter/v1',
        procurement: 'public',
      }).replace('}', `,${JSON.stringify(key)}:1}`);
      expect(faultsOf(text)).toHaveLength(1);
      expect(faultsOf(text)[0]).toMatch(/^CONFIG_KEY_UNKNOWN /);
    },
  );

  it('is a fault for each of several', () => {
    expect(faultsOf(`${PUBLIC}one: 1\ntwo: 2\nops: {three: 3}`)).toEqual([
      'CONFIG_KEY_UNKNOWN $.one',
      'CONFIG_KEY_UNKNOWN $.ops.three',
      'CONFIG_KEY_UNKNOWN $.two',
    ]);
  });
});

describe('a value', () => {
  it.each([
    ['apiVersion: sdr-image-rewriter/v2\nprocurement: public', '$.apiVersion'],
    [`${HEAD}procurement: mirror`, '$.procurement'],
    [`${HEAD}procurement: Map`, '$.procurement'],
    [`${PUBLIC}unmapped: ignore`, '$.unmapped'],
    [`${PUBLIC}annotate: "yes"`, '$.annotate'],
    [`${PUBLIC}annotate: yes`, '$.annotate'],
    [`${PUBLIC}sources: []`, '$.sources'],
    [`${PUBLIC}sources: docker.io/atlanhq`, '$.sources'],
    [`${PUBLIC}sources: [docker.io/atlanhq, 'https://ghcr.io']`, '$.sources[1]'],
    [`${PUBLIC}sources: [docker.io/atlanhq/app:1]`, '$.sources[0]'],
    [`${PUBLIC}sources: [7]`, '$.sources[0]'],
    [`${PUBLIC}containerRegistryBase: https://r.example`, '$.containerRegistryBase'],
    [`${PUBLIC}containerRegistryBase: mirror`, '$.containerRegistryBase'],
    [`${PUBLIC}containerRegistryBase: 7`, '$.containerRegistryBase'],
    [`${PUBLIC}prefixes: {}`, '$.prefixes'],
    [`${PUBLIC}prefixes: [docker.io/atlanhq]`, '$.prefixes[0]'],
    [`${PUBLIC}prefixes: [{source: 'a b', target: r.example}]`, '$.prefixes[0].source'],
    [`${PUBLIC}prefixes: [{source: docker.io, target: team}]`, '$.prefixes[0].target'],
    [`${PUBLIC}allowedTargets: [registry.corp.example/*]`, '$.allowedTargets[0]'],
    [`${PUBLIC}allowedTargets: [corp]`, '$.allowedTargets[0]'],
    [`${PUBLIC}imagePullSecrets: [Corp_Registry]`, '$.imagePullSecrets[0]'],
    [`${PUBLIC}imagePullSecrets: ['']`, '$.imagePullSecrets[0]'],
    [`${PUBLIC}imagePullSecrets: [{name: corp}]`, '$.imagePullSecrets[0]'],
    [`${PUBLIC}imagePullSecrets: [${'a'.repeat(254)}]`, '$.imagePullSecrets[0]'],
    [`${PUBLIC}imageMap: {url: sdr-config/map.json}`, '$.imageMap.url'],
    [`${PUBLIC}imageMap: {url: 's3://bucket'}`, '$.imageMap.url'],
    [`${PUBLIC}imageMap: {url: 's3://bucket/'}`, '$.imageMap.url'],
    [`${PUBLIC}imageMap: {url: 'http://example.com/map.json'}`, '$.imageMap.url'],
    [`${PUBLIC}imageMap: {url: 'file://map.json'}`, '$.imageMap.url'],
    [`${PUBLIC}imageMap: {url: /etc/map.json}`, '$.imageMap.url'],
    [`${PUBLIC}imageMap: {url: 'file:///data/100%/map.json'}`, '$.imageMap.url'],
    [`${PUBLIC}imageMap: {url: 'file:///data%2Fmap.json'}`, '$.imageMap.url'],
    [`${PUBLIC}imageMap: {url: 'file:///data%00'}`, '$.imageMap.url'],
    [`${PUBLIC}imageMap: {urlFile: "/etc/a\\0b"}`, '$.imageMap.urlFile'],
    [`${PUBLIC}imageMap: {maxBytes: 0}`, '$.imageMap.maxBytes'],
    [`${PUBLIC}imageMap: {maxBytes: 1.5}`, '$.imageMap.maxBytes'],
    [`${PUBLIC}imageMap: {maxBytes: 8Mi}`, '$.imageMap.maxBytes'],
    [`${PUBLIC}imageMap: {maxShrink: -0.1}`, '$.imageMap.maxShrink'],
    [`${PUBLIC}imageMap: {maxShrink: 1.1}`, '$.imageMap.maxShrink'],
    [`${PUBLIC}imageMap: {maxShrink: 50%}`, '$.imageMap.maxShrink'],
    [`${PUBLIC}imageMap: {allowRollback: 1}`, '$.imageMap.allowRollback'],
    [`${PUBLIC}imageMap: {s3: {endpoint: minio:9000}}`, '$.imageMap.s3.endpoint'],
    [`${PUBLIC}imageMap: {s3: {endpoint: 'http://[minio'}}`, '$.imageMap.s3.endpoint'],
    [`${PUBLIC}imageMap: {s3: {expectedBucketOwner: me}}`, '$.imageMap.s3.expectedBucketOwner'],
    [`${PUBLIC}imageMap: []`, '$.imageMap'],
    [`${PUBLIC}server: {host: ''}`, '$.server.host'],
    [`${PUBLIC}server: {port: 65536}`, '$.server.port'],
    [`${PUBLIC}server: {port: -1}`, '$.server.port'],
    [`${PUBLIC}server: {port: '8443'}`, '$.server.port'],
    [`${PUBLIC}server: {tls: {minVersion: TLSv1.1}}`, '$.server.tls.minVersion'],
    [`${PUBLIC}server: {tls: {clientSubjects: ['']}}`, '$.server.tls.clientSubjects[0]'],
    [`${PUBLIC}server: {tls: null}`, '$.server.tls'],
    [`${PUBLIC}ops: 8080`, '$.ops'],
    [`${PUBLIC}ops: {port: http}`, '$.ops.port'],
    [`${PUBLIC}log: {level: verbose}`, '$.log.level'],
  ])('is refused in %j at %s', (text, path) => {
    expect(faultsOf(text)).toEqual([`CONFIG_VALUE_INVALID ${path}`]);
  });

  it.each([
    [
      `${HEAD}procurement: prefix\ncontainerRegistryBase: https://r.example`,
      'containerRegistryBase',
    ],
    [`${HEAD}procurement: prefix\nprefixes: 7`, 'prefixes'],
  ])('that is bad is not called missing as well: %j', (text, key) => {
    expect(faultsOf(text)).toEqual([`CONFIG_VALUE_INVALID $.${key}`]);
  });

  it.each([
    ['procurement: public', '$.apiVersion'],
    [HEAD, '$.procurement'],
    [`${PUBLIC}server: {tls: {clientSubjects: [apiserver]}}`, '$.server.tls.clientCAFile'],
    [`${PUBLIC}prefixes: [{source: docker.io}]`, '$.prefixes[0].target'],
    [`${PUBLIC}prefixes: [{target: r.example}]`, '$.prefixes[0].source'],
  ])('is missing in %j at %s', (text, path) => {
    expect(faultsOf(text)).toEqual([`CONFIG_INCOMPLETE ${path}`]);
  });

  it.each([
    's3://bucket/map.json',
    's3://bucket/deep/er/map.json',
    'https://account.blob.core.windows.net/c/map.json?sig=abc',
    'https://example.com/',
    'file:///etc/sdr/map.json',
  ])('may be the URL %s', (url) => {
    expect(configOf(`${HEAD}procurement: map\nimageMap: {url: '${url}'}`).imageMap.url).toBe(url);
  });

  it('may be an empty containerRegistryBase, which is none', () => {
    const config = configOf(`${PUBLIC}containerRegistryBase: ''`);
    expect(config.containerRegistryBase).toBeUndefined();
  });

  it('may be the port 0, which is any', () => {
    expect(configOf(`${PUBLIC}server: {port: 0}`).server.port).toBe(0);
  });
});

describe('a duration', () => {
  it.each([
    ['100ms', 100],
    ['1s', 1000],
    ['1.5s', 1500],
    ['60s', 60_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
  ])('may be %s, which is %d ms', (text, milliseconds) => {
    const config = configOf(`${PUBLIC}imageMap: {refreshInterval: ${text}}`);
    expect(config.imageMap.refreshInterval).toBe(milliseconds);
  });

  it.each([
    '60',
    '""',
    '60 s',
    '60S',
    '1d',
    '-1s',
    '.5s',
    '1e3s',
    '1m30s',
    '99ms',
    '25h',
    '0s',
    'PT1M',
  ])('may not be %s', (text) => {
    expect(faultsOf(`${PUBLIC}imageMap: {refreshInterval: ${text}}`)).toEqual([
      'CONFIG_VALUE_INVALID $.imageMap.refreshInterval',
    ]);
  });

  it('of the timeout may be 100 ms to 5 minutes', () => {
    expect(configOf(`${PUBLIC}imageMap: {timeout: 5m}`).imageMap.timeout).toBe(300_000);
    for (const text of ['99ms', '301s', '1h']) {
      expect(faultsOf(`${PUBLIC}imageMap: {timeout: ${text}}`)).toEqual([
        'CONFIG_VALUE_INVALID $.imageMap.timeout',
      ]);
    }
  });
});

describe('values that belong together', () => {
  it('are incomplete as prefix without a target', () => {
    expect(faultsOf(`${HEAD}procurement: prefix`)).toEqual([
      'CONFIG_INCOMPLETE $.containerRegistryBase',
    ]);
    expect(faultsOf(`${HEAD}procurement: prefix\ncontainerRegistryBase: ''`)).toEqual([
      'CONFIG_INCOMPLETE $.containerRegistryBase',
    ]);
    expect(faultsOf(PREFIX)).toEqual([]);
    const rules = 'prefixes: [{source: docker.io/atlanhq, target: r.example}]';
    expect(faultsOf(`${HEAD}procurement: prefix\n${rules}`)).toEqual([]);
  });

  it('are incomplete as map without a place for it', () => {
    expect(faultsOf(`${HEAD}procurement: map`)).toEqual(['CONFIG_INCOMPLETE $.imageMap.url']);
    expect(faultsOf(`${HEAD}procurement: map\nimageMap: {urlFile: /run/url}`)).toEqual([]);
    expect(faultsOf(MAP)).toEqual([]);
  });

  it('are a fault as url and urlFile both', () => {
    expect(
      faultsOf(`${HEAD}procurement: map\nimageMap: {url: 's3://b/k', urlFile: /run/url}`),
    ).toEqual(['CONFIG_VALUE_INVALID $.imageMap.urlFile']);
  });

  it('are a fault where a target lies outside allowedTargets', () => {
    const text = `${PREFIX}allowedTargets: [r.example/team]
prefixes:
  - {source: docker.io/atlanhq, target: r.example/team/atlan}
  - {source: ghcr.io/atlanhq, target: r.example/team2}
`;
    expect(faultsOf(text)).toEqual([
      'CONFIG_TARGET_FORBIDDEN $.containerRegistryBase',
      'CONFIG_TARGET_FORBIDDEN $.prefixes[1].target',
    ]);
  });

  it('are a fault where one source has two targets', () => {
    const text = `${PREFIX}prefixes:
  - {source: docker.io/atlanhq, target: r.example/a}
  - {source: index.docker.io/atlanhq/, target: r.example/b}
`;
    expect(faultsOf(text)).toEqual(['CONFIG_VALUE_INVALID $.prefixes[1].source']);
    expect(faultsOf(text.replace('r.example/b', 'r.example/a'))).toEqual([]);
  });

  it.each([
    ['a rule onto itself', ['docker.io/atlanhq', 'docker.io/atlanhq']],
    ['a chain', ['docker.io/atlanhq', 'r.example/a'], ['r.example', 's.example']],
    ['a rule above another', ['docker.io/atlanhq', 'r.example'], ['r.example/a', 's.example']],
  ])('are a fault as %s', (_title, ...rules) => {
    const prefixes = rules.map(([source, target]) => ({ source, target }));
    expect(faultsOf(`${PREFIX}prefixes: ${JSON.stringify(prefixes)}`)).toEqual([
      'CONFIG_VALUE_INVALID $.prefixes[0].target',
    ]);
  });

  it('are fine as a rule that moves names below itself', () => {
    const rule = '{source: docker.io/atlanhq, target: docker.io/atlanhq/mirror}';
    expect(faultsOf(`${PREFIX}prefixes: [${rule}]`)).toEqual([]);
  });
});

describe('the faults', () => {
  it('are told all at once, each with code and path', () => {
    const text = `
apiVersion: v1
procurement: map
unmaped: deny
sources: ['UPPER CASE']
allowedTargets: [r.example]
containerRegistryBase: evil.example
imageMap: {timeout: 1h, refreshIntervall: 5s, s3: {endpoint: x}}
server: {port: 99999, tls: {minVersion: SSLv3}}
log: {level: loud}
`;
    expect(faultsOf(text)).toEqual([
      'CONFIG_KEY_UNKNOWN $.imageMap.refreshIntervall',
      'CONFIG_KEY_UNKNOWN $.unmaped',
      'CONFIG_TARGET_FORBIDDEN $.containerRegistryBase',
      'CONFIG_VALUE_INVALID $.apiVersion',
      'CONFIG_VALUE_INVALID $.imageMap.s3.endpoint',
      'CONFIG_VALUE_INVALID $.imageMap.timeout',
      'CONFIG_VALUE_INVALID $.log.level',
      'CONFIG_VALUE_INVALID $.server.port',
      'CONFIG_VALUE_INVALID $.server.tls.minVersion',
      'CONFIG_VALUE_INVALID $.sources[0]',
    ]);
  });

  it.each([
    [
      'imageMap: {refreshInterval: 60}',
      '60 is not valid: write a number and ms, s, m or h, such as 60s',
    ],
    ['imagePullSecrets: mirror', '"mirror" is not valid: give a list'],
    ['server: {host: ""}', '"" is not valid: write at least one character'],
    ['server: {port: -1}', '-1 is not valid: it must be at least 0'],
    ['unmapped: ignore', '"ignore" is not valid: allowed are allow, warn, deny'],
  ])('say what to write in place of %s', (text, message) => {
    expect(messagesOf(`${PUBLIC}${text}`)).toContain(message);
  });

  it('never show what a URL carries behind its path', () => {
    const url = 'http://user:hunter2@example.com/map.json?sig=hunter2';
    expect(messagesOf(`${PUBLIC}imageMap: {url: '${url}'}`)).not.toContain('hunter2');
  });
});

describe('parseConfig', () => {
  it('never throws, whatever the text', () => {
    const values = fc.jsonValue().map((value) => JSON.stringify(value));
    const keys = fc.constantFrom(
      'sources',
      'prefixes',
      'imageMap',
      'server',
      'containerRegistryBase',
    );
    const lines = fc.tuple(keys, values).map(([key, value]) => `${PUBLIC}${key}: ${value}`);
    fc.assert(
      fc.property(fc.oneof(fc.string(), values, lines), (text) => {
        const config = parseConfig(text);
        expect('faults' in config ? config.faults.length : 1).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });
});

describe('idleSettings', () => {
  it.each([
    ['a map with public', `${PUBLIC}imageMap: {url: 's3://b/k'}`],
    ['a map with prefix', `${PREFIX}imageMap: {urlFile: /run/url}`],
    ['a base with public', `${PUBLIC}containerRegistryBase: r.example`],
    ['prefixes with public', `${PUBLIC}prefixes: [{source: ghcr.io/atlanhq, target: r.example}]`],
    ['a rule out of scope', `${PREFIX}prefixes: [{source: quay.io/x, target: r.example/x}]`],
    [
      'a rule below the base',
      `${HEAD}procurement: prefix\ncontainerRegistryBase: ghcr.io/atlanhq/m\nprefixes: [{source: ghcr.io/atlanhq/m/x, target: s.example}]`,
    ],
    ['a base above the scope', `${HEAD}procurement: prefix\ncontainerRegistryBase: ghcr.io`],
    ['a rule beside the scope', `${PREFIX}prefixes: [{source: atlanhq2, target: r.example/x}]`],
  ])('names %s', (_title, text) => {
    expect(idleSettings(configOf(text))).toHaveLength(1);
  });

  it.each([
    ['public alone', PUBLIC],
    ['prefix alone', PREFIX],
    ['map alone', MAP],
    ['map with a base', `${MAP}containerRegistryBase: r.example`],
    [
      'a rule for a part of the scope',
      `${PREFIX}prefixes: [{source: atlanhq/a, target: s.example}]`,
    ],
    ['a rule above the scope', `${PREFIX}prefixes: [{source: docker.io, target: s.example}]`],
  ])('has nothing to say about %s', (_title, text) => {
    expect(idleSettings(configOf(text))).toEqual([]);
  });
});

describe('configJsonSchema', () => {
  it('describes a closed object that needs apiVersion and procurement', () => {
    const schema = configJsonSchema();
    expect(valueAt(schema, '/additionalProperties')).toBe(false);
    expect(valueAt(schema, '/required')).toEqual(['apiVersion', 'procurement']);
    expect(valueAt(schema, '/properties/imageMap/additionalProperties')).toBe(false);
    expect(valueAt(schema, '/properties/unmapped/default')).toBe('warn');
  });
});
