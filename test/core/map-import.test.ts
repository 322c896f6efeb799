import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  carryDigests,
  type Imported,
  type ImportedLine,
  importKustomization,
  importLines,
  importMap,
  mergedDocument,
} from '../../src/core/map-import.ts';
import { structuredMap } from '../../src/core/map-writer.ts';
import { imageTexts, soundMapSections } from '../support/arbitraries.ts';
import { digestOf } from '../support/digests.ts';
import { bytesOf, mapDocument, mapOf, MAX_BYTES } from '../support/maps.ts';
import { decisionText, policyOf } from '../support/policies.ts';

const [A, B] = [digestOf('a'), digestOf('b')];

function importedFrom(document: unknown): Imported {
  return importMap(bytesOf(document), MAX_BYTES);
}

/** The map that is printed for some lines. */
function printed(lines: readonly ImportedLine[]): Record<string, unknown> {
  const document = mergedDocument(lines);
  return { ...structuredMap(mapOf(document), document) };
}

/** `code path` of every fault. */
function faultsOf({ faults }: Imported): string[] {
  return faults.map(({ code, path }) => `${code} ${path}`);
}

describe('importMap', () => {
  it('keeps of a structured map what each entry is and all that it says', () => {
    const { lines, faults, notes } = importedFrom(
      mapDocument({
        images: [
          { source: 'atlanhq/a', target: 'r.example/a' },
          {
            source: 'atlanhq/b:1',
            aliases: ['ghcr.io/atlanhq/b:1'],
            sourceDigest: A,
            target: 'r.example/b:1',
            platforms: ['linux/amd64'],
          },
        ],
        repositories: [{ source: 'atlanhq/c', target: 'r.example/c' }],
        prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/atlan' }],
      }),
    );
    const b = { target: 'r.example/b:1', sourceDigest: A, platforms: ['linux/amd64'] };
    expect({ faults, notes }).toEqual({ faults: [], notes: [] });
    expect(lines).toEqual([
      { kind: 'image', source: 'atlanhq/a', target: 'r.example/a' },
      { kind: 'image', source: 'atlanhq/b:1', ...b },
      { kind: 'image', source: 'ghcr.io/atlanhq/b:1', ...b },
      { kind: 'repository', source: 'atlanhq/c', target: 'r.example/c' },
      { kind: 'prefix', source: 'docker.io/atlanhq', target: 'r.example/atlan' },
    ]);
  });

  it.each([
    [
      'an object',
      { 'atlanhq/a': 'r.example/a', 'atlanhq/': 'r.example/', 'atlanhq/b': 'r.example/b:1' },
    ],
    [
      'an object under images',
      {
        images: {
          'atlanhq/a': 'r.example/a',
          'atlanhq/': 'r.example/',
          'atlanhq/b': 'r.example/b:1',
        },
      },
    ],
    [
      'a list',
      [
        { from: 'atlanhq/a', to: 'r.example/a' },
        { from: 'atlanhq/', to: 'r.example/' },
        { from: 'atlanhq/b', to: 'r.example/b:1' },
      ],
    ],
  ])('tells the kinds of entries by their form in %s', (_title, document) => {
    const { lines } = importedFrom(document);
    expect(lines.map(({ kind }) => kind)).toEqual(['repository', 'prefix', 'image']);
  });

  it('takes the platforms of images only, and only where they are text', () => {
    const platforms = ['linux/arm64'];
    const { lines } = importedFrom([
      { from: 'atlanhq/a:1', to: 'r.example/a:1', platforms },
      { from: 'atlanhq/b', to: 'r.example/b', platforms },
      { from: 'atlanhq/c:1', to: 'r.example/c:1', platforms: [7] },
    ]);
    expect(lines.map((line) => line.platforms)).toEqual([platforms, undefined, undefined]);
  });

  it.each([
    ['text that is no JSON', 'a=b', 'MAP_NOT_JSON $'],
    ['an entry with a fault', '{"atlanhq/a:1": 7}', 'MAP_SHAPE_INVALID $["atlanhq/a:1"]'],
    ['more bytes than the limit', `{"a:1": "${'x'.repeat(100)}"}`, 'MAP_TOO_LARGE $'],
  ])('refuses %s, and names it', (_title, text, fault) => {
    expect(faultsOf(importMap(new TextEncoder().encode(text), 100))).toEqual([fault]);
  });
});

describe('importLines', () => {
  it.each([
    ['one line', 'a:1=r.example/a:1', ['a:1 -> r.example/a:1']],
    [
      'two lines',
      'a:1=r.example/a:1\nb=r.example/b\n',
      ['a:1 -> r.example/a:1', 'b -> r.example/b'],
    ],
    [
      'line ends of Windows',
      'a=r.example/a\r\nb=r.example/b\r\n',
      ['a -> r.example/a', 'b -> r.example/b'],
    ],
    ['blanks around the ends', '  a = r.example/a\t', ['a -> r.example/a']],
    [
      'digests, as oc-mirror has them',
      `q.example/a@${A}=r.example/a:1`,
      [`q.example/a@${A} -> r.example/a:1`],
    ],
    ['a prefix', 'docker.io/atlanhq/=r.example/atlan/', ['docker.io/atlanhq/ -> r.example/atlan/']],
    [
      'the same line twice',
      'a=r.example/a\na=r.example/a',
      ['a -> r.example/a', 'a -> r.example/a'],
    ],
    ['blank lines and remarks', '\n# a=b\n   \n  # c\na=r.example/a', ['a -> r.example/a']],
    ['nothing', '', []],
  ])('reads %s', (_title, text, expected) => {
    const imported = importLines(text);
    expect(imported.lines.map(({ source, target }) => `${source} -> ${target}`)).toEqual(expected);
    expect(imported).toMatchObject({ faults: [], notes: [] });
  });

  it('tells the kinds of lines by their form', () => {
    const { lines } = importLines(
      'a:1=r.example/a:1\na=r.example/a\na=r.example/a:1\na/=r.example/',
    );
    expect(lines.map(({ kind }) => kind)).toEqual(['image', 'repository', 'image', 'prefix']);
  });

  it.each([
    ['no equals sign', 'a:1 r.example/a:1'],
    ['no source', '=r.example/a'],
    ['no target', 'a='],
    ['two equals signs', 'a=b=c'],
    ['an equals sign alone', '='],
  ])('refuses a line with %s, and names it', (_title, line) => {
    expect(faultsOf(importLines(`# first\n\n${line}\nb=r.example/b`))).toEqual([
      'MAP_IMPORT_INVALID line 3',
    ]);
  });

  it('names every bad line, and quotes no more than the beginning of a long one', () => {
    const imported = importLines(`bad\na=r.example/a\n${'x'.repeat(100_000)}`);
    expect(faultsOf(imported)).toEqual(['MAP_IMPORT_INVALID line 1', 'MAP_IMPORT_INVALID line 3']);
    expect(imported.faults[1]?.message.length).toBeLessThan(300);
  });
});

describe('importKustomization', () => {
  it.each([
    [
      'a new name and tag',
      { name: 'a', newName: 'r.example/a', newTag: '1' },
      'a:1 -> r.example/a:1',
    ],
    ['a new name', { name: 'a', newName: 'r.example/a' }, 'a -> r.example/a'],
    [
      'a new name, tag and digest',
      { name: 'a', newName: 'r.example/a', newTag: '1', digest: A },
      `a:1 -> r.example/a:1@${A}`,
    ],
    ['a digest for a tag', { name: 'a', newTag: '1', digest: A }, `a:1 -> a:1@${A}`],
  ])('reads %s', (_title, image, expected) => {
    const { lines, faults } = importKustomization({ images: [image] });
    expect(faults).toEqual([]);
    expect(lines.map(({ source, target }) => `${source} -> ${target}`)).toEqual([expected]);
  });

  it.each([
    ['a tag', { name: 'nginx', newTag: '1.25' }],
    ['its own name in full', { name: 'nginx', newName: 'docker.io/library/nginx', newTag: '1' }],
    ['nothing', { name: 'nginx' }],
  ])('leaves out an entry that sets %s and so moves nothing, and says so', (_title, image) => {
    const moving = { name: 'a', newName: 'r.example/a' };
    const { lines, places, faults, notes } = importKustomization({ images: [image, moving] });
    expect(lines.map(({ source }) => source)).toEqual(['a']);
    expect({ places, faults }).toEqual({ places: ['$.images[1]'], faults: [] });
    expect(notes).toEqual([
      '$.images[0]: the entry moves "nginx" nowhere, so the map has no rule for it',
    ]);
  });

  it('says which source tags it assumed', () => {
    const { notes } = importKustomization({
      images: [
        { name: 'a', newName: 'r.example/a' },
        { name: 'b', newName: 'r.example/b', newTag: '1.4' },
      ],
    });
    expect(notes).toEqual([expect.stringMatching(/^\$\.images\[1\]: .*1\.4$/)]);
  });

  it.each([
    ['without a name', { newName: 'r.example/a' }],
    ['with a name that is no text', { name: 1, newName: 'r.example/a' }],
    // The digest of a target is no rule for every tag of its source.
    ['with a digest but no tag', { name: 'a', newName: 'r.example/a', digest: A }],
    // YAML reads 1.10 as 1.1, so a number is not what was written.
    ['with a tag that YAML made a number', { name: 'a', newTag: 1.1 }],
    ['with a tag that is an empty value', { name: 'a', newTag: null }],
    ['with a new name that is no text', { name: 'a', newName: 7, newTag: '1' }],
    ['with a new name that is an empty value', { name: 'a', newName: null, newTag: '1' }],
    ['with a digest that is no text', { name: 'a', newTag: '1', digest: 12 }],
    ['with a digest that is a list', { name: 'a', newTag: '1', digest: [A] }],
    // Kustomize would pull another tag than a map without it names.
    ['with a suffix for tags', { name: 'a', newName: 'r.example/a', tagSuffix: '-r1' }],
    ['with a suffix beside its tag', { name: 'a', newTag: '1', tagSuffix: '-r1' }],
    ['with a key that kustomize does not have', { name: 'a', newTag: '1', newname: 'b' }],
    ['that is a text', 'a'],
    ['that is null', null],
    ['that is a list', ['a']],
  ])('refuses an entry %s, and names it', (_title, image) => {
    const good = { name: 'b', newName: 'r.example/b' };
    expect(faultsOf(importKustomization({ images: [good, image] }))).toEqual([
      'MAP_IMPORT_INVALID $.images[1]',
    ]);
  });

  it.each([
    [{ name: 'a', newTag: 1.1 }, 'its newTag 1.1 is not text; put it in quotes'],
    [{ name: 'a', newTag: '1', digest: 12 }, 'its digest 12 is not text; put it in quotes'],
    [{ name: 'a', newTag: '1', newname: 'b' }, 'its key "newname" is none of name, newName'],
    [{ name: 'a', tagSuffix: '-r1' }, 'it has a tagSuffix, and a map names whole tags; write'],
    [{ newName: 'r.example/a' }, 'it has no name'],
  ])('says of %j what is wrong with it', (image, problem) => {
    const { faults } = importKustomization({ images: [image] });
    expect(faults.map(({ message }) => message)).toEqual([expect.stringContaining(problem)]);
  });

  it.each([[undefined], [null], ['images'], [[]], [{}], [{ images: {} }], [{ images: null }]])(
    'refuses %j, which has no list of images',
    (document) => {
      expect(faultsOf(importKustomization(document))).toEqual(['MAP_IMPORT_INVALID $.images']);
    },
  );
});

describe('carryDigests', () => {
  const line = (source: string, target: string, rest: Partial<ImportedLine> = {}): ImportedLine => {
    return {
      kind: 'image',
      source,
      target,
      sourceDigest: undefined,
      platforms: undefined,
      ...rest,
    };
  };

  it.each([
    ['a source by digest', `q.example/a@${A}`, 'r.example/a', `r.example/a@${A}`],
    ['a source by tag and digest', `q.example/a:1@${A}`, 'r.example/a:1', `r.example/a:1@${A}`],
    ['a target that has one', `q.example/a@${A}`, `r.example/a@${B}`, `r.example/a@${B}`],
    ['a source by tag', 'q.example/a:1', 'r.example/a:1', 'r.example/a:1'],
    ['a prefix', 'q.example/team/', 'r.example/team/', 'r.example/team/'],
    ['a source that does not parse', 'A b', 'r.example/a', 'r.example/a'],
  ])('of %s gives the target its digest, or leaves it', (_title, source, target, expected) => {
    expect(carryDigests([line(source, target)])).toEqual([line(source, expected)]);
  });

  it('gives the target the sourceDigest of a source by tag, and keeps all else of the line', () => {
    const rest = { sourceDigest: A, platforms: ['linux/amd64'] };
    expect(carryDigests([line('q.example/a:1', 'r.example/a:1', rest)])).toEqual([
      line('q.example/a:1', `r.example/a:1@${A}`, rest),
    ]);
    const pinned = line('q.example/a:1', `r.example/a:1@${B}`, rest);
    expect(carryDigests([pinned])).toEqual([pinned]);
  });

  it.each(['repository', 'prefix'] as const)('keeps a %s what it is', (kind) => {
    const name = line('q.example/a', 'r.example/a', { kind });
    expect(carryDigests([name])).toEqual([name]);
  });

  it.each([
    ['the same words', 'docker.io/atlanhq/a:1', 'r.example/a:1'],
    ['other words', 'atlanhq/a:1', 'r.example/a:1'],
  ])('takes it from a line that says the same in %s, in any order', (_title, source, target) => {
    const knowing = line('docker.io/atlanhq/a:1', 'r.example/a:1', { sourceDigest: A });
    const other = line(source, target);
    const [first, second] = carryDigests([other, knowing]);
    expect([second, first]).toEqual(carryDigests([knowing, other]));
    expect(first).toEqual({ ...other, sourceDigest: A, target: `${target}@${A}` });
  });

  it.each([
    ['another target', 'a:1', 'r.example/b:1'],
    ['another tag', 'a:2', 'r.example/a:1'],
    ['a digest in its name', `a:1@${B}`, 'r.example/a:1'],
  ])('takes none from a line with the same beginning but %s', (_title, source, target) => {
    const knowing = line(source, target, { sourceDigest: source.includes('@') ? undefined : A });
    const other = line('a:1', 'r.example/a:1');
    expect(carryDigests([knowing, other])[1]).toEqual(other);
  });
});

describe('mergedDocument', () => {
  const structured = mapDocument({
    images: [
      { source: 'docker.io/atlanhq/a:latest', target: 'r.example/a' },
      {
        source: 'docker.io/atlanhq/b:1',
        sourceDigest: A,
        target: 'r.example/b:1',
        platforms: ['linux/amd64', 'linux/arm64'],
      },
    ],
    repositories: [{ source: 'docker.io/atlanhq/c', target: 'r.example/c' }],
    prefixes: [{ source: 'docker.io/atlanhq', target: 'r.example/atlan' }],
  });

  it('of a structured map in full, sorted and without aliases is printed as that map', () => {
    expect(printed(importedFrom(structured).lines)).toEqual(structured);
  });

  it('of lines that stand in several inputs is printed with each of them once', () => {
    const { lines } = importLines('docker.io/atlanhq/c=r.example/c\natlanhq/a:latest=r.example/a');
    expect(printed([...lines, ...importedFrom(structured).lines, ...lines])).toEqual(structured);
  });

  it('has the entries of flat and of structured inputs side by side', () => {
    const { lines } = importLines('atlanhq/d=r.example/d\nghcr.io/atlanhq/=r.example/ghcr/');
    expect(printed([...lines, ...importedFrom(structured).lines])).toEqual({
      ...structured,
      repositories: [
        { source: 'docker.io/atlanhq/c', target: 'r.example/c' },
        { source: 'docker.io/atlanhq/d', target: 'r.example/d' },
      ],
      prefixes: [
        { source: 'docker.io/atlanhq', target: 'r.example/atlan' },
        { source: 'ghcr.io/atlanhq', target: 'r.example/ghcr' },
      ],
    });
  });

  it('of a structured map alone decides about every image as that map does', () => {
    // A flat map would take it for a repository.
    const latest = { source: 'docker.io/atlanhq/latest', target: 'r.example/latest' };
    const maps = soundMapSections.map((sections) =>
      mapDocument({ ...sections, images: [...sections.images, latest] }),
    );
    fc.assert(
      fc.property(maps, imageTexts, (document, image) => {
        const before = policyOf({ map: document });
        const after = policyOf({ map: printed(importedFrom(document).lines) });
        const sources = mapOf(document).entries.map(({ key }) => key);
        for (const each of [image, 'docker.io/atlanhq/latest:1', ...sources]) {
          expect(decisionText(after, each)).toBe(decisionText(before, each));
        }
      }),
    );
  });
});
