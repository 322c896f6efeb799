import { describe, expect, it } from '@jest/globals';
import {
  type ManifestDocument,
  readDocument,
  splitDocuments,
} from '../../src/manifest/document.ts';

function sourcesOf(text: string): string[] {
  const pieces = splitDocuments(text);
  for (const { source, offset } of pieces) {
    expect(text.slice(offset, offset + source.length)).toBe(source);
  }
  return pieces.map(({ source }) => source);
}

function documentOf(source: string): ManifestDocument {
  const document = readDocument(source);
  if ('fault' in document) {
    throw new Error(document.fault.message);
  }
  return document;
}

/** `offset message` of the fault of a document. */
function faultOf(source: string): string {
  const document = readDocument(source);
  return 'fault' in document ? `${document.fault.offset} ${document.fault.message}` : 'none';
}

describe('splitDocuments', () => {
  it.each([
    ['nothing', '', []],
    ['blank lines and comments', '\n# a\n \n%YAML 1.2\n', []],
    ['a byte order mark alone', '\uFEFF', []],
    ['one document', 'a: b', ['a: b']],
    ['one document behind its marker', '# c\n---\na: b\n', ['# c\n---\na: b\n']],
    ['two', 'a\n---\nb\n', ['a\n', '---\nb\n']],
    ['empty ones', '---\n---\n', ['---\n', '---\n']],
    ['CR LF', 'a\r\n---\r\nb', ['a\r\n', '---\r\nb']],
    ['a comment on the marker', 'a\n--- # c\nb', ['a\n', '--- # c\nb']],
    ['content on the marker', '--- a\n--- |\n b\n', ['--- a\n', '--- |\n b\n']],
    ['a tab behind the marker', 'a\n---\tb', ['a\n', '---\tb']],
    ['an end marker', 'a\n...\n# c\nb\n', ['a\n...\n', '# c\nb\n']],
    ['a directive behind an end', 'a\n...\n%YAML 1.2\n---\nb', ['a\n...\n', '%YAML 1.2\n---\nb']],
    ['a marker at the end', 'a\n---', ['a\n', '---']],
    ['an end marker without a newline', 'a\n...', ['a\n...']],
    ['what only looks like a marker', 'a: ---\nb:\n ---\n---c: d\n....: e\n', undefined],
  ])('cuts %s', (_title, text, expected) => {
    expect(sourcesOf(text)).toEqual(expected ?? [text]);
  });
});

describe('readDocument', () => {
  it.each([
    ['a key that stands twice', 'a: 1\nb: 2\na: 3\n', /^10 the key "a" stands twice/],
    ['a key that stands twice in JSON', '{"a": {"b": 1, "b": 2}}', /^15 the key "b" stands twice/],
    ['a number and a text that are one key', '1: a\n"1": b\n', /^5 the key "1" stands twice/],
    ['a key and an alias that are one', 'a: &k b\n*k : 1\nb: 2\n', /^15 the key "b" stands twice/],
    ['an alias without an anchor', 'a: *b\n', /^3 no anchor &b stands before this alias/],
    ['an alias before its anchor', 'a: *b\nb: &b c\n', /^3 no anchor &b/],
    ['an alias inside of its anchor', 'a: &a [b, *a]\n', /^10 \*a stands inside of &a/],
    ['a merge of itself', 'a: &a { <<: *a }\n', /^12 \*a stands inside of &a/],
    ['a merge of a text', 'a: { <<: b }\n', /^5 << merges maps only/],
    [
      'a merge of an alias of a list',
      'a: &a [{ b: c }]\nd:\n  <<: [*a]\n',
      /^22 << merges maps only/,
    ],
    ['a tab as indentation', 'a:\n\tb: c\n', /^3 Tabs are not allowed/],
    ['a list that is not closed', 'a: [b\nc: d\n', /^\d+ \S/],
    ['a quote that is not closed', 'a: "b\n', /^\d+ Missing closing "quote/],
    ['bad indentation', 'a:\n    b: 1\n  c: 2\n', /^\d+ \S/],
    ['a value of a template', 'image: {{ .Values.image }}\n', /^8 .*helm template/],
    ['two values of a template', 'image: {{ .a }}:{{ .b }}\n', /^\d+ \S.*; .* `helm template`$/],
    [
      'a block of a template',
      '{{- if .Values.a }}\na: b\n{{- end }}\n',
      /^\d+ \S.*; .* `helm template`$/,
    ],
    [
      'two merges in one map',
      'a: &a {}\nb: { <<: *a, <<: *a }\n',
      /^22 the key << stands twice in one map/,
    ],
    ['a map for a key', '? { a: b }\n: c\n', /^2 a map or list stands in place of a key/],
    ['JSON behind JSON', '{"a": 1}\n{"b": 2}\n', /^9 \S/],
    ['10,000 lists in one another', '['.repeat(10_000), /^\d+ .*nested too deeply/],
    ['10,000 maps in one another', '- '.repeat(10_000), /^\d+ .*nested too deeply/],
  ])('says where and what of %s', (_title, source, fault) => {
    expect(faultOf(source)).toMatch(fault);
  });

  it('refuses a document for which the memory may not last, before it is read', () => {
    const source = `a: ${'b'.repeat(32 * 1024 * 1024)}\n`;
    expect(faultOf(source)).toMatch(
      /^0 the document has 33554436 characters, and the limit is 33554432; .* `jq '\.items\[\]'`/,
    );
  });

  /** Ten lines, each of nine aliases of the line before: 3.4 thousand million values. */
  const laughs = (line: (aliases: string) => string): string =>
    Array.from({ length: 10 }, (_, index) => {
      const aliases = Array.from({ length: 9 }, () => `*x${index - 1}`).join(', ');
      return `x${index}: &x${index} ${index === 0 ? '{ a: b }' : line(aliases)}\n`;
    }).join('');

  it.each([
    ['lists', laughs((aliases) => `[${aliases}]`)],
    ['merged maps', laughs((aliases) => `{ <<: [${aliases}] }`)],
    [
      'Lists of Kubernetes',
      laughs((aliases) => `{ apiVersion: v1, kind: List, items: [${aliases}] }`),
    ],
  ])(
    'refuses a few aliases that stand for thousands of millions of values: %s',
    (_title, source) => {
      expect(faultOf(source)).toMatch(/^\d+ the aliases in here stand for too many values/);
    },
  );

  it('takes thousands of aliases where they stand for little', () => {
    const source = `a: &a { b: c }\nlist:\n${'  - *a\n  - { <<: *a }\n'.repeat(1000)}`;
    expect((documentOf(source).value as { list: unknown[] }).list).toHaveLength(2000);
  });

  it('reads a map with thousands of keys in little time', () => {
    const keys = Array.from({ length: 30_000 }, (_, index) => `k${index}: v\n`);
    expect(Object.keys(documentOf(keys.join('')).value as object)).toHaveLength(30_000);
  });

  it.each([
    ['own before merged', '{ a: x, <<: *m }', 'x'],
    ['own behind merged', '{ <<: *m, a: x }', 'x'],
    ['merged', '{ <<: *m }', 'm'],
    ['the first of a list', '{ <<: [*n, *m] }', 'n'],
    ['merged into merged', '{ <<: { <<: *m, b: c } }', 'm'],
    ['an alias of a list of maps', '{ <<: *l }', 'm'],
    ['a tagged merge key', '{ !!str <<: *m }', 'm'],
    ['a key by alias', '{ *k : x }', 'x'],
    ['a key in quotes', "{ 'a': x }", 'x'],
  ])('finds the text that its value has: %s', (_title, map, text) => {
    const source = `m: &m { a: m, z: 1 }\nn: &n { a: n }\nl: &l [*m]\nk: &k a\nmap: ${map}\n`;
    const document = documentOf(source);
    expect(document.value).toMatchObject({ map: { a: text } });
    expect(document.find(['map', 'a'])?.scalar.value).toBe(text);
  });

  /** A Kubernetes object with an own `image: one` and a merge in one map. */
  const merging = (map: string): string =>
    `apiVersion: v1\nm: &m { image: two, l: &l [] }\nn: &n { <<: { image: one } }\nmap: ${map}\n`;

  it.each([
    ['a map', '{ image: one, <<: { image: two } }'],
    ['an alias', '{ image: one, <<: *m }'],
    ['a list', '{ image: one, <<: [*m, *n] }'],
    ['a merge of a merge', '{ image: one, <<: { <<: *m } }'],
    ['another list', '{ l: [], <<: *m }'],
  ])(
    'refuses in a Kubernetes object a << behind a key that it has another value for: %s',
    (_title, map) => {
      const source = merging(map);
      const offset = source.indexOf('<<', source.indexOf('map:'));
      expect(faultOf(source)).toMatch(
        new RegExp(
          `^${offset} << stands behind the key "(?:image|l)" and holds another value for it`,
        ),
      );
    },
  );

  it.each([
    ['that stands first', '{ <<: *m, image: one }'],
    ['of other keys', '{ name: one, <<: *m }'],
    ['of the same value', '{ image: one, <<: *n }'],
    ['of which the first has the same value', '{ image: one, <<: [*n, *m] }'],
    ['of the same list', '{ l: *l, <<: *m }'],
  ])('takes in a Kubernetes object a merge %s', (_title, map) => {
    expect(faultOf(merging(map))).toBe('none');
  });

  it('takes in a Compose file a << wherever it stands, since the own key wins there', () => {
    const source = 'services: { web: { image: one, <<: { image: two } } }\n';
    expect(documentOf(source).value).toEqual({ services: { web: { image: 'one' } } });
  });

  it('finds an alias and what it stands for', () => {
    const document = documentOf('a: &a text\nb: [*a]\nc: *a\n');
    const found = document.find(['b', 0]);
    expect(found?.scalar.value).toBe('text');
    expect(found?.alias?.range?.[0]).toBe(15);
    expect(found && document.aliasesOf(found.scalar)).toHaveLength(2);
    expect(document.find(['b', 1])).toBeUndefined();
    expect(document.find(['b', 'x'])).toBeUndefined();
    expect(document.find(['b'])).toBeUndefined();
  });

  it('follows an anchor that is set anew', () => {
    const document = documentOf('a: &a one\nb: *a\nc: &a two\nd: *a\n');
    expect(document.value).toEqual({ a: 'one', b: 'one', c: 'two', d: 'two' });
    expect(document.find(['b'])?.scalar.value).toBe('one');
    expect(document.find(['d'])?.scalar.value).toBe('two');
  });

  it('finds texts under keys that are null, numbers or of a prototype', () => {
    const document = documentOf('{ ~: a, 1.10: b, __proto__: c, constructor: d }');
    for (const [key, text] of Object.entries(document.value as Record<string, string>)) {
      expect(document.find([key])?.scalar.value).toBe(text);
    }
    expect(Object.keys(document.value as object)).toEqual(['', '1.1', '__proto__', 'constructor']);
  });

  it('lists the texts that are no keys, those behind aliases once', () => {
    const document = documentOf('a: &a one\nb: [*a, two, 3, true]\n? three\n: |\n  four\n');
    expect(document.texts().map(({ value }) => value)).toEqual(['one', 'two', 'four\n']);
    expect(document.texts().map((scalar) => document.topLevelKey(scalar))).toEqual([
      'a',
      'b',
      'three',
    ]);
  });

  it('knows where its content begins, behind comments', () => {
    const source = '# c\n---\n# d\na: b\n';
    expect(documentOf(source).start).toBe(source.indexOf('a: b'));
  });

  it('reads a document without content as null', () => {
    expect(documentOf('---\n# nothing\n').value).toBeNull();
  });
});
