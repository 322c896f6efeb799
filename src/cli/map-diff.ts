import type { Command } from 'commander';
import type { MapEntry } from '../core/map-entry.ts';
import { compareMaps, type MapDiff } from '../core/map-diff.ts';
import { EXIT_FAULT, EXIT_FINE } from './exit-codes.ts';
import { addMapOptions, type MapOptions, readGoodMap } from './map-input.ts';
import { parseMapPlace } from './map-place.ts';
import { count, paint, renderJsonLines } from './output.ts';
import { loadConfig } from './load-config.ts';
import { takesInputOnce } from './policy-options.ts';

interface DiffOptions extends MapOptions {
  readonly failOnRemoval: boolean;
}

export function addMapDiffCommand(map: Command, finish: (exitCode: number) => void): void {
  const command = map
    .command('diff')
    .description('Says what a new image map adds, removes and changes.')
    .argument('<old>', 'the map in use: a file, - or a URL')
    .argument('<new>', 'the map to come: a file, - or a URL')
    .option('--fail-on-removal', 'exit with 1 where the new map lacks a source', false);
  takesInputOnce(addMapOptions(command)).action(
    async (from: string, to: string, options: DiffOptions) => {
      const config = await loadConfig(options);
      const before = await readGoodMap(parseMapPlace(from), config);
      const after = await readGoodMap(parseMapPlace(to), config);
      const diff = compareMaps(before.map, after.map);
      process.stdout.write(
        options.output === 'json' ? renderJsonLines([diffJson(diff)]) : diffText(diff),
      );
      finish(options.failOnRemoval && diff.removed.length > 0 ? EXIT_FAULT : EXIT_FINE);
    },
  );
}

export function diffJson({ added, removed, changed }: MapDiff): object {
  return {
    added: added.map(({ kind, key, target }) => ({ kind, source: key, target })),
    removed: removed.map(({ kind, key, target }) => ({ kind, source: key, target })),
    changed: changed.map(({ from, to }) => ({
      kind: to.kind,
      source: to.key,
      from: from.target,
      to: to.target,
      ...sourceDigestJson(from, to),
    })),
  };
}

/** Nothing where they agree. */
function sourceDigestJson(from: MapEntry, to: MapEntry): object {
  const [fromSourceDigest, toSourceDigest] = [sourceDigest(from), sourceDigest(to)];
  return fromSourceDigest === toSourceDigest ? {} : { fromSourceDigest, toSourceDigest };
}

function sourceDigest(entry: MapEntry): string | null {
  return entry.kind === 'image' ? (entry.sourceDigest ?? null) : null;
}

export function diffText({ added, removed, changed }: MapDiff): string {
  const lines = [
    ...removed.map(({ key, target }) => paint('red', `- ${key} → ${target}`)),
    ...added.map(({ key, target }) => paint('green', `+ ${key} → ${target}`)),
    ...changed.map(({ from, to }) => paint('yellow', `~ ${to.key}: ${changeText(from, to)}`)),
  ];
  const totals = `${count(added.length, 'source')} added, ${removed.length} removed, ${changed.length} changed`;
  return [...lines, totals].map((line) => `${line}\n`).join('');
}

/** Only what differs: the target, the source digest, or both. */
function changeText(from: MapEntry, to: MapEntry): string {
  const [before, after] = [sourceDigest(from), sourceDigest(to)];
  return [
    ...(from.canonicalTarget === to.canonicalTarget ? [] : [`${from.target} → ${to.target}`]),
    ...(before === after ? [] : [`source digest ${before ?? 'none'} → ${after ?? 'none'}`]),
  ].join(', ');
}
