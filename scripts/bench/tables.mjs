// Tables of figures, for a terminal and for a page. A cell is text, a number, or the spread of a number.

const digits = (value) => (Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);
const number = (value) => value.toLocaleString('en-US', { maximumFractionDigits: digits(value) });

function shown(cell) {
  if (cell === null || cell === undefined) return '–';
  if (typeof cell === 'number') return Number.isFinite(cell) ? number(cell) : '–';
  if (typeof cell === 'object') {
    const { median, min, max } = cell;
    return min === max ? shown(median) : `${shown(median)} (${shown(min)}–${shown(max)})`;
  }
  return String(cell);
}

export function asText({ title, head, rows }) {
  const cells = [head, ...rows].map((row) => row.map(shown));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  // The first column is read, the others are compared.
  const line = (row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  return [title, ...cells.map((row) => `  ${line(row)}`.trimEnd())].join('\n');
}

export function asMarkdown({ title, head, rows }) {
  const line = (row) => `| ${row.map((cell) => shown(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${head.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`;
  return [`**${title}**`, '', line(head), rule, ...rows.map(line)].join('\n');
}

/** { name: figure } as a table of two columns. */
export const listed = (title, figures) => ({
  title,
  head: ['figure', 'value'],
  rows: Object.entries(figures).filter(([name]) => name !== 'range'),
});
