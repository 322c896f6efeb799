import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ambientUses, findBreaches, importsOf } from './support/import-graph.ts';

const SOURCE = new URL('../src/', import.meta.url);

function readSource(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

const CORE = readdirSync(new URL('core/', SOURCE), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `src/core/${name}`);

describe('the pure core', () => {
  it('has the files that the tests mirror', () => {
    expect(CORE).toContain('src/core/admission.ts');
    expect(CORE.length).toBeGreaterThan(10);
  });

  it.each(CORE)('reaches no edge from %s', (file) => {
    expect(findBreaches(file, readSource)).toEqual([]);
  });

  it.each(CORE)('uses no clock, chance, process or network in %s', (file) => {
    expect(ambientUses(readSource(file))).toEqual([]);
  });
});

/** Which folder imports from which, as CONTRIBUTING.md draws it. What lies in `src` itself is free to all but the core. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  config: ['core'],
  files: ['core'],
  source: ['core', 'config', 'files'],
  kube: ['core', 'files'],
  registry: ['core', 'source', 'files'],
  manifest: ['core'],
  server: ['core', 'config', 'source', 'kube', 'files'],
  cli: ['core', 'config', 'source', 'kube', 'registry', 'manifest', 'server', 'files'],
};

describe('the folders of the source', () => {
  const folderOf = (path: string): string | undefined => /^src\/(\w+)\//.exec(path)?.[1];
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && name.includes('/'))
    .map((name) => `src/${name}`);

  it('are the ones that have a layer', () => {
    expect(new Set(files.map(folderOf))).toEqual(new Set(Object.keys(LAYERS)));
  });

  it.each(Object.entries(LAYERS))('let %s import no more than %j', (folder, allowed) => {
    const imported = files
      .filter((file) => folderOf(file) === folder)
      .flatMap((file) =>
        importsOf(readSource(file))
          .filter(({ specifier }) => specifier.startsWith('.'))
          .map(({ specifier }) => folderOf(posix.join(posix.dirname(file), specifier))),
      )
      .filter((each) => each !== undefined && each !== folder);
    expect([...new Set(imported)].filter((each) => !allowed.includes(each ?? ''))).toEqual([]);
  });
});

describe('findBreaches', () => {
  function breachesIn(files: Record<string, string>): string[] {
    return findBreaches('src/core/a.ts', (path) => files[path] ?? '');
  }

  it('names the chain of imports that reaches an edge', () => {
    expect(
      breachesIn({
        'src/core/a.ts': "import { b } from './b.ts';",
        'src/core/b.ts': "export { c } from './deep/c.ts';",
        'src/core/deep/c.ts': "import { log } from '../../log.ts';",
      }),
    ).toEqual(['src/core/a.ts -> src/core/b.ts -> src/core/deep/c.ts -> src/log.ts']);
  });

  it.each([
    ["import { readFile } from 'node:fs/promises';", 'node:fs/promises'],
    ["import 'node:process';", 'node:process'],
    ["import fs from 'fs';", 'fs'],
    ["import pino from 'pino';", 'pino'],
    ["import type { Logger } from 'pino';", 'pino'],
    ["import { type Logger } from 'pino';", 'pino'],
    ["export * from 'fastify';", 'fastify'],
    ["const { z } = await import('zod');", 'zod'],
    ["const pino = require('pino');", 'pino'],
    ["import jsonpatch from 'fast-json-patch';", 'fast-json-patch'],
    ["import { type Operation } from 'fast-json-patch';", 'fast-json-patch'],
    ["import { createS3 } from '../source/s3.ts';", 'src/source/s3.ts'],
    ["import type { Config } from '../config/schema.ts';", 'src/config/schema.ts'],
    ["import { serve } from '../server/webhook.ts';", 'src/server/webhook.ts'],
    ["import { coverage } from '../kube/coverage.ts';", 'src/kube/coverage.ts'],
    ["import { run } from '../cli/main.ts';", 'src/cli/main.ts'],
    ["import { metrics } from '../metrics.ts';", 'src/metrics.ts'],
  ])('finds that %s reaches %s', (text, edge) => {
    expect(breachesIn({ 'src/core/a.ts': text })).toEqual([`src/core/a.ts -> ${edge}`]);
  });

  it.each([
    ["import { b } from './b.ts';"],
    ["import type { B } from './b.ts';"],
    ["import type { AddOperation } from 'fast-json-patch';"],
    ["// import pino from 'pino';"],
    ['const text = "import pino from \'pino\'";'],
  ])('finds nothing wrong with %s', (text) => {
    expect(breachesIn({ 'src/core/a.ts': text })).toEqual([]);
  });

  it('comes to an end where files import one another', () => {
    const files = {
      'src/core/a.ts': "import './b.ts';",
      'src/core/b.ts': "import './a.ts'; import '../log.ts';",
    };
    expect(breachesIn(files)).toEqual(['src/core/a.ts -> src/core/b.ts -> src/log.ts']);
  });
});

describe('importsOf', () => {
  it('tells a type-only import from one that stays at run time', () => {
    const text = "import type { A } from 'a'; import { type B } from 'b'; import { c } from 'c';";
    expect(importsOf(text)).toEqual([
      { specifier: 'a', isTypeOnly: true },
      { specifier: 'b', isTypeOnly: false },
      { specifier: 'c', isTypeOnly: false },
    ]);
  });
});

describe('ambientUses', () => {
  it.each([
    ['const now = Date.now();', 'Date.now'],
    ['const now = new Date();', 'new Date'],
    ['const die = Math.random();', 'Math.random'],
    ['const home = process.env.HOME;', 'process'],
    ['console.log(1);', 'console'],
    ['setTimeout(run, 1);', 'setTimeout'],
    ['const bytes = Buffer.from(text);', 'Buffer'],
    ['await fetch(url);', 'fetch'],
  ])('finds the use in %s', (text, use) => {
    expect(ambientUses(text)).toEqual([use]);
  });

  it.each([
    ['const at = Date.parse(text);'],
    ['const most = Math.max(1, 2);'],
    ['const rule = { process: 1, console: 2 };'],
    ['const { fetch: run } = ports;'],
    ['policy.process(pod);'],
    ['// process.env'],
  ])('finds none in %s', (text) => {
    expect(ambientUses(text)).toEqual([]);
  });
});
