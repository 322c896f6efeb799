// What the documentation says about codes, keys, options, events and decisions, taken from the code itself.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Argument, Command, Option } from 'commander';
import { format, resolveConfig } from 'prettier';
import { loadPolicy } from '../src/cli/load-policy.ts';
import type { PolicyOptions } from '../src/cli/policy-options.ts';
import { buildProgram } from '../src/cli/program.ts';
import { EXIT_FAULT, EXIT_FINE, EXIT_USAGE } from '../src/cli/exit-codes.ts';
import { resolveImage } from '../src/cli/resolve.ts';
import { configJsonSchema } from '../src/config/schema.ts';
import { admit } from '../src/core/admission.ts';
import { REQUEST_REASONS } from '../src/core/admission-request.ts';
import { FAILURES } from '../src/core/coverage/failure.ts';
import { STATES } from '../src/core/coverage/state.ts';
import { ERROR_CODES } from '../src/core/errors.ts';
import { MIRROR_POD_ANNOTATION, SKIP_LABEL } from '../src/core/exemption.ts';
import { LINT_WARNINGS } from '../src/core/map-lint.ts';
import { MOVING } from '../src/core/coverage/moving-tag.ts';
import { DECIDED_BY_ANNOTATION, ORIGINAL_IMAGES_ANNOTATION } from '../src/core/patch.ts';
import { REASONS, RULES } from '../src/core/decision.ts';
import { UNSEEN_REASONS } from '../src/core/coverage/webhook-sight.ts';
import { LOG_EVENTS } from '../src/log-events.ts';
import { createMetrics, METRIC_PREFIX } from '../src/metrics.ts';
import { renderMarkdown } from '../test/bench/render.ts';
import { parseReports } from '../test/bench/report.ts';
import { alertList } from './alert-docs.ts';
import { CHART, CHART_SCHEMA_FILE, chartSchema, chartValueTables } from './chart-docs.ts';
import { IMAGE_MAP_SCHEMA } from './image-map-schema.ts';
import { code, table } from './markdown.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SCHEMA_FILE = 'docs/config.schema.json';
export const MAP_SCHEMA_FILE = 'docs/image-map.schema.json';
/** What `npm run bench:record` measured. */
const REPORT_FILE = 'docs/performance.json';

const GENERATED = /(<!-- generated: (.+?) -->\n)[\s\S]*?(<!-- \/generated -->)/g;

/** The Markdown files of the project, relative to its root. */
export function listDocs(): string[] {
  const inFolder = (folder: string): string[] =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name));
  return [...inFolder('.'), ...inFolder('docs'), ...inFolder(CHART)].sort();
}

/** Every file that has a generated part, with the content that it should have. Reads, but writes nothing. */
export async function generateDocs(): Promise<Map<string, string>> {
  const files = new Map([
    [SCHEMA_FILE, JSON.stringify(configJsonSchema())],
    [MAP_SCHEMA_FILE, JSON.stringify(IMAGE_MAP_SCHEMA)],
    [CHART_SCHEMA_FILE, chartSchema(configJsonSchema())],
  ]);
  for (const path of listDocs()) {
    const text = readFileSync(join(ROOT, path), 'utf8');
    if (text.search(GENERATED) >= 0) {
      files.set(path, await fillMarkers(text, path));
    }
  }
  for (const [path, text] of files) {
    const filepath = join(ROOT, path);
    files.set(path, await format(text, { ...(await resolveConfig(filepath)), filepath }));
  }
  return files;
}

async function fillMarkers(text: string, path: string): Promise<string> {
  const parts: string[] = [];
  let end = 0;
  for (const match of text.matchAll(GENERATED)) {
    const [whole, open, name, close] = match;
    const generate = GENERATORS[name ?? ''];
    if (generate === undefined) {
      throw new Error(`${path} asks for the generated part "${name ?? ''}", which does not exist`);
    }
    parts.push(text.slice(end, match.index), open ?? '', `\n${await generate()}\n\n`, close ?? '');
    end = match.index + whole.length;
  }
  return parts.join('') + text.slice(end);
}

/** A default or constant as one would write it. */
function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function codeTable(codes: Record<string, { meaning: string; remedy: string }>): string {
  const rows = Object.entries(codes).map(([name, { meaning, remedy }]) => [
    code(name),
    meaning,
    remedy,
  ]);
  return table(['Code', 'Meaning', 'What to do'], rows);
}

function meaningTable(title: string, meanings: Record<string, string>): string {
  const rows = Object.entries(meanings).map(([name, meaning]) => [code(name), meaning]);
  return table([title, 'Meaning'], rows);
}

interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

function configurationKeys(): string {
  return keySections('', configJsonSchema()).join('\n\n');
}

/** A table of the keys of one section, then the sections inside it. */
function keySections(path: string, section: SchemaNode): string[] {
  const rows = listKeys(path, section)
    .filter(({ node }) => node.properties === undefined)
    .flatMap((key) => [key, ...listKeys(`${key.path}[]`, key.node.items ?? {})])
    .map(({ path: key, node, isRequired }) => [
      code(key),
      typeText(node),
      isRequired ? '(required)' : defaultText(node),
      meaningOf(key, node),
    ]);
  const head =
    path === '' ? ['### Top level'] : [`### ${code(path)}`, meaningOf(path, section, true)];
  const inner = listKeys(path, section).filter(({ node }) => node.properties !== undefined);
  return [
    ...head,
    table(['Key', 'Value', 'Default', 'Meaning'], rows),
    ...inner.flatMap((key) => keySections(key.path, key.node)),
  ];
}

interface DocumentedKey {
  /** From the top of the configuration: `server.port`. */
  readonly path: string;
  readonly node: SchemaNode;
  readonly isRequired: boolean;
}

function listKeys(path: string, { properties, required }: SchemaNode): DocumentedKey[] {
  return Object.entries(properties ?? {}).map(([name, node]) => ({
    path: path === '' ? name : `${path}.${name}`,
    node,
    isRequired: required?.includes(name) === true,
  }));
}

function meaningOf(path: string, { description }: SchemaNode, isSection = false): string {
  if (description === undefined && !isSection) {
    throw new Error(`the configuration key ${path} has no description`);
  }
  return (description ?? '').replaceAll(/<url>\.\w+|\b[a-z0-9]+:\/\/[^\s,.;]*/g, '`$&`');
}

function typeText(node: SchemaNode): string {
  const { type, enum: values, minimum, maximum, items, anyOf, pattern } = node;
  if (node.const !== undefined) {
    return code(plain(node.const));
  }
  if (values !== undefined) {
    return values.map((value) => code(plain(value))).join(', ');
  }
  if (anyOf !== undefined) {
    return typeText(anyOf.at(-1) ?? {});
  }
  if (items !== undefined) {
    return items.properties === undefined
      ? `list of ${typeText(items)}s`
      : `list of ${code(`{${Object.keys(items.properties).join(', ')}}`)}`;
  }
  const range = minimum === undefined ? '' : ` from ${minimum} to ${maximum ?? '∞'}`;
  return pattern?.includes('ms|s|m|h') === true ? 'duration' : `${type ?? 'object'}${range}`;
}

function defaultText(node: SchemaNode): string {
  const { default: value } = node;
  if (value === undefined || value === '') {
    return 'empty';
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? 'empty' : value.map((each) => code(plain(each))).join(', ');
  }
  return code(plain(value));
}

export interface DocumentedCommand {
  /** Without the name of the program: `map lint`. */
  readonly name: string;
  readonly command: Command;
}

/** The commands that do something, not those that only hold others. */
export function listCommands(): DocumentedCommand[] {
  const leaves = (command: Command, path: readonly string[]): DocumentedCommand[] =>
    command.commands.length === 0
      ? [{ name: path.join(' '), command }]
      : command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
  return leaves(
    buildProgram(() => undefined),
    [],
  );
}

function commandOverview(): string {
  const rows = listCommands().map(({ name, command }) => [
    `[${code(name)}](docs/cli.md#${name.replaceAll(' ', '-').replaceAll('.', '')})`,
    command.description(),
  ]);
  return table(['Command', 'What it does'], rows);
}

function commandReference(): string {
  return listCommands()
    .map(({ name, command }) =>
      [
        `## ${name}`,
        command.description(),
        `\`\`\`\nsdr-image-rewriter ${name} ${command.usage()}\n\`\`\``,
        argumentTable(command.registeredArguments),
        optionTable(command.options),
      ]
        .filter((part) => part !== '')
        .join('\n\n'),
    )
    .join('\n\n');
}

function argumentTable(list: readonly Argument[]): string {
  const rows = list.map((each) => {
    const name = `${each.name()}${each.variadic ? '...' : ''}`;
    return [code(each.required ? `<${name}>` : `[${name}]`), each.description];
  });
  return rows.length === 0 ? '' : table(['Argument', 'Meaning'], rows);
}

function optionTable(options: readonly Option[]): string {
  const rows = options.map(({ flags, description, argChoices, mandatory, ...option }) => {
    const choices = argChoices === undefined ? '' : `: ${argChoices.map(code).join(' or ')}`;
    const standard: unknown = option.defaultValue;
    const fallback = mandatory
      ? '(required)'
      : standard === undefined || standard === false
        ? ''
        : code(plain(standard));
    return [code(flags), fallback, `${description}${choices}`];
  });
  return rows.length === 0 ? '' : table(['Option', 'Default', 'Meaning'], rows);
}

function exitCodes(): string {
  return table(
    ['Code', 'Meaning'],
    [
      [code(String(EXIT_FINE)), 'Fine.'],
      [
        code(String(EXIT_FAULT)),
        'A fault was found in a map, a configuration, a manifest or a review; a map could not be had from its store or not be published, or a cluster not read; an export leaves something out; `resolve` met an image that is invalid, or unmapped while `unmapped` is not `allow`; `rewrite` met one that is unmapped while `unmapped` is `deny`, could not replace a file, or with `--check` found something to change; `map diff --fail-on-removal` found a source gone; `map verify` did not find a target as the map has it; or `coverage` found what `--fail-on` names.',
      ],
      [
        code(String(EXIT_USAGE)),
        'Wrong use: an unknown option, a missing argument, a configuration, key, map file or input that cannot be read, or a result that cannot be written.',
      ],
      [
        `${code('130')}, ${code('143')}`,
        '`rewrite --write` was interrupted by SIGINT or SIGTERM: no file was changed, or the message names those that are.',
      ],
    ],
  );
}

function logEvents(): string {
  return Object.entries(LOG_EVENTS)
    .map(([event, { meaning, fields }]) =>
      [`### ${code(event)}`, meaning, meaningTable('Field', fields)].join('\n\n'),
    )
    .join('\n\n');
}

interface MetricShape {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** The metrics of this program; those of the process and of Node.js come from the library. */
export function listMetrics(): MetricShape[] {
  const metrics = createMetrics().registry.getMetricsAsArray() as unknown as MetricShape[];
  return metrics.filter(({ name }) => name.startsWith(METRIC_PREFIX));
}

function metricTable(): string {
  const rows = listMetrics().map(({ name, type, help, labelNames }) => [
    code(name),
    type,
    labelNames.map(code).join(', '),
    help,
  ]);
  return table(['Metric', 'Type', 'Labels', 'Meaning'], rows);
}

function annotationsAndLabels(): string {
  return table(
    ['Name', 'Kind', 'Who sets it', 'Meaning'],
    [
      [
        code(ORIGINAL_IMAGES_ANNOTATION),
        'annotation',
        'this program',
        'The images that were rewritten, as JSON: `{"containers/main":"docker.io/…"}`. The first original stays.',
      ],
      [
        code(DECIDED_BY_ANNOTATION),
        'annotation',
        'this program',
        'What decided: `map serial=42 etag=…`, or `prefix` where only prefixes or the base did.',
      ],
      [code(SKIP_LABEL), 'label', 'you', 'With the value `true` the pod is left alone.'],
      [
        code(MIRROR_POD_ANNOTATION),
        'annotation',
        'the kubelet',
        'Marks the mirror of a static pod; it is left alone.',
      ],
    ],
  );
}

/** What a person sees of 64 hex digits. */
function shortDigests(text: string): string {
  return text.replaceAll(/(sha256:[0-9a-f]{4})[0-9a-f]{60}/g, '$1…');
}

function digest(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}

function keysOf(section: SchemaNode): string {
  const rows = Object.entries(section.properties ?? {}).map(([key, node]) => [
    code(key),
    typeText(node),
    section.required?.includes(key) === true ? 'yes' : '',
    meaningOf(key, node),
  ]);
  return table(['Key', 'Value', 'Required', 'Meaning'], rows);
}

function imageMapKeys(): string {
  const root: SchemaNode = IMAGE_MAP_SCHEMA;
  const lists = Object.entries(root.properties ?? {}).filter(
    ([, { items }]) => items !== undefined,
  );
  return [
    keysOf(root),
    ...lists.map(([key, { items }]) => `Each entry of ${code(key)}:\n\n${keysOf(items ?? {})}`),
  ].join('\n\n');
}

interface Example {
  readonly options: PolicyOptions;
  readonly images: readonly string[];
}

const BY_BASE: PolicyOptions = { config: 'examples/config.yaml' };
const BY_PREFIXES: PolicyOptions = { config: 'examples/config-prefixes.yaml' };
const BY_MAP: PolicyOptions = {
  config: 'examples/config-map.yaml',
  map: 'examples/image-map.json',
};
const BY_PRECEDENCE: PolicyOptions = { map: 'examples/image-map-precedence.json' };

/** The examples of `docs/decision.md` and `docs/image-map.md`: the command that shows each, and its images. */
const EXAMPLES: Readonly<Record<string, Example>> = {
  reading: {
    options: BY_BASE,
    images: [
      'atlanhq/atlan-mysql-app:0.4.25',
      'docker.io/atlanhq/atlan-mysql-app:0.4.25',
      'index.docker.io/atlanhq/atlan-mysql-app:0.4.25',
      'ghcr.io/atlanhq/agent',
      `atlanhq/atlan-mysql-app@${digest('1')}`,
      'nginx',
      'localhost:5000/atlanhq/atlan-mysql-app:0.4.25',
      'atlanhq/Atlan-MySQL-App:0.4.25',
      'atlanhq/atlan-mysql-app:',
      '1'.repeat(64),
    ],
  },
  scope: {
    options: BY_BASE,
    images: [
      'atlanhq/atlan-mysql-app:0.4.25',
      'registry.atlan.com/public/app-runtime-base:3',
      'atlanhq2/atlan-mysql-app:0.4.25',
      'docker.io/library/busybox:1.36',
      'ghcr.io/other/agent:1',
    ],
  },
  prefixes: {
    options: BY_PREFIXES,
    images: [
      'atlanhq/atlan-mysql-app:0.4.25',
      'registry.atlan.com/public/app-runtime-base:3',
      'registry.atlan.com/internal/tool:1',
      'ghcr.io/atlanhq/agent:1.4',
    ],
  },
  precedence: {
    options: BY_MAP,
    images: [
      `atlanhq/atlan-oracle-app:19@${digest('3')}`,
      `registry.atlan.com/public/mysql@${digest('1')}`,
      'atlanhq/atlan-mysql-app:0.4.25',
      'ghcr.io/atlanhq/atlan-mysql-app:0.4.25',
      'atlanhq/atlan-oracle-app:19',
      'registry.atlan.com/public/app-runtime-base:3',
      'registry.atlan.com/internal/tool:1',
    ],
  },
  'most specific': {
    options: BY_PRECEDENCE,
    images: [
      `atlanhq/agent:1.4@${digest('1')}`,
      `atlanhq/agent:1.5@${digest('1')}`,
      `ghcr.io/atlanhq/agent:1.4@${digest('1')}`,
      'atlanhq/agent:1.4',
      `atlanhq/agent:1.4@${digest('2')}`,
      'atlanhq/agent:1.5',
      `atlanhq/agent:1.5@${digest('2')}`,
      'atlanhq/apps/tool:1',
      'atlanhq/other:1',
      'ghcr.io/atlanhq/agent:1.4',
    ],
  },
  pinned: {
    options: BY_MAP,
    images: [
      `atlanhq/atlan-mysql-app:0.4.25@${digest('1')}`,
      `atlanhq/atlan-mysql-app:0.4.25@${digest('2')}`,
      `atlanhq/atlan-postgres-app:main-97b8c95@${digest('2')}`,
      `atlanhq/atlan-snowflake-app:1.8.0@${digest('2')}`,
      `atlanhq/atlan-oracle-app:19@${digest('4')}`,
    ],
  },
  mirrored: {
    options: BY_MAP,
    images: [
      `registry.corp.example/atlan/mysql:0.4.25-r1@${digest('a')}`,
      'registry.corp.example/atlan/oracle:19',
      'registry.corp.example/atlan-public/app-runtime-base:3',
      'registry.corp.example/other/tool:1',
    ],
  },
};

async function decisionTable({ options, images }: Example): Promise<string> {
  const policy = await loadPolicy(
    Object.fromEntries(
      Object.entries(options).map(([key, path]: [string, string]) => [key, join(ROOT, path)]),
    ),
  );
  const rows = images.map((image) => {
    const { outcome, target, rule, reason } = resolveImage(policy, image);
    const shown = target === null ? outcome : code(shortDigests(target));
    return [code(shortDigests(image)), shown, code(rule ?? reason ?? '')];
  });
  const flags = Object.entries(options).map(([key, path]) => `--${key} ${path}`);
  const command = `npx sdr-image-rewriter resolve ${flags.join(' ')} IMAGE…`;
  return `\`\`\`sh\n${command}\n\`\`\`\n\n${table(['Image', 'Becomes', 'Why'], rows)}`;
}

function exampleMap(options: PolicyOptions): string {
  const map = readFileSync(join(ROOT, options.map ?? ''), 'utf8');
  return `\`\`\`json\n${shortDigests(map)}\`\`\``;
}

async function patchOfDeploymentPod(): Promise<string> {
  const fixture = 'test/fixtures/admission-reviews/create-deployment-pod.json';
  const review: unknown = JSON.parse(readFileSync(join(ROOT, fixture), 'utf8'));
  const policy = await loadPolicy({ config: join(ROOT, BY_BASE.config ?? '') });
  const admission = admit(review, policy, 'enforce');
  if (admission.kind === 'refused') {
    throw new Error(`${fixture}: ${admission.message}`);
  }
  return `\`\`\`json\n${JSON.stringify(admission.response.patch, undefined, 2)}\n\`\`\``;
}

const GENERATORS: Readonly<Record<string, () => string | Promise<string>>> = {
  'configuration keys': configurationKeys,
  'command overview': commandOverview,
  commands: commandReference,
  'exit codes': exitCodes,
  'error codes': () => codeTable(ERROR_CODES),
  'lint warnings': () => codeTable(LINT_WARNINGS),
  'log events': logEvents,
  metrics: metricTable,
  alerts: alertList,
  rules: () => meaningTable('Rule', RULES),
  reasons: () => meaningTable('Reason', REASONS),
  'request reasons': () => meaningTable('Reason', REQUEST_REASONS),
  'annotations and labels': annotationsAndLabels,
  'coverage states': () => meaningTable('State', STATES),
  'coverage failures': () => meaningTable('Name', FAILURES),
  'unseen reasons': () => meaningTable('Reason', UNSEEN_REASONS),
  'moving tags': () => meaningTable('Value', MOVING),
  'image map keys': imageMapKeys,
  'example map': () => exampleMap(BY_MAP),
  'precedence map': () => exampleMap(BY_PRECEDENCE),
  'patch of a Deployment pod': patchOfDeploymentPod,
  'chart values': chartValueTables,
  performance: () => renderMarkdown(parseReports(readFileSync(join(ROOT, REPORT_FILE), 'utf8'))),
  ...Object.fromEntries(
    Object.entries(EXAMPLES).map(([name, example]) => [
      `decisions: ${name}`,
      () => decisionTable(example),
    ]),
  ),
};
