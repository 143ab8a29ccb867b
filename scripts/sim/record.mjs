// Keeps the track record of docs/safety.md: what was run, added up over all recorded runs.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { root } from '../tool.mjs';

const page = new URL('../../docs/safety.md', import.meta.url);
const BEGIN = '<!-- track record: kept by `npm run sim -- --record` -->';
const END = '<!-- end of the track record -->';

/** Adds a run to the table; its rows are the only place where the sums are kept. */
export function record({ seeds, hours, starts, faults, violations }) {
  const text = readFileSync(page, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const [table, after] = rest.split(END);
  const sum = (name, value) => {
    const known = Number(
      new RegExp(`\\| ${name} \\| ([\\d,.]+) \\|`).exec(table)?.[1]?.replaceAll(',', '') ?? 0,
    );
    return (known + value).toLocaleString('en-US', { maximumFractionDigits: 1 });
  };
  const rows = [
    ['seeds', seeds],
    ['simulated hours of a whole cluster', hours],
    ['starts of tasks', starts],
    ['faults', faults],
    ['violations', violations],
  ].map(([name, value]) => `| ${name} | ${sum(name, value)} |`);
  rows.push(`| last run | ${seeds} seeds at commit ${commit()} |`);
  writeFileSync(
    page,
    `${before}${BEGIN}\n\n| simulator, in all | |\n|---|---|\n${rows.join('\n')}\n\n${END}${after}`,
  );
}

/** What was run: the commit, and whether the sources differ from it. */
function commit() {
  const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  const differs = git('status', '--porcelain', '--', 'src') !== '';
  return `${git('rev-parse', '--short=10', 'HEAD')}${differs ? ' with changes' : ''}`;
}
