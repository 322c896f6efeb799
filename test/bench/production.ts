import { readFileSync } from 'node:fs';

const PROGRAM = 'dist/sdr-image-rewriter.js';

/** The arguments of Node.js that run the built program as its container image does. */
export function productionArgs(dockerfile = readFileSync('Dockerfile', 'utf8')): string[] {
  const [, list] = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfile) ?? [];
  if (list === undefined) {
    throw new Error(
      'the Dockerfile has no ENTRYPOINT on one line, so the flags of Node.js are unknown',
    );
  }
  const flags = (JSON.parse(list) as string[]).filter((part) => part.startsWith('--'));
  return [...flags, PROGRAM];
}
