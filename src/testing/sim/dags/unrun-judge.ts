import type { TaskDefinition } from '../../../core/dag/definition.js';
import type { Instance, RunKey, RunRow } from '../../../core/dag/rows.js';
import type { HistoryRow } from '../../../core/rows.js';
import type { Puts } from '../../../store/store.js';
import { circuitsOf, cuts, instancesOf, keyOf, type Rows } from './instance-judge.js';
import type { Broken } from './judge.js';
import type { DagRows } from './rows.js';
import { endsUnrun, type NoRun } from './rule-oracle.js';

const NONE: Rows = new Map();
const LIST = '{{ params.list }}';

/** Instances that nobody runs: each ends so for its needs or a short circuit; and a mapped task has one for each element. */
export class UnrunJudge {
  readonly #rows: DagRows;
  readonly #broken: Broken;

  constructor(rows: DagRows, broken: Broken) {
    this.#rows = rows;
    this.#broken = broken;
  }

  begin({ history, tasks, dags }: Puts): () => void {
    const unrun = history.filter(({ token, event }) => token === 0n && isNoRun(event));
    const instances = new Map(tasks.map(({ row }) => [row.taskId, row.instance]));
    const before = new Map<RunKey, Rows>();
    for (const { taskId } of unrun) {
      const run = instances.get(taskId)?.run;
      if (run !== undefined) before.set(run, new Map(this.#rows.instances.get(run)));
    }
    const ended = (dags?.runs ?? []).filter(
      ({ run, state }) => isOver(state) && this.#rows.runs.get(run)?.state === 'running',
    );
    return () => {
      for (const row of unrun) {
        const instance = instances.get(row.taskId);
        if (instance) this.#judge(row, instance, before.get(instance.run) ?? NONE);
      }
      for (const run of ended) this.#mapped(run);
    };
  }

  #judge({ taskId, event, reason }: HistoryRow, instance: Instance, before: Rows): void {
    const run = this.#rows.runs.get(instance.run);
    const tasks = run === undefined ? [] : this.#rows.definitionOf(run).tasks;
    const task = tasks.find((one) => one.taskId === instance.task);
    if (task === undefined) return;
    const now = this.#rows.instances.get(instance.run) ?? NONE;
    // The commit may also clear what it was decided on, later.
    const holds = (because: (rows: Rows) => boolean) => because(now) || because(before);
    const what = `${keyOf(instance)} is ${event} (${reason})`;
    if (reason === 'short_circuit') {
      const circuits = circuitsOf(task, tasks);
      if (!holds((rows) => circuits.some((circuit) => cuts(rows, circuit))))
        this.#broken({ rule: 'short circuit', taskId, what: `${what}, and nothing cuts it off` });
    } else if (reason === 'trigger_rule' || reason === 'upstream_failed') {
      if (!holds((rows) => endsUnrun(task.triggerRule, event as NoRun, needsOf(task, rows))))
        this.#broken({
          rule: 'trigger rule',
          taskId,
          what: `${what}, and ${task.triggerRule} does not say so`,
        });
    }
  }

  /** A run that has come to its end by itself has mapped all of each list that it was given. */
  #mapped(run: RunRow): void {
    if (run.reason !== '' && run.reason !== 'leaf_failed') return;
    const { list } = JSON.parse(run.params) as { readonly list: readonly unknown[] };
    for (const { taskId: task, expand } of this.#rows.definitionOf(run).tasks) {
      const indexes = instancesOf(this.#rows.instances.get(run.run) ?? NONE, task)
        .filter(({ reason }) => reason !== 'no_element')
        .map(({ instance }) => instance?.mapIndex);
      // It ended as a whole, before anything was mapped.
      if (expand !== LIST || indexes.includes(-1)) continue;
      const what = `run ${run.run} has ended, and of ${list.length} elements ${task} has mapped ${indexes.length}`;
      if (indexes.length !== list.length) this.#broken({ rule: 'mapped', what });
    }
  }
}

function isNoRun(event: string): event is NoRun {
  return event === 'skipped' || event === 'upstream_failed';
}

function isOver(state: RunRow['state']): boolean {
  return state === 'success' || state === 'failed';
}

function needsOf({ needs }: TaskDefinition, rows: Rows) {
  return needs.map((need) => instancesOf(rows, need));
}
