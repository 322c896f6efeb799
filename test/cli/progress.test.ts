import { describe, expect, it } from '@jest/globals';
import { createProgress } from '../../src/cli/progress.ts';

const CLEAR = `\r${String.fromCharCode(27)}[K`;

function written(isTTY: boolean): string {
  let text = '';
  const write = (part: unknown): boolean => {
    text += String(part);
    return true;
  };
  const progress = createProgress({ isTTY, write });
  progress.show('pods', 500);
  progress.show('pods', 12_500);
  progress.clear();
  return text;
}

describe('progress', () => {
  it('writes over its line on a terminal and leaves nothing behind', () => {
    expect(written(true)).toBe(`${CLEAR}500 pods…${CLEAR}12,500 pods…${CLEAR}`);
  });

  it('is silent where there is no terminal', () => {
    expect(written(false)).toBe('');
  });
});
