import { open, readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { fileFaultText } from '../../src/files/text-file.ts';

async function faultOf(file: string): Promise<string> {
  const error: unknown = await readFile(file).catch((reason: unknown) => reason);
  return fileFaultText(file, error);
}

describe('fileFaultText', () => {
  it('names the file once, be it missing or a folder', async () => {
    expect(await faultOf('/nowhere/a.pem')).toBe(
      "ENOENT: no such file or directory, open '/nowhere/a.pem'",
    );
    expect(await faultOf('test')).toBe('test is a folder, not a file');
  });

  it('names the file that is open and cannot be read', async () => {
    await using writeOnly = await open('/dev/null', 'w');
    const error: unknown = await writeOnly.readFile().catch((reason: unknown) => reason);
    expect(fileFaultText('/dev/null', error)).toBe("EBADF: bad file descriptor, read '/dev/null'");
  });
});
