// Bundles the program into dist/: one entry, and chunks that are loaded only where they are used.
import { createHash } from 'node:crypto';
import { chmod, glob, readFile, rm } from 'node:fs/promises';
import { build, type Plugin } from 'esbuild';

/** Imported, `node:http` makes Node.js load all of `fetch` as well, 5 MiB and 12 ms; required, it does not. */
const requiredHttp: Plugin = {
  name: 'required-http',
  setup(bundling) {
    bundling.onResolve({ filter: /^(?:node:)?http$/ }, ({ kind }) =>
      kind === 'require-call' ? undefined : { path: 'node:http', namespace: 'required' },
    );
    bundling.onLoad({ filter: /^/, namespace: 'required' }, ({ path }) => {
      return { contents: `module.exports = require('${path}');` };
    });
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

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: { 'sdr-image-rewriter': 'src/cli/main.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  mainFields: ['module', 'main'],
  alias: Object.fromEntries(UNUSED.map((name) => [name, './scripts/unused.ts'])),
  define: { DIGEST_OF_SOURCES: JSON.stringify(await digestOfSources()) },
  chunkNames: 'chunks/[name]-[hash]',
  // Node.js keeps the source in memory: 7 MiB less. A stack has its names with NODE_OPTIONS=--enable-source-maps.
  minifyWhitespace: true,
  minifyIdentifiers: true,
  sourcemap: 'linked',
  sourcesContent: false,
  // Puts their numbers in the place of constants: V8 looks those of a module up each time that they are used.
  minifySyntax: true,
  legalComments: 'linked',
  logLevel: 'warning',
  plugins: [requiredHttp],
  // Bundled CommonJS packages call require for Node's own modules.
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
  },
});
await chmod('dist/sdr-image-rewriter.js', 0o755);
