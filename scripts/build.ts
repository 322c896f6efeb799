// Bundles the program into dist/: an entry, the program itself, and libraries that are loaded only where they are used.
import { createHash } from 'node:crypto';
import { chmod, glob, readFile, rm } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { build, type BuildOptions, type Plugin } from 'esbuild';

/** Larger than all the rest together, and few runs need any of them: each becomes a file of its own. */
const ON_DEMAND = ['src/source/aws-sdk.ts', 'src/kube/kubernetes-client.ts', 'src/kube/x509.ts'];

const onDemand: Plugin = {
  name: 'on-demand',
  setup(bundling) {
    const files = new Set(ON_DEMAND.map((file) => resolve(file)));
    bundling.onResolve({ filter: /^\.{1,2}\// }, ({ kind, importer, path }) =>
      kind !== 'entry-point' && files.has(resolve(dirname(importer), path))
        ? { path: `./${basename(path, '.ts')}.cjs`, external: true }
        : undefined,
    );
  },
};

/** What libraries load for schemas, requests in tests and exemplars: 3 MiB of memory, and no server here has any. */
const UNUSED = [
  '@fastify/ajv-compiler',
  '@fastify/fast-json-stringify-compiler',
  '@opentelemetry/api',
  'light-my-request',
];

async function digestOfSources(): Promise<string> {
  const files = await Array.fromAsync(glob('src/**/*.ts'));
  const hash = createHash('sha256');
  for (const file of files.sort()) {
    hash.update(`${file}\0`).update(await readFile(file));
  }
  return hash.digest('hex');
}

const common: BuildOptions = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node24',
  mainFields: ['module', 'main'],
  // Node.js keeps the source in memory: 7 MiB less. A stack has its names with NODE_OPTIONS=--enable-source-maps.
  minifyWhitespace: true,
  minifyIdentifiers: true,
  // Puts their numbers in the place of constants, which V8 looks up each time that they are used.
  minifySyntax: true,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'linked',
  logLevel: 'warning',
};

await rm('dist', { recursive: true, force: true });
await build({
  ...common,
  entryPoints: { 'sdr-image-rewriter': 'src/cli/main.ts' },
  format: 'esm',
});
// CommonJS, of which V8 can keep what it compiled of a run; see code-cache.ts.
await build({
  ...common,
  entryPoints: [{ in: 'src/cli/run.ts', out: 'program' }, ...ON_DEMAND],
  entryNames: '[name]',
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  // Imported, `node:http` makes Node.js load all of `fetch` as well, 5 MiB and 12 ms; required, it does not.
  supported: { 'dynamic-import': false },
  alias: Object.fromEntries(UNUSED.map((name) => [name, './scripts/unused.ts'])),
  define: { DIGEST_OF_SOURCES: JSON.stringify(await digestOfSources()) },
  plugins: [onDemand],
});
await chmod('dist/sdr-image-rewriter.js', 0o755);
