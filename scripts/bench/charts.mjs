// The pictures of docs/performance.md, from the figures of one run; a part that was not measured has none.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { barChart } from './svg.mjs';

const NAMES = {
  holdfast: 'Holdfast, 1 agent × 100 slots',
  holdfast100x1: 'Holdfast, 100 agents × 1 slot',
  bullmqAlways: 'BullMQ, appendfsync always',
  bullmqEverysec: 'BullMQ, everysec (not durable)',
  graphileDefault: 'graphile-worker, defaults',
  graphileTuned: 'graphile-worker, its best',
  pgbossDefault: 'pg-boss, defaults',
  pgbossTuned: 'pg-boss, its best',
};

const bar = (label, of, name, isOurs) => {
  const [min, max] = of.range?.[name] ?? [of[name], of[name]];
  return { label, value: of[name], min, max, isOurs };
};

/** One name and one picture each. */
const CHARTS = {
  'drain.svg': ({ peers }) =>
    peers && barsOf(peers, 'drainPerS', 'Tasks that wait are drained', 'tasks a second, more is better'),
  'start.svg': ({ peers }) =>
    peers && barsOf(peers, 'p99Ms', 'From submission to start, p99 at 500 a second', 'ms, less is better'),
  'shapes.svg': ({ lifecycle, lifecycle10x10, lifecycle100x1, lifecycle100x10 }) =>
    lifecycle100x10 && {
      ...{ title: 'Full durable lifecycles, agents × slots', unit: 'a second, more is better' },
      bars: Object.entries({
        ...{ '1 × 100': lifecycle, '10 × 10': lifecycle10x10 },
        ...{ '100 × 1': lifecycle100x1, '100 × 10': lifecycle100x10 },
      }).map(([label, of]) => bar(label, of, 'lifecyclesPerS', true)),
    },
  'backlog.svg': ({ backlog }) =>
    backlog && {
      ...{ title: 'A task while so many wait', unit: 'µs of coordinator CPU, less is better' },
      bars: Object.entries(backlog).map(([size, of]) =>
        bar(`${Number(size).toLocaleString('en-US')} waiting`, of, 'drainCpuMicrosPerTask', true),
      ),
    },
  'agents.svg': ({ agents }) =>
    agents && {
      ...{ title: 'Idle agents, H = 5 s', unit: '% of a core of the coordinator, less is better' },
      bars: Object.entries(agents.of).map(([count, of]) =>
        bar(`${Number(count).toLocaleString('en-US')} agents`, of, 'cpuPercent', true),
      ),
    },
};

function barsOf(peers, name, title, unit) {
  const there = Object.keys(NAMES).filter((key) => Number.isFinite(peers[key]?.[name]));
  return {
    title,
    unit,
    bars: there.map((key) => bar(NAMES[key], peers[key], name, key.startsWith('holdfast'))),
  };
}

/** Writes them into `folder`; returns the names of those that there are figures for. */
export function writeCharts(folder, figures) {
  mkdirSync(folder, { recursive: true });
  return Object.entries(CHARTS).flatMap(([name, chartOf]) => {
    const chart = chartOf(figures);
    if (!chart) return [];
    writeFileSync(join(folder, name), barChart(chart));
    return [name];
  });
}
