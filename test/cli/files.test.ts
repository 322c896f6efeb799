import { execFileSync } from 'node:child_process';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { listInputFiles, readInput, readTextFile, replaceFiles } from '../../src/cli/files.ts';
import { Workspace } from '../support/workspace.ts';

type Replacement = Parameters<typeof replaceFiles>[0][number];

const NAMES = ['a', 'b', 'c'];

async function workspaceOfThree(): Promise<Workspace> {
  const workspace = await Workspace.create();
  for (const name of NAMES) {
    await writeFile(workspace.path(name), `old ${name}`);
    await chmod(workspace.path(name), 0o640);
  }
  return workspace;
}

/** Fails for some renames, which are told by the name of the file and how often it was renamed to. */
function moveUnless(isFault: (name: string, times: number) => boolean, code: string) {
  const times = new Map<string, number>();
  return async (from: unknown, to: unknown): Promise<void> => {
    const name = basename(String(to));
    const count = (times.get(name) ?? 0) + 1;
    times.set(name, count);
    if (isFault(name, count)) throw Object.assign(new Error(`${code}: rename`), { code });
    await rename(String(from), String(to));
  };
}

function replaceThree(workspace: Workspace, move?: typeof rename): Promise<void> {
  return replaceFiles(
    NAMES.map((name) => replacementOf(workspace, name)),
    move,
  );
}

function replacementOf(workspace: Workspace, name: string, content = name): Replacement {
  return { path: workspace.path(name), before: `old ${content}`, text: `new ${content}` };
}

async function contents(workspace: Workspace): Promise<string[]> {
  return Promise.all(NAMES.map((name) => readFile(workspace.path(name), 'utf8')));
}

describe('readInput and readTextFile', () => {
  it('name the folder that stands in the place of a file', async () => {
    await using workspace = await Workspace.create();
    const { folder } = workspace;
    await expect(readInput(folder)).rejects.toMatchObject({
      code: 'USAGE',
      message: `cannot read the input: ${folder} is a folder, not a file`,
    });
    await expect(readTextFile(folder)).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
      message: `cannot read the configuration: ${folder} is a folder, not a file`,
    });
  });
});

describe('readTextFile', () => {
  it.each([
    ['Latin-1', Buffer.from('a: b\nc: caf\u00e9\n', 'latin1'), 'line 2, column 7'],
    ['UTF-16', Buffer.from('\uFEFFa: b\n', 'utf16le'), 'line 1, column 1'],
    ['a NUL character', Buffer.from('a: \0\n'), 'line 1, column 4'],
  ])(
    'refuses a configuration in %s, and says where it is no UTF-8',
    async (_title, bytes, place) => {
      await using workspace = await Workspace.create();
      const file = workspace.path('config.yaml');
      await writeFile(file, bytes);
      await expect(readTextFile(file)).rejects.toMatchObject({
        code: 'CONFIG_NOT_TEXT',
        message: `the configuration ${file} is no UTF-8 text at ${place}; save it as UTF-8`,
      });
    },
  );

  it('keeps every character of UTF-8, a byte order mark as well', async () => {
    await using workspace = await Workspace.create();
    const text = '\uFEFFa: caf\u00e9 \uFFFD\n';
    expect(await readTextFile(await workspace.write('config.yaml', text))).toBe(text);
  });
});

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

describe('replaceFiles', () => {
  it('replaces every file', async () => {
    await using workspace = await workspaceOfThree();
    await replaceThree(workspace);
    expect(await contents(workspace)).toEqual(['new a', 'new b', 'new c']);
  });

  it('refuses what is no regular file, which would be read for ever', async () => {
    await using workspace = await Workspace.create();
    const path = workspace.path('pipe.yaml');
    execFileSync('mkfifo', [path]);
    await expect(replaceFiles([{ path, before: 'a', text: 'b' }])).rejects.toMatchObject({
      code: 'MANIFEST_WRITE_FAILED',
      message: expect.stringContaining('no regular file') as unknown,
    });
  });

  it('puts back what it has replaced where a later file cannot be renamed, and leaves nothing behind', async () => {
    await using workspace = await workspaceOfThree();
    const fault = await replaceThree(
      workspace,
      moveUnless((name) => name === 'c', 'EPERM'),
    ).catch((error: unknown) => error);
    expect(fault).toMatchObject({
      code: 'MANIFEST_WRITE_FAILED',
      message: `cannot write ${workspace.path('c')}: EPERM: rename`,
    });
    expect(await contents(workspace)).toEqual(['old a', 'old b', 'old c']);
    expect((await stat(workspace.path('a'))).mode & 0o7777).toBe(0o640);
    expect((await readdir(workspace.folder)).sort()).toEqual(NAMES);
  });

  it('replaces a file once that is reached twice, and puts it back as it was', async () => {
    await using workspace = await workspaceOfThree();
    await symlink('a', workspace.path('link'));
    const twice = [
      replacementOf(workspace, 'a'),
      replacementOf(workspace, 'link', 'a'),
      replacementOf(workspace, 'a'),
      replacementOf(workspace, 'c'),
    ];
    const move = moveUnless((name) => name === 'c', 'EPERM');
    await expect(replaceFiles(twice, move)).rejects.toMatchObject({
      code: 'MANIFEST_WRITE_FAILED',
    });
    expect(await contents(workspace)).toEqual(['old a', 'old b', 'old c']);
    await replaceFiles(twice);
    expect(await contents(workspace)).toEqual(['new a', 'old b', 'new c']);
    expect((await readdir(workspace.folder)).sort()).toEqual([...NAMES, 'link']);
  });

  it('keeps what somebody wrote into a file meanwhile, and puts the others back', async () => {
    await using workspace = await workspaceOfThree();
    const move = async (from: unknown, to: unknown): Promise<void> => {
      await rename(String(from), String(to));
      await writeFile(workspace.path('b'), 'edited');
    };
    await expect(replaceThree(workspace, move)).rejects.toMatchObject({
      code: 'MANIFEST_WRITE_FAILED',
      message: `cannot write ${workspace.path('b')}: it was changed meanwhile; run the command again`,
    });
    expect(await contents(workspace)).toEqual(['old a', 'edited', 'old c']);
    expect((await readdir(workspace.folder)).sort()).toEqual(NAMES);
  });

  it('names the files that stay changed because they could not be put back', async () => {
    await using workspace = await workspaceOfThree();
    const fault = await replaceThree(
      workspace,
      moveUnless((name, times) => name === 'c' || (name === 'a' && times > 1), 'EIO'),
    ).catch((error: unknown) => error);
    expect(fault).toMatchObject({
      code: 'MANIFEST_WRITE_FAILED',
      message: `cannot write ${workspace.path('c')}: EIO: rename; changed already, and could not be put back: ${workspace.path('a')}`,
    });
    expect(await contents(workspace)).toEqual(['new a', 'old b', 'old c']);
    expect((await readdir(workspace.folder)).sort()).toEqual(NAMES);
  });

  it.each(['a', 'c'])(
    'puts back what it has replaced where a signal comes at file %s, and leaves nothing behind',
    async (last) => {
      await using workspace = await workspaceOfThree();
      const listeners = process.listenerCount('SIGTERM');
      const fault = await replaceThree(workspace, async (from, to) => {
        await rename(from, to);
        if (basename(String(to)) === last) process.emit('SIGTERM', 'SIGTERM');
      }).catch((error: unknown) => error);
      expect(fault).toMatchObject({
        code: 'MANIFEST_WRITE_FAILED',
        message: 'interrupted by SIGTERM; no file was changed',
        cause: { exitCode: 143 },
      });
      expect(await contents(workspace)).toEqual(['old a', 'old b', 'old c']);
      expect((await readdir(workspace.folder)).sort()).toEqual(NAMES);
      expect(process.listenerCount('SIGTERM')).toBe(listeners);
    },
  );

  it('says what to do about a file that is mounted by itself', async () => {
    await using workspace = await workspaceOfThree();
    await expect(
      replaceThree(
        workspace,
        moveUnless((name) => name === 'b', 'EBUSY'),
      ),
    ).rejects.toThrow(/mounted by itself .*: mount its folder, or take standard input to standard/);
    expect(await contents(workspace)).toEqual(['old a', 'old b', 'old c']);
  });
});
