import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import {
  CHART,
  CHART_SCHEMA_FILE,
  chartSchema,
  listChartValues,
  VALUES_FILE,
} from '../../scripts/chart-docs.ts';
import { listChartAlerts } from '../../scripts/alert-docs.ts';
import { listMetrics, ROOT } from '../../scripts/docs.ts';
import { METRIC_PREFIX } from '../../src/metrics.ts';
import { configJsonSchema } from '../../src/config/schema.ts';
import { PATH_LIMIT } from '../../src/core/reference.ts';

interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: unknown;
  readonly items?: SchemaNode;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly SchemaNode[];
  readonly minLength?: number;
  readonly minItems?: number;
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const schema = JSON.parse(read(CHART_SCHEMA_FILE)) as SchemaNode;

/** Every object in a schema with its path. */
function objectsIn(node: SchemaNode, path: string): (readonly [string, SchemaNode])[] {
  const inside = Object.entries(node.properties ?? {}).flatMap(([key, each]) =>
    objectsIn(each, `${path}.${key}`),
  );
  const items = node.items === undefined ? [] : objectsIn(node.items, `${path}[]`);
  return [...(node.type === 'object' ? [[path, node] as const] : []), ...inside, ...items];
}

describe('the chart', () => {
  it('has the version of the program, as the image has', () => {
    const { version, appVersion } = parse(read(`${CHART}/Chart.yaml`)) as Record<string, unknown>;
    const program = (JSON.parse(read('package.json')) as { version: string }).version;
    const image = /^ARG VERSION=(.*)$/m.exec(read('Dockerfile'))?.[1];
    expect({ version, appVersion, image }).toEqual({
      version: program,
      appVersion: program,
      image: program,
    });
  });

  it('explains each alert in the runbook', () => {
    const rules = read(`${CHART}/templates/prometheusrule.yaml`);
    const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name]) => name);
    const headings = [...read('docs/operations.md').matchAll(/^### (SdrImage\w+)$/gm)];
    expect(alerts.length).toBeGreaterThan(5);
    expect(headings.map(([, name]) => name).sort()).toEqual(alerts.sort());
  });

  it('has each alert in docs/observability.md in full, and no counter that only increase() looks at', () => {
    const names = read(`${CHART}/templates/prometheusrule.yaml`).match(/alert: \w+/g);
    const alerts = listChartAlerts();
    expect(alerts.map(({ name }) => `alert: ${name}`)).toEqual(names);
    const text = read('docs/observability.md');
    for (const { expression, summary } of alerts) {
      expect(text).toContain(`  ${expression}\n`);
      expect(text).toContain(summary);
      expect(expression.includes('increase(')).toBe(expression.includes(' offset 15m'));
    }
  });

  it('tells the limits at which it cuts a name, and the program refuses a path', () => {
    const cut = /trunc (\d+)/.exec(read(`${CHART}/templates/_helpers.tpl`))?.[1];
    const refusals = read(`${CHART}/templates/contradictions.yaml`);
    const meaning = listChartValues().find(({ path }) => path === 'fullnameOverride')?.meaning;
    expect(cut).toBeDefined();
    expect(/fullnameOverride is .* at most (\d+) characters/.exec(refusals)?.[1]).toBe(cut);
    expect(meaning).toContain(`at most ${cut} characters`);
    expect(refusals).toContain(`if gt (len $path) ${PATH_LIMIT}`);
    expect(refusals).toContain(`whose path has %d characters: write at most ${PATH_LIMIT}"`);
  });

  it('asks only for metrics that exist', () => {
    const known = new Set(listMetrics().map(({ name }) => name));
    const files = [`${CHART}/templates/prometheusrule.yaml`, `${CHART}/files/dashboard.json`];
    const asked = files.flatMap((file) =>
      [...read(file).matchAll(new RegExp(`${METRIC_PREFIX}\\w+`, 'g'))].map(([name]) => name),
    );
    expect(asked.length).toBeGreaterThan(10);
    expect(
      asked.map((name) => name.replace(/_bucket$/, '')).filter((name) => !known.has(name)),
    ).toEqual([]);
  });
});

describe('the schema of the values', () => {
  it('is closed: every object names its keys, or says what kind of value they have', () => {
    const open = objectsIn(schema, 'values')
      .filter(([path]) => path !== 'values.global')
      .filter(([, { properties, additionalProperties, description }]) =>
        properties === undefined
          ? additionalProperties === undefined && description === undefined
          : additionalProperties !== false,
      )
      .map(([path]) => path);
    // A volume has one key of many, which Kubernetes itself checks.
    expect(open).toEqual(['values.extraVolumes[]']);
  });

  it('needs every section, and every value that cannot be empty: null takes it away', () => {
    const nodeAt = (keys: readonly string[]): SchemaNode =>
      keys.reduce<SchemaNode>((node, key) => node.properties?.[key] ?? {}, schema);
    const cannotBeEmpty = ({ type, anyOf, ...node }: SchemaNode): boolean =>
      type === 'integer' ||
      type === 'boolean' ||
      anyOf !== undefined ||
      node.enum?.includes('') === false ||
      (node.minLength ?? node.minItems ?? 0) > 0;
    for (const { path, standard } of listChartValues()) {
      const keys = path.split('.');
      const isNeeded = path === 'config' || standard === undefined || cannotBeEmpty(nodeAt(keys));
      const { required = [] } = nodeAt(keys.slice(0, -1));
      expect({ path, isNeeded: required.includes(keys.at(-1) ?? '') }).toEqual({ path, isNeeded });
    }
  });

  it('has the schema of the program under config', () => {
    const { $schema, title, ...config } = configJsonSchema() as Record<string, unknown>;
    expect([$schema, title]).not.toContain(undefined);
    expect(schema.properties?.config).toEqual(config);
    expect(JSON.parse(chartSchema(configJsonSchema()))).toEqual(schema);
  });

  it('has exactly the keys that values.yaml explains', () => {
    const documented = listChartValues().map(({ path }) => path);
    const keysOf = (node: SchemaNode, path: string): string[] =>
      Object.entries(node.properties ?? {}).flatMap(([key, each]) => {
        const here = path === '' ? key : `${path}.${key}`;
        const isSection = documented.some((other) => other.startsWith(`${here}.`));
        return [here, ...(isSection ? keysOf(each, here) : [])];
      });
    const expected = keysOf(schema, '').filter((path) => path !== 'global');
    expect(documented.sort()).toEqual(expected.sort());
  });
});

describe('the values', () => {
  it('are explained each, or the README cannot be generated', () => {
    expect(() => listChartValues('a: 1\n')).toThrow('a has no comment');
    expect(listChartValues('# Why.\na:\n  # What.\n  b: 1\n')).toEqual([
      { path: 'a', meaning: 'Why.', standard: undefined },
      { path: 'a.b', meaning: 'What.', standard: 1 },
    ]);
  });

  it('are shown with their defaults', () => {
    const values = parse(read(VALUES_FILE)) as Record<string, unknown>;
    for (const { path, standard } of listChartValues()) {
      if (standard !== undefined) {
        const value = path
          .split('.')
          .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], values);
        expect({ path, value }).toEqual({ path, value: standard });
      }
    }
  });
});
