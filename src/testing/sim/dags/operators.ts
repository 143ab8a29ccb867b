import type { DagCall } from '../../../core/dag/calls.js';
import type { InstanceChoice } from '../../../core/dag/rows.js';
import { type RunKey, type RunRow, runKeyOf } from '../../../core/dag/rows.js';
import { later, MINUTE, type WallMs } from '../../../kit/time.js';
import type { Chance } from './chance.js';
import { ASSETS, POOLS } from './definitions.js';
import type { DagRows } from './rows.js';
import { BY_HAND } from './trigger-judge.js';

/** What operators act on. */
export interface Operated {
  readonly chance: Chance;
  readonly rows: DagRows;
  readonly wall: WallMs;
  /** They have runs of backfills done again, those of ended ones too. */
  readonly areThorough: boolean;
}

interface Act {
  /** How often, relative to the others. */
  readonly weight: number;
  /** Only by such people; absent means by all. */
  readonly by?: (on: Operated) => boolean;
  readonly call: (on: Operated) => DagCall;
}

const NOBODY = runKeyOf('nobody', 'never');

/** What people do to DAGs: mostly what makes sense, and now and then what does not. */
const ACTS: readonly Act[] = [
  { weight: 8, call: trigger },
  {
    weight: 2,
    call: (on) => ({ action: 'pause', dagId: someDag(on), paused: on.chance.is(0.4) }),
  },
  {
    weight: 2,
    call: (on) => ({
      ...{ action: 'end_run', run: someRun(on), reason: 'sim' },
      as: on.chance.pick(['cancelled', 'success', 'failed']),
    }),
  },
  { weight: 6, call: clear },
  {
    weight: 6,
    call: (on) => {
      const run = someRun(on);
      return {
        ...{ action: 'mark', run, tasks: [someTask(on, run)], reason: 'sim' },
        as: on.chance.pick(['success', 'failed']),
      };
    },
  },
  { weight: 2, call: backfill },
  {
    weight: 2,
    call: (on) => ({
      ...{ action: 'steer_backfill', backfill: on.chance.pick([...on.rows.backfills.keys()]) ?? 'none' },
      to: on.chance.pick(['running', 'running', 'paused', 'cancelled']),
    }),
  },
  {
    weight: 4,
    call: ({ chance }) => ({
      ...{ action: 'set_pool', pool: chance.pick(POOLS), slots: chance.pick([0, 1, 2, 2, 4]) },
      description: '',
    }),
  },
  { weight: 1, call: ({ chance }) => ({ action: 'delete_pool', pool: chance.pick(POOLS) }) },
  {
    weight: 4,
    call: ({ chance }) => ({
      action: 'emit_asset',
      asset: chance.is(0.1) ? 'asset-nobody' : chance.pick(ASSETS),
      extra: chance.is(0.05) ? JSON.stringify({ text: 'x'.repeat(65 * 1024) }) : '',
    }),
  },
  { weight: 3, call: fire },
  { weight: 12, by: ({ areThorough }) => areThorough, call: clearOfBackfill },
];

/** Something that somebody does now. */
export function drawAct(on: Operated): DagCall {
  const acts = ACTS.filter(({ by }) => by?.(on) ?? true);
  let left = on.chance.random() * acts.reduce((sum, { weight }) => sum + weight, 0);
  const act = acts.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  return (act ?? (ACTS[0] as Act)).call(on);
}

function trigger(on: Operated): DagCall {
  const { chance, wall } = on;
  const runId = chance.is(0.1) ? 'again' : '';
  const logicalDate = chance.is(0.2) ? later(wall, -chance.below(3) * MINUTE - (wall % MINUTE)) : null;
  const params = chance.is(0.3) ? { list: chance.is(0.2) ? 'no list' : [7, 8].slice(chance.below(2)) } : {};
  return { action: 'trigger', dagId: someDag(on), runId, logicalDate, params };
}

function clear(on: Operated): DagCall {
  const { chance } = on;
  const run = someRun(on);
  return {
    ...{ action: 'clear', run, reason: 'sim', dryRun: chance.is(0.05), onlyFailed: chance.is(0.3) },
    tasks: chance.is(0.2) ? [] : [someTask(on, run)],
    ...{ upstream: chance.is(0.2), downstream: chance.is(0.6) },
  };
}

/** All of a run that a backfill made, mostly one that has ended. */
function clearOfBackfill({ chance, rows }: Operated): DagCall {
  const runs = [...rows.runs.values()].filter(({ backfill }) => backfill !== '');
  const ended = runs.filter(({ state }) => state === 'success' || state === 'failed');
  const one = chance.pick(ended.length > 0 && chance.is(0.8) ? ended : runs);
  return {
    ...{ action: 'clear', run: one?.run ?? NOBODY, reason: 'sim', dryRun: false, onlyFailed: false },
    ...{ tasks: [], upstream: false, downstream: false },
  };
}

function backfill(on: Operated): DagCall {
  const { chance, wall } = on;
  const from = later(wall, -chance.pick([5, 10, 40_000_000]) * MINUTE);
  return {
    ...{ action: 'backfill', dagId: someDag(on), from, to: later(wall, chance.pick([-1, -3, 2]) * MINUTE) },
    ...{ backfill: chance.is(0.2) ? 'again' : '', params: {}, maxActiveRuns: 1 + chance.below(2) },
    ...{ reprocess: chance.pick(['none', 'failed', 'completed']), dryRun: chance.is(0.1) },
  };
}

/** Those that nobody else fires, mostly. */
function fire({ chance, rows }: Operated): DagCall {
  const waiting = [...rows.triggers.values()];
  const external = waiting.filter(({ kind }) => kind === 'external');
  const one = chance.pick(external.length > 0 && chance.is(0.7) ? external : waiting);
  return { action: 'fire_trigger', triggerId: one?.triggerId ?? 'none', payload: BY_HAND };
}

function someDag({ chance, rows }: Operated): string {
  return (chance.is(0.03) ? undefined : chance.pick([...rows.dags.keys()])) ?? 'nobody';
}

/** One that goes on, mostly. */
function someRun({ chance, rows }: Operated): RunKey {
  const { active } = rows;
  const among: readonly RunRow[] = active.length > 0 && chance.is(0.6) ? active : [...rows.runs.values()];
  return (chance.is(0.03) ? undefined : chance.pick(among)?.run) ?? NOBODY;
}

function someTask({ chance, rows }: Operated, run: RunKey): InstanceChoice {
  const row = rows.runs.get(run);
  if (row === undefined || chance.is(0.03)) return { task: 'nobody', mapIndex: null };
  const instances = [...(rows.instances.get(run)?.values() ?? [])];
  const one = chance.pick(instances)?.instance;
  if (one && chance.is(0.7)) return { task: one.task, mapIndex: chance.is(0.5) ? one.mapIndex : null };
  return { task: chance.pick(rows.definitionOf(row).tasks).taskId, mapIndex: null };
}
