import { getEventListeners } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { readBody } from '../../src/source/read-body.ts';

const location = 's3://sdr-config/image-map.json';

function bodyOf(...chunks: string[]): Readable {
  return Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
}

/** A body that sends so much and then neither more nor its end. */
function stalledBody(text: string): PassThrough {
  const body = new PassThrough();
  body.write(text);
  return body;
}

function limits(given: { maxBytes?: number; announced?: number; signal?: AbortSignal } = {}) {
  const { maxBytes = 100, announced, signal = new AbortController().signal } = given;
  return { location, maxBytes, announced, signal };
}

describe('readBody', () => {
  it('gives all bytes in order, with and without an announced length', async () => {
    for (const announced of [undefined, 6]) {
      const bytes = await readBody(bodyOf('ab', '', 'cd', 'ef'), {
        ...limits(),
        announced,
      });
      expect(Buffer.from(bytes).toString()).toBe('abcdef');
    }
    expect(await readBody(bodyOf(), limits({ announced: 0 }))).toHaveLength(0);
  });

  it('gives a long body of unknown length whole', async () => {
    const texts = Array.from({ length: 40 }, (_, index) => `${index}`.repeat(3000));
    const bytes = await readBody(bodyOf(...texts), limits({ maxBytes: 1_000_000 }));
    expect(Buffer.from(bytes).toString()).toBe(texts.join(''));
  });

  it('takes a body of just the limit, and none of a byte more', async () => {
    expect(await readBody(bodyOf('12345'), limits({ maxBytes: 5 }))).toHaveLength(5);
    await expect(readBody(bodyOf('12345', '6'), limits({ maxBytes: 5 }))).rejects.toMatchObject({
      code: 'MAP_TOO_LARGE',
    });
  });

  it('does not begin to read a body that announces too much', async () => {
    let reads = 0;
    const body = new Readable({
      read() {
        reads += 1;
      },
    });
    await expect(readBody(body, limits({ maxBytes: 5, announced: 6 }))).rejects.toMatchObject({
      code: 'MAP_TOO_LARGE',
    });
    expect(reads).toBe(0);
    expect(body.destroyed).toBe(true);
  });

  it('stops reading where an endless body passes the limit', async () => {
    let sent = 0;
    const body = new Readable({
      read() {
        sent += 1;
        this.push(Buffer.alloc(1000));
      },
    });
    await expect(readBody(body, limits({ maxBytes: 5000 }))).rejects.toMatchObject({
      code: 'MAP_TOO_LARGE',
    });
    expect(sent).toBeLessThan(100);
    expect(body.destroyed).toBe(true);
  });

  it('refuses fewer and more bytes than were announced', async () => {
    for (const announced of [5, 7]) {
      await expect(readBody(bodyOf('abcdef'), limits({ announced }))).rejects.toMatchObject({
        code: 'MAP_CUT_SHORT',
      });
    }
  });

  it('gives up a body that stalls, and destroys it', async () => {
    const body = stalledBody('half');
    const signal = AbortSignal.timeout(30);
    await expect(readBody(body, limits({ signal }))).rejects.toMatchObject({ code: 'MAP_TIMEOUT' });
    expect(body.destroyed).toBe(true);
  });

  it('reads nothing once the deadline is over', async () => {
    const body = bodyOf('abc');
    const signal = AbortSignal.abort();
    await expect(readBody(body, limits({ signal }))).rejects.toMatchObject({ code: 'MAP_TIMEOUT' });
    expect(body.destroyed).toBe(true);
  });

  it('hands on the error of a stream that breaks', async () => {
    const body = stalledBody('half');
    const broken = new Error('connection lost');
    setTimeout(() => body.destroy(broken), 5);
    await expect(readBody(body, limits())).rejects.toBe(broken);
  });

  it('leaves no listener on the signal and no open stream behind, however it ends', async () => {
    const { signal } = new AbortController();
    const bodies = [bodyOf('abc'), bodyOf('abcdefghi'), bodyOf('ab')];
    for (const body of bodies) {
      await readBody(body, limits({ signal, maxBytes: 5, announced: 3 })).catch(() => undefined);
      expect(body.destroyed).toBe(true);
    }
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
