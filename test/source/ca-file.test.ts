import { describe, expect, it } from '@jest/globals';
import { clientByCa, closedOnAbort } from '../../src/source/ca-file.ts';
import { Workspace } from '../support/workspace.ts';

/** Clients that are the text of their CA and a number; tells of what happens to them. */
function clientsOf(path: string): {
  client: ReturnType<typeof clientByCa<string>>;
  told: string[];
} {
  const told: string[] = [];
  let opened = 0;
  const client = clientByCa(
    path,
    (ca) => {
      opened += 1;
      told.push(`open ${String(ca)} ${opened}`);
      return `${String(ca)} ${opened}`;
    },
    (each) => told.push(`close ${each}`),
  );
  return { client, told };
}

describe('a client by the CA in a file', () => {
  it('is closed when what it is used for takes too long, and the next one is new', async () => {
    const { client, told } = clientsOf('');
    const controller = new AbortController();
    const { promise, resolve } = Promise.withResolvers<string>();
    await client();
    const result = closedOnAbort(client, controller.signal, () => promise);
    expect(told).toEqual(['open undefined 1']);
    controller.abort();
    expect(told).toEqual(['open undefined 1', 'close undefined 1']);
    resolve('done');
    expect(await result).toBe('done');
    expect(await client()).toBe('undefined 2');
  });

  it('is not closed by a signal that aborts afterwards', async () => {
    const { client, told } = clientsOf('');
    const controller = new AbortController();
    await closedOnAbort(client, controller.signal, client);
    controller.abort();
    expect(told).toEqual(['open undefined 1']);
  });

  it('stays the same while the file stays as it is, also where it is written again', async () => {
    await using workspace = await Workspace.create();
    const path = await workspace.write('ca.crt', 'one');
    const { client, told } = clientsOf(path);
    expect(await client()).toBe('one 1');
    await workspace.write('ca.crt', 'one');
    expect(await client()).toBe('one 1');
    expect(told).toEqual(['open one 1']);
  });

  it('is another one as soon as the file holds another CA, and the one before is closed', async () => {
    await using workspace = await Workspace.create();
    const path = await workspace.write('ca.crt', 'one');
    const { client, told } = clientsOf(path);
    await client();
    await workspace.write('ca.crt', 'two');
    expect(await client()).toBe('two 2');
    expect(told).toEqual(['open one 1', 'open two 2', 'close one 1']);
  });

  it('is refused while the file is gone, and the same again with the same CA', async () => {
    await using workspace = await Workspace.create();
    const path = workspace.path('ca.crt');
    const { client, told } = clientsOf(path);
    await expect(client()).rejects.toMatchObject({ code: 'MAP_TLS_FAILED' });
    await workspace.write('ca.crt', 'one');
    expect(await client()).toBe('one 1');
    expect(told).toEqual(['open one 1']);
  });

  it('is one without a CA where no file is named', async () => {
    const { client, told } = clientsOf('');
    await client();
    await client();
    expect(told).toEqual(['open undefined 1']);
  });
});
