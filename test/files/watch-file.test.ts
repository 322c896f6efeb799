import { rename, rm, symlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { watchFiles } from '../../src/files/watch-file.ts';
import { Workspace } from '../support/workspace.ts';

const INTERVAL = 10;

const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

interface Watch {
  readonly stop: () => void;
  /** Resolves at the next call. */
  readonly called: () => Promise<void>;
  readonly calls: () => number;
}

/** Watches, and waits for the first look at the files, before which a change would not be seen. */
async function watch(...paths: string[]): Promise<Watch> {
  let calls = 0;
  let wake: (() => void) | undefined;
  const stop = watchFiles(
    paths,
    () => {
      calls += 1;
      wake?.();
    },
    INTERVAL,
  );
  stops.push(stop);
  await sleep(5 * INTERVAL);
  return {
    stop,
    calls: () => calls,
    called: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
  };
}

describe('watchFiles', () => {
  it('tells nothing of a file that is not there and was not there', async () => {
    await using workspace = await Workspace.create();
    const { calls } = await watch(workspace.path('map.json.sig'));
    await sleep(10 * INTERVAL);
    expect(calls()).toBe(0);
  });

  it('tells of a file that changes, vanishes and appears', async () => {
    await using workspace = await Workspace.create();
    const path = await workspace.write('map.json', 'one');
    const { called } = await watch(path);
    for (const change of [
      () => workspace.write('map.json', 'another'),
      () => rm(path),
      () => workspace.write('map.json', 'one'),
    ]) {
      const told = called();
      await change();
      await told;
    }
  });

  it('tells of any of several files', async () => {
    await using workspace = await Workspace.create();
    const map = await workspace.write('map.json', 'map');
    const { called } = await watch(map, workspace.path('map.json.sig'));
    const told = called();
    await workspace.write('map.json.sig', 'signature');
    await told;
  });

  it('tells of a symbolic link that is swapped, as a mounted ConfigMap is', async () => {
    await using workspace = await Workspace.create();
    await workspace.write('first', 'one');
    await workspace.write('second', 'other');
    await symlink('first', workspace.path('..data'));
    const { called } = await watch(workspace.path('..data'));
    const told = called();
    await symlink('second', workspace.path('..next'));
    await rename(workspace.path('..next'), workspace.path('..data'));
    await told;
  });

  it('stays silent while nothing changes, and after it was stopped', async () => {
    await using workspace = await Workspace.create();
    const path = await workspace.write('map.json', 'one');
    const stopped = await watch(path);
    const other = await watch(path);
    expect(stopped.calls()).toBe(0);
    stopped.stop();
    const told = other.called();
    await workspace.write('map.json', 'another');
    await told;
    expect(stopped.calls()).toBe(0);
  });
});
