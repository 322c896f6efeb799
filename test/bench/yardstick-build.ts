import { build } from 'esbuild';

/** Bundles a yardstick, or a probe, as the program is bundled: to strip types at the start would cost it time and memory. */
export async function buildYardstick(
  kind: 'floor' | 'fastify' | 'collection-probe',
  outfile: string,
): Promise<void> {
  await build({
    entryPoints: [`test/bench/yardsticks/${kind}.ts`],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    logLevel: 'warning',
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
    },
  });
}
