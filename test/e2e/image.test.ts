import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Workspace } from '../support/workspace.ts';
import { eventually, must, setting } from './support/cluster.ts';

const image = setting('LAB_LOCAL_IMAGE');
/** The container engine with its options, up to and including `run`: `podman run`, `docker run`. */
const [engine = '', ...runOptions] = setting('LAB_CONTAINER_RUN').split(' ');
const engineOptions = runOptions.slice(0, runOptions.indexOf('run'));
const NAME = `sdr-image-rewriter-e2e-${Date.now()}`;

afterAll(async () => {
  await must(engine, [...engineOptions, 'rm', '--force', '--time', '0', NAME]);
});

describe('the container image', () => {
  it('serves on a read-only root as uid 65532 without any capability', async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write(
      'config.yaml',
      'apiVersion: sdr-image-rewriter/v1\nprocurement: public\nserver: {port: 28443}\nops: {port: 28080}\n',
    );
    await must('chmod', ['-R', 'a+rX', workspace.folder]);
    await must(engine, [
      ...runOptions,
      ...['--name', NAME, '--detach', '--network', 'host'],
      ...['--read-only', '--tmpfs', '/tmp', '--user', '65532', '--cap-drop', 'ALL'],
      ...['-v', `${config}:/etc/sdr-image-rewriter/config.yaml:ro`],
      ...[image, 'serve', '--config', '/etc/sdr-image-rewriter/config.yaml', '--self-signed'],
    ]);
    const ready = async (): Promise<number> => {
      try {
        return (await fetch('http://127.0.0.1:28080/readyz')).status;
      } catch {
        return 0;
      }
    };
    await eventually(ready, (status) => status === 200, 20);
  });

  it('starts with what its own Node.js compiled of the program', async () => {
    const code =
      "import { loadProgram } from '/load-program.ts'; console.log(loadProgram('/app').isPrecompiled)";
    const isPrecompiled = await must(engine, [
      ...runOptions,
      ...['--rm', '--read-only', '--entrypoint', '/nodejs/bin/node'],
      ...['-v', `${resolve('src/cli/load-program.ts')}:/load-program.ts:ro`],
      ...[image, '--input-type=module', '--eval', code],
    ]);
    expect(isPrecompiled.trim()).toBe('true');
  });

  it('rewrites what stands on standard input, as the pages about Docker and Podman say', async () => {
    const rewritten = await must(
      engine,
      [
        ...runOptions,
        ...['--rm', '--interactive', '--read-only'],
        ...['-v', `${resolve('examples/config.yaml')}:/config.yaml:ro`],
        ...[image, 'rewrite', '--config', '/config.yaml', '-'],
      ],
      await readFile('examples/compose/oracle.yaml', 'utf8'),
    );
    expect(rewritten).toContain('registry.corp.example/mirror/atlanhq/atlan-oracle-app:2.1.0');
    expect(rewritten).toContain('temporalio/ui:2.31');
  });

  it('answers as the command line, too, and holds its bill of materials', async () => {
    const resolved = await must(engine, [
      ...runOptions,
      ...['--rm', '--read-only', image, 'resolve', '--base', 'registry.example/m', 'atlanhq/x:1'],
    ]);
    expect(resolved).toContain('registry.example/m/atlanhq/x:1');
    const read = "process.stdout.write(require('node:fs').readFileSync('/app/sbom.cdx.json'))";
    const bom = await must(engine, [
      ...runOptions,
      ...['--rm', '--read-only', '--entrypoint', '/nodejs/bin/node', image, '-e', read],
    ]);
    const { components } = JSON.parse(bom) as { components: { name: string }[] };
    expect(components.map(({ name }) => name)).toContain('fastify');
  });
});
