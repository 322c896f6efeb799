import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { digestOf } from '../support/digests.ts';
import { type KeyFiles, writeKeyPair } from '../support/key-files.ts';
import { mapDocument } from '../support/maps.ts';
import { type Finished, runProgram } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';

const EXAMPLE = 'examples/image-map.json';
const [A, B] = [digestOf('a'), digestOf('b')];
const ANSI = String.fromCharCode(27);

function run(args: string, input = ''): Promise<Finished> {
  return runProgram(['map', ...args.split(' ')], input);
}

/** The documents on standard output, one a line. */
function jsonLines({ stdout }: Finished): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function writeMap(workspace: Workspace, name: string, document: unknown): Promise<string> {
  return workspace.write(name, JSON.stringify(document));
}

describe('map lint', () => {
  it('finds a good map good, warns of what is suspicious, and ends with 0', async () => {
    const { code, stdout, stderr } = await run(`lint ${EXAMPLE}`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`${EXAMPLE}: good: serial 42, 7 entries, 1 warning`);
    expect(stdout).toContain('$.images[2].source');
    expect(stdout).toContain('[MAP_TARGET_MUTABLE]');
    expect(stdout).not.toContain(ANSI);
  });

  it('names every fault with its path and its code, and ends with 1', async () => {
    await using workspace = await Workspace.create();
    const file = await writeMap(workspace, 'map.json', {
      apiVersion: 'sdr-image-map/v2',
      serial: -1,
      images: [{ source: 'a b', target: 'r.example/a' }, { target: 3 }],
    });
    const finished = await run(`lint --output json -- ${file}`);
    expect(finished).toMatchObject({ code: 1, stderr: '' });
    const [report] = jsonLines(finished);
    expect(report).toEqual({
      file,
      ok: false,
      serial: null,
      entries: 0,
      faults: expect.any(Array) as unknown,
      warnings: [],
    });
    const faults = report?.faults as { code: string; path: string; message: string }[];
    expect(faults.map(({ code, path }) => `${code} ${path}`).sort()).toEqual([
      'MAP_REFERENCE_INVALID $.images[0].source',
      'MAP_SHAPE_INVALID $.images[1].source',
      'MAP_SHAPE_INVALID $.images[1].target',
      'MAP_SHAPE_INVALID $.serial',
      'MAP_VERSION_UNKNOWN $.apiVersion',
    ]);
    const { stdout } = await run(`lint ${file}`);
    expect(stdout).toContain(`${file}: refused: 5 faults`);
    for (const { code, path } of faults) {
      expect(stdout).toMatch(new RegExp(`${path.replaceAll(/[$[\].]/g, '\\$&')}: .*\\[${code}\\]`));
    }
  });

  it('reports on several maps, and ends with the highest code', async () => {
    await using workspace = await Workspace.create();
    const bad = await workspace.write('bad.json', '{"a:1": "r.example/a:1"} trailing');
    const finished = await run(`lint --output json ${EXAMPLE} ${bad} ${EXAMPLE}`);
    expect(finished.code).toBe(1);
    expect(jsonLines(finished).map(({ file, ok }) => [file, ok])).toEqual([
      [EXAMPLE, true],
      [bad, false],
      [EXAMPLE, true],
    ]);
  });

  it('reads standard input', async () => {
    const finished = await run('lint --output json -', await readFile(EXAMPLE, 'utf8'));
    expect(finished.code).toBe(0);
    expect(jsonLines(finished)).toMatchObject([{ file: '-', ok: true, serial: 42, entries: 7 }]);
  });

  it('demands a rule of the map itself for every image of --require', async () => {
    const required = 'atlanhq/atlan-mysql-app:0.4.25 registry.atlan.com/public/base:3';
    expect(await run(`lint ${EXAMPLE} --require ${required}`)).toMatchObject({ code: 0 });

    const missing = 'atlanhq/atlan-mysql-app:0.4.26 nginx not:a:reference';
    const finished = await run(`lint ${EXAMPLE} --output json --require ${required} ${missing}`);
    expect(finished.code).toBe(1);
    const [report] = jsonLines(finished);
    expect(report).toMatchObject({ ok: false, serial: 42, entries: 7 });
    const faults = report?.faults as { code: string; message: string }[];
    expect(faults.map(({ code }) => code)).toEqual(Array(3).fill('MAP_REQUIRED_MISSING'));
    for (const [index, image] of missing.split(' ').entries()) {
      expect(faults[index]?.message).toContain(image);
    }
  });

  it('does not take a prefix of the configuration for a rule of the map', async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write(
      'config.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: prefix\ncontainerRegistryBase: r.example\n',
    );
    const { code, stdout } = await run(
      `lint ${EXAMPLE} --config ${config} --require atlanhq/atlan-new-app:1`,
    );
    expect(code).toBe(1);
    expect(stdout).toContain('MAP_REQUIRED_MISSING');
  });

  it('holds the map against allowedTargets and the limits of the configuration', async () => {
    await using workspace = await Workspace.create();
    const config = (rest: string): string =>
      `apiVersion: sdr-image-rewriter/v1\nprocurement: public\n${rest}\n`;
    const elsewhere = await workspace.write('a.yaml', config('allowedTargets: [other.example]'));
    const foreign = await run(`lint --output json --config ${elsewhere} ${EXAMPLE}`);
    expect(foreign.code).toBe(1);
    expect(jsonLines(foreign)[0]?.faults).toHaveLength(6);
    expect(foreign.stdout).toContain('MAP_TARGET_FORBIDDEN');

    const small = await workspace.write('b.yaml', config('imageMap: {maxBytes: 100}'));
    const large = await run(`lint --output json --config ${small} ${EXAMPLE}`);
    expect(large.code).toBe(1);
    expect(large.stdout).toContain('MAP_TOO_LARGE');
  });

  it.each([
    ['no map', ''],
    ['a file that is not there', ' no-such-file.json'],
    ['a configuration that is not there', ` --config no-such-file.yaml ${EXAMPLE}`],
    ['an unknown format', ` --output xml ${EXAMPLE}`],
    ['a file:// URL of another host', ' file://tmp/map.json'],
    ['a file:// URL that names no file', ' file:///tmp/100%/map.json'],
    ['a URL without a host', ' https://'],
    ['a bucket that no URL can have', ' s3://b<ad/map.json'],
    ['a scheme that no map has', ' ftp://r.example/map.json'],
  ])('ends with 2 for %s', async (_title, args) => {
    const { code, stdout, stderr } = await run(`lint${args}`);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
  });
});

describe('map diff', () => {
  const old = {
    'atlanhq/a:1': 'r.example/a:1',
    'atlanhq/b:1': 'r.example/b:1',
    'atlanhq/c:1': 'r.example/c:1',
  };
  const next = mapDocument({
    serial: 9,
    images: [
      { source: 'atlanhq/d:1', target: 'r.example/d:1' },
      { source: 'docker.io/atlanhq/b:1', target: 'r.example/b:2' },
      { source: 'atlanhq/c:1', target: 'r.example/c:1' },
    ],
  });

  it('says what is added, removed and changed', async () => {
    await using workspace = await Workspace.create();
    const from = await writeMap(workspace, 'old.json', old);
    const to = await writeMap(workspace, 'new.json', next);
    const { code, stdout } = await run(`diff ${from} ${to}`);
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        '- docker.io/atlanhq/a:1 → r.example/a:1',
        '+ docker.io/atlanhq/d:1 → r.example/d:1',
        '~ docker.io/atlanhq/b:1: r.example/b:1 → r.example/b:2',
        '1 source added, 1 removed, 1 changed',
        '',
      ].join('\n'),
    );
    expect(jsonLines(await run(`diff --output json ${from} ${to}`))).toEqual([
      {
        added: [{ kind: 'image', source: 'docker.io/atlanhq/d:1', target: 'r.example/d:1' }],
        removed: [{ kind: 'image', source: 'docker.io/atlanhq/a:1', target: 'r.example/a:1' }],
        changed: [
          {
            kind: 'image',
            source: 'docker.io/atlanhq/b:1',
            from: 'r.example/b:1',
            to: 'r.example/b:2',
          },
        ],
      },
    ]);
  });

  it('shows the source digests where these differ, and nothing else of an entry', async () => {
    await using workspace = await Workspace.create();
    const source = 'atlanhq/a:1';
    const same = { source: 'atlanhq/b:1', sourceDigest: A, target: 'r.example/b:1' };
    const from = await writeMap(
      workspace,
      'old.json',
      mapDocument({ images: [{ source, sourceDigest: A, target: 'r.example/a:1' }, same] }),
    );
    const to = await writeMap(
      workspace,
      'new.json',
      mapDocument({ images: [{ source, sourceDigest: B, target: 'r.example/a:1' }, same] }),
    );
    const without = await writeMap(workspace, 'without.json', {
      [source]: 'r.example/a:2',
      'atlanhq/b:1': `r.example/b@${B}`,
    });
    const key = `docker.io/${source}`;
    expect((await run(`diff ${from} ${to}`)).stdout).toBe(
      `~ ${key}: source digest ${A} → ${B}\n0 sources added, 0 removed, 1 changed\n`,
    );
    expect((await run(`diff ${from} ${without}`)).stdout).toContain(
      `~ ${key}: r.example/a:1 → r.example/a:2, source digest ${A} → none\n`,
    );
    expect(jsonLines(await run(`diff --output json ${from} ${to}`))).toMatchObject([
      {
        changed: [
          {
            kind: 'image',
            source: key,
            from: 'r.example/a:1',
            to: 'r.example/a:1',
            fromSourceDigest: A,
            toSourceDigest: B,
          },
        ],
      },
    ]);
  });

  it('finds nothing between a map and itself, and reads one of them from standard input', async () => {
    const text = await readFile(EXAMPLE, 'utf8');
    const { code, stdout } = await run(`diff --fail-on-removal ${EXAMPLE} -`, text);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: '0 sources added, 0 removed, 0 changed\n',
    });
  });

  it('ends with 1 for a removal where --fail-on-removal is given, and for nothing else', async () => {
    await using workspace = await Workspace.create();
    const from = await writeMap(workspace, 'old.json', old);
    const changed = await writeMap(workspace, 'changed.json', {
      ...old,
      'atlanhq/a:1': 'r.example/a:2',
      'atlanhq/d:1': 'r.example/d:1',
    });
    const less = await writeMap(workspace, 'less.json', { 'atlanhq/a:1': 'r.example/a:1' });
    expect((await run(`diff --fail-on-removal ${from} ${changed}`)).code).toBe(0);
    expect((await run(`diff ${from} ${less}`)).code).toBe(0);
    const finished = await run(`diff --fail-on-removal --output json ${from} ${less}`);
    expect(finished.code).toBe(1);
    expect(jsonLines(finished)[0]?.removed).toHaveLength(2);
  });

  it('ends with 1 where one of the maps has faults, and names them all', async () => {
    await using workspace = await Workspace.create();
    const bad = await writeMap(workspace, 'bad.json', { 'a b': 'r.example/a', c: 7 });
    for (const pair of [`${EXAMPLE} ${bad}`, `${bad} ${EXAMPLE}`]) {
      const { code, stdout, stderr } = await run(`diff ${pair}`);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(bad);
      expect(stderr).toContain('$["a b"]');
      expect(stderr).toContain('$.c');
    }
  });

  it.each([[EXAMPLE], [`${EXAMPLE} no-such-file.json`]])('ends with 2 for %s', async (args) => {
    expect(await run(`diff ${args}`)).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('map import', () => {
  interface Written {
    readonly images: unknown[];
    readonly repositories: unknown[];
    readonly prefixes: unknown[];
  }

  function mapIn({ stdout }: Finished): Written {
    return JSON.parse(stdout) as Written;
  }

  it('makes a map of source=target lines', async () => {
    const lines = [
      '# written by oc-mirror',
      `docker.io/atlanhq/a@${A}=registry.corp.example/atlanhq/a:1`,
      '',
      'atlanhq/b = registry.corp.example/b',
      'registry.atlan.com/public/=registry.corp.example/public/',
    ].join('\n');
    const finished = await run('import -', lines);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    expect(mapIn(finished)).toEqual({
      apiVersion: 'sdr-image-map/v1',
      images: [{ source: `docker.io/atlanhq/a@${A}`, target: 'registry.corp.example/atlanhq/a:1' }],
      repositories: [{ source: 'docker.io/atlanhq/b', target: 'registry.corp.example/b' }],
      prefixes: [{ source: 'registry.atlan.com/public', target: 'registry.corp.example/public' }],
    });
  });

  it('carries over the digests of the sources of a faithful mirror', async () => {
    const line = `docker.io/atlanhq/a@${A}=r.example/a:1\natlanhq/b:1=r.example/b:1`;
    expect(mapIn(await run('import --faithful -', line)).images).toEqual([
      { source: `docker.io/atlanhq/a@${A}`, target: `r.example/a:1@${A}` },
      { source: 'docker.io/atlanhq/b:1', target: 'r.example/b:1' },
    ]);
  });

  it('has no conflict with --faithful where one of two files knows the digest of a source', async () => {
    await using workspace = await Workspace.create();
    const image = { source: 'docker.io/atlanhq/a:1', sourceDigest: A, target: 'r.example/a:1' };
    const map = await writeMap(workspace, 'map.json', mapDocument({ images: [image] }));
    const lines = await workspace.write('mapping.txt', 'atlanhq/a:1=r.example/a:1\n');
    const finished = await run(`import --faithful ${lines} ${map}`);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    expect(mapIn(finished).images).toEqual([{ ...image, target: `r.example/a:1@${A}` }]);
  });

  it('says of a kustomization that moves nothing that there is nothing to import, and why', async () => {
    const text = 'images:\n- {name: nginx, newTag: "1.25"}\n';
    expect(await run('import -', text)).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'note: -: $.images[0]: the entry moves "nginx" nowhere, so the map has no rule for it\nerror: standard input has no entry to import [MAP_IMPORT_INVALID]\n',
    });
  });

  it.each([
    ['a CNAB relocation mapping', { [`atlanhq/a@${A}`]: `r.example/a@${B}` }],
    ['an image map of kbld', { images: { [`atlanhq/a@${A}`]: `r.example/a@${B}` } }],
    ['a list', [{ sourceImage: `atlanhq/a@${A}`, destinationImage: `r.example/a@${B}` }]],
  ])('makes a map of %s', async (_title, document) => {
    const finished = await run('import -', JSON.stringify(document));
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    expect(mapIn(finished).images).toEqual([
      { source: `docker.io/atlanhq/a@${A}`, target: `r.example/a@${B}` },
    ]);
  });

  describe('of a structured map', () => {
    const pinned = {
      source: 'docker.io/atlanhq/y:1',
      sourceDigest: A,
      target: `registry.corp.example/y:1@${B}`,
      platforms: ['linux/amd64'],
    };
    const structured = mapDocument({
      images: [{ source: 'docker.io/atlanhq/x', target: 'registry.corp.example/x' }, pinned],
      prefixes: [{ source: 'docker.io/atlanhq', target: 'registry.corp.example/atlan' }],
    });
    const printed = {
      ...structured,
      images: [{ source: 'docker.io/atlanhq/x:latest', target: 'registry.corp.example/x' }, pinned],
      repositories: [],
    };

    it.each(['import -', 'import --format json -', 'import --faithful -'])(
      'keeps kinds, source digests and platforms with %s',
      async (args) => {
        const finished = await run(args, JSON.stringify(structured));
        expect(finished).toMatchObject({ code: 0, stderr: '' });
        expect(mapIn(finished)).toEqual(printed);
      },
    );

    it('keeps them beside lines of another file as well', async () => {
      await using workspace = await Workspace.create();
      const map = await writeMap(workspace, 'map.json', structured);
      const lines = await workspace.write('mapping.txt', 'atlanhq/z=registry.corp.example/z\n');
      expect(mapIn(await run(`import ${lines} ${map}`))).toEqual({
        ...printed,
        repositories: [{ source: 'docker.io/atlanhq/z', target: 'registry.corp.example/z' }],
      });
    });

    it('gives targets without a digest the sourceDigest of a faithful mirror', async () => {
      const image = { source: 'docker.io/atlanhq/a:1', sourceDigest: A, target: 'r.example/a:1' };
      const text = JSON.stringify(mapDocument({ images: [image] }));
      expect(mapIn(await run('import --faithful -', text)).images).toEqual([
        { ...image, target: `r.example/a:1@${A}` },
      ]);
    });
  });

  it('makes a map of a kustomization, and says what it assumed', async () => {
    await using workspace = await Workspace.create();
    const file = await workspace.write(
      'kustomization.yaml',
      `kind: Kustomization
images:
  - name: docker.io/atlanhq/a
    newName: r.example/a
    newTag: "1.10"
    digest: ${A}
  - { name: docker.io/atlanhq/b, newName: r.example/b }
`,
    );
    const finished = await run(`import ${file}`);
    expect(finished.code).toBe(0);
    expect(mapIn(finished)).toMatchObject({
      images: [{ source: 'docker.io/atlanhq/a:1.10', target: `r.example/a:1.10@${A}` }],
      repositories: [{ source: 'docker.io/atlanhq/b', target: 'r.example/b' }],
    });
    expect(finished.stderr).toContain(`note: ${file}: $.images[0]`);
  });

  it('merges several files, and its output is good to lint', async () => {
    await using workspace = await Workspace.create();
    const lines = await workspace.write('mapping.txt', `atlanhq/a:1=r.example/a@${A}\n`);
    const cnab = await writeMap(workspace, 'cnab.json', { 'atlanhq/b:1': `r.example/b@${B}` });
    const finished = await run(`import ${lines} ${cnab}`);
    expect(mapIn(finished).images).toHaveLength(2);
    expect(await run('lint -', finished.stdout)).toMatchObject({
      code: 0,
      stdout: '-: good: serial none, 2 entries, 0 warnings\n',
    });
  });

  it('names every line that is none, and writes nothing', async () => {
    const text = 'atlanhq/a:1=r.example/a:1\natlanhq/b:1\n\na=b=c\n';
    const { code, stdout, stderr } = await run('import -', text);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('line 2');
    expect(stderr).toContain('line 4');
    expect(stderr).toMatch(/\[MAP_IMPORT_INVALID\]\n$/);
  });

  it.each([
    ['references that do not parse', 'auto', 'atlanhq/A b=r.example/a', 'MAP_REFERENCE_INVALID'],
    [
      'two targets for one source',
      'auto',
      'atlanhq/a:1=r.example/a:1\natlanhq/a:1=r.example/b:1',
      'MAP_SOURCE_CONFLICT',
    ],
    ['JSON with faults', 'auto', '{"atlanhq/a:1": 7}', 'MAP_SHAPE_INVALID'],
    ['text that is no JSON', 'json', 'atlanhq/a=r.example/a', 'MAP_NOT_JSON'],
    ['a kustomization without images', 'kustomize', 'resources: [a]', 'MAP_IMPORT_INVALID'],
    [
      'a tag that YAML reads as a number',
      'auto',
      'images:\n- {name: atlanhq/a, newTag: 1.10}',
      'MAP_IMPORT_INVALID',
    ],
  ])('refuses %s', async (_title, format, text, code) => {
    const finished = await run(`import --format ${format} -`, text);
    expect(finished).toMatchObject({ code: 1, stdout: '' });
    expect(finished.stderr).toContain(`[${code}]`);
  });

  it.each([
    ['that ends in the middle', 'images:\n- {name: atlanhq/x, newName: r.example/x', '2:41'],
    ['with a key that stands twice', 'images:\n- name: atlanhq/x\n  name: atlanhq/y', '3:3'],
    ['with an alias of nothing', 'images:\n- *x', '2:3'],
    [
      'whose aliases stand for more than memory holds',
      `images: &0 [a, a, a, a, a, a, a, a, a]\n${Array.from({ length: 9 }, (_, level) => `a${level}: &${level + 1} [${Array(9).fill(`*${level}`).join(', ')}]\n`).join('')}`,
      '\\d+:\\d+',
    ],
    [
      'with a fault in a further document',
      'images:\n- {name: atlanhq/x, newName: r.example/x}\n---\nimages: [',
      '4:10',
    ],
  ])('refuses a kustomization %s, with line and column', async (_title, text, place) => {
    const { code, stdout, stderr } = await run('import -', text);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^error: -:${place}: .*\\[MANIFEST_NOT_YAML\\]\\n$`));
  });

  it('reads every document of a kustomization, and refuses one without images by its line', async () => {
    const documents = ['a', 'b'].map(
      (name) => `images:\n- {name: atlanhq/${name}, newName: r.example/${name}, newTag: "1"}\n`,
    );
    const finished = await run('import -', documents.join('---\n'));
    expect(finished.code).toBe(0);
    expect(mapIn(finished).images).toHaveLength(2);
    expect(finished.stderr).toMatch(/^note: -: line 1: .*\nnote: -: line 4: .*\n$/);
    const refused = await run('import -', `${documents.join('---\n')}---\nkind: Namespace\n`);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/line 7: \$\.images: .*\[MAP_IMPORT_INVALID\]\n$/);
  });

  it('reads every form with a byte order mark', async () => {
    const kustomization = 'images:\n- {name: atlanhq/a, newName: r.example/a, newTag: "1"}';
    for (const text of [
      'atlanhq/a:1=r.example/a:1',
      '{"atlanhq/a:1": "r.example/a:1"}',
      kustomization,
    ]) {
      expect(mapIn(await run('import -', `\uFEFF${text}`)).images).toEqual([
        { source: 'docker.io/atlanhq/a:1', target: 'r.example/a:1' },
      ]);
    }
  });

  it.each([
    ['lines', '# a\natlanhq/a:1=r.example/a:1\n\natlanhq/a:1=r.example/b:1\n', 'line 4', 'line 2'],
    [
      'pairs in JSON',
      '[{"from":"atlanhq/a:1","to":"r.example/a:1"},{"from":"docker.io/atlanhq/a:1","to":"r.example/b:1"}]',
      '$[1].from',
      '$[0].from',
    ],
    [
      'a kustomization',
      'images:\n- {name: q, newName: r.example/q, newTag: "1"}\n- {name: atlanhq/a, newName: r.example/a, newTag: "1"}\n- {name: atlanhq/a, newName: r.example/b, newTag: "1"}\n',
      '$.images[2]',
      '$.images[1]',
    ],
  ])('says of two entries in %s that differ where both are', async (_name, text, one, other) => {
    await using workspace = await Workspace.create();
    const file = await workspace.write('one.txt', text);
    const good = await workspace.write('two.txt', 'atlanhq/z=r.example/z\n');
    const alone = await run(`import ${file}`);
    expect(alone).toMatchObject({ code: 1, stdout: '' });
    expect(alone.stderr).toContain(`has a fault: ${one}: `);
    expect(alone.stderr).toContain(`stands at ${other} as well`);
    const beside = await run(`import ${good} ${file}`);
    expect(beside.stderr).toContain(`: ${file}, ${one}: `);
    expect(beside.stderr).toContain(`stands at ${file}, ${other} as well`);
  });

  it('says of a name that does not parse in which line it stands', async () => {
    const { stderr } = await run(
      'import -',
      'atlanhq/a:1=r.example/a:1\natlanhq/B:1=r.example/b:1\n',
    );
    expect(stderr).toContain('has a fault: line 2: ');
  });

  describe('near imageMap.maxBytes', () => {
    const lines = Array.from({ length: 20 }, (_, n) => `atlanhq/a:${n}=r.example/a:${n}\n`).join(
      '',
    );

    async function importUpTo(maxBytes: number): Promise<Finished & { readonly lint: Finished }> {
      await using workspace = await Workspace.create();
      const config = await workspace.write(
        'config.yaml',
        `apiVersion: sdr-image-rewriter/v1\nprocurement: public\nimageMap: {maxBytes: ${maxBytes}}\n`,
      );
      const finished = await run(`import --config ${config} -`, lines);
      return { ...finished, lint: await run(`lint --config ${config} -`, finished.stdout) };
    }

    it('prints a map that lint takes, on one line where it is too large indented', async () => {
      const { stdout } = await run('import -', lines);
      const indented = await importUpTo(stdout.length);
      expect(indented).toMatchObject({ code: 0, stdout, lint: { code: 0 } });
      const oneLine = await importUpTo(stdout.length - 1);
      expect(oneLine).toMatchObject({ code: 0, lint: { code: 0 } });
      expect(oneLine.stdout).toBe(`${JSON.stringify(JSON.parse(stdout))}\n`);
    });

    it('refuses a map that is too large on one line as well, with the size of the merged map', async () => {
      const { stdout } = await run('import -', lines);
      const size = JSON.stringify(JSON.parse(stdout)).length + 1;
      expect(await importUpTo(size)).toMatchObject({ code: 0, lint: { code: 0 } });
      const refused = await importUpTo(size - 1);
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toContain(`the merged map of - has ${size} bytes; the limit is`);
      expect(refused.stderr).toMatch(/\[MAP_TOO_LARGE\]\n$/);
    });
  });

  it('refuses an entry of a kustomization that kustomize would read otherwise, and names file and place', async () => {
    await using workspace = await Workspace.create();
    const entry = '{name: atlanhq/a, newName: r.example/a, tagSuffix: -r1}';
    const file = await workspace.write('kustomization.yaml', `images:\n- ${entry}\n`);
    const { code, stdout, stderr } = await run(`import ${file}`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${file} has a fault: $.images[0]: `);
    expect(stderr).toMatch(/tagSuffix.*\[MAP_IMPORT_INVALID\]\n$/);
  });

  it('tells of keys that no map has', async () => {
    const document = {
      apiVersion: 'sdr-image-map/v1',
      images: [{ source: 'atlanhq/a:1', target: 'r.example/a:1', sourcedigest: A }],
      repository: [],
    };
    const { code, stderr } = await run('import -', JSON.stringify(document));
    expect(code).toBe(0);
    expect(stderr).toBe(
      'note: -: $.repository is a key that no map has; it was passed over\nnote: -: $.images[0].sourcedigest is a key that no map has; it was passed over\n',
    );
  });

  it('holds the targets against allowedTargets', async () => {
    const args = 'import --config examples/config-map.yaml -';
    expect(await run(args, 'atlanhq/a:1=registry.corp.example/a:1')).toMatchObject({ code: 0 });
    const finished = await run(args, 'atlanhq/a:1=evil.example/a:1');
    expect(finished).toMatchObject({ code: 1, stdout: '' });
    expect(finished.stderr).toContain('MAP_TARGET_FORBIDDEN');
  });

  it.each([
    ['nothing', ''],
    ['comments', '# written by a job\n\n'],
    ['a list without entries', '[]'],
    ['a map without entries', '{"apiVersion": "sdr-image-map/v1"}'],
  ])('takes %s for the failure of what should have written it', async (_title, input) => {
    const { code, stdout, stderr } = await run('import -', input);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe('error: standard input has no entry to import [MAP_IMPORT_INVALID]\n');
  });

  it('ends with 2 for a file that is not there', async () => {
    expect(await run('import no-such-file.txt')).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('map sign', () => {
  const SOURCE = 'atlanhq/atlan-mysql-app:0.4.25';

  async function resolveWith(workspace: Workspace, map: string, keys: string): Promise<Finished> {
    const config = await workspace.write(
      'config.yaml',
      `apiVersion: sdr-image-rewriter/v1\nprocurement: map\nimageMap: {url: "file://${map}", publicKeyFile: ${keys}}\n`,
    );
    return runProgram(['resolve', '--config', config, SOURCE]);
  }

  async function signedMap(workspace: Workspace, key: KeyFiles): Promise<string> {
    const map = await workspace.write('map.json', await readFile(EXAMPLE));
    expect(await run(`sign ${map} --key ${key.privateKey}`)).toMatchObject({
      code: 0,
      stdout: '',
      stderr: `signed: ${map}.sig\n`,
    });
    return map;
  }

  it('writes a signature that a reader with the public key accepts', async () => {
    await using workspace = await Workspace.create();
    const key = await writeKeyPair(workspace);
    const map = await signedMap(workspace, key);
    expect(await readFile(`${map}.sig`, 'utf8')).toMatch(/^[A-Za-z0-9+/]{86}==\n$/);
    const { code, stdout } = await resolveWith(workspace, map, key.publicKey);
    expect(code).toBe(0);
    expect(stdout).toContain('registry.corp.example/atlan/mysql:0.4.25-r1');
  });

  it('is accepted by a reader that has the key among several', async () => {
    await using workspace = await Workspace.create();
    const [old, next] = [
      await writeKeyPair(workspace, 'old'),
      await writeKeyPair(workspace, 'next'),
    ];
    const both = await workspace.write('both.pub', `${old.publicPem}\n${next.publicPem}`);
    for (const key of [old, next]) {
      const map = await signedMap(workspace, key);
      expect((await resolveWith(workspace, map, both)).code).toBe(0);
    }
  });

  it('keeps the signature of another key, and its own once', async () => {
    await using workspace = await Workspace.create();
    const keys = [await writeKeyPair(workspace, 'old'), await writeKeyPair(workspace, 'next')];
    const map = await workspace.write('map.json', await readFile(EXAMPLE));
    for (const { privateKey } of [...keys, ...keys]) {
      expect(await run(`sign ${map} --key ${privateKey}`)).toMatchObject({ code: 0 });
    }
    expect((await readFile(`${map}.sig`, 'utf8')).match(/\n/g)).toHaveLength(2);
    for (const { publicKey } of keys) {
      expect((await resolveWith(workspace, map, publicKey)).code).toBe(0);
    }
  });

  it('does not fit a map with one byte more, another key, or no signature at all', async () => {
    await using workspace = await Workspace.create();
    const key = await writeKeyPair(workspace);
    const other = await writeKeyPair(workspace, 'other');
    const map = await signedMap(workspace, key);
    const text = await readFile(map, 'utf8');
    const unsigned = await workspace.write('unsigned.json', text);

    const refusals = [
      await resolveWith(workspace, map, other.publicKey),
      await resolveWith(workspace, unsigned, key.publicKey),
    ];
    await workspace.write('map.json', `${text}\n`);
    refusals.push(await resolveWith(workspace, map, key.publicKey));
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ code: 1, stdout: '' });
      expect(refusal.stderr).toContain('[MAP_SIGNATURE_INVALID]');
    }
  });

  it('goes to standard output for standard input, and where --out says', async () => {
    await using workspace = await Workspace.create();
    const key = await writeKeyPair(workspace);
    const map = await signedMap(workspace, key);
    const text = await readFile(map, 'utf8');
    const { code, stdout, stderr } = await run(`sign - --key ${key.privateKey}`, text);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    // Ed25519 gives the same signature for the same bytes.
    expect(stdout).toBe(await readFile(`${map}.sig`, 'utf8'));
    expect(await run(`sign ${map} --key ${key.privateKey} --out -`)).toEqual({
      code: 0,
      stdout,
      stderr: '',
    });
    const out = workspace.path('elsewhere.sig');
    expect((await run(`sign ${map} --key ${key.privateKey} --out ${out}`)).code).toBe(0);
    expect(await readFile(out, 'utf8')).toBe(stdout);
  });

  it('ends with 2 where the signature cannot be written, and says why', async () => {
    await using workspace = await Workspace.create();
    const { privateKey } = await writeKeyPair(workspace);
    const out = workspace.path('no-such-folder/map.sig');
    const { code, stdout, stderr } = await run(`sign ${EXAMPLE} --key ${privateKey} --out ${out}`);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: cannot write the signature: .*\[USAGE\]\n$/);
  });

  it('asks for --out where nothing can be written beside the map', async () => {
    await using workspace = await Workspace.create();
    const { privateKey } = await writeKeyPair(workspace);
    for (const url of ['https://r.example/map.json', 'file:///map.json']) {
      const { code, stderr } = await run(`sign ${url} --key ${privateKey}`);
      expect(code).toBe(2);
      expect(stderr).toContain('say with --out where this one goes [USAGE]');
    }
  });

  it('signs no map with faults', async () => {
    await using workspace = await Workspace.create();
    const { privateKey } = await writeKeyPair(workspace);
    const map = await writeMap(workspace, 'map.json', { 'a b': 'r.example/a' });
    const { code, stderr } = await run(`sign ${map} --key ${privateKey}`);
    expect(code).toBe(1);
    expect(stderr).toContain('MAP_REFERENCE_INVALID');
    await expect(readFile(`${map}.sig`)).rejects.toThrow('ENOENT');
  });

  it.each([
    ['a key of another kind', 'rsa.pem', 1, 'SIGNATURE_KEY_INVALID'],
    ['a public key', 'key.pub', 1, 'SIGNATURE_KEY_INVALID'],
    ['a key that is not there', 'missing.pem', 2, 'SIGNATURE_KEY_UNREADABLE'],
  ])('refuses %s, and names its file', async (_title, name, code, error) => {
    await using workspace = await Workspace.create();
    await writeKeyPair(workspace);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    await workspace.write('rsa.pem', rsa.export({ type: 'pkcs8', format: 'pem' }));
    const finished = await run(`sign ${EXAMPLE} --key ${workspace.path(name)} --out /dev/null`);
    expect(finished).toMatchObject({ code, stdout: '' });
    expect(finished.stderr).toMatch(new RegExp(`^error: .*${name}.* \\[${error}\\]\\n$`));
  });

  it('ends with 2 without a key', async () => {
    expect(await run(`sign ${EXAMPLE}`)).toMatchObject({ code: 2, stdout: '' });
  });
});
