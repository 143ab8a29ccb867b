import type { Finding } from '../explain.js';
import type { TaskRow } from '../rows.js';
import type { State } from '../state.js';
import { DEFAULT_POOL } from './definition.js';
import type { Instance } from './rows.js';
import { isDone, type RunView, standingOf } from './run-view.js';

/** What an instance's waiting is judged on. */
interface Case {
  readonly state: State;
  readonly task: TaskRow;
}

interface InstanceCase extends Case {
  readonly instance: Instance;
  readonly run: RunView;
}

type Then = Omit<Finding, 'code'>;

/** An instance of a run that has not ended, while it waits for anything but an agent. */
function waiting({ state, task }: Case): InstanceCase | null {
  const { instance } = task;
  const run = instance === null ? undefined : state.dags.runs.get(instance.run);
  if (instance === null || run === undefined || task.state !== 'scheduled') return null;
  return { state, task, instance, run };
}

/** As `waiting`, once its needs are decided: all it waits for is room. */
function waitingForRoom(c: Case): InstanceCase | null {
  const found = waiting(c);
  return found?.instance.ready === true && found.run.row.state === 'running' ? found : null;
}

function isPaused({ state, run }: InstanceCase): boolean {
  return state.dags.dags.get(run.row.dagId)?.paused === true;
}

function row(
  name: string,
  of: (c: Case) => InstanceCase | null,
  when: (c: InstanceCase) => boolean,
  then: (c: InstanceCase) => Then,
) {
  return {
    name,
    when: (c: Case) => {
      const found = of(c);
      return found !== null && when(found);
    },
    then: (c: Case): Then => then(of(c) as InstanceCase),
  };
}

/** Why an instance of a DAG run is not queued yet. */
export const DAG_FINDINGS: readonly {
  readonly name: string;
  readonly when: (c: Case) => boolean;
  readonly then: (c: Case) => Then;
}[] = [
  row('dag_paused', waiting, isPaused, ({ run: { row: run } }) => ({
    message: `DAG ${run.dagId} is paused: its runs are held where they are`,
    try: `holdfast dag unpause ${run.dagId}`,
  })),
  row(
    'run_queued',
    waiting,
    ({ run }) => run.row.state === 'queued',
    ({ state, run: { row: run } }) => ({
      message: `its run is queued, because DAG ${run.dagId} may have ${state.dags.dags.get(run.dagId)?.maxActiveRuns} running at once`,
      try: 'wait for one of them to end',
    }),
  ),
  row(
    'needs_not_ended',
    waiting,
    ({ instance }) => !instance.ready,
    (c) => ({ message: `was cleared, and waits for its needs: ${openNeeds(c)}`, try: '' }),
  ),
  row(
    'pool_missing',
    waitingForRoom,
    ({ state, instance: { pool } }) => pool !== DEFAULT_POOL && !state.dags.pools.has(pool),
    ({ instance: { pool } }) => ({
      message: `there is no pool ${pool}`,
      try: `holdfast pool set ${pool} SLOTS`,
    }),
  ),
  row('pool_full', waitingForRoom, isPoolFull, ({ state, instance: { pool, poolSlots } }) => ({
    message: `pool ${pool} has ${state.dags.slotsOf(pool)} slots, of which ${state.dags.poolUse.get(pool) ?? 0} are taken, and it needs ${poolSlots}`,
    try: 'wait, or give the pool more slots',
  })),
  row('max_active_tasks', waitingForRoom, isRunFull, ({ run }) => ({
    message: `${run.active} instances of its run are queued or running, and its DAG allows no more`,
    try: '',
  })),
];

function isPoolFull({ state, instance: { pool, poolSlots } }: InstanceCase): boolean {
  const { dags } = state;
  return dags.pools.has(pool) && dags.slotsOf(pool) - (dags.poolUse.get(pool) ?? 0) < poolSlots;
}

function isRunFull({ state, run }: InstanceCase): boolean {
  const plan = state.dags.planOf(run.row);
  return plan !== undefined && run.active >= plan.definition.maxActiveTasks;
}

const NAMES = 5;

function openNeeds({ state, run, instance }: InstanceCase): string {
  const plan = state.dags.planOf(run.row);
  // Until something of its run is decided again, its definition is not in memory.
  if (plan === undefined) return 'they are looked at next';
  const open = (plan.graph.needs.get(instance.task) ?? []).filter((need) => !isDone(standingOf(run, [need])));
  if (open.length === 0) return 'they are looked at next';
  const more = open.length - NAMES;
  return `${open.slice(0, NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''} ${open.length === 1 ? 'has' : 'have'} not ended`;
}
