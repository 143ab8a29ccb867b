import { ReadTaskLogsRequest, TaskServiceService } from '../wire/gen/holdfast/v1/task_service.js';
import type { CallChoices, Channel } from './channel.js';
import { HoldfastError } from './errors.js';
import { readAcrossRestarts, type StreamChoices } from './streams.js';
import {
  explanationFromWire,
  logPieceFromWire,
  specToWire,
  taskFromWire,
  taskStateToWire,
  verdictToWire,
} from './translate.js';
import {
  type Explanation,
  hasEnded,
  type LogPiece,
  type SubmittedTask,
  type Task,
  type TaskFilter,
  type TaskSpec,
  type Verdict,
} from './types.js';

/** Most tasks of one submission. */
export const SUBMIT_BATCH = 500;
// Well below the coordinator's limit of ids, so that the request stays far from the limit of a message.
const WATCH_BATCH = 5_000;
const PAGE = 100;

export interface ListChoices extends CallChoices {
  /** At most so many tasks. Default all. */
  readonly limit?: number | undefined;
  /** With results and histories: more to read, and smaller pages. Default false. */
  readonly full?: boolean | undefined;
}

export interface LogChoices extends StreamChoices {
  /** Default: all tries, in order. */
  readonly tryNumber?: number | undefined;
  /** Go on with what is still to come, until the task has ended. */
  readonly follow?: boolean | undefined;
  /** At most so many bytes of what is there already, from its end. */
  readonly tailBytes?: number | undefined;
}

/** Submits, reads and steers tasks. */
export class Tasks {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Accepts all tasks of the batch (at most 500), durably, or none of them; in the order given. */
  async submit(batch: readonly TaskSpec[], choices?: CallChoices): Promise<readonly SubmittedTask[]> {
    const request = { tasks: batch.map(specToWire) };
    return (await this.#channel.unary(TaskServiceService.submitTasks, request, choices)).tasks;
  }

  /** One task with its history and result. */
  async get(taskId: string, choices?: CallChoices): Promise<Task> {
    return wanted(await this.#channel.unary(TaskServiceService.getTask, { taskId }, choices));
  }

  /** Tasks newest first, without history and result, fetched page by page as they are asked for. */
  async *list(filter: TaskFilter = {}, choices: ListChoices = {}): AsyncGenerator<Task, void, undefined> {
    let left = choices.limit ?? Number.POSITIVE_INFINITY;
    let pageToken = '';
    while (left > 0) {
      const request = {
        states: (filter.states ?? []).map(taskStateToWire),
        queue: filter.queue ?? '',
        agentId: filter.agentId ?? '',
        pageSize: Math.min(left, PAGE),
        pageToken,
        full: choices.full ?? false,
      };
      const page = await this.#channel.unary(TaskServiceService.listTasks, request, choices);
      for (const task of page.tasks.slice(0, left)) yield taskFromWire(task);
      left -= page.tasks.length;
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }

  /** Asks for a task's end: at once, or as a request to its agent. */
  async cancel(taskId: string, reason = '', choices?: CallChoices): Promise<Task> {
    return wanted(await this.#channel.unary(TaskServiceService.cancelTask, { taskId, reason }, choices));
  }

  /** What the task waits for, what happens next and when, and what its policy guarantees. */
  async explain(taskId: string, choices?: CallChoices): Promise<Explanation> {
    const answer = await this.#channel.unary(TaskServiceService.explainTask, { taskId }, choices);
    if (answer.task === undefined) throw incomplete();
    return explanationFromWire(answer, answer.task);
  }

  /** The operator's verdict on a lost try; final at once. */
  async resolve(taskId: string, verdict: Verdict, reason = '', choices?: CallChoices): Promise<Task> {
    const request = { taskId, verdict: verdictToWire(verdict), reason };
    return wanted(await this.#channel.unary(TaskServiceService.resolveTask, request, choices));
  }

  /**
   * Each task as it is now, then again whenever it changes, until all have ended. Goes on over restarts of the
   * coordinator; what was seen already is not repeated.
   */
  async *watch(
    taskIds: readonly string[],
    choices: StreamChoices = {},
  ): AsyncGenerator<Task, void, undefined> {
    for (let at = 0; at < taskIds.length; at += WATCH_BATCH) {
      yield* this.#watchSome(new Set(taskIds.slice(at, at + WATCH_BATCH)), choices);
    }
  }

  async *#watchSome(open: Set<string>, choices: StreamChoices): AsyncGenerator<Task, void, undefined> {
    const channel = this.#channel;
    const seen = new Map<string, string>();
    const stream = () => channel.read(TaskServiceService.watchTasks, { taskIds: [...open] }, choices.signal);
    for await (const message of readAcrossRestarts(stream, () => open.size === 0, channel.clock, choices)) {
      const task = wanted(message);
      if (hasEnded(task.state)) open.delete(task.taskId);
      const face = [
        task.state,
        task.tryNumber,
        task.fencingToken,
        task.lost !== undefined,
        task.cancelRequested,
      ];
      const same = seen.get(task.taskId) === face.join(' ');
      seen.set(task.taskId, face.join(' '));
      if (!same) yield task;
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
    const counted = new Map<bigint, number>();
    const open = () => {
      const skip = new Map(counted);
      return skipSeen(channel.read(TaskServiceService.readTaskLogs, request, choices.signal), skip);
    };
    const pieces = readAcrossRestarts(open, () => true, channel.clock, { ...choices, reconnect: resumable });
    for await (const message of pieces) {
      counted.set(message.fencingToken, (counted.get(message.fencingToken) ?? 0) + message.data.length);
      yield logPieceFromWire(message);
    }
  }
}

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
  if (answer.task === undefined) throw incomplete();
  return taskFromWire(answer.task);
}

const incomplete = (): HoldfastError =>
  new HoldfastError({
    code: 'INCOMPLETE_ANSWER',
    grpcStatus: 13,
    what: 'the coordinator answered without the task that was asked for',
  });
