import { execFile } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { createFileSource } from '../../src/source/file.ts';
import type { ReadRequest } from '../../src/source/source.ts';
import { acceptCoreErrors } from '../support/core-errors.ts';
import { bytesOfText } from '../support/maps.ts';
import { Workspace } from '../support/workspace.ts';
import { etagOf, itConforms, refusalOf, requestOf, type SourceBench } from './conformance.ts';

const FILE = 'image-map.json';

async function openBench(): Promise<SourceBench> {
  const workspace = await Workspace.create();
  const path = workspace.path(FILE);
  const write = async (name: string, bytes: Uint8Array): Promise<void> => {
    await workspace.write(name, bytes);
  };
  return {
    source: createFileSource(path),
    location: `file://${path}`,
    missing: 'MAP_UNREADABLE',
    put: (bytes) => write(FILE, bytes),
    putSignature: (bytes) => write(`${FILE}.sig`, bytes),
    breakSignature: () => mkdir(workspace.path(`${FILE}.sig`)),
    remove: () => rm(path),
    [Symbol.asyncDispose]: () => workspace[Symbol.asyncDispose](),
  };
}

/** A request at whose first look at the signal the file grows, which is when it is open and its size known. */
function growingRequest(path: string, more: Uint8Array, maxBytes: number): ReadRequest {
  const request = requestOf({ maxBytes });
  let isGrown = false;
  const signal = Object.defineProperty(new AbortController().signal, 'aborted', {
    get: () => {
      if (!isGrown) appendFileSync(path, more);
      isGrown = true;
      return false;
    },
  });
  return { ...request, signal };
}

describe('a map in a file', () => {
  acceptCoreErrors();
  // A read of a local file cannot be called off; the cached map holds the deadline for it.
  itConforms(openBench, []);

  it('has the SHA-256 of its bytes for an etag', async () => {
    await using bench = await openBench();
    await bench.put(bytesOfText('abc'));
    expect(await etagOf(bench.source)).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('may be bigger than what is read at once', async () => {
    const bytes = Buffer.alloc(3_500_000, 'abcdefg');
    await using bench = await openBench();
    await bench.put(bytes);
    const reading = await bench.source.read(requestOf({ maxBytes: 4_000_000 }));
    expect(reading.kind === 'changed' && bytes.equals(reading.bytes)).toBe(true);
  });

  it('is read to its end where it grows meanwhile, and no further than the limit', async () => {
    await using workspace = await Workspace.create();
    const more = Buffer.alloc(3_500_000, 'abcdefg');
    const path = await workspace.write(FILE, 'a');
    const source = createFileSource(path);
    const reading = await source.read(growingRequest(path, more, more.length + 1));
    expect(reading.kind === 'changed' && reading.bytes.length).toBe(more.length + 1);
    const refusal = await refusalOf(source.read(growingRequest(path, more, 2 * more.length)));
    expect(refusal.code).toBe('MAP_TOO_LARGE');
  });

  it('leaves no memory to the garbage collector when it is read again and nothing changed', async () => {
    await using bench = await openBench();
    await bench.put(Buffer.alloc(20_000_000, 'abcdefg'));
    const request = requestOf({ maxBytes: 20_000_000 });
    const reading = await bench.source.read(request);
    const etag = reading.kind === 'changed' ? reading.etag : '';
    const before = process.memoryUsage().arrayBuffers;
    const again = await bench.source.read({ ...request, etag });
    expect(again.kind).toBe('unchanged');
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(before + 10_000_000);
  });

  it.each([
    ['a folder', (path: string) => mkdir(path)],
    ['a pipe that nobody writes to', (path: string) => promisify(execFile)('mkfifo', [path])],
    ['a device', (path: string) => symlink('/dev/zero', path)],
  ])('is not %s, which is refused at once', async (_name, make) => {
    await using workspace = await Workspace.create();
    await make(workspace.path(FILE));
    const refusal = await refusalOf(createFileSource(workspace.path(FILE)).read(requestOf()));
    expect(refusal.code).toBe('MAP_UNREADABLE');
    expect(refusal.message).toMatch(/ is a (?:folder|pipe|device), not a file$/);
  });

  it('has no signature that is a pipe', async () => {
    await using bench = await openBench();
    await bench.put(bytesOfText('map'));
    await promisify(execFile)('mkfifo', [`${bench.location.slice('file://'.length)}.sig`]);
    const refusal = await refusalOf(bench.source.read(requestOf({ signed: true })));
    expect(refusal.code).toBe('MAP_UNREADABLE');
  });

  it('tells when the map or its signature changes', async () => {
    await using bench = await openBench();
    await bench.put(bytesOfText('one'));
    for (const change of [
      () => bench.put(bytesOfText('another')),
      () => bench.putSignature(bytesOfText('signature')),
    ]) {
      let stop: (() => void) | undefined;
      const told = new Promise<void>((resolve) => {
        stop = bench.source.watch?.(resolve);
      });
      await new Promise((resolve) => setTimeout(resolve, 100));
      await change();
      await told;
      stop?.();
    }
  });
});
