import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { digestOf } from '../support/digests.ts';
import { mapDocument } from '../support/maps.ts';
import { type Finished, runProgram } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';

const CONFIG = 'examples/config.yaml';
const BY_MAP = '--config examples/config-map.yaml --map examples/image-map.json';
const ANSI = String.fromCharCode(27);

function resolve(args: string, input = ''): Promise<Finished> {
  return runProgram(['resolve', ...args.split(' ')], input);
}

/** The lines of `--output json`. */
async function resolutions(args: string, input = ''): Promise<Record<string, unknown>[]> {
  const { stdout } = await resolve(`--output json ${args}`, input);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function targetOf(args: string): Promise<unknown> {
  return (await resolutions(args))[0]?.target;
}

/** The image of the examples is decided in each; every command that reads a map does so in one way. */
describe('the cache of the webhook', () => {
  it.each([
    ['resolve', 'atlanhq/a:1'],
    ['rewrite', 'examples/manifests/docker-compose.yaml'],
    ['export', 'registries.conf'],
  ])('is not touched by %s, since it holds the guards of the webhook', async (command, input) => {
    await using workspace = await Workspace.create();
    const cacheFile = await workspace.write('image-map.json', 'what the webhook wrote');
    const map = await workspace.write('map.json', '{"atlanhq/": "registry.corp.example/atlan/"}');
    const config = await workspace.write(
      'config.yaml',
      `apiVersion: sdr-image-rewriter/v1\nprocurement: map\nimageMap: {url: "file://${map}", cacheFile: "${cacheFile}"}\n`,
    );
    const args = command === 'export' ? [command, input] : [command];
    const files = command === 'export' ? [] : [input];
    const { code, stderr } = await runProgram([...args, '--config', config, ...files]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(readFileSync(cacheFile, 'utf8')).toBe('what the webhook wrote');
  });
});

describe('resolve', () => {
  it('reads no configuration of two documents, with --base as well as without', async () => {
    await using workspace = await Workspace.create();
    const text = readFileSync(CONFIG, 'utf8');
    const file = await workspace.write('two.yaml', `${text}\n---\nprocurement: public\n`);
    for (const base of ['', '--base registry.corp.example/other ']) {
      const { code, stderr } = await resolve(`--config ${file} ${base}atlanhq/a:1`);
      expect({ code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/two\.yaml.*document/s) as unknown,
      });
    }
  });

  it('names the folder that stands in the place of a map', async () => {
    const { code, stderr } = await resolve(`--config ${CONFIG} --map examples atlanhq/a:1`);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /cannot read the image map: \/.*\/examples is a folder, not a file \[MAP_UNREADABLE\]/,
    );
  });

  it('prints one object a line with exactly the documented fields, in the order of the images', async () => {
    const images = 'atlanhq/agent:1.4 nginx registry.atlan.com/internal/tool:1 atlanhq/A:1';
    expect(await resolutions(`${BY_MAP} ${images}`)).toEqual([
      {
        image: 'atlanhq/agent:1.4',
        canonical: 'docker.io/atlanhq/agent:1.4',
        outcome: 'unmapped',
        target: null,
        rule: null,
        reason: 'no-rule',
      },
      {
        image: 'nginx',
        canonical: 'docker.io/library/nginx:latest',
        outcome: 'kept',
        target: null,
        rule: null,
        reason: 'out-of-scope',
      },
      {
        image: 'registry.atlan.com/internal/tool:1',
        canonical: 'registry.atlan.com/internal/tool:1',
        outcome: 'unmapped',
        target: null,
        rule: null,
        reason: 'no-rule',
      },
      {
        image: 'atlanhq/A:1',
        canonical: null,
        outcome: 'invalid',
        target: null,
        rule: null,
        reason: 'REFERENCE_UPPERCASE',
      },
    ]);
    const [rewritten] = await resolutions(`--config ${CONFIG} ghcr.io/atlanhq/agent`);
    expect(Object.entries(rewritten ?? {})).toEqual([
      ['image', 'ghcr.io/atlanhq/agent'],
      ['canonical', 'ghcr.io/atlanhq/agent:latest'],
      ['outcome', 'rewritten'],
      ['target', 'registry.corp.example/mirror/atlanhq/agent'],
      ['rule', 'base'],
      ['reason', null],
    ]);
  });

  it('prints a table without colours when it is piped', async () => {
    const { code, stdout, stderr } = await resolve(`--config ${CONFIG} atlanhq/agent:1 nginx`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(
      [
        'IMAGE            OUTCOME    TARGET                                        WHY',
        'atlanhq/agent:1  rewritten  registry.corp.example/mirror/atlanhq/agent:1  base',
        'nginx            kept       -                                             out-of-scope',
        '',
      ].join('\n'),
    );
    expect(stdout).not.toContain(ANSI);
  });

  it('with --explain prints every step of each image below it, without colours when it is piped', async () => {
    const images = 'registry.atlan.com/public/app-runtime-base:3 nginx';
    const { code, stdout, stderr } = await resolve(`${BY_MAP} --explain ${images}`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toContain(ANSI);
    const [moved = '', kept = ''] = stdout.split('\n\n');
    const target = 'registry.corp.example/atlan-public/app-runtime-base:3';
    const repository = 'registry.atlan.com/public/app-runtime-base';
    expect(moved.split('\n').map((line) => line.replace(/etag=\w{64}$/, 'etag=…'))).toEqual([
      `${repository}:3: rewritten to ${target} (map-prefix)`,
      '       policy              procurement: map, configuration examples/config-map.yaml, map examples/image-map.json serial=42 etag=…',
      `  no   invalid             it is a reference: ${repository}:3`,
      `  no   already-mirrored    ${repository}:3 is no target and lies under none`,
      `  no   out-of-scope        registry.atlan.com of \`sources\` covers ${repository}`,
      '                           $.sources[2] of the configuration: registry.atlan.com',
      '  no   procurement-public  procurement: map; the image has no digest, so the rules for digests are left out',
      `  no   map-tag             no entry for ${repository}:3`,
      `  no   map-repository      no entry of \`repositories\` for ${repository}`,
      `  yes  map-prefix          the longest prefix of the map that covers ${repository}; the rest is carried over`,
      '                           $.prefixes[0].source of the map: registry.atlan.com/public → registry.corp.example/atlan-public',
    ]);
    expect(kept.split('\n')[0]).toBe('nginx: kept (out-of-scope)');
    expect(kept.trimEnd().split('\n').at(-1)).toMatch(/^ {2}yes {2}out-of-scope {6}no entry of/);
  });

  it('with --explain shows what would be a command to the terminal, and does not do it', async () => {
    const { stdout } = await resolve(`${BY_MAP} --explain -`, `a${ANSI}[2Jb:1\n`);
    expect(stdout).not.toContain(ANSI);
    expect(stdout.split('\n')[0]).toBe('a\\u001b[2Jb:1: invalid (REFERENCE_UPPERCASE)');
  });

  it('with --explain adds one field to the JSON, and changes no other', async () => {
    const images = 'atlanhq/atlan-mysql-app:0.4.25 atlanhq/agent:1.4 nginx atlanhq/A:1';
    const plain = await resolutions(`${BY_MAP} ${images}`);
    const explained = await resolutions(`${BY_MAP} --explain ${images}`);
    expect(explained.map((line) => ({ ...line, explanation: undefined }))).toEqual(plain);
    expect(Object.keys(explained[0] ?? {}).at(-1)).toBe('explanation');
    const last = explained.map(({ explanation }) => (explanation as { step: string }[]).at(-1));
    expect(last[0]).toMatchObject({
      step: 'map-tag',
      applied: true,
      key: 'docker.io/atlanhq/atlan-mysql-app:0.4.25',
      found: { in: 'map', path: '$.images[0].source' },
    });
    expect(last.map((step) => step?.step)).toEqual([
      'map-tag',
      'unmapped',
      'out-of-scope',
      'invalid',
    ]);
  });

  it('with --explain says which configuration and which map answered', async () => {
    const policyOf = async (args: string): Promise<unknown> => {
      const [line] = await resolutions(`--explain ${args} nginx`.replace('  ', ' '));
      return (line?.explanation as { step: string; why: string }[])[0];
    };
    const why = (text: string): object => ({ step: 'policy', why: text });
    expect(await policyOf('')).toMatchObject(why('procurement: public, no configuration file'));
    expect(await policyOf(`--config ${CONFIG} --base r.example`)).toMatchObject(
      why(`procurement: prefix, configuration ${CONFIG}, --base r.example`),
    );
    await using workspace = await Workspace.create();
    const text = '{"atlanhq/agent:1": "r.example/agent:1"}';
    const map = await workspace.write('map.json', text);
    const etag = createHash('sha256').update(text).digest('hex');
    expect(await policyOf(`--map file://${map}`)).toMatchObject(
      why(`procurement: map, no configuration file, map file://${map} etag=${etag}`),
    );
  });

  it('with --explain ends with the same code', async () => {
    expect((await resolve(`${BY_MAP} --explain nginx`)).code).toBe(0);
    expect((await resolve(`${BY_MAP} --explain nginx atlanhq/agent:1.4`)).code).toBe(1);
  });

  it('reads images from standard input, one a line, among those of the command line', async () => {
    const lines = await resolutions(
      `--config ${CONFIG} first - last`,
      'atlanhq/a:1\r\n\n  \nnginx\n',
    );
    expect(lines.map(({ image }) => image)).toEqual(['first', 'atlanhq/a:1', 'nginx', 'last']);
  });

  it('reads the lines of standard input without blanks around them and a byte order mark', async () => {
    const lines = await resolutions(`--config ${CONFIG} -`, '\uFEFFnginx\n  atlanhq/a:1\t\r\n');
    expect(lines.map(({ image }) => image)).toEqual(['nginx', 'atlanhq/a:1']);
  });

  it('takes more images from standard input than a call takes arguments', async () => {
    const number = 130_000;
    const input = Array.from({ length: number }, (_, tag) => `atlanhq/a:${tag}\n`).join('');
    const { code, stdout, stderr } = await resolve(`--config ${CONFIG} -`, input);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trimEnd().split('\n')).toHaveLength(1 + number);
  });

  it('reads the map from a pipe, as a shell makes one of <(…)', async () => {
    await using workspace = await Workspace.create();
    const pipe = workspace.path('pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    const map = mapDocument({ prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/a' }] });
    const [{ code, stdout }] = await Promise.all([
      runProgram(['resolve', '--map', pipe, '--output', 'json', 'atlanhq/a:1']),
      writeFile(pipe, JSON.stringify(map)),
    ]);
    expect([code, stdout]).toEqual([0, expect.stringContaining('r.example/a/a:1')]);
  });

  it('reads the map from standard input with --map -', async () => {
    const map = '{"atlanhq/agent:1": "r.example/agent:1"}';
    const [line] = await resolutions('--map - --explain atlanhq/agent:1', map);
    expect(line).toMatchObject({
      target: 'r.example/agent:1',
      explanation: [
        { why: expect.stringContaining('map on standard input etag=') as unknown },
        ...Array<unknown>(5).fill({}),
      ],
    });
    const refused = await resolve('--map - atlanhq/agent:1', '{"a b": "r.example/a"}');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('the image map on standard input has a fault');
  });

  it.each(['resolve', 'replay', 'rewrite', 'export kustomize', 'coverage --filename'])(
    '%s refuses --map - where standard input holds what is decided as well',
    async (command) => {
      const finished = await runProgram([...command.split(' '), '-', '--map', '-'], '{}');
      expect(finished).toMatchObject({ code: 2, stdout: '' });
      expect(finished.stderr).toContain('put one of the two into a file [USAGE]');
    },
  );

  it.each([
    'resolve',
    'replay',
    'rewrite',
    'export kustomize',
    'coverage --filename',
    'map lint',
    'map diff',
    'map import',
  ])(
    '%s refuses - that stands twice, since standard input can be read only once',
    async (command) => {
      const finished = await runProgram([...command.split(' '), '-', '-'], '{}');
      expect(finished).toEqual({
        code: 2,
        stdout: '',
        stderr:
          'error: the argument - stands twice, and standard input can be read only once; put one of the two into a file [USAGE]\n',
      });
    },
  );

  it.each([
    ['an empty imageMap', 'imageMap:', 'CONFIG_VALUE_INVALID'],
    ['an imageMap that is a number', 'imageMap: 5', 'CONFIG_VALUE_INVALID'],
    ['an alias of nothing', 'unmapped: *x', 'CONFIG_NOT_YAML'],
    ['a list', undefined, 'CONFIG_VALUE_INVALID', '[a]'],
    ['a bare word', undefined, 'CONFIG_VALUE_INVALID', 'word'],
    ['nothing at all', undefined, 'CONFIG_VALUE_INVALID', ''],
  ])(
    'refuses a configuration with %s, whatever takes the place of a part of it',
    async (
      _title,
      line,
      code,
      text = `apiVersion: sdr-image-rewriter/v1\nprocurement: public\n${line ?? ''}\n`,
    ) => {
      await using workspace = await Workspace.create();
      const config = await workspace.write('config.yaml', text);
      for (const part of ['--map examples/image-map.json', '--base r.example']) {
        const finished = await resolve(`--config ${config} ${part} nginx`);
        expect(finished).toMatchObject({ code: 1, stdout: '' });
        expect(finished.stderr).toMatch(
          new RegExp(`^error: the configuration .*\\[${code}\\]\\n$`, 's'),
        );
      }
    },
  );

  it.each([
    ['one fault', 'unmapped: x\n', ['CONFIG_VALUE_INVALID']],
    ['two', 'unmapped: x\nfoo: 1\n', ['CONFIG_VALUE_INVALID', 'CONFIG_KEY_UNKNOWN']],
  ])('tells the code of a fault of a configuration once: %s', async (_title, lines, codes) => {
    await using workspace = await Workspace.create();
    const head = 'apiVersion: sdr-image-rewriter/v1\nprocurement: public\n';
    const config = await workspace.write('config.yaml', head + lines);
    const { stderr } = await resolve(`--config ${config} nginx`);
    expect([...stderr.matchAll(/\[([A-Z_]+)\]/g)].map(([, code]) => code)).toEqual(codes);
  });

  (existsSync('/dev/full') ? it : it.skip)(
    'ends with 2 and one sentence where its result cannot be written',
    () => {
      const command = '"$0" dist/sdr-image-rewriter.js resolve nginx > /dev/full';
      const { status, stderr } = spawnSync('sh', ['-c', command, process.execPath], {
        env: process.env,
        encoding: 'utf8',
      });
      expect(stderr).toMatch(/^error: cannot write the result: ENOSPC: .* \[USAGE\]\n$/);
      expect(status).toBe(2);
    },
  );

  it('keeps the rest of imageMap with --map', async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write(
      'config.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: map\nimageMap: {urlFile: /nowhere, maxBytes: 10}\n',
    );
    const { code, stderr } = await resolve(
      `--config ${config} --map examples/image-map.json nginx`,
    );
    expect(code).toBe(1);
    expect(stderr).toContain('[MAP_TOO_LARGE]');
  });

  it.each([
    ['rewritten and kept images', `--config ${CONFIG} atlanhq/agent:1 nginx`, 0],
    ['an invalid image', `--config ${CONFIG} nginx atlanhq/A:1`, 1],
    ['an unmapped image', `${BY_MAP} registry.atlan.com/internal/tool:1 nginx`, 1],
    ['nothing configured', 'atlanhq/agent:1 nginx', 0],
  ])('of %s ends as it should', async (_title, args, code) => {
    expect(await resolve(args)).toMatchObject({ code, stderr: '' });
  });

  it('ends with 0 for an unmapped image where the configuration allows it', async () => {
    await using workspace = await Workspace.create();
    const head = 'apiVersion: sdr-image-rewriter/v1\nprocurement: map\n';
    const map = 'imageMap: {url: "s3://nowhere/map.json"}\n';
    for (const [unmapped, code] of [
      ['allow', 0],
      ['warn', 1],
      ['deny', 1],
    ] as const) {
      const text = `${head}${map}unmapped: ${unmapped}\n`;
      const config = await workspace.write('config.yaml', text);
      const args = `--config ${config} --map examples/image-map.json atlanhq/unknown:1`;
      expect((await resolve(args)).code).toBe(code);
    }
  });

  it.each(['https://r.example/m', 'mirror', 'r.example/m:1', ''])(
    'is used wrongly with --base %j, and says what to write',
    async (base) => {
      const { code, stdout, stderr } = await runProgram(['resolve', '--base', base, 'nginx']);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^error: --base cannot be used: .* \[USAGE\]\n$/);
    },
  );

  it.each([
    'http://127.0.0.1:1/x',
    'gs://bucket/map.json',
    'ftp://host/map.json',
    's3://bucket',
    'https://host',
    'file://host/map.json',
  ])('is used wrongly with --map %s, whatever the configuration says', async (map) => {
    for (const config of ['', '--config examples/config-map.yaml ']) {
      const { code, stdout, stderr } = await resolve(`${config}--map ${map} atlanhq/a`);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toBe(
        `error: --map "${map}" cannot be read: write a file, - for standard input, s3://bucket/key, https://host/path or file:///path [USAGE]\n`,
      );
    }
  });

  it('shows neither the password nor the token of a --map that is used wrongly', async () => {
    const { stderr } = await resolve('--map http://me:word@host/map.json?token=word nginx');
    expect(stderr).toMatch(
      /^error: --map "http:\/\/host\/map\.json" cannot be read: .*\[USAGE\]\n$/,
    );
    expect(stderr).not.toContain('word');
  });

  it('takes --base in place of the configured one, and --map in place of imageMap.url', async () => {
    await using workspace = await Workspace.create();
    const image = 'atlanhq/agent:1';
    expect(await targetOf(`--config ${CONFIG} --base other.example/m ${image}`)).toBe(
      'other.example/m/atlanhq/agent:1',
    );
    // Without a configuration it has a mode of its own.
    expect(await targetOf(`--base r.example ${image}`)).toBe('r.example/atlanhq/agent:1');
    const map = await workspace.write('map.json', '{"atlanhq/agent:1": "r.example/agent:1"}');
    expect(await targetOf(`--map ${map} ${image}`)).toBe('r.example/agent:1');
    expect(await targetOf(`--map file://${map} ${image}`)).toBe('r.example/agent:1');
    // What the map lacks is for the base.
    expect(await targetOf(`--map ${map} --base r.example/m atlanhq/other:1`)).toBe(
      'r.example/m/atlanhq/other:1',
    );
  });

  it('holds the overrides against the configuration like what stands in it', async () => {
    const foreign = await resolve('--config examples/config-prefixes.yaml --base evil.example a');
    expect(foreign).toMatchObject({ code: 1, stdout: '' });
    expect(foreign.stderr).toMatch(
      /^error: --base "evil\.example" lies outside allowedTargets \(.*\) of the configuration examples\/config-prefixes\.yaml; .*\[CONFIG_TARGET_FORBIDDEN\]\n$/,
    );
  });

  it('says that a map on standard input has no signature where the configuration asks for one', async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write(
      'config.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: map\nimageMap: {url: "s3://b/m.json", publicKeyFile: /key.pem}\n',
    );
    const finished = await resolve(`--config ${config} --map - nginx`, '{}');
    expect(finished).toMatchObject({ code: 1, stdout: '' });
    expect(finished.stderr).toMatch(
      /^error: a map on standard input has no signature, .*; give --map a file or URL .*\[MAP_SIGNATURE_INVALID\]\n$/,
    );
  });

  it('never loses a digest and never invents a tag', async () => {
    const digest = digestOf('a');
    const suffixes = ['', ':1', `@${digest}`, `:1@${digest}`];
    const lines = await resolutions(
      `--config ${CONFIG} ${suffixes.map((suffix) => `atlanhq/agent${suffix}`).join(' ')}`,
    );
    expect(lines.map(({ target }) => target)).toEqual(
      suffixes.map((suffix) => `registry.corp.example/mirror/atlanhq/agent${suffix}`),
    );
  });

  it('names every fault of a map and decides nothing', async () => {
    await using workspace = await Workspace.create();
    const map = await workspace.write('map.json', '{"a b": "r.example/a", "c": 7}');
    const { code, stdout, stderr } = await resolve(`--map ${map} atlanhq/agent:1`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('$["a b"]');
    expect(stderr).toContain('$.c');
    expect(stderr).toMatch(/^error: .*\[MAP_[A-Z_]+\]\n$/s);
  });

  it.each([
    ['no image', `--config ${CONFIG}`],
    ['a configuration that is not there', '--config no-such-file.yaml a'],
    ['a map that is not there', '--map no-such-file.json a'],
    ['an unknown format', '--output yaml a'],
  ])('ends with 2 for %s', async (_title, args) => {
    const { code, stdout, stderr } = await resolve(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
  });
});
