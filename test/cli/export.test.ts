import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { type Finished, runProgram } from '../support/program.ts';
import { registryTables } from '../support/runtimes.ts';
import { Workspace } from '../support/workspace.ts';

const CONFIG = '--config examples/config.yaml';
const BY_MAP = '--config examples/config-map.yaml --map examples/image-map.json';
const FORMATS = ['registries.conf', 'hosts.toml', 'idms', 'kustomize', 'mutating-admission-policy'];

function runExport(args: string, input = ''): Promise<Finished> {
  return runProgram(['export', ...args.split(' ')], input);
}

function objectsOf(text: string): Record<string, unknown>[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Record<string, unknown>);
}

describe('export', () => {
  it.each(FORMATS)(
    '%s leaves nothing on standard output where a rule is left out',
    async (format) => {
      const { code, stdout, stderr } = await runExport(`${format} ${BY_MAP}`);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      const lines = stderr.trimEnd().split('\n');
      expect(lines.at(-1)).toMatch(/^error: \d+ rules cannot be said as .*\[EXPORT_INCOMPLETE\]$/);
      const others = lines.slice(0, -1);
      expect(others.length).toBeGreaterThanOrEqual(6);
      expect(others.filter((line) => !/^left out: .+: .+/.test(line))).toEqual([]);
    },
  );

  it.each(FORMATS)('%s lists the same with --partial, and prints the rest', async (format) => {
    const strict = await runExport(`${format} ${BY_MAP}`);
    const partial = await runExport(`${format} ${BY_MAP} --partial`);
    expect(partial.code).toBe(0);
    expect(partial.stdout).not.toBe('');
    const lines = strict.stderr.split('\n').filter((line) => line.startsWith('left out: '));
    expect(partial.stderr).toBe(lines.map((line) => `${line}\n`).join(''));
  });

  it('names each rule that is left out with its place in the map and the reason', async () => {
    const { stderr } = await runExport(`registries.conf ${BY_MAP}`);
    expect(stderr).toContain(
      'left out: docker.io/atlanhq/atlan-snowflake-app:1.8.0 -> registry.corp.example/atlan/snowflake:1.8.0 ($.images[2].source): the format names no tags or digests, so all of docker.io/atlanhq/atlan-snowflake-app stays as it is written\n',
    );
  });

  it.each(FORMATS)('%s says in a comment that there is nothing to say', async (format) => {
    await using workspace = await Workspace.create();
    const config = workspace.path('config.yaml');
    await writeFile(config, 'apiVersion: sdr-image-rewriter/v1\nprocurement: public\n');
    const { code, stdout, stderr } = await runExport(`${format} --config ${config}`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('# procurement: public, so images are pulled as they are written.\n');
    expect(registryTables(stdout)).toEqual(new Map());
  });

  it.each([
    ['an unknown format', 'docker-compose'],
    ['an unknown option', `idms ${CONFIG} --strict`],
    ['a configuration that is not there', 'idms --config no-such-file.yaml'],
    ['a map that is not there', 'idms --map no-such-file.json'],
    [
      'a folder that cannot be written',
      'hosts.toml --partial --directory package.json/x --base r.example',
    ],
  ])('ends with 2 for %s', async (_title, args) => {
    const { code, stdout, stderr } = await runExport(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /m);
  });
});

describe('export registries.conf', () => {
  it('moves every source, under every host of Docker Hub', async () => {
    const { code, stdout, stderr } = await runExport(`registries.conf ${CONFIG}`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const hub = 'registry.corp.example/mirror/atlanhq';
    expect(Object.fromEntries(registryTables(stdout))).toEqual({
      'docker.io/atlanhq': hub,
      'registry-1.docker.io/atlanhq': hub,
      'registry.hub.docker.com/atlanhq': hub,
      'ghcr.io/atlanhq': hub,
      'registry.atlan.com': 'registry.corp.example/mirror',
    });
  });
});

describe('export hosts.toml', () => {
  it('writes one file for each registry that moves as a whole', async () => {
    await using workspace = await Workspace.create();
    const folder = workspace.path('certs.d');
    const args = `hosts.toml ${CONFIG} --partial --directory ${folder}`;
    expect(await runExport(args)).toMatchObject({ code: 0, stdout: '' });
    expect(await readdir(folder)).toEqual(['registry.atlan.com']);
    const written = await readFile(`${folder}/registry.atlan.com/hosts.toml`, 'utf8');
    const printed = await runExport(`hosts.toml ${CONFIG} --partial`);
    expect(printed.stdout).toBe(written);
    expect(written.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
      'server = "https://registry.corp.example/v2/mirror"',
      'capabilities = ["pull", "resolve"]',
      'override_path = true',
      '',
    ]);
  });
});

describe('export hosts.toml after another one', () => {
  it('tells of files that stay in use, and takes no notice of those of others', async () => {
    await using workspace = await Workspace.create();
    const folder = workspace.path('certs.d');
    await runExport(`hosts.toml ${CONFIG} --partial --directory ${folder}`);
    await mkdir(`${folder}/ghcr.io`);
    await writeFile(`${folder}/ghcr.io/hosts.toml`, 'server = "https://ghcr.io"\n');
    const config = await workspace.write(
      'config.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: public\n',
    );
    const args = `hosts.toml --config ${config} --directory ${folder}`;
    const { code, stdout, stderr } = await runExport(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      `left over: ${folder}/registry.atlan.com/hosts.toml: an earlier export wrote it, and containerd goes on to pull by it`,
      expect.stringMatching(/^error: .* 1 file of an earlier export .* \[EXPORT_INCOMPLETE\]$/),
      '',
    ]);
    expect(await runExport(`${args} --partial`)).toMatchObject({ code: 0 });
  });
});

describe('export hosts.toml of all of Docker Hub', () => {
  it('needs --partial, since images with its other hosts stay', async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write(
      'config.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: prefix\nsources: [docker.io]\ncontainerRegistryBase: r.example/m\n',
    );
    const strict = await runExport(`hosts.toml --config ${config}`);
    expect({ code: strict.code, stdout: strict.stdout }).toEqual({ code: 1, stdout: '' });
    expect(strict.stderr).toMatch(
      /^left out: docker\.io -> .* registry-1\.docker\.io and registry\.hub\.docker\.com .*\n.*INCOMPLETE\]\n$/,
    );
    const partial = await runExport(`hosts.toml --config ${config} --partial`);
    expect(partial.code).toBe(0);
    expect(partial.stdout).toContain('/docker.io/hosts.toml\n');
    expect(partial.stdout).toContain('server = "https://r.example/v2/m"\n');
  });
});

describe('export idms', () => {
  it('says the same for digests and for tags, and never contacts the source', async () => {
    const { stdout } = await runExport('idms --config examples/config-prefixes.yaml');
    const [digests, tags, ...others] = objectsOf(stdout);
    expect(others).toEqual([]);
    expect([digests?.kind, tags?.kind]).toEqual(['ImageDigestMirrorSet', 'ImageTagMirrorSet']);
    const { imageDigestMirrors } = digests?.spec as { imageDigestMirrors: object[] };
    expect(tags?.spec).toEqual({ imageTagMirrors: imageDigestMirrors });
    expect(imageDigestMirrors).toContainEqual({
      source: 'registry.atlan.com/public',
      mirrors: ['registry.corp.example/atlan-public'],
      mirrorSourcePolicy: 'NeverContactSource',
    });
  });
});

describe('export kustomize', () => {
  it('takes the images of the command line and of standard input', async () => {
    const { code, stdout, stderr } = await runExport(
      `kustomize ${BY_MAP} atlanhq/atlan-mysql-app:0.4.25 -`,
      'nginx\natlanhq/atlan-oracle-app:19\n',
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(objectsOf(stdout)).toEqual([
      {
        images: [
          {
            name: 'atlanhq/atlan-mysql-app',
            newName: 'registry.corp.example/atlan/mysql',
            newTag: '0.4.25-r1',
            digest: `sha256:${'a'.repeat(64)}`,
          },
          { name: 'atlanhq/atlan-oracle-app', newName: 'registry.corp.example/atlan/oracle' },
        ],
      },
    ]);
  });

  it('takes the images that rewrite reports of a kustomization', async () => {
    const options = CONFIG.split(' ');
    const manifest = 'examples/kustomize/deployment.yaml';
    const report = await runProgram(['rewrite', ...options, '--output', 'json', manifest]);
    const images = report.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { image: string }).image);
    const { code, stdout } = await runExport(`kustomize ${CONFIG} -`, images.join('\n'));
    expect(code).toBe(0);
    expect(objectsOf(stdout)[0]?.images).toContainEqual({
      name: 'atlanhq/atlan-oracle-app',
      newName: 'registry.corp.example/mirror/atlanhq/atlan-oracle-app',
    });
  });

  it('says of every image that is invalid or has no rule that it is left out', async () => {
    const args = `kustomize ${BY_MAP}`;
    const input = 'atlanhq/Bad\nghcr.io/atlanhq/zzz:1\natlanhq/atlan-oracle-app:19\n';
    const strict = await runExport(`${args} -`, input);
    expect({ code: strict.code, stdout: strict.stdout }).toEqual({ code: 1, stdout: '' });
    expect(strict.stderr).toMatch(
      /^left out: "atlanhq\/Bad": .*\nleft out: ghcr\.io\/atlanhq\/zzz:1: in scope, .*\nerror: 2 images cannot be said as kustomize images; .* \[EXPORT_INCOMPLETE\]\n$/,
    );
    const partial = await runExport(`${args} --partial -`, input);
    expect(partial.code).toBe(0);
    expect(partial.stderr.match(/^left out: /gm)).toHaveLength(2);
    expect(objectsOf(partial.stdout)).toEqual([
      {
        images: [
          { name: 'atlanhq/atlan-oracle-app', newName: 'registry.corp.example/atlan/oracle' },
        ],
      },
    ]);
  });

  it('takes more images from standard input than a call takes arguments', async () => {
    const tags = Array.from({ length: 130_000 }, (_, tag) => tag);
    const moved = tags.map((tag) => `atlanhq/a:${tag}\n`).join('');
    const { code, stdout } = await runExport(`kustomize ${CONFIG} -`, moved);
    expect(code).toBe(0);
    expect(objectsOf(stdout)[0]?.images).toHaveLength(1);
    const unmapped = moved.replaceAll('atlanhq/a', 'ghcr.io/atlanhq/zzz');
    const refused = await runExport(`kustomize ${BY_MAP} -`, unmapped);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/error: 130000 images cannot be said as .*INCOMPLETE\]\n$/);
  });

  it('refuses two tags of one name that get different answers', async () => {
    const images = 'atlanhq/atlan-snowflake-app:1.8.0 atlanhq/atlan-snowflake-app:1.9.0';
    const { code, stderr } = await runExport(`kustomize ${BY_MAP} ${images}`);
    expect(code).toBe(1);
    expect(stderr).toContain('atlanhq/atlan-snowflake-app:1.9.0 get different answers');
  });
});

describe('export mutating-admission-policy', () => {
  it('says that pull secrets are left out where images are pulled as they are written', async () => {
    const args = 'mutating-admission-policy --config examples/config-public.yaml';
    const leftOut = 'left out: imagePullSecrets: atlan-docker-secret: ';
    const strict = await runExport(args);
    expect({ code: strict.code, stdout: strict.stdout }).toEqual({ code: 1, stdout: '' });
    expect(strict.stderr).toContain(leftOut);
    expect(strict.stderr).toContain('[EXPORT_INCOMPLETE]');
    const partial = await runExport(`${args} --partial`);
    expect(partial.code).toBe(0);
    expect(partial.stdout).toContain('# procurement: public');
    expect(partial.stderr).toContain(leftOut);
  });

  it('prints a policy and a binding for the namespaces that the webhook would have', async () => {
    const { code, stdout, stderr } = await runExport(`mutating-admission-policy ${CONFIG}`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [policy, binding, ...others] = objectsOf(stdout);
    expect(others).toEqual([]);
    expect(policy).toMatchObject({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingAdmissionPolicy',
      metadata: { name: 'sdr-image-rewriter' },
      spec: { failurePolicy: 'Ignore', reinvocationPolicy: 'IfNeeded' },
    });
    expect(binding).toMatchObject({
      kind: 'MutatingAdmissionPolicyBinding',
      spec: {
        policyName: 'sdr-image-rewriter',
        matchResources: {
          namespaceSelector: {
            matchExpressions: [
              {
                key: 'kubernetes.io/metadata.name',
                operator: 'NotIn',
                values: ['kube-system', 'kube-node-lease'],
              },
              { key: 'sdr-image-rewriter.io/mode', operator: 'In', values: ['enforce'] },
            ],
          },
        },
      },
    });
  });
});
