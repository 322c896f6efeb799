import { execFile } from 'node:child_process';
import { globSync, readFileSync, statSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { ROOT } from '../scripts/docs.ts';
import { type Finished, runProgram } from './support/program.ts';
import { Workspace } from './support/workspace.ts';

const PROGRAM = resolve('dist/sdr-image-rewriter.js');
const CONFIG = 'examples/config.yaml';
const DEPLOYMENT = 'examples/kustomize/deployment.yaml';

type Tree = Record<string, unknown>;

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function readYaml(path: string): Tree {
  return parse(read(path)) as Tree;
}

/** The value under keys of nested objects; fails where there is none. */
function dig(tree: unknown, ...keys: (string | number)[]): unknown {
  return keys.reduce((value, key) => {
    const found = (value as Tree)[key];
    if (found === undefined) throw new Error(`there is no ${key} in ${JSON.stringify(value)}`);
    return found;
  }, tree);
}

async function runFile(
  file: string,
  args: readonly string[],
  { input = '', ...options }: { input?: string; cwd?: string; env?: NodeJS.ProcessEnv },
): Promise<Finished> {
  const running = promisify(execFile)(file, args, options);
  // A program may end before it has read its input.
  running.child.stdin?.on('error', () => undefined);
  running.child.stdin?.end(input);
  return running.then(
    (output) => ({ code: 0, ...output }),
    (error: unknown) => error as Finished,
  );
}

async function targetOf(image: string): Promise<unknown> {
  const { stdout } = await runProgram(['resolve', '--config', CONFIG, '--output', 'json', image]);
  return dig(JSON.parse(stdout), 'target');
}

it.each(globSync('examples/**/*.yaml', { cwd: ROOT }))('%s is YAML', (path) => {
  expect(parseAllDocuments(read(path)).flatMap(({ errors }) => errors)).toEqual([]);
});

it('the image of this program has the version of this program wherever it is named', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  const { repository } = dig(readYaml('charts/sdr-image-rewriter/values.yaml'), 'image') as {
    repository: string;
  };
  const files = globSync(['README.md', 'docs/*.md', 'examples/**/*'], { cwd: ROOT }).filter(
    (path) => statSync(join(ROOT, path)).isFile(),
  );
  const named = files.flatMap((path) =>
    [...read(path).matchAll(/[\w./-]+\/sdr-image-rewriter:[\w.-]+/g)].map(([image]) => image),
  );
  const own = `registry.corp.example/sdr-image-rewriter:${version}`;
  expect(new Set(named)).toEqual(new Set([`${repository}:${version}`, own]));
});

describe('the Helm post-renderer', () => {
  const script = resolve('examples/helm/post-renderer.sh');
  const env = { ...process.env, SDR_IMAGE_REWRITER: `${process.execPath} ${PROGRAM}` };

  it('prints what rewrite makes of standard input', async () => {
    const manifest = read(DEPLOYMENT);
    const rendered = await runFile(script, [`--config=${CONFIG}`], { input: manifest, env });
    const expected = await runProgram(['rewrite', '--config', CONFIG, '-'], manifest);
    expect(rendered).toMatchObject({ code: 0, stdout: expected.stdout });
    expect(rendered.stdout).toContain(
      'registry.corp.example/mirror/atlanhq/atlan-oracle-app:2.1.0',
    );
  });

  it('prints nothing and fails when rewrite fails, so that Helm stops', async () => {
    const rendered = await runFile(script, ['--config=missing.yaml'], { env });
    expect(rendered).toMatchObject({ code: 2, stdout: '' });
  });

  it('fails when nothing comes back, which Helm would take for a release without objects', async () => {
    const call = { input: read(DEPLOYMENT), env: { ...env, SDR_IMAGE_REWRITER: 'true' } };
    const rendered = await runFile(script, [], call);
    expect(rendered).toMatchObject({ code: 1, stdout: '' });
    expect(rendered.stderr).toContain('no manifests came back');
  });

  it('is what the plugin for Helm 4 calls', () => {
    expect(readYaml('examples/helm/plugin.yaml')).toMatchObject({
      apiVersion: 'v1',
      type: 'postrenderer/v1',
      runtime: 'subprocess',
      runtimeConfig: { platformCommand: [{ command: '${HELM_PLUGIN_DIR}/post-renderer.sh' }] },
    });
  });
});

describe('the Argo CD plugin', () => {
  const plugin = readYaml('examples/argocd/plugin.yaml');
  const command = [
    ...(dig(plugin, 'spec', 'generate', 'command') as string[]),
    ...(dig(plugin, 'spec', 'generate', 'args') as string[]),
  ];
  const [entryPoint = ''] = /(?<=^ENTRYPOINT ).+$/m.exec(read('Dockerfile')) ?? [];
  // What is set for Node.js suits a server.
  const inImage = (JSON.parse(entryPoint) as string[]).filter((part) => !part.startsWith('--'));
  const podSpec = dig(
    readYaml('examples/argocd/repo-server-patch.yaml'),
    ...['spec', 'template', 'spec'],
  ) as Tree;
  const mounts = dig(podSpec, 'containers', 0, 'volumeMounts') as Tree[];

  it('calls the program as the image does, and prints the manifests of its folder rewritten', async () => {
    expect(command.slice(0, inImage.length)).toEqual(inImage);
    await using workspace = await Workspace.create();
    await cp(DEPLOYMENT, workspace.path('deployment.yaml'));
    await cp('examples/manifests/connector-deployment.yaml', workspace.path('connector.yaml'));
    const args = command
      .slice(inImage.length)
      .map((arg) => (arg === '/etc/sdr-image-rewriter/config.yaml' ? resolve(CONFIG) : arg));
    const generated = await runFile(process.execPath, [PROGRAM, ...args], {
      cwd: workspace.folder,
    });
    expect(generated.code).toBe(0);
    const documents = parseAllDocuments(generated.stdout).map((each) => each.toJS() as Tree);
    expect(documents.map(({ kind }) => kind)).toEqual(['Namespace', 'Deployment', 'Deployment']);
    expect(generated.stdout).not.toMatch(/image: atlanhq/);
  });

  it('finds its files where the sidecar mounts them', () => {
    expect(mounts.map(({ mountPath }) => mountPath)).toEqual(
      expect.arrayContaining([
        '/home/argocd/cmp-server/config/plugin.yaml',
        command[command.indexOf('--config') + 1],
      ]),
    );
  });

  it('mounts only volumes that the patch or the repo server of Argo CD has', () => {
    const own = (dig(podSpec, 'volumes') as Tree[]).map(({ name }) => name);
    const unknown = mounts.filter(
      ({ name }) => ![...own, 'var-files', 'plugins'].includes(name as string),
    );
    expect(unknown).toEqual([]);
  });

  it('is the one that the Application names', () => {
    const application = readYaml('examples/argocd/application.yaml');
    expect(dig(application, 'spec', 'source', 'plugin', 'name')).toBe(
      dig(plugin, 'metadata', 'name'),
    );
  });
});

describe('the lists of images for Flux', () => {
  const release = readYaml('examples/flux/helm-release.yaml');
  const lists = [
    ...(dig(release, 'spec', 'postRenderers', 0, 'kustomize', 'images') as Tree[]),
    ...(dig(readYaml('examples/flux/kustomization.yaml'), 'spec', 'images') as Tree[]),
  ];

  it.each(lists)('say the same as the rules: $name', async ({ name, newName }) => {
    expect(await targetOf(`${name as string}:1.2`)).toBe(`${newName as string}:1.2`);
  });
});

describe('the CI examples', () => {
  const hook = dig(
    readYaml('examples/ci/pre-commit-config.yaml'),
    ...['repos', 0, 'hooks', 0],
  ) as Tree;
  const files = ['manifests/connector-deployment.yaml', 'manifests/docker-compose.yaml'];
  const commands = ['github-actions', 'gitlab-ci'].flatMap((name) =>
    rewriteCommands(read(`examples/ci/${name}.yaml`)).map((command) => [name, command] as const),
  );
  commands.push([
    'pre-commit-config',
    [...rewriteCommands(`${hook.entry as string}\n`).flat(), ...files],
  ]);

  it('hold a check for each system, and a report where there is room for one', () => {
    const checks = commands.filter(([, command]) => command.includes('--check'));
    expect(checks.map(([name]) => name)).toEqual([
      'github-actions',
      'gitlab-ci',
      'pre-commit-config',
    ]);
    expect(commands).toHaveLength(5);
  });

  it.each(commands)(
    'of %s: %j finds what is not rewritten, and accepts what is',
    async (_, args) => {
      await using workspace = await Workspace.create();
      await mkdir(workspace.path('manifests'));
      for (const file of files) {
        await cp(file.replace('manifests', 'examples/manifests'), workspace.path(file));
      }
      await cp(CONFIG, workspace.path('sdr-image-rewriter.yaml'));
      const call = (more: readonly string[]): Promise<Finished> =>
        runFile(process.execPath, [PROGRAM, ...more], { cwd: workspace.folder });
      const before = await call(args);
      expect(before.stdout).toContain('registry.corp.example/mirror/atlanhq/atlan-mysql-app');
      expect(before.code).toBe(args.includes('--check') ? 1 : 0);
      await call(['rewrite', '--config', 'sdr-image-rewriter.yaml', '--write', 'manifests']);
      expect(await call(args)).toMatchObject({ code: 0 });
    },
  );

  it('of GitLab leave a report and a diff where the policy says unmapped: deny, and fail', async () => {
    await using workspace = await Workspace.create();
    await mkdir(workspace.path('manifests'));
    await cp('examples/manifests/docker-compose.yaml', workspace.path('manifests/a.yaml'));
    await writeFile(
      workspace.path('manifests/b.yaml'),
      'services: { b: { image: ghcr.io/atlanhq/b } }\n',
    );
    await writeFile(
      workspace.path('sdr-image-rewriter.yaml'),
      'apiVersion: sdr-image-rewriter/v1\nprocurement: prefix\nunmapped: deny\nprefixes: [{ source: docker.io/atlanhq, target: r.example }]\n',
    );
    const script = dig(readYaml('examples/ci/gitlab-ci.yaml'), 'images', 'script') as string[];
    await symlink(PROGRAM, workspace.path('sdr-image-rewriter'));
    const folders = [workspace.folder, dirname(process.execPath), process.env.PATH];
    const { code, stdout } = await runFile('sh', ['-ec', script.join('\n')], {
      cwd: workspace.folder,
      env: { ...process.env, PATH: folders.join(':') },
    });
    expect(code).toBe(1);
    expect(stdout).toContain("+    image: 'r.example/atlan-mysql-app:main-97b8c95'");
    const report = await readFile(workspace.path('images.jsonl'), 'utf8');
    expect(report).toMatch(/"outcome":"rewritten"(?:.*\n)+.*"outcome":"unmapped"/);
  });

  it('match with pre-commit the files that are manifests', () => {
    const pattern = new RegExp(hook.files as string);
    expect(files.filter((file) => pattern.test(file))).toEqual(files);
    expect(pattern.test('charts/app/templates/deployment.yaml')).toBe(false);
  });

  it('copy the program from where the image has it', () => {
    const [, folder] = /^WORKDIR (\/app)$/m.exec(read('Dockerfile')) ?? [];
    expect(read('examples/ci/Dockerfile')).toContain(
      `COPY --from=rewriter ${String(folder)} /opt/sdr-image-rewriter\n`,
    );
  });
});

/** The arguments of every call of `rewrite` in a text, without redirections. */
function rewriteCommands(text: string): string[][] {
  return [...text.matchAll(/\brewrite (--[^>\n]+)/g)].map(([, args = '']) => [
    'rewrite',
    ...args.trim().split(/\s+/),
  ]);
}
