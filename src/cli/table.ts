import { type Colours, oneLine } from './words.js';

/** One cell; `paint` colours it without changing its width. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

/**
 * Aligned columns with a header. On a terminal of `columns` characters the last column is cut to fit, so that a row
 * stays a line; elsewhere nothing is cut.
 */
export function renderTable(
  headers: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  colours: Colours,
  columns: number | undefined,
): string {
  const cells = rows.map((row) => row.map(toCell));
  const widths = headers.map((header, i) =>
    Math.max(header.length, ...cells.map((row) => row[i]?.text.length ?? 0)),
  );
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  const lastWidth = columns === undefined ? Number.POSITIVE_INFINITY : Math.max(10, columns - before);
  const line = (row: readonly Cell[]): string =>
    row
      .map(({ text, paint = same }, i) => {
        const last = i === headers.length - 1;
        const cut = last && text.length > lastWidth ? `${text.slice(0, lastWidth - 1)}…` : text;
        return last ? paint(cut) : paint(cut) + ' '.repeat((widths[i] ?? 0) - cut.length + 2);
      })
      .join('')
      .trimEnd();
  const head = headers.map((text) => ({ text, paint: colours.bold }));
  return [line(head), ...cells.map(line)].map((text) => `${text}\n`).join('');
}

const same = (text: string): string => text;

const toCell = (cell: string | Cell): Cell => {
  const { text, paint } = typeof cell === 'string' ? { text: cell, paint: same } : cell;
  // Blanks before a name set it in, in a table that is a tree.
  const indent = text.length - text.replace(/^ +/, '').length;
  return { text: ' '.repeat(indent) + oneLine(text), paint: paint ?? same };
};

/** `name: value` lines, aligned; lines without a value are left out. */
export function renderFacts(facts: readonly (readonly [string, string | Cell])[], colours: Colours): string {
  const shown = facts
    .map(([name, value]) => [name, toCell(value)] as const)
    .filter(([, cell]) => cell.text !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown
    .map(([name, { text, paint = same }]) => `${colours.dim(`${name}:`.padEnd(width + 2))}${paint(text)}\n`)
    .join('');
}
