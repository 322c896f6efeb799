import { execFile } from 'node:child_process';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { VERSION } from '../../src/version.ts';
import { productionArgs } from '../bench/production.ts';
import { Workspace } from '../support/workspace.ts';

const LOADER = resolve('src/cli/load-program.ts');
const DIST = resolve('dist');
const BUNDLE = ['package.json', 'dist/program.cjs', 'dist/program.cache'];

interface Loaded {
  readonly isPrecompiled: boolean;
  readonly version: string;
}

/** Loads the bundle of a folder in a process of its own, and asks it for its version. */
async function load(folder: string, flags: readonly string[] = []): Promise<Loaded> {
  const code = `
    import { loadProgram } from ${JSON.stringify(LOADER)};
    const { program, isPrecompiled } = loadProgram(${JSON.stringify(folder)});
    console.log(isPrecompiled);
    process.exitCode = await program.run(['', '', '--version']);`;
  const args = [...flags, '--input-type=module', '--eval', code];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const [isPrecompiled, version = ''] = stdout.split('\n');
  return { isPrecompiled: isPrecompiled === 'true', version };
}

/** A copy of the bundle, of which one file is changed. */
async function changed(
  workspace: Workspace,
  file: string,
  change: (bytes: Buffer) => Uint8Array,
): Promise<string> {
  for (const each of BUNDLE) {
    await cp(each, workspace.path(each));
  }
  await writeFile(workspace.path(file), change(await readFile(file)));
  return workspace.path('dist');
}

describe('loading the program', () => {
  it('takes what was compiled when it was built', async () => {
    expect(await load(DIST)).toEqual({ isPrecompiled: true, version: VERSION });
  });

  it('takes it with the flags of the container image, too', async () => {
    const flags = productionArgs().filter((argument) => argument.startsWith('--'));
    expect(flags).not.toEqual([]);
    expect(await load(DIST, flags)).toEqual({ isPrecompiled: true, version: VERSION });
  });

  it.each<[string, (bytes: Buffer) => Uint8Array]>([
    ['empty', () => Buffer.alloc(0)],
    ['cut off', (bytes) => bytes.subarray(0, bytes.length / 2)],
    ['damaged', (bytes) => Buffer.from(bytes).fill(0xff, 400_000, 400_100)],
    ['no such thing', () => Buffer.from('something else')],
  ])('compiles where what was kept is %s', async (_, change) => {
    await using workspace = await Workspace.create();
    const folder = await changed(workspace, 'dist/program.cache', change);
    expect(await load(folder)).toEqual({ isPrecompiled: false, version: VERSION });
  });

  it('compiles where what was kept is of another source as long', async () => {
    await using workspace = await Workspace.create();
    const folder = await changed(workspace, 'dist/program.cjs', (bytes) =>
      Buffer.from(bytes.toString('latin1').replaceAll(`"${VERSION}"`, '"9.9.9"'), 'latin1'),
    );
    expect(await load(folder)).toEqual({ isPrecompiled: false, version: '9.9.9' });
  });

  it('compiles where nothing was kept', async () => {
    await using workspace = await Workspace.create();
    const folder = await changed(workspace, 'dist/program.cache', (bytes) => bytes);
    await rm(workspace.path('dist/program.cache'));
    expect(await load(folder)).toEqual({ isPrecompiled: false, version: VERSION });
  });

  it('leaves it to Node.js where stacks are to name the lines of the source', async () => {
    const loaded = await load(DIST, ['--enable-source-maps']);
    expect(loaded).toEqual({ isPrecompiled: false, version: VERSION });
  });
});
