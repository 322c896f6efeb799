import type { CoverageReport } from '../core/coverage/report.ts';
import type { CoverageRow } from '../core/coverage/row.ts';
import { canonical, type State, STATES } from '../core/coverage/state.ts';
import { isInvalid } from '../core/errors.ts';
import { parseReference } from '../core/reference.ts';
import { type Column, count, paint, printable, renderJsonLines, renderTable } from './output.ts';

export interface CoverageSummary {
  readonly images: number;
  readonly pods: number;
  readonly namespaces: number;
  readonly moving: number;
  readonly complete: boolean;
  readonly states: Readonly<Record<State, number>>;
}

/** One object a line, told apart by `type`: images, then namespaces, notes and the summary. */
export function coverageJson(report: CoverageReport): string {
  return renderJsonLines([
    ...report.rows.map((row) => ({ type: 'image', ...row })),
    ...report.namespaces.map((row) => ({ type: 'namespace', ...row })),
    ...report.notes.map((message) => ({ type: 'note', message })),
    { type: 'summary', ...summarise(report) },
  ]);
}

function summarise({ rows, isComplete }: CoverageReport): CoverageSummary {
  const states = Object.keys(STATES) as State[];
  const pods = rows.flatMap((row) => row.pods.map((pod) => `${row.namespace ?? ''}/${pod}`));
  return {
    images: rows.length,
    pods: new Set(pods).size,
    namespaces: new Set(rows.map(({ namespace }) => namespace)).size,
    moving: rows.filter(({ moving }) => moving !== null).length,
    complete: isComplete,
    states: Object.fromEntries(
      states.map((state) => [state, rows.filter((row) => row.state === state).length]),
    ) as Record<State, number>,
  };
}

interface RowColumn extends Column {
  readonly value: (row: CoverageRow) => string;
  /** Whether a row has something to say here; a column is left out where none does. */
  readonly isUsed?: (row: CoverageRow) => boolean;
}

const COLUMNS: readonly RowColumn[] = [
  { title: 'STATE', value: ({ state }) => state, style: stateStyle },
  { title: 'NAMESPACE', value: ({ namespace }) => namespace ?? '-' },
  { title: 'WORKLOAD', value: ({ workload }) => workload },
  { title: 'PODS', value: podsText, isUsed: ({ pods }) => pods.length > 0 },
  { title: 'IMAGE', value: ({ image }) => shortDigest(image) },
  { title: 'PULLED FROM', value: registriesText, isUsed: ({ pods }) => pods.length > 0 },
  {
    title: 'TARGET',
    value: ({ target }) => shortDigest(target ?? '-'),
    isUsed: ({ target }) => target !== null,
  },
  { title: 'WHY', value: ({ rule, reason }) => reason ?? rule ?? '-' },
  {
    title: 'TAG',
    value: ({ moving }) => moving ?? '-',
    isUsed: ({ moving }) => moving !== null,
    style: (value) => (value === '-' ? undefined : 'yellow'),
  },
  { title: 'FILE', value: ({ file }) => file ?? '-', isUsed: ({ file }) => file !== null },
];

export function coverageText(report: CoverageReport): string {
  const { rows, namespaces, notes } = report;
  const columns = COLUMNS.filter(({ isUsed }) => isUsed === undefined || rows.some(isUsed));
  const images = rows.map((row) => columns.map(({ value }) => value(row)));
  const seen = namespaces.map(({ namespace, webhook, why }) => [namespace, webhook, why]);
  const parts = [
    rows.length === 0 ? '' : renderTable(columns, images),
    seen.length === 0
      ? ''
      : renderTable([{ title: 'NAMESPACE' }, { title: 'WEBHOOK' }, { title: 'WHY' }], seen),
    notes.map((note) => `${paint('yellow', 'note')}  ${printable(note)}\n`).join(''),
    summaryText(report),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

/** 64 digits tell a person no more than 12; JSON has them all. */
function shortDigest(image: string): string {
  return image.replace(/(@sha\d+:[0-9a-f]{12})[0-9a-f]+$/, '$1…');
}

function podsText({ pods }: CoverageRow): string {
  const [first = '-', ...others] = pods;
  return others.length === 0 ? first : `${first} +${others.length}`;
}

/** The registries that the runtimes name; an image ID alone tells none, so the pod's own text does. */
function registriesText({ pulledFrom, runs }: CoverageRow): string {
  const registries = pulledFrom.map((image) => {
    const isId = !image.includes('@');
    const reference = parseReference(isId ? canonical(runs ?? '') : image);
    return isInvalid(reference) ? '?' : reference.registry;
  });
  return registries.length === 0 ? '-' : [...new Set(registries)].join(', ');
}

function summaryText(report: CoverageReport): string {
  const { images, pods, namespaces, moving, states, complete } = summarise(report);
  const found = Object.entries(states)
    .filter(([, number]) => number > 0)
    .map(([state, number]) => `${number} ${state}`);
  const total = [count(images, 'image'), count(pods, 'pod'), count(namespaces, 'namespace')].join(
    ', ',
  );
  const parts = [...found, ...(moving === 0 ? [] : [`${moving} may move`])];
  const warning = complete ? '' : '; not everything could be read';
  return `${total}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}${warning}\n`;
}

function stateStyle(value: string): ReturnType<NonNullable<Column['style']>> {
  switch (value as State) {
    case 'unmapped':
    case 'invalid':
      return 'red';
    case 'unseen':
    case 'audited':
    case 'pending':
    case 'stale':
      return 'yellow';
    case 'covered':
    case 'mirrored':
      return 'green';
    case 'exempt':
    case 'public':
      return undefined;
  }
}
