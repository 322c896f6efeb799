import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { readConfigFile } from '../../src/cli/config-file.ts';
import { Workspace } from '../support/workspace.ts';

describe('readConfigFile', () => {
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
      await expect(readConfigFile(file)).rejects.toMatchObject({
        code: 'CONFIG_NOT_TEXT',
        message: `the configuration ${file} is no UTF-8 text at ${place}; save it as UTF-8`,
      });
    },
  );

  it('keeps every character of UTF-8, a byte order mark as well', async () => {
    await using workspace = await Workspace.create();
    const text = '\uFEFFa: caf\u00e9 \uFFFD\n';
    expect(await readConfigFile(await workspace.write('config.yaml', text))).toBe(text);
  });

  it('names the folder that stands in the place of a file', async () => {
    await using workspace = await Workspace.create();
    const { folder } = workspace;
    await expect(readConfigFile(folder)).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
      message: `cannot read the configuration: ${folder} is a folder, not a file`,
    });
  });
});
