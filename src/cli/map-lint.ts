import type { Command } from 'commander';
import type { Config } from '../config/schema.ts';
import type { Fault } from '../core/errors.ts';
import { lintImageMap, type LintWarning } from '../core/map-lint.ts';
import { EXIT_FAULT, EXIT_FINE } from './exit-codes.ts';
import { addMapOptions, checkMap, type MapOptions, readMapBytes } from './map-input.ts';
import { count, paint, renderJsonLines } from './output.ts';
import { loadConfig } from './load-config.ts';
import { parseMapPlace } from './map-place.ts';
import { takesInputOnce } from './policy-options.ts';
import { requireImages } from './required-images.ts';

interface LintOptions extends MapOptions {
  readonly require: readonly string[];
}

interface LintReport {
  readonly file: string;
  readonly ok: boolean;
  readonly serial: number | null;
  readonly entries: number;
  readonly faults: readonly Fault[];
  readonly warnings: readonly LintWarning[];
}

export function addMapLintCommand(map: Command, finish: (exitCode: number) => void): void {
  const command = map
    .command('lint')
    .description('Finds every fault of image maps, and what is suspicious in them.')
    .argument('<map...>', 'files, - for standard input, or s3:// and https:// URLs')
    .option('--require <image...>', 'images that the map must have a rule for', []);
  takesInputOnce(addMapOptions(command)).action(async (places: string[], options: LintOptions) => {
    const config = await loadConfig(options);
    for (const place of places.map(parseMapPlace)) {
      const bytes = await readMapBytes(place, config);
      const report = lint(place.shown, bytes, config, options.require);
      process.stdout.write(
        options.output === 'json' ? renderJsonLines([report]) : reportText(report),
      );
      finish(report.ok ? EXIT_FINE : EXIT_FAULT);
    }
  });
}

function lint(
  file: string,
  bytes: Uint8Array,
  config: Config,
  required: readonly string[],
): LintReport {
  const checked = checkMap(bytes, config);
  if ('faults' in checked) {
    return { file, ok: false, serial: null, entries: 0, faults: checked.faults, warnings: [] };
  }
  const { map } = checked;
  const { faults } = requireImages(map, config, required);
  return {
    file,
    ok: faults.length === 0,
    serial: map.serial ?? null,
    entries: map.entries.length,
    faults,
    warnings: lintImageMap(map, config.sources),
  };
}

function reportText({ file, ok, serial, entries, faults, warnings }: LintReport): string {
  const lines = [
    ...faults.map(
      ({ path, message, code }) => `${paint('red', 'fault')}    ${path}: ${message} [${code}]`,
    ),
    ...warnings.map(
      ({ path, message, code }) => `${paint('yellow', 'warning')}  ${path}: ${message} [${code}]`,
    ),
  ];
  const verdict = ok
    ? `${paint('green', 'good')}: serial ${serial ?? 'none'}, ${count(entries, 'entry', 'entries')}, ${count(warnings.length, 'warning')}`
    : `${paint('red', 'refused')}: ${count(faults.length, 'fault')}`;
  return [`${file}: ${verdict}`, ...lines.map((line) => `  ${line}`)]
    .map((line) => `${line}\n`)
    .join('');
}
