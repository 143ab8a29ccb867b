// Keeps the harness's part of the track record of docs/safety.md: what was done and seen, added up over recorded runs.
import { readFileSync, writeFileSync } from 'node:fs';

const page = new URL('../../docs/safety.md', import.meta.url);
const BEGIN = '<!-- track record: kept by `npm run chaos -- --record` -->';
const END = '<!-- end of the track record of real faults -->';

/** Adds a run to the table; its rows are the only place where the sums are kept. */
export function recordRun({ rounds, skipped, history, counts, detected, violations }) {
  const text = readFileSync(page, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const [table, after] = rest.split(END);
  const known = (name) =>
    Number(new RegExp(`\\| ${name} \\| ([\\d,.]+)`).exec(table)?.[1]?.replaceAll(',', '') ?? 0);
  const sum = (name, value) => (known(name) + value).toLocaleString('en-US');
  const rows = [
    ['rounds of faults', rounds.length - skipped],
    ...faultsOf(history),
    ['tasks', history.tasks.length],
    ['permits', counts.get('permits') ?? 0],
    ['detections timed', detected.timed.length],
    ['violations', violations.length],
  ].map(([name, value]) => `| ${name} | ${sum(name, value)} |`);
  const latest = Math.max(known('latest detection, ms after L'), Math.round(Math.max(0, ...detected.timed)));
  rows.push(`| latest detection, ms after L | ${latest.toLocaleString('en-US')} |`);
  const head = '| real processes, in all | |\n|---|---|';
  writeFileSync(page, `${before}${BEGIN}\n\n${head}\n${rows.join('\n')}\n\n${END}${after}`);
}

function faultsOf({ faults }) {
  const count = (matches) => faults.filter(matches).length;
  const isAgents = ({ target }) => target.startsWith('agent');
  return [
    ['kill -9 of an agent', count((fault) => fault.kind === 'kill' && isAgents(fault))],
    ['kill -9 of the coordinator', count((fault) => fault.kind === 'kill' && fault.target === 'coordinator')],
    ['SIGSTOP', count(({ kind }) => kind === 'stop')],
    ['partitions', count(({ kind }) => kind.startsWith('cut'))],
    ['delays', count(({ kind }) => kind.startsWith('delay'))],
    ['full disks', count(({ kind }) => kind === 'fill')],
  ];
}
