import type { Command } from 'commander';
import { addCoverageCommand } from './coverage.ts';
import { addExportCommand } from './export.ts';
import { addMapCommand } from './map.ts';
import { addReplayCommand } from './replay.ts';
import { addResolveCommand } from './resolve.ts';
import { addRewriteCommand } from './rewrite.ts';
import { buildServeProgram } from './serve-program.ts';

/** Builds the command line without running it. `finish` is told the exit code of a command. */
export function buildProgram(finish: (exitCode: number) => void): Command {
  const program = buildServeProgram();
  addResolveCommand(program, finish);
  addRewriteCommand(program, finish);
  addReplayCommand(program, finish);
  addMapCommand(program, finish);
  addExportCommand(program);
  addCoverageCommand(program, finish);
  return program;
}
