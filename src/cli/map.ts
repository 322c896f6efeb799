import type { Command } from 'commander';
import { addMapDiffCommand } from './map-diff.ts';
import { addMapImportCommand } from './map-import.ts';
import { addMapLintCommand } from './map-lint.ts';
import { addMapPublishCommand } from './map-publish.ts';
import { addMapSignCommand } from './map-sign.ts';
import { addMapVerifyCommand } from './map-verify.ts';

export function addMapCommand(program: Command, finish: (exitCode: number) => void): void {
  const map = program.command('map').description('The life of an image map.');
  addMapLintCommand(map, finish);
  addMapDiffCommand(map, finish);
  addMapVerifyCommand(map, finish);
  addMapImportCommand(map);
  addMapPublishCommand(map);
  addMapSignCommand(map);
}
