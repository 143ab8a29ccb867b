// `--record`: a run becomes docs/performance.md (its tables, between two markers), its charts and its figures as JSON.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { writeCharts } from './charts.mjs';
import { lineOf } from './machine.mjs';
import { asMarkdown } from './tables.mjs';

const docs = resolve(import.meta.dirname, '../../docs');
const page = resolve(docs, 'performance.md');
const [BEGIN, END] = ['<!-- measured: begin -->', '<!-- measured: end -->'];
const ALT = {
  'drain.svg': 'tasks drained a second, Holdfast and its peers',
  'start.svg': 'p99 from submission to start, Holdfast and its peers',
  'shapes.svg': 'lifecycles a second for four shapes of agents and slots',
  'backlog.svg': 'CPU a task while a thousand, a hundred thousand and a million wait',
  'agents.svg': 'CPU of idle agents',
};

export function record(figures, tables) {
  const charts = writeCharts(resolve(docs, 'performance'), figures);
  writeFileSync(resolve(docs, 'performance/figures.json'), `${JSON.stringify(figures, null, 2)}\n`);
  const text = readFileSync(page, 'utf8');
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`${page} has lost its markers ${BEGIN} and ${END}`);
  const { machine } = figures;
  const measured = [
    BEGIN,
    `Measured ${machine.date.slice(0, 16).replace('T', ' ')} UTC. ${lineOf(machine).replace('\n', '; ')}.`,
    ...charts.map((name) => `![${ALT[name]}](performance/${name})`),
    ...tables.map(asMarkdown),
    '',
  ];
  writeFileSync(page, text.slice(0, before) + measured.join('\n\n') + text.slice(after));
}
