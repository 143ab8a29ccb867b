import { ReadTaskLogsRequest, TaskServiceService } from '../wire/gen/holdfast/v1/task_service.js';
import type { CallChoices, Channel, StreamLimits } from './channel.js';
import { incomplete } from './errors.js';
import { type PageChoices, pagesOf } from './pages.js';
import type { Steering, SteerStep, TaskSelection } from './steering.js';
import { readAcrossRestarts, type StreamChoices } from './streams.js';
import {
  explanationFromWire,
  logPieceFromWire,
  selectionToWire,
  specToWire,
  steeringToWire,
  taskFromWire,
  taskStateToWire,
  verdictToWire,
} from './translate.js';
import {
  type Explanation,
  type HistoryEvent,
  hasEnded,
  type InstanceName,
  type LogPiece,
  type SubmittedTask,
  type Task,
  type TaskFilter,
  type TaskSpec,
  type Verdict,
} from './types.js';

/** Most tasks of one submission: 500. */
export const SUBMIT_BATCH = 500;
// Well below the coordinator's limit of ids, so that the request stays far from the limit of a message.
const WATCH_BATCH = 5_000;

/** How tasks are listed. */
export interface ListChoices extends PageChoices {
  /** With results and histories: more to read, and smaller pages. Default false. */
  readonly full?: boolean | undefined;
}

/** Which output of a task to read, and how. */
export interface LogChoices extends StreamChoices {
  /** Default: all tries, in order. */
  readonly tryNumber?: number | undefined;
  /** Go on with what is still to come, until the task has ended. Default false. */
  readonly follow?: boolean | undefined;
  /** At most so many bytes of what is there already, from its end. Default all. */
  readonly tailBytes?: number | undefined;
}

/** Submits, reads and steers tasks. */
export class Tasks {
  readonly #channel: Channel;

  /** For `connect`: tasks as seen through this connection. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * Accepts all tasks of the batch (at most 500), durably, or none of them; in the order given. While the coordinator
   * is away it is sent again: an idempotency key, drawn for each task that has none, keeps that from adding tasks.
   */
  async submit(batch: readonly TaskSpec[], choices?: CallChoices): Promise<readonly SubmittedTask[]> {
    const keyed = this.#channel.retries ? batch.map((spec) => this.#withKey(spec)) : batch;
    const request = { tasks: keyed.map(specToWire) };
    const answer = this.#channel.retries
      ? await this.#channel.repeatable(TaskServiceService.submitTasks, request, choices)
      : await this.#channel.once(TaskServiceService.submitTasks, request, choices);
    // A key that was drawn here is known only to an earlier attempt of this very call: to the caller the task is new.
    return answer.tasks.map((task, i) => (batch[i]?.idempotencyKey ? task : { ...task, existing: false }));
  }

  #withKey(spec: TaskSpec): TaskSpec {
    return spec.idempotencyKey ? spec : { ...spec, idempotencyKey: this.#channel.clock.unique() };
  }

  /** Submits one task and waits for its end, over restarts of the coordinator; the task with its result and history. */
  async submitAndWait(spec: TaskSpec, choices: StreamChoices = {}): Promise<Task> {
    const { signal, timeoutMs } = choices;
    const limits = this.#channel.limits(choices);
    const [submitted] = await this.submit([spec], { signal, timeoutMs });
    if (submitted === undefined) throw incomplete('task');
    const { taskId } = submitted;
    for await (const _task of this.#watch(new Set([taskId]), limits, choices));
    return await this.get(taskId, { signal });
  }

  /** One task with its history and result. */
  async get(taskId: string, choices?: CallChoices): Promise<Task> {
    return wanted(await this.#channel.repeatable(TaskServiceService.getTask, { taskId }, choices));
  }

  /** Tasks newest first, without history and result, fetched page by page as they are asked for. */
  list(filter: TaskFilter = {}, choices: ListChoices = {}): AsyncGenerator<Task, void, undefined> {
    const { queue = '', agentId = '', dagId = '', runId = '' } = filter;
    const states = (filter.states ?? []).map(taskStateToWire);
    const wanted = { states, queue, agentId, dagId, runId, full: choices.full ?? false };
    return pagesOf(choices.limit, async (page) => {
      const request = { ...wanted, ...page };
      const answer = await this.#channel.repeatable(TaskServiceService.listTasks, request, choices);
      return { items: answer.tasks.map(taskFromWire), nextPageToken: answer.nextPageToken };
    });
  }

  /** Asks for a task's end: at once, or as a request to its agent. */
  async cancel(taskId: string, reason = '', choices?: CallChoices): Promise<Task> {
    return wanted(await this.#channel.repeatable(TaskServiceService.cancelTask, { taskId, reason }, choices));
  }

  /** Has a task tried again that has ended, with all of its retries. Never sent twice: it may have ended again. */
  async retry(taskId: string, reason = '', choices?: CallChoices): Promise<Task> {
    return wanted(await this.#channel.once(TaskServiceService.retryTask, { taskId, reason }, choices));
  }

  /**
   * Cancels, retries or moves the selected tasks, newest first, in steps of at most 200: each step is told, and whoever
   * stops reading stops it there. Steps go on over restarts of the coordinator; one that is repeated changes nothing more.
   * With `dryRun` nothing is done, and the same is told.
   */
  async *steer(
    steering: Steering,
    selection: TaskSelection,
    choices: CallChoices & {
      readonly reason?: string | undefined;
      readonly dryRun?: boolean | undefined;
    } = {},
  ): AsyncGenerator<SteerStep, void, undefined> {
    const { reason = '', dryRun = false } = choices;
    const request = { ...steeringToWire(steering), selection: selectionToWire(selection), reason, dryRun };
    let pageToken = '';
    do {
      const step = { ...request, pageToken };
      const answer = await this.#channel.repeatable(TaskServiceService.steerTasks, step, choices);
      yield { taskIds: answer.taskIds, skipped: Object.fromEntries(answer.skipped) };
      pageToken = answer.nextPageToken;
    } while (pageToken !== '');
  }

  /**
   * What the task waits for, what happens next and when, and what its policy guarantees. By name an instance of a run that
   * goes on, which has no id while nothing of it is decided: then the task's id is empty.
   */
  async explain(task: string | InstanceName, choices?: CallChoices): Promise<Explanation> {
    const request =
      typeof task === 'string' ? { taskId: task, instance: undefined } : { taskId: '', instance: task };
    const answer = await this.#channel.repeatable(TaskServiceService.explainTask, request, choices);
    if (answer.task === undefined) throw incomplete('task');
    return explanationFromWire(answer, answer.task);
  }

  /** The operator's verdict on a lost try; final at once. Never sent twice: a second verdict would find no lost try. */
  async resolve(taskId: string, verdict: Verdict, reason = '', choices?: CallChoices): Promise<Task> {
    const request = { taskId, verdict: verdictToWire(verdict), reason };
    return wanted(await this.#channel.once(TaskServiceService.resolveTask, request, choices));
  }

  /**
   * Each task as it is now, then again whenever it changes, until all have ended. Goes on over restarts of the
   * coordinator; what was seen already is not repeated. Between two looks a task may have taken several steps: the
   * newest is seen, the last one always. For every step read `events`.
   */
  async *watch(
    taskIds: readonly string[],
    choices: StreamChoices = {},
  ): AsyncGenerator<Task, void, undefined> {
    const limits = this.#channel.limits(choices);
    for (let at = 0; at < taskIds.length; at += WATCH_BATCH) {
      const seen = new Map<string, string>();
      for await (const task of this.#watch(new Set(taskIds.slice(at, at + WATCH_BATCH)), limits, choices)) {
        const face = faceOf(task);
        const same = seen.get(task.taskId) === face;
        seen.set(task.taskId, face);
        if (!same) yield task;
      }
    }
  }

  /**
   * Everything that happens to a task, from its submission to its end: each event once and in order, over restarts of
   * the coordinator as well.
   */
  async *events(taskId: string, choices: StreamChoices = {}): AsyncGenerator<HistoryEvent, void, undefined> {
    const limits = this.#channel.limits(choices);
    let told = 0;
    for await (const { state } of this.#watch(new Set([taskId]), limits, choices)) {
      const { history } = await this.get(taskId, { signal: choices.signal });
      yield* history.slice(told);
      told = Math.max(told, history.length);
      if (hasEnded(state)) return;
    }
  }

  /** Every row of the watched tasks, those that came before the stream was lost once more, until all have ended. */
  async *#watch(
    open: Set<string>,
    limits: StreamLimits,
    choices: StreamChoices,
  ): AsyncGenerator<Task, void, undefined> {
    const channel = this.#channel;
    const stream = () => channel.read(TaskServiceService.watchTasks, { taskIds: [...open] }, limits);
    for await (const message of readAcrossRestarts(channel, limits, stream, () => open.size === 0, choices)) {
      const task = wanted(message);
      if (hasEnded(task.state)) open.delete(task.taskId);
      yield task;
      if (open.size === 0) return;
    }
  }

  /**
   * The output of a task. With `follow` it goes on until the task has ended, over restarts of the coordinator as well
   * (unless `tailBytes` hides how much of it was seen).
   */
  async *logs(taskId: string, choices: LogChoices = {}): AsyncGenerator<LogPiece, void, undefined> {
    const channel = this.#channel;
    const request = ReadTaskLogsRequest.fromPartial({
      taskId,
      tryNumber: choices.tryNumber ?? 0,
      follow: choices.follow ?? false,
      tailBytes: BigInt(choices.tailBytes ?? 0),
    });
    const resumable = request.follow && request.tailBytes === 0n && choices.reconnect !== false;
    const limits = channel.limits(choices);
    const counted = new Map<bigint, number>();
    const open = () => {
      const skip = new Map(counted);
      return skipSeen(channel.read(TaskServiceService.readTaskLogs, request, limits), skip);
    };
    const again = { ...choices, reconnect: resumable };
    const pieces = readAcrossRestarts(channel, limits, open, () => true, again);
    for await (const message of pieces) {
      counted.set(message.fencingToken, (counted.get(message.fencingToken) ?? 0) + message.data.length);
      yield logPieceFromWire(message);
    }
  }
}

/** What of a task its watchers are told of. */
const faceOf = (task: Task): string =>
  [task.state, task.tryNumber, task.fencingToken, task.lost !== undefined, task.cancelRequested].join(' ');

/** Cuts off, for each token, the bytes that an earlier stream has brought already. */
async function* skipSeen<T extends { fencingToken: bigint; data: Buffer }>(
  pieces: AsyncIterable<T>,
  skip: Map<bigint, number>,
): AsyncGenerator<T, void, undefined> {
  for await (const piece of pieces) {
    const seen = Math.min(skip.get(piece.fencingToken) ?? 0, piece.data.length);
    if (seen > 0) skip.set(piece.fencingToken, (skip.get(piece.fencingToken) ?? 0) - seen);
    if (seen === 0) yield piece;
    else if (seen < piece.data.length) yield { ...piece, data: piece.data.subarray(seen) };
  }
}

function wanted(answer: { readonly task: Parameters<typeof taskFromWire>[0] | undefined }): Task {
  if (answer.task === undefined) throw incomplete('task');
  return taskFromWire(answer.task);
}
