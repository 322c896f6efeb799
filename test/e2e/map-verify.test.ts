import { describe, expect, it } from '@jest/globals';
import { mapDocument } from '../support/maps.ts';
import { type Finished, runProgram } from '../support/program.ts';
import { copyImage, republishImage, setting } from './support/cluster.ts';

const registry = setting('LAB_REGISTRY');
const image = setting('LAB_IMAGE');
const NAME = `verify-${Date.now()}/mysql`;

async function verify(target: string, ...args: readonly string[]): Promise<Finished> {
  const map = mapDocument({
    images: [{ source: 'docker.io/atlanhq/atlan-mysql-app:0.4.25', target }],
    repositories: [{ source: 'docker.io/atlanhq/other', target: `${registry}/${NAME}` }],
  });
  const options = ['map', 'verify', '-', '--plain-http', registry, ...args];
  return runProgram(options, JSON.stringify(map));
}

describe('map verify with a real registry', () => {
  it('finds what was copied there, and says what is missing, moved or of another platform', async () => {
    const digest = await copyImage(registry, image.slice(image.indexOf('/') + 1), `${NAME}:1`);
    const good = await verify(`${registry}/${NAME}:1@${digest}`, '--platform', 'linux/amd64');
    expect(good).toEqual({
      code: 0,
      stdout: '-: good: serial none, 2 targets found\n',
      stderr: '',
    });

    const missing = await verify(`${registry}/${NAME}:2`);
    expect(missing).toMatchObject({ code: 1, stderr: '' });
    expect(missing.stdout).toContain('[TARGET_MISSING]');

    const platform = await verify(`${registry}/${NAME}:1`, '--platform', 'linux/s390x');
    expect(platform).toMatchObject({ code: 1 });
    expect(platform.stdout).toContain(
      'has no image for linux/s390x in the registry; it has linux/amd64',
    );

    await republishImage(registry, NAME, '1');
    const moved = await verify(`${registry}/${NAME}:1@${digest}`);
    expect(moved).toMatchObject({ code: 1 });
    expect(moved.stdout).toContain('[TARGET_TAG_MOVED]');
  });

  it('says of a registry without TLS how to name it', async () => {
    const { code, stdout } = await runProgram(
      ['map', 'verify', '-'],
      JSON.stringify({ 'docker.io/atlanhq/a:1': `${registry}/${NAME}:1` }),
    );
    expect(code).toBe(1);
    expect(stdout).toContain(`there is no TLS with ${registry}`);
    expect(stdout).toContain('--plain-http');
  });
});
