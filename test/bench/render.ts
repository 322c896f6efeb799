import { describeReports, describeRuns, type Section } from './sections.ts';
import { table } from '../../scripts/markdown.ts';
import type { Report } from './report.ts';

/** The report on runs for a terminal. */
export function renderText(reports: readonly Report[]): string {
  const parts = describeReports(reports).map(
    ({ title, text, ...section }) => `${title.toUpperCase()}\n${text}\n\n${alignedTable(section)}`,
  );
  return `${[describeRuns(reports), ...parts].join('\n\n')}\n`;
}

/** The same report for a page of the documentation. */
export function renderMarkdown(reports: readonly Report[]): string {
  const parts = describeReports(reports).map(
    ({ title, text, head, rows }) => `## ${title}\n\n${text}\n\n${table(head, rows)}`,
  );
  return [describeRuns(reports), ...parts].join('\n\n');
}

/** The first column to the left, figures to the right. */
function alignedTable({ head, rows }: Pick<Section, 'head' | 'rows'>): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) =>
    lines.reduce((width, cells) => Math.max(width, cells[column]?.length ?? 0), 0),
  );
  const align = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return lines.map((cells) => cells.map(align).join('  ').trimEnd()).join('\n');
}
