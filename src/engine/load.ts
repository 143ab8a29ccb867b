import { NOTHING_OF_DAGS } from '../core/dag/inputs.js';
import type { LoadedRows } from '../core/draft.js';
import type { Context, Input, Report } from '../core/inputs.js';
import type { FinishedStretch } from '../core/retention.js';
import type { HistoryRow, TaskRow } from '../core/rows.js';
import type { State } from '../core/state.js';
import type { AgentId, TaskId } from '../kit/ids.js';
import { LazyMap, LazySet } from '../kit/lazy.js';
import type { Store } from '../store/store.js';
import { type Due, readDue } from './deadlines.js';
import { leavesDue, loadDags, loadRunsOf, type Rest } from './load-dags.js';

type Clocks = Pick<Context, 'now' | 'wall' | 'timetable'>;

/** What a batch is decided on; `more` when further tasks are due. */
export type Loaded = LoadedRows & { readonly more: boolean };

/** Names of the rows that a batch of inputs decides on and memory does not have. */
interface Wanted {
  readonly tasks: LazySet<TaskId>;
  readonly histories: LazySet<TaskId>;
  readonly keys: LazySet<string>;
}

/** What most batches need of the store. */
export const NOTHING_LOADED: Loaded = {
  ...{ tasks: new LazyMap(), histories: new LazyMap(), byKey: new LazyMap() },
  ...{ due: [], finished: null, more: false, dags: NOTHING_OF_DAGS },
};

/** What a batch is decided on. Most batches need no row that memory does not have: these wait for nothing. */
export function loadRows(
  store: Store,
  state: State,
  inputs: readonly Input[],
  due: Due | null,
  readFinished: () => Promise<FinishedStretch>,
  clocks: Clocks,
  rest: Rest,
): Loaded | Promise<Loaded> {
  const wanted = wantedBy(state, inputs, clocks);
  const needsRows = due !== null || inputs.some((input) => needsDags(state, input, clocks));
  if (!needsRows && isEmpty(wanted)) return NOTHING_LOADED;
  return readRows(store, state, inputs, wanted, due, readFinished, clocks, rest);
}

/** Whether an input is decided on rows of DAGs that memory does not have, or on what retention reads. */
function needsDags(state: State, input: Input, { wall }: Clocks): boolean {
  if (input.kind === 'tick') return state.dags.isDue(wall);
  if (input.kind === 'heartbeat') return input.beat.reports.some((report) => isUnread(state, report));
  if (input.kind === 'hello') return input.hello.reports.some((report) => isUnread(state, report));
  return READS_DAGS.has(input.kind);
}

/** Inputs that are decided on such rows in any case. */
const READS_DAGS: ReadonlySet<Input['kind']> = new Set([
  'prune',
  'dag',
  'advance',
  'resolve',
  'retry',
  'steer',
]);

/** Whether a report is of an instance whose definition nobody has read since the start. */
function isUnread(state: State, { token }: Report): boolean {
  const run = state.open.get(token)?.instance?.run;
  const view = run === undefined ? undefined : state.dags.runs.get(run);
  return view !== undefined && state.dags.planOf(view.row) === undefined;
}

function wantedBy(state: State, inputs: readonly Input[], clocks: Clocks): Wanted {
  const wanted: Wanted = { tasks: new LazySet(), histories: new LazySet(), keys: new LazySet() };
  for (const input of inputs) want(state, input, wanted, clocks);
  return wanted;
}

function isEmpty({ tasks, histories, keys }: Wanted): boolean {
  return tasks.size + histories.size + keys.size === 0;
}

/** Reads the rows that a batch needs: tasks it names, histories of tokens that are closed, known idempotency keys. */
async function readRows(
  store: Store,
  state: State,
  inputs: readonly Input[],
  wanted: Wanted,
  due: Due | null,
  readFinished: () => Promise<FinishedStretch>,
  clocks: Clocks,
  rest: Rest,
): Promise<Loaded> {
  const read = loadDags(store, state, inputs, clocks, rest);
  const dags = read instanceof Promise ? await read : read;
  for (const taskId of dags.tasks) wantTask(state, taskId, wanted);
  const tasks = new LazyMap<TaskId, TaskRow>();
  if (wanted.tasks.size > 0) {
    for (const row of await store.readTasks([...wanted.tasks])) tasks.set(row.taskId, row);
  }
  const { ends, again } = instancesIn(state, inputs, tasks);
  if (ends.length + again.length > 0) await loadRunsOf(store, state, ends, again, dags, rest);
  // Rows of a whole run come without results: those that were read one by one have them.
  for (const rows of dags.instances.values()) {
    for (const row of rows) if (!tasks.has(row.taskId)) tasks.set(row.taskId, row);
  }
  const histories = new LazyMap<TaskId, HistoryRow[]>();
  for (const taskId of wanted.histories) histories.set(taskId, await store.readHistory(taskId));
  const byKey = new LazyMap<string, TaskRow>();
  if (wanted.keys.size > 0) {
    for (const row of await store.readByIdempotencyKey([...wanted.keys])) byKey.set(row.idempotencyKey, row);
  }
  const { rows: dueRows, more } = due === null ? { rows: [], more: false } : await readDue(store, due);
  for (const row of dueRows) tasks.set(row.taskId, row);
  const prunes = inputs.some((input) => input.kind === 'prune');
  const finished = prunes ? await readFinished() : null;
  return { tasks, histories, byKey, due: dueRows, finished, more: more || leavesDue(dags), dags };
}

/** Instances of runs that a batch may end well, and those that it may have done again. */
function instancesIn(
  state: State,
  inputs: readonly Input[],
  tasks: ReadonlyMap<TaskId, TaskRow>,
): { ends: TaskRow[]; again: TaskRow[] } {
  const [ends, again] = [new LazySet<TaskRow>(), new LazySet<TaskRow>()];
  const find = (taskId: TaskId) => state.knownTask(taskId) ?? tasks.get(taskId);
  const add = (to: LazySet<TaskRow>, task: TaskRow | undefined) => {
    if (task !== undefined && task.instance !== null) to.add(task);
  };
  const report = ({ token, taskId }: Report) => add(ends, state.open.get(token) ?? find(taskId));
  for (const input of inputs) {
    if (input.kind === 'heartbeat') input.beat.reports.forEach(report);
    else if (input.kind === 'hello') input.hello.reports.forEach(report);
    else if (input.kind === 'resolve') add(ends, find(input.taskId));
    else if (input.kind === 'retry') add(again, find(input.taskId));
    else if (input.kind === 'steer' && input.steering.action === 'retry')
      for (const taskId of input.taskIds) add(again, find(taskId));
  }
  return { ends: [...ends], again: [...again] };
}

function want(state: State, input: Input, wanted: Wanted, { now }: Clocks): void {
  switch (input.kind) {
    case 'heartbeat': {
      const { reports, startRequests, triggerEvents } = input.beat;
      const presence = state.presenceOfStream(input.streamId);
      if (presence === undefined) return;
      for (const report of reports) wantReport(state, presence.agentId, report, wanted);
      for (const { taskId } of startRequests) wantTask(state, taskId, wanted);
      for (const { triggerId } of triggerEvents ?? []) {
        const trigger = state.dags.triggers.get(triggerId);
        if (trigger !== undefined) wantTask(state, trigger.taskId, wanted);
      }
      return;
    }
    case 'hello':
      for (const report of input.hello.reports) wantReport(state, input.hello.agentId, report, wanted);
      for (const entry of input.hello.inventory) {
        // P18: a run without an open token may be one of lost commits; its task says whether.
        if (entry.phase === 'asked' || !state.open.has(entry.token)) wantTask(state, entry.taskId, wanted);
      }
      return;
    case 'submit':
      for (const task of input.tasks) if (task.idempotencyKey !== '') wanted.keys.add(task.idempotencyKey);
      return;
    case 'cancel':
    case 'resolve':
    case 'retry':
      wantTask(state, input.taskId, wanted);
      return;
    case 'steer':
      for (const taskId of input.taskIds) wantTask(state, taskId, wanted);
      return;
    case 'tick':
      // What an agent was offered is read when its lease may be over.
      if (now < state.lookAtPresences) return;
      for (const presence of state.presences.values()) {
        for (const taskId of presence.lapsed) wantTask(state, taskId, wanted);
      }
      return;
    case 'prune':
    case 'goodbye':
    case 'snapshot':
    case 'stream_closed':
    case 'stall':
    case 'limit_queue':
    case 'dag':
    case 'advance':
    case 'cordon':
    case 'uncordon':
    case 'drain':
      return;
  }
}

function wantTask(state: State, taskId: TaskId, wanted: Wanted): void {
  if (state.knownTask(taskId) === undefined) wanted.tasks.add(taskId);
}

/** A report that will not simply be recorded needs the history: whether its token was recorded, and whose it was. */
function wantReport(state: State, agentId: AgentId, report: Report, wanted: Wanted): void {
  const open = state.open.get(report.token)?.open;
  if (open?.agentId === agentId) return;
  const taskId = state.open.get(report.token)?.taskId ?? report.taskId;
  wantTask(state, taskId, wanted);
  wanted.histories.add(taskId);
}
