import { execFile } from 'node:child_process';
import { lstat, mkdir, open, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { leftOverHosts, writeHosts, WRITTEN_BY } from '../../src/cli/hosts-directory.ts';
import { ROOT } from '../../scripts/docs.ts';
import { Workspace } from '../support/workspace.ts';

const [HUB, GHCR] = [hostsFile('docker.io'), hostsFile('ghcr.io')];

function hostsFile(host: string, server = 'r.example'): { host: string; text: string } {
  return { host, text: `${WRITTEN_BY}server = "https://${server}/v2"\n` };
}

describe('writeHosts', () => {
  it('makes every folder on the way, and writes one file for each host', async () => {
    await using workspace = await Workspace.create();
    const folder = workspace.path('etc/containerd/certs.d');
    await writeHosts(folder, [HUB, GHCR]);
    expect(await readdir(folder)).toEqual(['docker.io', 'ghcr.io']);
    expect(await readFile(`${folder}/ghcr.io/hosts.toml`, 'utf8')).toBe(GHCR.text);
  });

  it('puts a whole file in the place of one of an earlier export, so that nobody reads a half', async () => {
    await using workspace = await Workspace.create();
    await writeHosts(workspace.folder, [HUB]);
    await using reader = await open(workspace.path('docker.io/hosts.toml'));
    const newer = hostsFile('docker.io', 'other.example');
    await writeHosts(workspace.folder, [newer]);
    expect(await reader.readFile('utf8')).toBe(HUB.text);
    expect(await readFile(workspace.path('docker.io/hosts.toml'), 'utf8')).toBe(newer.text);
    expect(await readdir(workspace.path('docker.io'))).toEqual(['hosts.toml']);
  });

  it('keeps a file that is a link to another place a link', async () => {
    await using workspace = await Workspace.create();
    await mkdir(workspace.path('docker.io'));
    await workspace.write('kept.toml', WRITTEN_BY);
    await symlink('../kept.toml', workspace.path('docker.io/hosts.toml'));
    await writeHosts(workspace.folder, [HUB]);
    const link = await lstat(workspace.path('docker.io/hosts.toml'));
    expect(link.isSymbolicLink()).toBe(true);
    expect(await readFile(workspace.path('kept.toml'), 'utf8')).toBe(HUB.text);
  });

  it.each([
    ['written by hand', 'server = "https://proxy.example"\n'],
    ['that has the line of an export further down', `# mine\n${WRITTEN_BY}`],
    ['that is empty', ''],
  ])('refuses a file %s, names it, and writes none of the others', async (_title, text) => {
    await using workspace = await Workspace.create();
    await mkdir(workspace.path('ghcr.io'));
    const file = await workspace.write('ghcr.io/hosts.toml', text);
    await expect(writeHosts(workspace.folder, [HUB, GHCR])).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(
        /^cannot write hosts\.toml: 1 file that no export wrote .* move away/,
      ),
    });
    await expect(writeHosts(workspace.folder, [HUB, GHCR])).rejects.toThrow(file);
    expect(await readdir(workspace.folder)).toEqual(['ghcr.io']);
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  it.each([
    ['a file where a folder is to be', 'file/certs.d'],
    ['a file where the folder of a host is to be', 'certs.d'],
  ])('says that it cannot write because of %s', async (_title, folder) => {
    await using workspace = await Workspace.create();
    await mkdir(workspace.path('certs.d'));
    await workspace.write('file', '');
    await workspace.write('certs.d/docker.io', '');
    await expect(writeHosts(workspace.path(folder), [HUB])).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/^cannot write hosts\.toml: ENOTDIR/),
    });
    expect((await stat(workspace.path('file'))).isFile()).toBe(true);
  });

  it('ends where a folder takes no other, as /proc does', async () => {
    const args = 'export hosts.toml --partial --base r.example --directory /proc/x/y'.split(' ');
    const run = promisify(execFile)(
      process.execPath,
      ['dist/sdr-image-rewriter.js', ...args],
      // Where it goes on for ever, nothing but this ends it.
      { cwd: ROOT, timeout: 20_000, killSignal: 'SIGKILL' },
    );
    await expect(run).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: cannot write hosts\.toml: .* \[USAGE\]$/m),
    });
  });
});

describe('leftOverHosts', () => {
  it('names the files of an earlier export for other hosts, and none of somebody else', async () => {
    await using workspace = await Workspace.create();
    await writeHosts(workspace.folder, [HUB, GHCR]);
    await mkdir(workspace.path('quay.io'));
    await workspace.write('quay.io/hosts.toml', 'server = "https://quay.io"\n');
    expect(await leftOverHosts(workspace.folder, [HUB])).toEqual([
      workspace.path('ghcr.io/hosts.toml'),
    ]);
  });

  it('says that it cannot look into what is no folder', async () => {
    await expect(leftOverHosts('package.json', [HUB])).rejects.toMatchObject({ code: 'USAGE' });
  });
});
