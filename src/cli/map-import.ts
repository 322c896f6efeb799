import { type Command, Option } from 'commander';
import { type Fault, RewriterError } from '../core/errors.ts';
import {
  carryDigests,
  type Imported,
  importKustomization,
  importLines,
  importMap,
  mergedDocument,
  placeNamer,
} from '../core/map-import.ts';
import { mapText, structuredMap, tooLargeToWrite } from '../core/map-writer.ts';
import { mapError } from '../core/map-error.ts';
import { inputName } from './input.ts';
import { parseManifest } from './manifests.ts';
import { checkMap, readMapBytes } from './map-input.ts';
import { loadConfig } from './load-config.ts';
import { withFaultLines } from './load-policy.ts';
import { parseMapPlace } from './map-place.ts';
import { takesInputOnce } from './policy-options.ts';

const FORMATS = ['auto', 'lines', 'json', 'kustomize'] as const;
type Format = (typeof FORMATS)[number];

interface ImportOptions {
  readonly config?: string;
  readonly format: Format;
  readonly faithful: boolean;
}

export function addMapImportCommand(map: Command): void {
  const command = map
    .command('import')
    .description('Makes an image map of what other tools write, and prints it.')
    .argument(
      '<file...>',
      'source=target lines, CNAB or kbld JSON, or a kustomization: files, - or URLs',
    )
    .addOption(
      new Option('--format <format>', 'what the files hold').choices(FORMATS).default('auto'),
    )
    .option(
      '--faithful',
      'the mirror copies byte for byte: carry over the digests of sources',
      false,
    )
    .option('--config <file>', 'configuration with allowedTargets, limits and S3 settings');
  takesInputOnce(command).action(async (files: string[], options: ImportOptions) => {
    const config = await loadConfig(options);
    const places = files.map(parseMapPlace);
    const shown = places.map((place) => place.shown);
    const imported: Imported[] = [];
    for (const place of places) {
      const bytes = await readMapBytes(place, config);
      const file = place.shown;
      const one = read(file, bytes, options.format, config.imageMap.maxBytes);
      if (one.faults.length > 0) {
        throw withFaultLines(mapError(one.faults, file));
      }
      for (const note of one.notes) {
        process.stderr.write(`note: ${file}: ${note}\n`);
      }
      if (one.lines.length === 0) {
        // Whatever should have written it has failed, and an empty map leaves every image to no rule.
        throw new RewriterError('MAP_IMPORT_INVALID', `${inputName(file)} has no entry to import`);
      }
      imported.push(one);
    }
    const lines = imported.flatMap((one) => one.lines);
    const document = mergedDocument(options.faithful ? carryDigests(lines) : lines);
    // Without a limit: what counts is the size of the map that is printed.
    const unlimited = { ...config, imageMap: { ...config.imageMap, maxBytes: Infinity } };
    const checked = checkMap(Buffer.from(JSON.stringify(document)), unlimited);
    if ('faults' in checked) {
      const entries = imported.flatMap((one, index) => placesIn(shown, index, one));
      const named = namePlaces(checked.faults, placeNamer(lines, entries));
      throw withFaultLines(mapError(named, shown.join(', ')));
    }
    const { maxBytes } = config.imageMap;
    const text = mapText(structuredMap(checked.map, document), maxBytes);
    const size = Buffer.byteLength(text);
    if (size > maxBytes) {
      throw tooLargeToWrite(`the merged map of ${shown.join(', ')} has ${size} bytes`, maxBytes);
    }
    process.stdout.write(text);
  });
}

/** With the name of the file, where there are several. */
function placesIn(files: readonly string[], index: number, { places }: Imported): string[] {
  return places.map((place) => (files.length > 1 ? `${files[index] ?? ''}, ${place}` : place));
}

function namePlaces(faults: readonly Fault[], named: (text: string) => string): Fault[] {
  return faults.map(({ code, path, message }) => ({
    code,
    path: named(path),
    message: named(message),
  }));
}

function read(file: string, bytes: Uint8Array, format: Format, maxBytes: number): Imported {
  const text = new TextDecoder().decode(bytes);
  switch (format === 'auto' ? detect(text) : format) {
    case 'json':
      return importMap(bytes, maxBytes);
    case 'kustomize':
      return importKustomizations(file, text);
    case 'lines':
      return importLines(text);
  }
}

/** Each document of the text has to be one: what stood in another would be missing from the map. */
function importKustomizations(file: string, text: string): Imported {
  const documents = [...parseManifest(file, text)];
  if (documents.length <= 1) {
    return importKustomization(documents[0]?.document);
  }
  const imported = documents.map(({ document, line }) => {
    const { lines, places, faults, notes } = importKustomization(document);
    return {
      lines,
      places: places.map((place) => `line ${line}: ${place}`),
      faults: faults.map((fault) => ({ ...fault, path: `line ${line}: ${fault.path}` })),
      notes: notes.map((note) => `line ${line}: ${note}`),
    };
  });
  return {
    lines: imported.flatMap(({ lines }) => lines),
    places: imported.flatMap(({ places }) => places),
    faults: imported.flatMap(({ faults }) => faults),
    notes: imported.flatMap(({ notes }) => notes),
  };
}

function detect(text: string): Exclude<Format, 'auto'> {
  if (/^\s*[[{]/.test(text)) {
    return 'json';
  }
  return /^images:/m.test(text) ? 'kustomize' : 'lines';
}
