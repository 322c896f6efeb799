import { describe, expect, it } from '@jest/globals';
import { readInput } from '../../src/cli/input.ts';
import { Workspace } from '../support/workspace.ts';

describe('readInput', () => {
  it('names the folder that stands in the place of a file', async () => {
    await using workspace = await Workspace.create();
    const { folder } = workspace;
    await expect(readInput(folder)).rejects.toMatchObject({
      code: 'USAGE',
      message: `cannot read the input: ${folder} is a folder, not a file`,
    });
  });
});
