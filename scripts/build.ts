// Bundles the program into dist/: one entry, and chunks that are loaded only where they are used.
import { chmod, rm } from 'node:fs/promises';
import { build } from 'esbuild';

/** What libraries load for schemas, requests in tests and exemplars: 3 MiB of memory, and no server here has any. */
const UNUSED = [
  '@fastify/ajv-compiler',
  '@fastify/fast-json-stringify-compiler',
  '@opentelemetry/api',
  'light-my-request',
];

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
  alias: Object.fromEntries(UNUSED.map((name) => [name, './scripts/unused.cjs'])),
  chunkNames: 'chunks/[name]-[hash]',
  // Node.js keeps the source in memory: 6 MiB less. Names stay, so that a stack can be read.
  minifyWhitespace: true,
  legalComments: 'linked',
  logLevel: 'warning',
  // Bundled CommonJS packages call require for Node's own modules.
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
  },
});
await chmod('dist/sdr-image-rewriter.js', 0o755);
