import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { readInput } from '../../src/cli/input.ts';
import { listInputFiles } from '../../src/cli/manifest-files.ts';
import { Workspace } from '../support/workspace.ts';

describe('listInputFiles', () => {
  it('takes from a folder files and links to files, as a mounted ConfigMap has them, and nothing else', async () => {
    await using workspace = await Workspace.create();
    await mkdir(workspace.path('..2026/x.yaml'), { recursive: true });
    await writeFile(workspace.path('..2026/app.yaml'), '');
    await writeFile(workspace.path('own.json'), '');
    await symlink('..2026', workspace.path('..data'));
    await symlink('..data/app.yaml', workspace.path('app.yaml'));
    await symlink('..data', workspace.path('envs.yaml'));
    execFileSync('mkfifo', [workspace.path('pipe.yaml')]);
    await symlink('pipe.yaml', workspace.path('to-pipe.yaml'));
    const expected = ['app.yaml', 'own.json'].map((name) => workspace.path(name));
    expect(await listInputFiles([workspace.folder])).toEqual(expected);
  });

  it('keeps a link that leads nowhere, so that its reader says what is wrong', async () => {
    await using workspace = await Workspace.create();
    await symlink('missing', workspace.path('a.yaml'));
    const [file = ''] = await listInputFiles([workspace.folder]);
    await expect(readInput(file)).rejects.toMatchObject({ code: 'USAGE' });
  });

  const isRoot = process.getuid?.() === 0;
  (isRoot ? it.skip : it)('enters no folder that it passes over', async () => {
    await using workspace = await Workspace.create();
    await workspace.write('a.yaml', '');
    await mkdir(workspace.path('.git'), { mode: 0 });
    expect(await listInputFiles([workspace.folder])).toEqual([workspace.path('a.yaml')]);
  });

  it('shows control characters in the name of a folder and obeys none', async () => {
    await using workspace = await Workspace.create();
    const folder = workspace.path('a\u001b[31m\nb');
    await mkdir(folder);
    await expect(listInputFiles([folder])).rejects.toThrow(/a\\u001b\[31m\\nb has no \.yaml/);
  });
});
