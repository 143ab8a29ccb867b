import type { DagRow, RunKey, RunRow } from '../../../core/dag/rows.js';
import { isTimed } from '../../../core/dag/timetable.js';
import { isFinal, type TaskRow } from '../../../core/rows.js';
import type { WallMs } from '../../../kit/time.js';
import type { Puts } from '../../../store/store.js';
import type { Broken } from './judge.js';
import type { DagRows } from './rows.js';
import { SIM_TIMETABLE } from './timetable.js';

/**
 * Runs: every instant makes one, each keeps what it was created with, no more at once than allowed, none ends early, and none
 * goes on of which retention has removed something.
 */
export class RunJudge {
  readonly #rows: DagRows;
  readonly #broken: Broken;
  /** By DAG and instant. */
  readonly #ofInstant = new Map<string, RunKey>();
  /** Less than whole: what is left of them may be looked at, and nothing is decided anew. */
  readonly #pruned = new Set<RunKey>();

  constructor(rows: DagRows, broken: Broken) {
    this.#rows = rows;
    this.#broken = broken;
  }

  begin({ dags, removals }: Puts): () => void {
    for (const { taskId } of removals) {
      const run = this.#rows.instance(taskId)?.instance?.run;
      if (run !== undefined) this.#pruned.add(run);
    }
    if (dags === null) return () => {};
    for (const { run } of dags.runRemovals) this.#forget(run);
    const dagsBefore = new Map(dags.dags.map(({ dagId }) => [dagId, this.#rows.dags.get(dagId)]));
    const before = new Map(dags.runs.map(({ run }) => [run, this.#rows.runs.get(run)]));
    const limits = new Map(
      dags.backfills.map((row) => [row.backfill, this.#rows.backfills.get(row.backfill)]),
    );
    return () => {
      for (const row of dags.runs) {
        const known = before.get(row.run);
        if (known === undefined) this.#created(row, dagsBefore.get(row.dagId));
        else this.#keeps(known, row);
        const most = Math.max(
          this.#most(row),
          row.backfill === '' ? (dagsBefore.get(row.dagId)?.maxActiveRuns ?? 0) : 0,
          limits.get(row.backfill)?.maxActiveRuns ?? 0,
        );
        if (row.state === 'running' && known?.state !== 'running') this.#started(row, most);
        const wasPaused = dagsBefore.has(row.dagId) ? dagsBefore.get(row.dagId)?.paused : true;
        if (row.state === 'running' && known?.state === 'queued' && wasPaused === true)
          this.#check(
            this.#rows.dags.get(row.dagId)?.paused !== true,
            'pause',
            row,
            'starts while its DAG is paused',
          );
        if (row.state === 'success' || row.state === 'failed') this.#ended(row, known);
        else if (row.state !== 'cancelled')
          this.#check(!this.#pruned.has(row.run), 'retention', row, 'goes on, and instances of it are gone');
      }
      for (const row of dags.dags) this.#instants(dagsBefore.get(row.dagId), row);
    };
  }

  #forget(run: RunKey): void {
    const row = this.#rows.runs.get(run);
    const key = `${row?.dagId} ${row?.logicalDate}`;
    if (this.#ofInstant.get(key) === run) this.#ofInstant.delete(key);
    this.#pruned.delete(run);
  }

  #check(holds: boolean, rule: string, { run }: RunRow, what: string): void {
    if (!holds) this.#broken({ rule, what: `run ${run} ${what}` });
  }

  #created(row: RunRow, dagBefore: DagRow | undefined): void {
    const { dagId, definitionVersion, logicalDate, type } = row;
    const versions = [dagBefore, this.#rows.dags.get(dagId)].map((dag) => dag?.definitionVersion);
    this.#check(
      versions.includes(definitionVersion),
      'pin',
      row,
      `pins version ${definitionVersion}, which is not in force`,
    );
    if (logicalDate === null) return;
    const key = `${dagId} ${logicalDate}`;
    const other = this.#ofInstant.get(key);
    this.#check(other === undefined, 'one run', row, `stands for the instant of ${other} as well`);
    this.#ofInstant.set(key, row.run);
    const early = type === 'scheduled' && row.createdAt < logicalDate;
    this.#check(!early, 'schedule', row, 'is there before its instant');
  }

  /** What it was created with stays, its version above all. */
  #keeps(before: RunRow, row: RunRow): void {
    const said = ({ definitionVersion, logicalDate, params, type, consumed }: RunRow) =>
      JSON.stringify([definitionVersion, logicalDate, params, type, consumed]);
    this.#check(said(before) === said(row), 'pin', row, `was ${said(before)} and is ${said(row)}`);
  }

  #most(row: RunRow): number {
    const turn = turnOf(row);
    const backfill = turn === '' ? undefined : this.#rows.backfills.get(turn);
    return backfill?.maxActiveRuns ?? this.#rows.dags.get(row.dagId)?.maxActiveRuns ?? 1;
  }

  #started(row: RunRow, most: number): void {
    let running = 0;
    for (const other of this.#rows.runs.values())
      if (other.state === 'running' && other.dagId === row.dagId && turnOf(other) === turnOf(row)) running++;
    this.#check(
      running <= most,
      'max_active_runs',
      row,
      `is the ${running}th of ${most} that may run at once`,
    );
  }

  /** By itself a run ends when everything of it has, and as its leaves say. */
  #ended(row: RunRow, before: RunRow | undefined): void {
    if (before?.state !== 'running' && before?.state !== 'queued') return;
    if (row.reason !== '' && row.reason !== 'leaf_failed') return;
    const { tasks } = this.#rows.definitionOf(row);
    const of = new Map<string, TaskRow[]>(tasks.map(({ taskId }) => [taskId, []]));
    for (const task of this.#rows.instances.get(row.run)?.values() ?? [])
      of.get(task.instance?.task ?? '')?.push(task);
    for (const [name, instances] of of) {
      const isOver = instances.length > 0 && instances.every(({ state }) => isFinal(state));
      this.#check(isOver, 'run end', row, `has ended, and ${name} has not`);
    }
    const needed = new Set(tasks.flatMap(({ needs }) => needs));
    const leaves = tasks
      .filter(({ taskId }) => !needed.has(taskId))
      .flatMap(({ taskId }) => of.get(taskId) ?? []);
    const isBad = leaves.some(({ state }) => BAD.has(state));
    this.#check(
      isBad === (row.state === 'failed'),
      'run end',
      row,
      `has ended as ${row.state} against its leaves`,
    );
  }

  /** With catch-up every instant gets a run, without it the newest that has come; none is passed over. */
  #instants(before: DagRow | undefined, row: DagRow): void {
    const { lastInstant, schedule, startDate, endDate, catchup } = row;
    if (before === undefined || lastInstant === null || lastInstant === before.lastInstant) return;
    if (!isTimed(schedule) || timing(before) !== timing(row) || before.nextInstant === null) return;
    let at: WallMs | null = catchup ? before.nextInstant : lastInstant;
    for (; at !== null && at <= lastInstant; at = SIM_TIMETABLE.next(schedule, at, startDate))
      if (!this.#ofInstant.has(`${row.dagId} ${at}`))
        this.#broken({ rule: 'schedule', what: `DAG ${row.dagId} has passed ${at} without a run` });
    const next = SIM_TIMETABLE.next(schedule, lastInstant, startDate);
    const wanted = next === null || (endDate !== null && next > endDate) ? null : next;
    if (row.nextInstant !== wanted)
      this.#broken({
        rule: 'schedule',
        what: `DAG ${row.dagId} goes on with ${row.nextInstant}, not ${wanted}`,
      });
    const made = this.#rows.runs.get(this.#ofInstant.get(`${row.dagId} ${lastInstant}`) as RunKey);
    const isLate = !catchup && made?.type === 'scheduled' && wanted !== null && wanted <= made.createdAt;
    if (isLate && before.nextInstant <= lastInstant)
      this.#broken({
        rule: 'schedule',
        what: `DAG ${row.dagId} makes up for ${lastInstant}, which it must not`,
      });
  }
}

const BAD: ReadonlySet<string> = new Set(['failed', 'upstream_failed', 'cancelled']);

const timing = ({ schedule, startDate, endDate, catchup }: DagRow): string =>
  JSON.stringify([schedule, startDate, endDate, catchup]);

/** Whose limit counts: a backfill's that made it or has it done again, else its DAG's. */
function turnOf({ backfill, rerunBy }: RunRow): string {
  return rerunBy === '' ? backfill : rerunBy;
}
