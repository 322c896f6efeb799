// What is generated for the chart: the table of values in its README, from the comments in values.yaml, and
// the part of its schema that is the program's own.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { code, table } from './markdown.ts';

export const CHART = 'charts/sdr-image-rewriter';
export const CHART_SCHEMA_FILE = `${CHART}/values.schema.json`;
export const VALUES_FILE = `${CHART}/values.yaml`;

/** One value as its users see it. */
export interface ChartValue {
  /** With dots: `tls.certManager.duration`. */
  readonly path: string;
  readonly meaning: string;
  /** What values.yaml sets; undefined for a section, whose keys follow. */
  readonly standard: unknown;
}

function read(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8');
}

/** The values schema with the configuration as the program checks it. Draft-07, which every Helm 3 knows. */
export function chartSchema(config: object): string {
  const schema = JSON.parse(read(CHART_SCHEMA_FILE)) as { properties: Record<string, object> };
  const part = Object.entries(config).filter(([key]) => !['$schema', 'title'].includes(key));
  schema.properties.config = Object.fromEntries(part);
  return JSON.stringify(schema);
}

/** Every value in order. Throws where a key has no comment. */
export function listChartValues(text = read(VALUES_FILE)): ChartValue[] {
  const { contents } = parseDocument(text);
  if (!isMap(contents)) {
    throw new Error(`${VALUES_FILE} is not a YAML map`);
  }
  return valuesIn(contents, '');
}

function valuesIn(map: YAMLMap, path: string): ChartValue[] {
  return map.items.flatMap((pair, index) => {
    const key = isScalar(pair.key) ? String(pair.key.value) : '';
    const here = path === '' ? key : `${path}.${key}`;
    const meaning = commentOf(pair, index === 0 ? map : undefined);
    const { value } = pair;
    if (
      isMap(value) &&
      value.items.some((item, at) => hasComment(item, at === 0 ? value : undefined))
    ) {
      return [{ path: here, meaning, standard: undefined }, ...valuesIn(value, here)];
    }
    if (meaning === '') {
      throw new Error(`${VALUES_FILE}: ${here} has no comment that says what it is`);
    }
    const standard: unknown = isScalar(value)
      ? value.value
      : isJson(value)
        ? value.toJSON()
        : value;
    return [{ path: here, meaning, standard }];
  });
}

function isJson(value: unknown): value is { toJSON(): unknown } {
  return typeof value === 'object' && value !== null && 'toJSON' in value;
}

/** The last paragraph in front of a key. YAML gives the comment of a first key to the map that it begins. */
function commentOf({ key }: Pair, begun: YAMLMap | undefined): string {
  const comment = (isScalar(key) ? key.commentBefore : undefined) ?? begun?.commentBefore ?? '';
  const paragraph = comment.split(/\n\s*\n/).at(-1) ?? '';
  return paragraph.replaceAll(/\s+/g, ' ').trim();
}

/** A map is a section where a key in it, however deep, is explained by itself. */
function hasComment(pair: Pair, begun: YAMLMap | undefined): boolean {
  const { value } = pair;
  const inside =
    isMap(value) && value.items.some((item, at) => hasComment(item, at === 0 ? value : undefined));
  return inside || commentOf(pair, begun) !== '';
}

/** A table of the values outside of sections, then one for each section. */
export function chartValueTables(): string {
  const values = listChartValues();
  const sections = values.filter(
    ({ path, standard }) => standard === undefined && !path.includes('.'),
  );
  const single = values.filter(
    ({ path, standard }) => standard !== undefined && !path.includes('.'),
  );
  return [
    valueTable(single),
    ...sections.flatMap(({ path, meaning }) => {
      const inside = values.filter(
        (value) => value.path.startsWith(`${path}.`) && value.meaning !== '',
      );
      return [`### ${code(path)}`, meaning, valueTable(inside)];
    }),
  ].join('\n\n');
}

function valueTable(values: readonly ChartValue[]): string {
  const rows = values.map(({ path, meaning, standard }) => [
    code(path),
    standard === undefined ? '' : defaultText(standard),
    meaning,
  ]);
  return table(['Value', 'Default', 'Meaning'], rows);
}

function defaultText(value: unknown): string {
  if (value === '') {
    return 'empty';
  }
  return code(typeof value === 'string' ? value : JSON.stringify(value));
}
