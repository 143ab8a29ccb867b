import { DEFAULT_POOL, type TaskDefinition } from '../../../core/dag/definition.js';
import type { Instance, RunKey } from '../../../core/dag/rows.js';
import { isFinal, type TaskRow } from '../../../core/rows.js';
import type { TaskId } from '../../../kit/ids.js';
import type { Puts } from '../../../store/store.js';
import type { Broken } from './judge.js';
import type { DagRows } from './rows.js';
import { mayRun } from './rule-oracle.js';

type InstanceRow = TaskRow & { readonly instance: Instance };
/** Of one run. */
export type Rows = ReadonlyMap<TaskId, TaskRow>;

const NONE: Rows = new Map();

/** Task instances: none is there twice, none on its way before its trigger rule lets it, none in the queue without room. */
export class InstanceJudge {
  readonly #rows: DagRows;
  readonly #broken: Broken;
  readonly #ids = new Map<string, TaskId>();

  constructor(rows: DagRows, broken: Broken) {
    this.#rows = rows;
    this.#broken = broken;
  }

  begin({ tasks, history, removals, dags }: Puts): () => void {
    for (const { taskId } of removals) this.#removed(taskId);
    const rows = tasks.map(({ row }) => row).filter((row): row is InstanceRow => row.instance !== null);
    if (rows.length === 0) return () => {};
    const before = new Map<RunKey, Rows>();
    for (const { instance } of rows)
      if (!before.has(instance.run))
        before.set(instance.run, new Map(this.#rows.instances.get(instance.run)));
    const slots = new Map([...this.#rows.pools.values()].map((pool) => [pool.pool, pool.slots]));
    const changed = new Set(dags?.dags.map(({ dagId }) => dagId));
    return () => {
      for (const row of rows) this.#judge(row, before.get(row.instance.run) ?? NONE);
      const queued = new Set(history.filter(({ event }) => event === 'queued').map(({ taskId }) => taskId));
      // Runs of lost commits that are taken back may be more than there is room for.
      if (history.some(({ event }) => event === 'regained')) return;
      for (const row of rows)
        if (queued.has(row.taskId) && row.state !== 'scheduled') this.#hasRoom(row, slots, changed);
    };
  }

  #removed(taskId: TaskId): void {
    const instance = this.#rows.instance(taskId)?.instance;
    if (instance) this.#ids.delete(keyOf(instance));
  }

  #judge(row: InstanceRow, before: Rows): void {
    const { taskId, instance } = row;
    const key = keyOf(instance);
    const known = this.#ids.get(key) ?? taskId;
    this.#ids.set(key, known);
    if (known !== taskId)
      this.#broken({ rule: 'instance', taskId, what: `${key} is ${known} and ${taskId}` });
    if (!isOnItsWay(row) || isOnItsWay(before.get(taskId))) return;
    const run = this.#rows.runs.get(instance.run);
    const task = run && this.#rows.definitionOf(run).tasks.find((one) => one.taskId === instance.task);
    if (run === undefined || task === undefined)
      return this.#broken({ rule: 'instance', taskId, what: `${key} is no part of its run` });
    // The commit may also clear what it was decided on, later.
    const now = this.#rows.instances.get(instance.run) ?? NONE;
    if (!isDue(task, now) && !isDue(task, before))
      this.#broken({
        rule: 'trigger rule',
        taskId,
        what: `${key} is on its way, and ${task.triggerRule} does not hold`,
      });
    if (isCutOff(task, this.#rows.definitionOf(run).tasks, now, before))
      this.#broken({ rule: 'short circuit', taskId, what: `${key} is on its way behind a short circuit` });
  }

  #hasRoom(
    { taskId, instance }: InstanceRow,
    slotsBefore: ReadonlyMap<string, number>,
    changed: Set<string>,
  ): void {
    const run = this.#rows.runs.get(instance.run);
    if (run === undefined) return;
    const fault = (rule: string, what: string) =>
      this.#broken({ rule, taskId, what: `${keyOf(instance)} ${what}` });
    const dag = this.#rows.dags.get(run.dagId);
    if (dag?.paused && !changed.has(run.dagId)) fault('pause', 'is queued while its DAG is paused');
    const active = [...(this.#rows.instances.get(instance.run)?.values() ?? [])].filter(takesRoom).length;
    const most = this.#rows.definitionOf(run).maxActiveTasks;
    if (active > most) fault('max_active_tasks', `is queued as one of ${active}, and ${most} may be`);
    const { pool } = instance;
    if (pool === DEFAULT_POOL) return;
    let used = 0;
    for (const rows of this.#rows.instances.values())
      for (const other of rows.values())
        if (takesRoom(other) && other.instance?.pool === pool) used += other.instance.poolSlots;
    const slots = Math.max(slotsBefore.get(pool) ?? 0, this.#rows.pools.get(pool)?.slots ?? 0);
    if (used > slots) fault('pool', `is queued, and ${used} of the ${slots} slots of ${pool} are taken`);
  }
}

export const keyOf = ({ run, task, mapIndex }: Instance): string => `${run} ${task}[${mapIndex}]`;

/** Decided to run: waiting for room, for an agent, for an event, or running. */
function isOnItsWay(row: TaskRow | undefined): boolean {
  if (row === undefined || row.instance === null || isFinal(row.state)) return false;
  return row.instance.ready || row.state === 'deferred';
}

const takesRoom = ({ state }: TaskRow): boolean => state === 'queued' || state === 'running';

export const instancesOf = (rows: Rows, task: string): TaskRow[] =>
  [...rows.values()].filter(({ instance }) => instance?.task === task);

function isDue({ needs, triggerRule }: TaskDefinition, rows: Rows): boolean {
  return mayRun(
    triggerRule,
    needs.map((need) => instancesOf(rows, need)),
  );
}

const NOTHING: ReadonlySet<string> = new Set(['', 'false', '0', '[]', '{}', 'null', '""']);

/** Behind a task that has ended well and gave nothing, now and before, which cuts off all that comes after it. */
function isCutOff(task: TaskDefinition, tasks: readonly TaskDefinition[], now: Rows, before: Rows): boolean {
  return circuitsOf(task, tasks).some((circuit) => cuts(now, circuit) && cuts(before, circuit));
}

/** Whether the task has ended well, all of it, and gave nothing. */
export function cuts(rows: Rows, { taskId, expand }: TaskDefinition): boolean {
  const instances = instancesOf(rows, taskId);
  const good = instances.filter(({ state }) => state === 'success');
  if (expand !== '') return instances.length > 0 && instances.every(isSkipped);
  return good.some(({ result }) => NOTHING.has(result === null ? '' : new TextDecoder().decode(result)));
}

const isSkipped = ({ state }: TaskRow): boolean => state === 'skipped';

/** Tasks before it, however far, that may cut it off. */
export function circuitsOf(task: TaskDefinition, tasks: readonly TaskDefinition[]): TaskDefinition[] {
  const upstream = new Set<string>();
  const climb = ({ needs }: TaskDefinition): void => {
    for (const need of tasks.filter(({ taskId }) => needs.includes(taskId))) {
      if (upstream.has(need.taskId)) continue;
      upstream.add(need.taskId);
      climb(need);
    }
  };
  climb(task);
  return tasks.filter(({ taskId, shortCircuit }) => shortCircuit && upstream.has(taskId));
}
