#!/usr/bin/env node
import { loadProgram } from './load-program.ts';

const LEAST_NODE = 24;
const major = Number(process.versions.node.split('.')[0]);

if (major < LEAST_NODE) {
  process.stderr.write(
    `sdr-image-rewriter needs Node.js ${LEAST_NODE} or newer; this is ${process.version}. Inside the repository call it through npm, which brings its own.\n`,
  );
  process.exitCode = 2;
} else {
  const { program } = loadProgram(import.meta.dirname);
  process.exitCode = await program.run(process.argv);
  if (process.argv[2] !== 'serve') {
    // What still hangs, such as a request for credentials, keeps no command that has said its result.
    process.stderr.write('', () => {
      process.stdout.write('', (error) => {
        // Where it cannot be written, that is told elsewhere.
        if (error == null) process.exit();
      });
    });
  }
}
