import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { ROOT } from '../../scripts/docs.ts';
import type { Finished } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';

/** Loaded before the program, so that something it calls throws as if it called that wrongly. */
const BREAKS_TABLES =
  'String.prototype.padEnd = () => { throw new TypeError("a pad\\n\\u001b[2J is missing") };';
const BREAKS_SERVERS =
  'import https from "node:https"; https.createServer = () => { throw new TypeError("broken") };';

async function runBroken(args: string, options = '', breakage = BREAKS_TABLES): Promise<Finished> {
  const preload = `--import=data:text/javascript,${encodeURIComponent(breakage)}`;
  const run = promisify(execFile)(
    process.execPath,
    ['dist/sdr-image-rewriter.js', ...args.split(' ')],
    { cwd: ROOT, env: { ...process.env, NODE_OPTIONS: `${preload} ${options}` } },
  );
  return (await run.then(
    (output) => ({ code: 0, ...output }),
    (error: unknown) => error,
  )) as Finished;
}

describe('a fault of the program itself', () => {
  it('is one sentence with the code INTERNAL, and ends a command with 1', async () => {
    const { code, stdout, stderr } = await runBroken('resolve --base r.example nginx');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      'error: the program has a fault: TypeError: a pad\\n\\u001b[2J is missing; NODE_OPTIONS=--enable-source-maps shows where [INTERNAL]\n',
    );
  });

  it('shows its stack, with the lines of the source, to who asks for them', async () => {
    const args = 'resolve --base r.example nginx';
    const { code, stderr } = await runBroken(args, '--enable-source-maps');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .* \[INTERNAL\]\nTypeError: a pad/);
    expect(stderr).toContain('src/cli/output.ts');
  });

  it('stands in the log as well where the server cannot start because of it', async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write(
      'config.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: public\nops: {host: localhost, port: 0}\n',
    );
    const args = `serve --self-signed --config ${config}`;
    const { code, stdout, stderr } = await runBroken(args, '', BREAKS_SERVERS);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error: the program has a fault: TypeError: broken; .* \[INTERNAL\]\n$/,
    );
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      event: 'server.failed',
      error: expect.stringMatching(/^TypeError: broken\n +at /) as unknown,
    });
  });

  it('does not stand in the way of what has no such fault', async () => {
    expect(await runBroken('resolve --output json --base r.example nginx')).toMatchObject({
      code: 0,
      stderr: '',
    });
  });
});
