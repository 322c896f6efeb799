import { execFile } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { generateDocs, listCommands, listDocs, listMetrics, ROOT } from '../scripts/docs.ts';
import { parseConfig, policySettings } from '../src/config/config.ts';
import { configJsonSchema } from '../src/config/schema.ts';
import { admit } from '../src/core/admission.ts';
import { ERROR_CODES } from '../src/core/errors.ts';
import { LINT_WARNINGS } from '../src/core/map-lint.ts';
import { createPolicy } from '../src/core/policy.ts';
import { ROUTES } from '../src/server/routes.ts';
import { createEventLog } from '../src/log.ts';
import { LOG_EVENTS } from '../src/log-events.ts';
import { createMetrics } from '../src/metrics.ts';
import { createAuditor } from '../src/server/audit.ts';

const CODES = new Set([...Object.keys(ERROR_CODES), ...Object.keys(LINT_WARNINGS)]);
const FAMILIES = [...new Set([...CODES].filter((code) => code.includes('_')).map(familyOf))];
const CODE = `(?:${FAMILIES.join('|')})_[A-Z0-9]+(?:_[A-Z0-9]+)*`;
const CONFIG_START = 'apiVersion: sdr-image-rewriter/v1\n';

const docs = new Map(listDocs().map((path) => [path, read(path)]));
const sources = new Map(
  globSync('src/**/*.ts', { cwd: ROOT }).map((path) => [path, read(path)] as const),
);

describe('generated documentation', () => {
  test('equals what the code says now', async () => {
    for (const [path, content] of await generateDocs()) {
      const isCurrent = existsSync(join(ROOT, path)) && read(path) === content;
      expect({ path, state: isCurrent ? 'current' : 'outdated: run npm run docs' }).toEqual({
        path,
        state: 'current',
      });
    }
  });

  test('is asked for in every page that should have it', async () => {
    const pages = [
      'cli',
      'configuration',
      'coverage',
      'decision',
      'errors',
      'image-map',
      'observability',
      'performance',
    ];
    const expected = ['README.md', ...pages.map((page) => `docs/${page}.md`)];
    expect([...(await generateDocs()).keys()]).toEqual(expect.arrayContaining(expected));
  });
});

test('docs/configuration.md marks every key as required that the schema requires, and no other', () => {
  const marked = matches(page('docs/configuration.md'), /^\| `(\S+)` .*\| \(required\) /gm);
  expect(marked.sort()).toEqual(requiredKeys('', configJsonSchema()).sort());
});

describe('error codes', () => {
  test('stand in docs/errors.md, each once, and no others do', () => {
    const documented = matches(page('docs/errors.md'), /^\| `([A-Z0-9_]+)`/gm);
    expect(documented.sort()).toEqual([...CODES].sort());
  });

  test('that appear in the code exist', () => {
    const used = [...sources.values()].flatMap((text) => matches(text, quoted(`(${CODE})`)));
    expect(used.filter((code) => !CODES.has(code))).toEqual([]);
  });

  test('that exist are used by the code', () => {
    const code = [...sources.values()].join('\n');
    expect([...CODES].filter((each) => !quoted(each).test(code))).toEqual([]);
  });

  test('that a page mentions exist', () => {
    const mentioned = [...docs.values()].flatMap((text) =>
      matches(text, new RegExp(`\\b(${CODE})\\b`, 'g')),
    );
    expect(mentioned.filter((code) => !CODES.has(code))).toEqual([]);
  });
});

describe('log events', () => {
  test('are each written somewhere', () => {
    const writers = [...sources].filter(([path]) => path !== 'src/log-events.ts');
    const code = writers.map(([, text]) => text).join('\n');
    expect(Object.keys(LOG_EVENTS).filter((event) => !quoted(event).test(code))).toEqual([]);
  });

  test('of admissions have exactly the documented fields', () => {
    expect(admissionFields()).toEqual(new Set(Object.keys(LOG_EVENTS.admission.fields)));
  });
});

test('every metric that a page mentions exists', () => {
  const known = new Set(listMetrics().map(({ name }) => name));
  const mentioned = [...docs.values()].flatMap((text) =>
    matches(text, /\b(sdr_image_rewriter_[a-z_]+)/g),
  );
  expect(mentioned.filter((name) => !known.has(name))).toEqual([]);
});

test('the endpoints in docs/observability.md are those that are served', () => {
  const documented = matches(page('docs/observability.md'), /^\| `((?:GET|POST) \/\w+)`/gm);
  const forOperators = [...sources.values()].flatMap((text) =>
    matches(text, /\bapp\.get\('(\/\w+)'/g).map((path) => `GET ${path}`),
  );
  const forReviews = [...ROUTES.keys()].map((path) => `POST ${path}`);
  expect(documented.sort()).toEqual([...forOperators, ...forReviews].sort());
});

test('links between the pages lead somewhere', () => {
  const broken = [...docs].flatMap(([path, text]) =>
    matches(withoutCode(text), /\]\(([^)\s]+)\)/g)
      .filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(path, link))
      .map((link) => `${path}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test('the npm scripts that a page names exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = [...docs.values()].flatMap((text) => [
    ...matches(text, /npm run (?:-s |--silent )?([a-z:0-9]+)/g),
    ...matches(text, /npm (test)\b/g),
  ]);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
  expect(page('README.md')).toContain('npm ci && npm run demo');
  expect(page('README.md')).toContain('npm ci && npm test');
});

describe('command lines in the pages', () => {
  const lines = [...docs.values()].flatMap((text) =>
    matches(text, /^ *(?:\$ )?npx sdr-image-rewriter (.+)$/gm),
  );

  test('name commands and options that exist', () => {
    const unknown = lines.filter((line) => {
      const command = listCommands().find(({ name }) => `${line} `.startsWith(`${name} `))?.command;
      const known = new Set(command?.options.map(({ long }) => long));
      return matches(line, /\s(--[a-z-]+)/g).some((option) => !known.has(option)) || !command;
    });
    expect(unknown).toEqual([]);
  });

  test.each(consoleExamples())('print what %s shows: %s', async (_path, command, expected) => {
    const parts = ['dist/sdr-image-rewriter.js', ...command.split(' ')];
    const run = promisify(execFile)(process.execPath, parts, { cwd: ROOT });
    // A fault that was found ends a command with code 1; its output is there all the same.
    const { stdout } = await run.catch((error: unknown) => error as { stdout: string });
    expect(stdout).toBe(expected);
  });
});

describe('configurations in the pages and examples', () => {
  const inPages = [...docs].flatMap(([path, text]) =>
    matches(text, /^```yaml\n([\s\S]*?)^```$/gm)
      .filter((block) => block.includes(CONFIG_START))
      .map((block): [string, string] => [path, block]),
  );
  const files = globSync('examples/config*.yaml', { cwd: ROOT });

  const inFiles = files.map((path): [string, string] => [path, read(path)]);

  test.each([...inPages, ...inFiles])('are good: %s', (_path, text) => {
    expect(parseConfig(text)).not.toHaveProperty('faults');
  });

  test('in README.md are good under config of the chart, which fills in the certificate', () => {
    const shown = inPages.filter(([path]) => path === 'README.md');
    expect(shown).toHaveLength(2);
    expect(shown.filter(([, text]) => text.includes('tls:'))).toEqual([]);
  });

  const parts = [...docs].flatMap(([path, text]) =>
    matches(text, /^```yaml\n(imageMap:\n[\s\S]*?)^```$/gm).map((part): [string, string] => [
      path,
      part,
    ]),
  );

  test.each(parts)('are good as a part: %s', (_path, part) => {
    expect(parseConfig(`${CONFIG_START}procurement: map\n${part}`)).not.toHaveProperty('faults');
  });
});

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function page(path: string): string {
  return docs.get(path) ?? '';
}

function familyOf(code: string): string {
  return code.slice(0, code.indexOf('_'));
}

function quoted(pattern: string): RegExp {
  return new RegExp(`'${pattern}'`, 'g');
}

interface Section {
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Section>>;
  readonly items?: Section;
}

/** In the words of the page: `server.port`, and `prefixes[].source` in a list. */
function requiredKeys(path: string, { required = [], properties, items }: Section): string[] {
  const within = (name: string): string => (path === '' ? name : `${path}.${name}`);
  return [
    ...required.map(within),
    ...Object.entries(properties ?? {}).flatMap(([name, node]) => requiredKeys(within(name), node)),
    ...(items === undefined ? [] : requiredKeys(`${path}[]`, items)),
  ];
}

/** The first group of every match. */
function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '');
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, 'code');
}

function leadsSomewhere(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const path = file === '' ? from : normalize(join(dirname(from), file));
  if (anchor === undefined || !path.endsWith('.md')) {
    return existsSync(join(ROOT, path));
  }
  const headings = matches(page(path), /^#+ (.+)$/gm);
  return headings.some((heading) => slugOf(heading) === anchor);
}

/** The anchor that GitHub gives a heading. */
function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

/** Path, command line and output of every `console` block. */
function consoleExamples(): [path: string, command: string, output: string][] {
  return [...docs].flatMap(([path, text]) =>
    matches(text, /^```console\n([\s\S]*?)^```$/gm)
      .flatMap((block) => block.split(/^\$ npx sdr-image-rewriter /m).slice(1))
      .map((each): [string, string, string] => {
        const end = each.indexOf('\n');
        return [path, each.slice(0, end), each.slice(end + 1)];
      }),
  );
}

/** The keys of the audit lines of several requests, without those that every line has. */
function admissionFields(): Set<string> {
  const fields = new Set<string>();
  const stream = {
    write: (line: string) => {
      for (const key of Object.keys(JSON.parse(line) as object)) fields.add(key);
    },
  };
  const auditor = createAuditor(createEventLog('info', { stream }), createMetrics(), () => 1000);
  const config = parseConfig(`${CONFIG_START}procurement: public\n`);
  if ('faults' in config) {
    throw new Error('the least configuration is not good');
  }
  const policy = createPolicy(policySettings(config));
  const map = { location: 'file:///map.json', serial: 1, etag: 'e' };
  const file = 'test/fixtures/admission-reviews/create-deployment-pod.json';
  const review = JSON.parse(read(file)) as { request: Record<string, unknown> };
  const containers = Array.from({ length: 300 }, (_, index) => ({ name: index, image: 'a' }));
  for (const request of [
    { ...review.request, name: 'pod' },
    { ...review.request, name: 'pod', object: { spec: { containers } } },
    { ...review.request, operation: 'DELETE' },
  ]) {
    const admission = admit({ ...review, request }, { ...policy, map }, 'enforce');
    if (admission.kind === 'answered') {
      auditor.answered(admission.record, 'enforce', 1);
    }
  }
  auditor.failed('REVIEW_NOT_JSON', 'the body is not JSON');
  for (const common of ['level', 'time', 'pid', 'hostname', 'event']) fields.delete(common);
  return fields;
}
