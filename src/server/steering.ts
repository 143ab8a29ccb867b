import { isSelected, type Selection, type Steering } from '../core/steer.js';
import { NAME_PATTERN, type TaskId } from '../kit/ids.js';
import type { WallMs } from '../kit/time.js';
import type {
  SteerTasksRequest,
  SteerTasksResponse,
  TaskSelection,
} from '../wire/gen/holdfast/v1/task_service.js';
import { steerActions, taskStates } from '../wire/names.js';
import { expectReply, Fault } from './fault.js';
import { idOf, instancesOf, type TaskServiceHost } from './task-host.js';

/** Tasks that one step looks at, and at most changes. */
const STEP = 200;
const IDS_LIMIT = 10_000;

const refuse = (what: string, because: string, advice: string): never => {
  throw new Fault('INVALID_REQUEST', what, because, advice);
};

/** One bounded step over the selected tasks: found in the store, decided by the core, with all else in one inbox. */
export async function steerTasks(
  { engine, store }: TaskServiceHost,
  request: SteerTasksRequest,
): Promise<SteerTasksResponse> {
  const steering = steeringOf(request);
  const { chosen, taskIds } = selectionOf(request.selection);
  const { found, next } = await stretch(request.pageToken);
  const reply = await engine.call((callId) => ({
    ...{ kind: 'steer', callId, steering, chosen, taskIds: found },
    ...{ reason: request.reason.slice(0, 1_024), dryRun: request.dryRun },
  }));
  const { done, skipped } = expectReply('steered', reply);
  return { taskIds: [...done], skipped: new Map(skipped), nextPageToken: next };

  async function stretch(token: string): Promise<{ found: TaskId[]; next: string }> {
    const before = token === '' ? null : idOf(token);
    if (taskIds !== null) {
      const rest = before === null ? taskIds : taskIds.filter((taskId) => taskId < before);
      const found = rest.slice(0, STEP);
      return { found, next: rest.length > STEP ? (found.at(-1) ?? '') : '' };
    }
    const { states, queue, run, dagId } = chosen;
    const filter = {
      ...{ ...(states && { states }), ...(queue !== undefined && { queue }) },
      ...{ ...(run !== undefined && { run }), ...(dagId !== undefined && { dagId }) },
    };
    const rows = await store.listTasks(filter, before, STEP);
    const found = rows.filter((row) => isSelected(row, chosen)).map(({ taskId }) => taskId);
    return { found, next: rows.length === STEP ? (rows.at(-1)?.taskId ?? '') : '' };
  }
}

function steeringOf({ action: number, queue }: SteerTasksRequest): Steering {
  const action = steerActions.from(number);
  if (action === undefined)
    return refuse('no action', 'it is unspecified or unknown', 'say CANCEL, RETRY or MOVE');
  if (action !== 'move')
    return queue === '' ? { action } : refuse('queue is set', 'only MOVE takes one', 'leave it out');
  if (!NAME_PATTERN.test(queue))
    refuse(
      `queue ${JSON.stringify(queue.slice(0, 140))} is not a name`,
      'names are 1 to 128 of A-Z a-z 0-9 . _ -, starting with a letter or digit',
      'name the queue to move to',
    );
  return { action, queue };
}

/** With the ids newest first, each once; null when none are named. */
function selectionOf(selection: TaskSelection | undefined): { chosen: Selection; taskIds: TaskId[] | null } {
  const { states = [], queue = '', concurrencyKey = '', taskIds = [] } = selection ?? {};
  const labels = Object.fromEntries(selection?.requiredLabels ?? []);
  const [submittedAfter, submittedBefore] = [selection?.submittedAfter, selection?.submittedBefore].map(
    (at) => at?.getTime() as WallMs | undefined,
  );
  const chosen: Selection = {
    labels,
    ...(states.length > 0 ? { states: states.map(stateOf) } : {}),
    ...(queue === '' ? {} : { queue }),
    ...(concurrencyKey === '' ? {} : { concurrencyKey }),
    ...(submittedAfter === undefined ? {} : { submittedAfter }),
    ...(submittedBefore === undefined ? {} : { submittedBefore }),
    ...instancesOf({ dagId: selection?.dagId ?? '', runId: selection?.runId ?? '' }),
  };
  if (taskIds.length > IDS_LIMIT)
    refuse(`${taskIds.length} task ids`, `at most ${IDS_LIMIT} may be named`, 'split them');
  if (taskIds.length === 0 && Object.keys(labels).length === 0 && Object.keys(chosen).length === 1)
    refuse(
      'the selection is empty',
      'it would mean every task',
      'name states, a queue, labels, a key, times, a DAG, a run or ids',
    );
  const ids = [...new Set(taskIds.map(idOf))].sort().reverse();
  return { chosen, taskIds: ids.length === 0 ? null : ids };
}

function stateOf(number: number) {
  return (
    taskStates.from(number) ??
    refuse(`task state ${number} is unknown`, 'this coordinator does not know it', 'leave it out')
  );
}
