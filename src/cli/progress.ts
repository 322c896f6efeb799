import type { WriteStream } from 'node:tty';

export interface Progress {
  readonly show: (what: string, count: number) => void;
  readonly clear: () => void;
}

const CLEAR_LINE = '\r\u001b[K';

/** One line that is written over, such as `12,500 pods…`; nothing where nobody watches. */
export function createProgress(stream: Pick<WriteStream, 'write' | 'isTTY'>): Progress {
  const write = (text: string): void => {
    if (stream.isTTY) {
      stream.write(text);
    }
  };
  return {
    show: (what, count) => write(`${CLEAR_LINE}${count.toLocaleString('en-US')} ${what}…`),
    clear: () => write(CLEAR_LINE),
  };
}
