import { applyEdits, type Edit, LineIndex } from './text.ts';

const CONTEXT = 3;

/** Lines of a file that change together; lines count from 1, `last` is the last old one. */
interface Change {
  readonly first: number;
  readonly last: number;
  readonly added: readonly string[];
}

/**
 * Renders edits as a unified diff with three lines of context. The edits are known, so nothing has to be
 * compared, and a file of any size costs no more than its length.
 * https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html
 */
export function unifiedDiff(file: string, text: string, edits: readonly Edit[]): string {
  if (edits.length === 0) {
    return '';
  }
  const index = new LineIndex(text);
  const hunks = groupHunks(findChanges(text, edits, index));
  let shift = 0;
  const parts = hunks.map((changes) => {
    const hunk = renderHunk(text, changes, index, shift);
    shift += hunk.growth;
    return hunk.text;
  });
  // Without the tab, `patch` takes a name to end at its first space.
  const name = file.includes(' ') ? `${file}\t` : file;
  return `--- ${name}\n+++ ${name}\n${parts.join('')}`;
}

function findChanges(text: string, edits: readonly Edit[], index: LineIndex): Change[] {
  const groups: { first: number; last: number; edits: Edit[] }[] = [];
  for (const edit of edits.toSorted((one, other) => one.start - other.start)) {
    const first = index.position(edit.start).line;
    const last = index.position(Math.max(edit.start, edit.end - 1)).line;
    const open = groups.at(-1);
    if (open !== undefined && first <= open.last + 1) {
      open.last = Math.max(open.last, last);
      open.edits.push(edit);
    } else {
      groups.push({ first, last, edits: [edit] });
    }
  }
  return groups.map(({ first, last, edits: inside }) => {
    const start = index.start(first);
    const moved = inside.map((edit) => {
      return { start: edit.start - start, end: edit.end - start, text: edit.text };
    });
    const changed = applyEdits(text.slice(start, index.start(last + 1)), moved);
    return { first, last, added: splitLines(changed) };
  });
}

function groupHunks(changes: readonly Change[]): Change[][] {
  const hunks: Change[][] = [];
  for (const change of changes) {
    const previous = hunks.at(-1)?.at(-1);
    if (previous !== undefined && change.first - previous.last - 1 <= 2 * CONTEXT) {
      hunks.at(-1)?.push(change);
    } else {
      hunks.push([change]);
    }
  }
  return hunks;
}

function renderHunk(
  text: string,
  changes: readonly Change[],
  index: LineIndex,
  shift: number,
): { text: string; growth: number } {
  const first = Math.max(1, (changes[0]?.first ?? 1) - CONTEXT);
  const last = Math.min(index.count, (changes.at(-1)?.last ?? 1) + CONTEXT);
  const oldLines = (from: number, to: number): string[] =>
    splitLines(text.slice(index.start(from), index.start(to + 1)));
  const parts: string[] = [];
  let next = first;
  let growth = 0;
  for (const change of changes) {
    parts.push(
      marked(' ', oldLines(next, change.first - 1)),
      marked('-', oldLines(change.first, change.last)),
      marked('+', change.added),
    );
    growth += change.added.length - (change.last - change.first + 1);
    next = change.last + 1;
  }
  parts.push(marked(' ', oldLines(next, last)));
  const length = last - first + 1;
  const head = `@@ -${range(first, length)} +${range(first + shift, length + growth)} @@\n`;
  return { text: head + parts.join(''), growth };
}

function range(first: number, length: number): string {
  return length === 1 ? String(first) : `${first},${length}`;
}

function marked(mark: string, lines: readonly string[]): string {
  const texts = lines.map((line) =>
    line.endsWith('\n') ? `${mark}${line}` : `${mark}${line}\n\\ No newline at end of file\n`,
  );
  return texts.join('');
}

/** Lines with their line ends. */
function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}
