import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  utimes,
  watch,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import { manifestFixtures } from '../support/manifests.ts';
import { type Finished, runProgram } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';

const CONFIG = ['--config', 'examples/config.yaml'];
const MIRROR = 'registry.corp.example/mirror';
const IMAGE = 'docker.io/atlanhq/app:1';

function pod(image: string): string {
  return `apiVersion: v1\nkind: Pod # of a test\nspec:\n  containers:\n    - name: main\n      image: ${image}\n`;
}

const BEFORE = pod(IMAGE);
const AFTER = pod(`${MIRROR}/atlanhq/app:1`);
const BROKEN = `${BEFORE}---\n${BEFORE}---\na: [b\n`;

function rewrite(args: readonly string[], input: string | Uint8Array = ''): Promise<Finished> {
  return runProgram(['rewrite', ...CONFIG, ...args], input as string);
}

/** A folder with files; their content, by path. */
async function workspaceOf(files: Record<string, string | Uint8Array>): Promise<Workspace> {
  const workspace = await Workspace.create();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(workspace.path(name)), { recursive: true });
    await writeFile(workspace.path(name), content);
  }
  return workspace;
}

async function contentOf(workspace: Workspace, ...names: string[]): Promise<string[]> {
  return Promise.all(names.map((name) => readFile(workspace.path(name), 'utf8')));
}

describe('rewrite', () => {
  it('takes standard input to standard output, and says nothing else', async () => {
    expect(await rewrite(['-'], BEFORE)).toEqual({ code: 0, stdout: AFTER, stderr: '' });
    expect(await rewrite(['-'], '')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it.each(manifestFixtures())(
    'makes of $name what stands beside it',
    async ({ name, expected }) => {
      const { code, stdout } = await rewrite([`test/fixtures/manifests/${name}`]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: expected });
    },
  );

  it('makes one stream of several files', async () => {
    await using workspace = await workspaceOf({
      'a.yaml': BEFORE.trimEnd(),
      'b.yaml': `---\n${BEFORE}`,
      'c.yaml': `\uFEFF# c\n${BEFORE}`,
      'd.yaml': `# d\n%YAML 1.2\n---\n${BEFORE}`,
      'e.yaml': `---x: y\n`,
    });
    const paths = ['a', 'b', 'c', 'd', 'e'].map((name) => workspace.path(`${name}.yaml`));
    const { code, stdout } = await rewrite(paths);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${AFTER}---\n${AFTER}---\n# c\n${AFTER}...\n# d\n%YAML 1.2\n---\n${AFTER}---\n---x: y\n`,
    });
    // What comes out is read as the same documents again, each as it is.
    expect((await rewrite(['-'], stdout)).stdout).toBe(stdout);
  });

  it('takes JSON objects that follow one another, and keeps every other byte', async () => {
    const object = (image: string): string =>
      `{"apiVersion": "v1",\t"kind": "Pod", "spec": {"containers": [{"image":"${image}"}]}}`;
    const stream = (image: string): string =>
      `${object(image)}\r\n${object(image)}${object('nginx')}`;
    const target = `${MIRROR}/atlanhq/app:1`;
    expect(await rewrite(['-'], stream(IMAGE))).toEqual({
      code: 0,
      stdout: stream(target),
      stderr: '',
    });
    const { code, stdout, stderr } = await rewrite(['-'], `${object(IMAGE)}\n{"a": }}\n`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: stdin:2:\d+: .* \[MANIFEST_NOT_YAML\]\n$/);
    // Among other files they are documents of one stream of YAML.
    await using workspace = await workspaceOf({ 'a.json': stream(IMAGE), 'b.yaml': BEFORE });
    const both = await rewrite([workspace.folder]);
    const documents = [`${object(target)}\n`, `\r\n${object(target)}\n`, `${object('nginx')}\n`];
    expect(both.stdout).toBe([...documents, AFTER].join('---\n'));
  });

  it('takes every YAML and JSON file below a folder, except below hidden folders, node_modules and links to folders', async () => {
    await using workspace = await workspaceOf({
      'k8s/b.yml': BEFORE,
      'k8s/a.YAML': BEFORE,
      'k8s/deep/er/c.json': '{}',
      'k8s/notes.txt': BEFORE,
      'k8s/.git/d.yaml': BROKEN,
      'k8s/node_modules/x/e.yaml': BROKEN,
      'k8s/.hidden.yaml': BEFORE,
      'outside/linked.yaml': BEFORE,
    });
    await symlink(workspace.path('outside/linked.yaml'), workspace.path('k8s/z.yaml'));
    await symlink(workspace.path('outside'), workspace.path('k8s/linked-folder'));
    const { code, stdout } = await rewrite(['--check', workspace.path('k8s')]);
    expect(code).toBe(1);
    expect(stdout).toBe(
      ['.hidden.yaml', 'a.YAML', 'b.yml', 'z.yaml']
        .map((name) => `${workspace.path(`k8s/${name}`)}: 1 image would change\n`)
        .join(''),
    );
  });

  it('ends with 2 where there is nothing to read', async () => {
    await using workspace = await workspaceOf({ 'empty/notes.txt': '' });
    for (const path of [workspace.path('missing.yaml'), workspace.path('empty')]) {
      const { code, stdout, stderr } = await rewrite([path]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain(path);
      expect(stderr).toMatch(/\[USAGE\]\n$/);
    }
    expect((await rewrite([])).code).toBe(2);
  });

  it.each([
    ['broken YAML in document 3', BROKEN, '16:1: .* [MANIFEST_NOT_YAML]'],
    [
      'a key that stands twice',
      'a: 1\na: 2\n',
      '2:1: the key "a" stands twice .* [MANIFEST_NOT_YAML]',
    ],
    ['a tab as indentation', 'a:\n\tb: 1\n', '2:1: .* [MANIFEST_NOT_YAML]'],
    ['a Helm template', 'image: {{ .Values.image }}\n', '1:9: .* [MANIFEST_NOT_YAML]'],
    [
      'a Helm template that is YAML',
      'apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {name: a, image: "{{ .Values.image }}"}\n',
      '5:22: "{{ .Values.image }}" is no image; a template has to be rendered first.* [MANIFEST_NOT_YAML]',
    ],
    ['an unknown alias', 'a: *b\n', '1:4: .* [MANIFEST_NOT_YAML]'],
    [
      'a binary file',
      Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]),
      '1:8: .* [MANIFEST_NOT_TEXT]',
    ],
    ['UTF-16', Buffer.from('\uFEFFa: b\n', 'utf16le'), '1:1: .* [MANIFEST_NOT_TEXT]'],
    ['NUL', 'a: b\nc: \0\n', '2:4: .* [MANIFEST_NOT_TEXT]'],
  ])('ends with 1 for %s, and prints nothing but the place', async (_title, content, fault) => {
    await using workspace = await workspaceOf({ 'good.yaml': BEFORE, 'bad.yaml': content });
    const paths = ['good.yaml', 'bad.yaml'].map((name) => workspace.path(name));
    const { code, stdout, stderr } = await rewrite(paths);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const pattern = `${paths[1] ?? ''}:${fault}`.replace(/[[\]]/g, String.raw`\$&`);
    expect(stderr).toMatch(new RegExp(`^error: ${pattern}\\n$`));
    expect((await rewrite(['-'], content)).stderr).toMatch(/^error: stdin:\d+:\d+: /);
  });

  it('tells every fault of every file', async () => {
    await using workspace = await workspaceOf({ 'a.yaml': 'a: *b\n---\nc: [\n', 'b.yaml': '\0' });
    const { stderr } = await rewrite([workspace.folder]);
    expect(stderr.match(/[ab]\.yaml:\d+:\d+/g)).toEqual(['a.yaml:1:4', 'a.yaml:4:1', 'b.yaml:1:1']);
  });

  it.each(['rewrite', 'resolve', 'replay', 'map lint'])(
    '%s refuses a folder as standard input',
    (command) => {
      const { status, stdout, stderr } = spawnSync(
        'sh',
        ['-c', `"$0" dist/sdr-image-rewriter.js ${command} - < src`, process.execPath],
        { env: process.env, encoding: 'utf8' },
      );
      expect({ status, stdout, stderr }).toEqual({
        status: 2,
        stdout: '',
        stderr: 'error: cannot read the input: standard input is a folder, not a file [USAGE]\n',
      });
    },
  );

  it('ends at once where its reader has seen enough', () => {
    const text = `${BEFORE}---\n`.repeat(3000);
    const { length } = execFileSync(
      'sh',
      [
        '-c',
        '"$0" dist/sdr-image-rewriter.js rewrite --base r.example - | head -n 1',
        process.execPath,
      ],
      { input: text, env: process.env, stdio: ['pipe', 'pipe', 'inherit'] },
    );
    expect(length).toBe('apiVersion: v1\n'.length);
  });
});

describe('rewrite --diff', () => {
  it('prints a unified diff without colours where nobody looks', async () => {
    await using workspace = await workspaceOf({ 'a.yaml': BEFORE, 'b.yaml': AFTER });
    const path = workspace.path('a.yaml');
    expect(await rewrite(['--diff', workspace.folder])).toEqual({
      code: 0,
      stdout: `--- ${path}
+++ ${path}
@@ -3,4 +3,4 @@
 spec:
   containers:
     - name: main
-      image: ${IMAGE}
+      image: ${MIRROR}/atlanhq/app:1
`,
      stderr: '',
    });
    expect(await contentOf(workspace, 'a.yaml')).toEqual([BEFORE]);
  });

  it('prints colours where they are asked for', async () => {
    const { FORCE_COLOR } = process.env;
    process.env.FORCE_COLOR = '1';
    try {
      const { stdout } = await rewrite(['--diff', '-'], BEFORE);
      expect(stdout).toContain(`\u001B[31m-      image: ${IMAGE}\u001B[39m\n`);
      expect(stdout).toContain('\u001B[36m@@ -3,4 +3,4 @@\u001B[39m\n');
    } finally {
      if (FORCE_COLOR === undefined) delete process.env.FORCE_COLOR;
      else process.env.FORCE_COLOR = FORCE_COLOR;
    }
  });
});

describe('rewrite --check', () => {
  it('ends with 1 where a file would change, names it, and changes nothing', async () => {
    await using workspace = await workspaceOf({ 'a.yaml': BEFORE, 'b.yaml': AFTER });
    expect(await rewrite(['--check', workspace.folder])).toEqual({
      code: 1,
      stdout: `${workspace.path('a.yaml')}: 1 image would change\n`,
      stderr: '',
    });
    expect(await contentOf(workspace, 'a.yaml', 'b.yaml')).toEqual([BEFORE, AFTER]);
    expect((await rewrite(['--check', '--diff', workspace.folder])).code).toBe(1);
    expect((await rewrite(['--check', '--output', 'json', workspace.folder])).code).toBe(1);
  });

  it('ends with 0 and without a word where none would', async () => {
    expect(await rewrite(['--check', '-'], AFTER)).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

describe('rewrite --write', () => {
  it('puts the result in the place of each file that changes, and touches no other', async () => {
    await using workspace = await workspaceOf({ 'a.yaml': BEFORE, 'b.yaml': AFTER });
    const past = new Date('2020-01-01T00:00:00Z');
    await utimes(workspace.path('b.yaml'), past, past);
    await chmod(workspace.path('a.yaml'), 0o640);
    expect(await rewrite(['--write', workspace.folder])).toEqual({
      code: 0,
      stdout: `${workspace.path('a.yaml')}: 1 image rewritten\n`,
      stderr: '',
    });
    expect(await contentOf(workspace, 'a.yaml', 'b.yaml')).toEqual([AFTER, AFTER]);
    expect((await stat(workspace.path('a.yaml'))).mode & 0o7777).toBe(0o640);
    expect((await stat(workspace.path('b.yaml'))).mtime).toEqual(past);
    expect((await readdir(workspace.folder)).sort()).toEqual(['a.yaml', 'b.yaml']);
  });

  it('keeps line ends, a byte order mark and what is behind the last line', async () => {
    const before = `\uFEFF${BEFORE.trimEnd()}`.replaceAll('\n', '\r\n');
    await using workspace = await workspaceOf({ 'a.yaml': before });
    await rewrite(['--write', workspace.path('a.yaml')]);
    expect(await contentOf(workspace, 'a.yaml')).toEqual([
      `\uFEFF${AFTER.trimEnd()}`.replaceAll('\n', '\r\n'),
    ]);
  });

  it('writes behind a link and keeps it', async () => {
    await using workspace = await workspaceOf({ 'real/a.yaml': BEFORE });
    await symlink('real/a.yaml', workspace.path('link.yaml'));
    await rewrite(['--write', workspace.path('link.yaml')]);
    expect((await lstat(workspace.path('link.yaml'))).isSymbolicLink()).toBe(true);
    expect(await contentOf(workspace, 'real/a.yaml')).toEqual([AFTER]);
  });

  const isRoot = process.getuid?.() === 0;
  (isRoot ? it : it.skip)('keeps the owner', async () => {
    await using workspace = await workspaceOf({ 'a.yaml': BEFORE });
    await chown(workspace.path('a.yaml'), 1234, 2345);
    await rewrite(['--write', workspace.path('a.yaml')]);
    expect(await stat(workspace.path('a.yaml'))).toMatchObject({ uid: 1234, gid: 2345 });
    expect(await contentOf(workspace, 'a.yaml')).toEqual([AFTER]);
  });

  it('writes none of the files where one has a fault', async () => {
    await using workspace = await workspaceOf({
      'a.yaml': BEFORE,
      'b.yaml': BROKEN,
      'c.yaml': BEFORE,
    });
    const { code, stdout, stderr } = await rewrite(['--write', workspace.folder]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${workspace.path('b.yaml')}:16:1: `);
    expect(await contentOf(workspace, 'a.yaml', 'b.yaml', 'c.yaml')).toEqual([
      BEFORE,
      BROKEN,
      BEFORE,
    ]);
  });

  it('writes none of the files where one cannot be written, and leaves nothing behind', async () => {
    await using workspace = await workspaceOf({ 'a.yaml': BEFORE });
    // Root may write into any folder, but nobody a file beside one whose path is as long as paths may be.
    const room = 4095 - workspace.folder.length - '/b.yaml'.length;
    const names = Array.from({ length: Math.floor(room / 200) - 1 }, () => 'd'.repeat(199));
    const rest = room - names.length * 200 - 1;
    const deep = join(workspace.folder, ...names, 'r'.repeat(rest - 150), 's'.repeat(148));
    await mkdir(deep, { recursive: true });
    await writeFile(join(deep, 'b.yaml'), BEFORE);
    const paths = [workspace.path('a.yaml'), join(deep, 'b.yaml')];
    const { code, stdout, stderr } = await rewrite(['--write', ...paths]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`error: cannot write ${paths[1] ?? ''}: `);
    expect(stderr).toMatch(/\[MANIFEST_WRITE_FAILED\]\n$/);
    expect(await contentOf(workspace, 'a.yaml')).toEqual([BEFORE]);
    expect(await readFile(join(deep, 'b.yaml'), 'utf8')).toBe(BEFORE);
    expect((await readdir(workspace.folder)).length).toBe(2);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('puts everything back at %s, says so, and ends with %i', async (signal, expected) => {
    // So many that the signal comes before the last of them.
    const names = Array.from({ length: 500 }, (_, index) => `${index}.yaml`);
    await using workspace = await workspaceOf(
      Object.fromEntries(names.map((name) => [name, BEFORE])),
    );
    const child = spawn(
      process.execPath,
      ['dist/sdr-image-rewriter.js', 'rewrite', ...CONFIG, '--write', workspace.folder],
      { stdio: ['ignore', 'ignore', 'pipe'], env: process.env },
    );
    const exit = once(child, 'exit');
    const stderr = textOf(child.stderr);
    for await (const { filename } of watch(workspace.folder)) {
      if (filename?.endsWith('.tmp') === true) break;
    }
    child.kill(signal);
    expect(await exit).toEqual([expected, null]);
    expect(await stderr).toBe(
      `error: interrupted by ${signal}; no file was changed [MANIFEST_WRITE_FAILED]\n`,
    );
    expect((await readdir(workspace.folder)).sort()).toEqual(names.sort());
    expect(new Set(await contentOf(workspace, ...names))).toEqual(new Set([BEFORE]));
  });

  it('is refused for standard input, and together with --check or --diff', async () => {
    for (const args of [
      ['--write', '-'],
      ['--write', '--check', 'examples'],
      ['--write', '--diff', 'examples'],
      ['--diff', '--output', 'json', 'examples'],
    ]) {
      const { code, stdout, stderr } = await rewrite(args, BEFORE);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^error: /);
    }
  });
});

describe('rewrite --output', () => {
  const text = `${BEFORE}---\nservices:\n  web: { image: "\${A:-ghcr.io/atlanhq/web:1}" }\n`;

  it('json is one object for each image', async () => {
    const { code, stdout } = await rewrite(['--output', 'json', '-'], text);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        file: 'stdin',
        document: 1,
        line: 6,
        column: 14,
        kind: 'Pod',
        namespace: null,
        name: null,
        where: 'containers/main',
        image: IMAGE,
        outcome: 'rewritten',
        target: `${MIRROR}/atlanhq/app:1`,
        rule: 'base',
        reason: null,
      },
      {
        file: 'stdin',
        document: 2,
        line: 9,
        column: 17,
        kind: 'Compose',
        namespace: null,
        name: null,
        where: 'services/web',
        image: '${A:-ghcr.io/atlanhq/web:1}',
        outcome: 'unhandled',
        target: null,
        rule: null,
        reason: 'variable',
      },
    ]);
  });

  it('table has a row for each image', async () => {
    const { stdout } = await rewrite(['--output', 'table', '-'], text);
    const rows = stdout.trimEnd().split('\n');
    expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
      ['PLACE', 'WHERE', 'IMAGE', 'OUTCOME', 'TARGET', 'WHY'],
      ['stdin:6', 'containers/main', IMAGE, 'rewritten', `${MIRROR}/atlanhq/app:1`, 'base'],
      ['stdin:9', 'services/web', '${A:-ghcr.io/atlanhq/web:1}', 'unhandled', '-', 'variable'],
    ]);
  });
});

describe('rewrite on standard error', () => {
  (existsSync('/dev/full') ? it : it.skip)(
    'does its work where what it says cannot be written',
    async () => {
      await using workspace = await workspaceOf({ 'a.yaml': `${BEFORE}---\na: b\n` });
      const command = `"$0" dist/sdr-image-rewriter.js rewrite ${CONFIG.join(' ')} --write ${workspace.path('a.yaml')} 2> /dev/full`;
      const { status } = spawnSync('sh', ['-c', command, process.execPath], { env: process.env });
      expect(status).toBe(0);
      expect(await contentOf(workspace, 'a.yaml')).toEqual([`${AFTER}---\na: b\n`]);
    },
  );

  it('does its work where nobody reads what it says', async () => {
    await using workspace = await workspaceOf({ 'a.yaml': `${BEFORE}---\na: b\n` });
    const args = ['rewrite', ...CONFIG, '--write', workspace.path('a.yaml')];
    const child = spawn(process.execPath, ['dist/sdr-image-rewriter.js', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: process.env,
    });
    child.stderr.destroy();
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await contentOf(workspace, 'a.yaml')).toEqual([`${AFTER}---\na: b\n`]);
  });

  it('shows control characters in the name of a file and obeys none, wherever it names one', async () => {
    const name = 'a\u001b[31m\nb.yaml';
    const shown = 'a\\u001b[31m\\nb.yaml';
    await using workspace = await workspaceOf({ [name]: `${BEFORE}---\na: b\n` });
    const path = workspace.path(name);
    const summary = await rewrite(['--check', path]);
    expect(summary.stdout).toBe(`${workspace.path(shown)}: 1 image would change\n`);
    expect(summary.stderr).toContain(`warning: ${workspace.path(shown)}:8:1: `);
    const diff = await rewrite(['--diff', path]);
    expect(diff.stdout.split('\n').slice(0, 2)).toEqual([
      `--- ${workspace.path(shown)}`,
      `+++ ${workspace.path(shown)}`,
    ]);
    await writeFile(path, BROKEN);
    expect((await rewrite([path])).stderr).toContain(`error: ${workspace.path(shown)}:16:1: `);
    expect((await rewrite([`${path}.missing`])).stderr).toContain(`'${workspace.path(shown)}.miss`);
  });

  it('says what variable of Compose to set, and to what', async () => {
    const text = `services:\n  web: { image: "\${A:-ghcr.io/atlanhq/web:1}" }\n`;
    const { code, stdout, stderr } = await rewrite(['-'], text);
    expect({ code, stdout }).toEqual({ code: 0, stdout: text });
    expect(stderr).toMatch(
      /^warning: stdin:2:17: services\/web: \$\{A:-ghcr\.io\/atlanhq\/web:1\} was left alone \(variable: .*\); its default would be registry\.corp\.example\/mirror\/atlanhq\/web:1\n$/,
    );
  });

  it.each(['manifest', 'table', 'json'])(
    'says with --output %s of what it cannot rewrite anything in',
    async (output) => {
      const { code, stderr } = await rewrite(['--output', output, '-'], '[{"a": 1}]');
      expect(code).toBe(0);
      expect(stderr).toMatch(
        /^warning: stdin:1:1: this document is neither a Kubernetes object nor a Compose file; .*\n$/,
      );
    },
  );

  it('shows control characters and obeys none', async () => {
    const text = 'services:\n  "a\\e[31m\\nb": { image: atlanhq/Bad }\n';
    const { stderr } = await rewrite(['-'], text);
    expect(stderr).toMatch(
      /^warning: stdin:2:26: services\/a\\u001b\[31m\\nb: "atlanhq\/Bad" is no .*\n$/,
    );
  });

  it('says with --report-unhandled where else an image in scope may stand', async () => {
    const text = `replicas: 1\nimage: ${IMAGE}\n`;
    const { code, stdout, stderr } = await rewrite(['--report-unhandled', '-'], text);
    expect({ code, stdout }).toEqual({ code: 0, stdout: text });
    expect(stderr.split('\n').map((line) => line.slice(0, 50))).toEqual([
      'warning: stdin:1:1: this document is neither a Kub',
      `warning: stdin:2:8: ${IMAGE} was le`,
      '',
    ]);
  });

  const DENY = `apiVersion: sdr-image-rewriter/v1
procurement: prefix
prefixes: [{source: ghcr.io/atlanhq, target: r.example}]
unmapped: `;
  const mixed = `${BEFORE}---\n${pod('ghcr.io/atlanhq/b:1')}---\n${pod('atlanhq/Bad')}`;

  it('warns of images without a rule and of invalid ones, and ends with 0', async () => {
    await using workspace = await workspaceOf({ 'config.yaml': `${DENY}warn\n` });
    const args = ['rewrite', '--config', workspace.path('config.yaml'), '-'];
    const { code, stdout, stderr } = await runProgram(args, mixed);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: mixed.replace('ghcr.io/atlanhq', 'r.example'),
    });
    expect(stderr).toMatch(
      /^warning: stdin:6:14: containers\/main: no rule for docker\.io\/atlanhq\/app:1 \(no-rule: .*\)\nwarning: stdin:20:14: containers\/main: "atlanhq\/Bad" is no image reference \(REFERENCE_UPPERCASE: .* lower case\)\n$/,
    );
  });

  it('names the line break behind an image as what is wrong with it', async () => {
    const text = pod(`|\n        ${IMAGE}`);
    const { code, stdout, stderr } = await rewrite(['-'], text);
    expect({ code, stdout }).toEqual({ code: 0, stdout: text });
    expect(stderr).toContain(
      'ends in a line break: in YAML write |- in place of |, and >- in place of >',
    );
    expect(stderr).toContain('(REFERENCE_TAG_INVALID: ');
  });

  it('is silent about images without a rule under unmapped: allow', async () => {
    await using workspace = await workspaceOf({ 'config.yaml': `${DENY}allow\n` });
    const args = ['rewrite', '--config', workspace.path('config.yaml'), '-'];
    expect(await runProgram(args, BEFORE)).toEqual({ code: 0, stdout: BEFORE, stderr: '' });
  });

  it.each([
    ['prints no manifest', [], ''],
    ['writes nothing', ['--write'], ''],
    ['shows the diff all the same', ['--diff'], '+      image: r.example/b:1\n'],
    ['names the files that would change', ['--check'], 'a.yaml: 1 image would change\n'],
    ['reports every image as JSON', ['--output', 'json'], '"outcome":"unmapped"'],
    ['reports every image as a table', ['--output', 'table'], 'containers/main'],
    ['writes nothing beside a report', ['--write', '--output', 'json'], '"outcome":"rewritten"'],
  ])('ends with 1 under unmapped: deny and %s', async (_title, options, expected) => {
    await using workspace = await workspaceOf({
      'config.yaml': `${DENY}deny\n`,
      'k8s/a.yaml': mixed,
    });
    const config = ['--config', workspace.path('config.yaml')];
    const args = ['rewrite', ...config, ...options, workspace.path('k8s')];
    const { code, stdout, stderr } = await runProgram(args);
    expect({ code, isEmpty: stdout === '' }).toEqual({ code: 1, isEmpty: expected === '' });
    expect(stdout).toContain(expected);
    expect(stderr).toMatch(/a\.yaml:6:14: .*no rule for docker\.io\/atlanhq\/app:1/);
    expect(stderr).toMatch(/error: 1 image has no rule.* \[MANIFEST_UNMAPPED\]\n$/);
    expect(await contentOf(workspace, 'k8s/a.yaml')).toEqual([mixed]);
  });
});
