import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { recordLog } from './support/events.ts';

const LOG = new URL('../src/log.ts', import.meta.url).href;

/** Runs a module that has a log on standard output, and returns the lines that came out. */
async function linesOf(script: string): Promise<Record<string, unknown>[]> {
  const code = `import { createEventLog } from ${JSON.stringify(LOG)};\nconst log = createEventLog('info');\n${script}`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--no-warnings', '--input-type=module', '-e', code],
    { env: process.env, maxBuffer: 64 * 1024 * 1024 },
  ).catch((error: unknown) => error as { stdout: string });
  const lines = stdout.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Starts a module that can be talked to by messages, with this standard output. */
function start(code: string, standardOutput: 'pipe' | number): ChildProcess {
  return spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', code], {
    env: process.env,
    stdio: ['ignore', standardOutput, 'inherit', 'ipc'],
  });
}

describe('the log', () => {
  it('names level, time, process and event in each line, and leaves out what is undefined', () => {
    const { log, lines } = recordLog();
    log.write('warn', 'config.restart-needed', { path: 'config.yaml' });
    log.write('info', 'admission', { uid: 'u-1', reason: undefined });
    expect(lines).toEqual([
      {
        level: 'warn',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown,
        pid: process.pid,
        hostname: expect.any(String) as unknown,
        event: 'config.restart-needed',
        path: 'config.yaml',
      },
      expect.objectContaining({ level: 'info', event: 'admission', uid: 'u-1' }),
    ]);
    expect(lines[1]).not.toHaveProperty('reason');
  });

  it('takes another level for events that were written before as well', () => {
    const { log, lines } = recordLog();
    log.setLevel('warn');
    log.write('info', 'server.stopped', { signal: 'SIGTERM' });
    log.setLevel('info');
    log.write('info', 'server.stopped', { signal: 'SIGINT' });
    log.setLevel('error');
    log.write('info', 'server.stopped', { signal: 'SIGHUP' });
    expect(lines.map(({ signal }) => signal)).toEqual(['SIGINT']);
  });

  const COUNT = 20_000;
  const UIDS = Array.from({ length: COUNT }, (_, n) => String(n));
  const WRITE = `for (let n = 0; n < ${COUNT}; n += 1) log.write('info', 'admission', { uid: String(n), user: 'ü'.repeat(n % 90) });`;

  it('loses no line when the process ends by itself', async () => {
    const lines = await linesOf(WRITE);
    expect(lines.map(({ uid }) => uid)).toEqual(UIDS);
  });

  it.each([0, 1, 5, 10, 20, 40])(
    'loses no line when it is flushed in the middle of a burst, %i ms after it began',
    async (milliseconds) => {
      const lines = await linesOf(
        `${WRITE}\nsetTimeout(async () => { await log.flush(10_000); process.exit(0); }, ${milliseconds});`,
      );
      expect(lines.map(({ uid }) => uid)).toEqual(UIDS);
    },
  );

  it('loses no line that still waits when the process is made to end', async () => {
    const lines = await linesOf(
      `for (const uid of ['1', '2', '3']) log.write('info', 'admission', { uid }); process.exit(0);`,
    );
    expect(lines.map(({ uid }) => uid)).toEqual(['1', '2', '3']);
  });

  it('writes a single line without waiting for more', async () => {
    const [line] = await linesOf(
      `log.write('info', 'admission', { uid: 'only' }); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 1000);`,
    );
    expect(line).toMatchObject({ uid: 'only' });
  });

  it('takes no more than 32 MiB of lines that nobody reads, and says then how many are missing', async () => {
    const code = `
      import { createEventLog } from ${JSON.stringify(LOG)};
      let lost = 0;
      const log = createEventLog('info', { onLost: (lines) => { lost += lines; } });
      const user = 'u'.repeat(1000);
      let written = 0;
      setInterval(function () {
        for (let n = 0; n < 1000; n += 1) log.write('info', 'admission', { uid: String(written++), user });
        if (written === 60_000) {
          clearInterval(this);
          process.send({ lost, rss: process.memoryUsage.rss() });
          process.once('message', () => process.disconnect());
        }
      }, 1);`;
    const child = start(code, 'pipe');
    const [{ lost, rss }] = (await once(child, 'message')) as [{ lost: number; rss: number }];
    child.send('read');
    const lines = (await text(child.stdout ?? Readable.from([]))).trimEnd().split('\n');
    const events = lines.map((line) => JSON.parse(line) as { event: string; lines?: number });
    const admissions = events.filter(({ event }) => event === 'admission');
    const missing = events.filter(({ event }) => event === 'log.lost');
    expect(lost).toBeGreaterThan(20_000);
    expect(rss).toBeLessThan(200 * 1024 * 1024);
    expect(admissions).toHaveLength(60_000 - lost);
    expect(missing).toEqual([expect.objectContaining({ level: 'error', lines: lost })]);
  });

  it('gives up lines that nobody reads, and says so', async () => {
    const code = `
      import { createEventLog } from ${JSON.stringify(LOG)};
      const log = createEventLog('info');
      const user = 'u'.repeat(1000);
      for (let n = 0; n < 1000; n += 1) log.write('info', 'admission', { uid: String(n), user });
      process.send(await log.flush(100));`;
    const child = start(code, 'pipe');
    expect((await once(child, 'message'))[0]).toBe(false);
    child.kill('SIGKILL');
  });

  it('lets the process go on, and end, where standard output cannot be written to', async () => {
    const code = `
      import { createEventLog } from ${JSON.stringify(LOG)};
      const log = createEventLog('info');
      for (const uid of ['1', '2']) {
        log.write('info', 'admission', { uid });
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      process.send({ isWritten: await log.flush(10_000) });
      process.exit(0);`;
    const full = openSync('/dev/full', 'w');
    const child = start(code, full);
    closeSync(full);
    const ended = once(child, 'exit');
    expect((await once(child, 'message'))[0]).toEqual({ isWritten: true });
    expect(await ended).toEqual([0, null]);
  });
});
