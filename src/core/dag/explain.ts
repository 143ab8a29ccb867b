import type { Finding } from '../explain.js';
import type { TaskRow } from '../rows.js';
import type { State } from '../state.js';
import { DEFAULT_POOL } from './definition.js';
import { type Plan, taskOf } from './plan.js';
import { isDone, type RunView, standingOf } from './run-view.js';
import { turnOf } from './state.js';

/** What an instance's waiting is judged on. */
interface Case {
  readonly state: State;
  readonly task: TaskRow;
}

/** An instance that waits for anything but an agent, in a run that has not ended; it may have no row yet. */
interface Place {
  readonly state: State;
  readonly run: RunView;
  /** Undefined until something of the run is decided again: then its definition is not in memory. */
  readonly plan: Plan | undefined;
  readonly task: string;
  readonly pool: string;
  readonly poolSlots: number;
  /** `ready`: all it waits for is room; `cleared`: it waits for its needs once more; `new`: nothing of it is decided. */
  readonly is: 'ready' | 'cleared' | 'new';
}

type Then = Omit<Finding, 'code'>;

interface Row {
  readonly name: string;
  readonly when: (place: Place) => boolean;
  readonly then: (place: Place) => Then;
}

/** Whether room is what it waits for, now or once its needs have ended. */
const wantsRoom = ({ is, run }: Place): boolean => is !== 'cleared' && run.row.state === 'running';

/** Why an instance of a DAG run is not queued yet, in this order. */
const ROWS: readonly Row[] = [
  {
    name: 'dag_paused',
    when: ({ state, run }) => state.dags.dags.get(run.row.dagId)?.paused === true,
    then: ({ run: { row: run } }) => ({
      message: `DAG ${run.dagId} is paused: its runs are held where they are`,
      try: `holdfast dag unpause ${run.dagId}`,
    }),
  },
  { name: 'run_queued', when: ({ run }) => run.row.state === 'queued', then: runQueued },
  {
    name: 'needs_not_ended',
    when: (place) => place.is === 'cleared' || (place.is === 'new' && openNeeds(place).length > 0),
    then: (place) => ({
      message: `${place.is === 'cleared' ? 'was cleared, and waits' : 'waits'} for its needs: ${needsWords(place)}`,
      try: '',
    }),
  },
  {
    name: 'decided_next',
    when: (place) => place.is === 'new' && openNeeds(place).length === 0,
    then: () => ({ message: 'its needs have ended; what becomes of it is decided next', try: '' }),
  },
  {
    name: 'pool_missing',
    when: (place) =>
      wantsRoom(place) && place.pool !== DEFAULT_POOL && !place.state.dags.pools.has(place.pool),
    then: ({ pool }) => ({ message: `there is no pool ${pool}`, try: `holdfast pool set ${pool} SLOTS` }),
  },
  {
    name: 'pool_full',
    when: (place) => wantsRoom(place) && isPoolFull(place),
    then: ({ state, pool, poolSlots }) => ({
      message: `pool ${pool} has ${state.dags.slotsOf(pool)} slots, of which ${state.dags.poolUse.get(pool) ?? 0} are taken, and it needs ${poolSlots}`,
      try: 'wait, or give the pool more slots',
    }),
  },
  {
    name: 'max_active_tasks',
    when: (place) =>
      wantsRoom(place) &&
      place.plan !== undefined &&
      place.run.active >= place.plan.definition.maxActiveTasks,
    then: ({ run }) => ({
      message: `${run.active} instances of its run are queued or running, and its DAG allows no more`,
      try: '',
    }),
  },
];

/** Whoever has a row: it says itself what it waits for. */
function placeOf({ state, task }: Case): Place | null {
  const { instance } = task;
  const run = instance === null ? undefined : state.dags.runs.get(instance.run);
  if (instance === null || run === undefined || task.state !== 'scheduled') return null;
  const { pool, poolSlots, ready } = instance;
  const plan = state.dags.planOf(run.row);
  return { state, run, plan, task: instance.task, pool, poolSlots, is: ready ? 'ready' : 'cleared' };
}

/** Why an instance of a DAG run that has a row is not queued yet. */
export const DAG_FINDINGS: readonly {
  readonly name: string;
  readonly when: (c: Case) => boolean;
  readonly then: (c: Case) => Then;
}[] = ROWS.map(({ name, when, then }) => ({
  name,
  when: (c) => {
    const place = placeOf(c);
    return place !== null && when(place);
  },
  then: (c) => then(placeOf(c) as Place),
}));

/** Why nothing is decided yet of a task of a run that goes on. */
export function undecidedFindings(
  state: State,
  run: RunView,
  plan: Plan,
  taskId: string,
): readonly Finding[] {
  const { pool, poolSlots } = taskOf(plan, taskId);
  const place: Place = { state, run, plan, task: taskId, pool, poolSlots, is: 'new' };
  return ROWS.filter(({ when }) => when(place)).map(({ name, then }) => ({ code: name, ...then(place) }));
}

function runQueued({ state, run: { row: run } }: Place): Then {
  const backfill = turnOf(run);
  const own = state.dags.backfills.get(backfill);
  if (own?.state === 'paused') {
    return {
      message: `its run is queued, because backfill ${backfill} is paused`,
      try: `holdfast backfill resume ${backfill}`,
    };
  }
  const whose = own === undefined ? `DAG ${run.dagId}` : `backfill ${backfill}`;
  const most = own?.maxActiveRuns ?? state.dags.dags.get(run.dagId)?.maxActiveRuns;
  return {
    message: `its run is queued, because ${whose} may have ${most} running at once`,
    try: 'wait for one of them to end',
  };
}

function isPoolFull({ state, pool, poolSlots }: Place): boolean {
  const { dags } = state;
  return dags.pools.has(pool) && dags.slotsOf(pool) - (dags.poolUse.get(pool) ?? 0) < poolSlots;
}

function openNeeds({ run, plan, task }: Place): readonly string[] {
  return (plan?.graph.needs.get(task) ?? []).filter((need) => !isDone(standingOf(run, [need])));
}

const NAMES = 5;

function needsWords(place: Place): string {
  const open = openNeeds(place);
  if (open.length === 0) return 'they are looked at next';
  const more = open.length - NAMES;
  return `${open.slice(0, NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''} ${open.length === 1 ? 'has' : 'have'} not ended`;
}
