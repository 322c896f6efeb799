import { execFileSync } from 'node:child_process';
import { chmod, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { replaceFiles } from '../../src/cli/replace-files.ts';
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
