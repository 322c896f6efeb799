import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';
import type * as Program from './run.ts';

const CHECKSUM_BYTES = 4;

export interface LoadedProgram {
  readonly program: typeof Program;
  /** Whether what an earlier run compiled was used. */
  readonly isPrecompiled: boolean;
  /** Keeps what V8 has compiled so far for later runs. Undefined where Node.js itself loaded the program. */
  readonly keepCompiled: (() => void) | undefined;
}

/**
 * Loads the bundled program in `folder`, an absolute path. Half of the time to start would be compiling, so it
 * takes what V8 compiled in an earlier run, if that was kept. V8 refuses the code of another version of itself; it
 * does not see damage, nor code of another source as long, which is what the checksum is for. What cannot be used
 * is compiled anew.
 */
export function loadProgram(folder: string): LoadedProgram {
  const filename = join(folder, 'program.cjs');
  const cacheFile = join(folder, 'program.cache');
  const require = createRequire(filename);
  // Node.js finds the lines of the source for what it loads itself, and for nothing else.
  if (process.sourceMapsEnabled) {
    const program = require(filename) as typeof Program;
    return { program, isPrecompiled: false, keepCompiled: undefined };
  }
  const source = readFileSync(filename);
  const cachedData = readCompiled(cacheFile, source);
  // The bundle is ASCII, which takes half of the memory of what UTF-8 may become.
  const wrapped = `(function (exports, require, module) {${source.toString('latin1')}\n})`;
  const script = new Script(wrapped, { filename, ...(cachedData && { cachedData }) });
  const module = { exports: {} as typeof Program };
  const body = script.runInThisContext() as (...scope: unknown[]) => void;
  body(module.exports, require, module);
  return {
    program: module.exports,
    isPrecompiled: script.cachedDataRejected === false,
    keepCompiled: () => {
      const data = script.createCachedData();
      writeFileSync(cacheFile, Buffer.concat([data, checksum(data, source)]));
    },
  };
}

function readCompiled(file: string, source: Buffer): Buffer | undefined {
  let kept: Buffer;
  try {
    kept = readFileSync(file);
  } catch {
    return undefined;
  }
  const data = kept.subarray(0, -CHECKSUM_BYTES);
  return checksum(data, source).equals(kept.subarray(-CHECKSUM_BYTES)) ? data : undefined;
}

function checksum(data: Buffer, source: Buffer): Buffer {
  const bytes = Buffer.alloc(CHECKSUM_BYTES);
  bytes.writeUInt32BE(crc32(source, crc32(data)));
  return bytes;
}
