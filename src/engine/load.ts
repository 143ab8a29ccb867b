import { NOTHING_OF_DAGS } from '../core/dag/draft.js';
import type { LoadedRows } from '../core/draft.js';
import type { Input, Report } from '../core/inputs.js';
import type { FinishedStretch } from '../core/retention.js';
import type { HistoryRow, TaskRow } from '../core/rows.js';
import type { State } from '../core/state.js';
import type { AgentId, TaskId } from '../kit/ids.js';
import type { WallMs } from '../kit/time.js';
import type { Store } from '../store/store.js';
import { type Due, readDue } from './deadlines.js';
import { loadDags } from './load-dags.js';

/** What a batch is decided on; `more` when further tasks are due. */
export type Loaded = LoadedRows & { readonly more: boolean };

/** Names of the rows that a batch of inputs decides on and memory does not have. */
interface Wanted {
  readonly tasks: Set<TaskId>;
  readonly histories: Set<TaskId>;
  readonly keys: Set<string>;
}

/** What a batch is decided on. Most batches need no row that memory does not have: these wait for nothing. */
export function loadRows(
  ...[store, state, inputs, due, readFinished, wall]: Parameters<typeof readRows>
): Loaded | Promise<Loaded> {
  const needsRows = due !== null || inputs.some(({ kind }) => kind === 'prune' || isOfDags(kind));
  if (needsRows || !isEmpty(wantedBy(state, inputs))) {
    return readRows(store, state, inputs, due, readFinished, wall);
  }
  // Made anew each time: what is loaded belongs to its batch.
  const none = { tasks: new Map(), histories: new Map(), byKey: new Map() };
  return { ...none, due: [], finished: null, more: false, dags: NOTHING_OF_DAGS };
}

/** Inputs that are decided on rows of DAGs. */
function isOfDags(kind: Input['kind']): boolean {
  return kind === 'dag' || kind === 'advance';
}

function wantedBy(state: State, inputs: readonly Input[]): Wanted {
  const wanted: Wanted = { tasks: new Set(), histories: new Set(), keys: new Set() };
  for (const input of inputs) want(state, input, wanted);
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
  due: Due | null,
  readFinished: () => Promise<FinishedStretch>,
  wall: WallMs,
): Promise<Loaded> {
  const wanted = wantedBy(state, inputs);
  const ofDags = inputs.some(({ kind }) => isOfDags(kind))
    ? await loadDags(store, state, inputs, wall)
    : null;
  for (const taskId of ofDags?.tasks ?? []) wantTask(state, taskId, wanted);
  const tasks = new Map<TaskId, TaskRow>();
  if (wanted.tasks.size > 0) {
    for (const row of await store.readTasks([...wanted.tasks])) tasks.set(row.taskId, row);
  }
  const histories = new Map<TaskId, HistoryRow[]>();
  for (const taskId of wanted.histories) histories.set(taskId, await store.readHistory(taskId));
  const byKey = new Map<string, TaskRow>();
  if (wanted.keys.size > 0) {
    for (const row of await store.readByIdempotencyKey([...wanted.keys])) byKey.set(row.idempotencyKey, row);
  }
  const { rows: dueRows, more } = due === null ? { rows: [], more: false } : await readDue(store, due);
  for (const row of dueRows) tasks.set(row.taskId, row);
  const prunes = inputs.some((input) => input.kind === 'prune');
  const finished = prunes ? await readFinished() : null;
  return { tasks, histories, byKey, due: dueRows, finished, more, dags: ofDags?.dags ?? NOTHING_OF_DAGS };
}

function want(state: State, input: Input, wanted: Wanted): void {
  switch (input.kind) {
    case 'heartbeat': {
      const presence = state.presenceOfStream(input.streamId);
      if (presence === undefined) return;
      for (const report of input.beat.reports) wantReport(state, presence.agentId, report, wanted);
      for (const { taskId } of input.beat.startRequests) wantTask(state, taskId, wanted);
      for (const { triggerId } of input.beat.triggerEvents ?? []) {
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
