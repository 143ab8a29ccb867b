import type { ServerWritableStream } from '@grpc/grpc-js';
import type { NewTask } from '../core/inputs.js';
import type { TaskRow } from '../core/rows.js';
import type { AgentId } from '../kit/ids.js';
import type { Store, TaskFilter } from '../store/store.js';
import type {
  ListTasksRequest,
  ListTasksResponse,
  ReadTaskLogsRequest,
  ReadTaskLogsResponse,
  SubmitTasksRequest,
  SubmitTasksResponse,
  Task,
  TaskServiceServer,
  WatchTasksRequest,
  WatchTasksResponse,
} from '../wire/gen/holdfast/v1/task_service.js';
import { resolveVerdicts, taskStates } from '../wire/names.js';
import { explained } from './explained.js';
import { expectReply, Fault, unary } from './fault.js';
import { followLogs } from './log-reader.js';
import { steerTasks } from './steering.js';
import { newTaskOf } from './submission.js';
import { idOf, instancesOf, shown, type TaskServiceHost } from './task-host.js';
import { taskOf } from './views.js';
import { watchTasks } from './watch.js';

const PAGE = 100;
const PAGE_LIMIT = 1_000;
/** Tasks of a page with results and histories, and the bytes of results after which it ends early. */
const FULL_PAGE = 50;
const FULL_PAGE_BYTES = 1024 * 1024;

/** The public API for tasks: checks, asks the engine or the store, shows. */
export function taskService(host: TaskServiceHost): TaskServiceServer {
  const { log } = host;
  return {
    submitTasks: unary(log, (request) => submit(host, request)),
    getTask: unary(log, async ({ taskId }) => ({ task: await shown(host, idOf(taskId), true) })),
    listTasks: unary(log, (request) => list(host, request)),
    cancelTask: unary(log, async ({ taskId, reason }) => {
      const id = idOf(taskId);
      const reply = await host.engine.call((callId) => ({
        kind: 'cancel',
        callId,
        taskId: id,
        reason: short(reason),
      }));
      return { task: taskOf(expectReply('task', reply).task, host.engine.serviceNow, BARE) };
    }),
    resolveTask: unary(log, async ({ taskId, verdict, reason }) => {
      const id = idOf(taskId);
      const ruling = resolveVerdicts.from(verdict);
      if (ruling === undefined) {
        throw new Fault(
          'INVALID_REQUEST',
          'no verdict',
          'it is unspecified or unknown',
          'say REASSIGN, FAIL or SUCCEED',
        );
      }
      const reply = await host.engine.call((callId) => ({
        kind: 'resolve',
        callId,
        taskId: id,
        verdict: ruling,
        reason: short(reason),
      }));
      return { task: taskOf(expectReply('task', reply).task, host.engine.serviceNow, BARE) };
    }),
    retryTask: unary(log, async ({ taskId, reason }) => {
      const id = idOf(taskId);
      const reply = await host.engine.call((callId) => ({
        kind: 'retry',
        callId,
        taskId: id,
        reason: short(reason),
      }));
      return { task: taskOf(expectReply('task', reply).task, host.engine.serviceNow, BARE) };
    }),
    steerTasks: unary(log, (request) => steerTasks(host, request)),
    explainTask: unary(log, (request) => explained(host, request)),
    watchTasks: (call: ServerWritableStream<WatchTasksRequest, WatchTasksResponse>) => watchTasks(host, call),
    readTaskLogs: (call: ServerWritableStream<ReadTaskLogsRequest, ReadTaskLogsResponse>) =>
      followLogs(host, call),
  };
}

const BARE = { spec: undefined, history: [], result: false } as const;

async function submit(host: TaskServiceHost, request: SubmitTasksRequest): Promise<SubmitTasksResponse> {
  const tasks = newTasks(host, request);
  // The call holds its request until it is answered, and what is held here the collector of garbage copies twice.
  Object.assign(request, { tasks: [] });
  const reply = await host.engine.call((callId) => ({ kind: 'submit', callId, tasks }));
  return { tasks: expectReply('submitted', reply).tasks };
}

function newTasks(host: TaskServiceHost, { tasks }: SubmitTasksRequest): NewTask[] {
  const ctx = host.engine.context();
  const { policy } = ctx;
  if (tasks.length === 0 || tasks.length > policy.limits.submitBatch) {
    const because = `a batch has 1 to ${policy.limits.submitBatch}`;
    throw new Fault('INVALID_REQUEST', `a batch of ${tasks.length} tasks`, because, 'split it');
  }
  return tasks.map((spec, i) => newTaskOf(spec, i, host.newTaskId(), ctx));
}

async function list(
  { engine, store, progress }: TaskServiceHost,
  request: ListTasksRequest,
): Promise<ListTasksResponse> {
  const states = request.states.map((state) => {
    const name = taskStates.from(state);
    if (name !== undefined) return name;
    throw new Fault(
      'INVALID_REQUEST',
      `task state ${state} is unknown`,
      'this coordinator does not know it',
      'leave it out',
    );
  });
  const filter: TaskFilter = {
    ...(states.length > 0 ? { states } : {}),
    ...(request.queue === '' ? {} : { queue: request.queue }),
    ...(request.agentId === '' ? {} : { agentId: request.agentId as AgentId }),
    ...instancesOf(request),
  };
  const size = Math.min(
    request.pageSize === 0 ? PAGE : request.pageSize,
    request.full ? FULL_PAGE : PAGE_LIMIT,
  );
  const before = request.pageToken === '' ? null : idOf(request.pageToken);
  const rows = await store.listTasks(filter, before, size + 1);
  const page = request.full ? await withResults(store, rows.slice(0, size)) : rows.slice(0, size);
  const specs = new Map(
    (await store.readSpecs(page.map((row) => row.taskId))).map((spec) => [spec.taskId, spec]),
  );
  const tasks: Task[] = [];
  for (const row of page) {
    const history = request.full ? await store.readHistory(row.taskId) : [];
    tasks.push(
      taskOf(row, engine.serviceNow, {
        spec: specs.get(row.taskId),
        history,
        result: request.full,
        brief: true,
        progress: progress.of(row),
      }),
    );
  }
  return { tasks, nextPageToken: rows.length > page.length ? (page.at(-1)?.taskId ?? '') : '' };
}

/** The same rows with their results, as many as one message takes; at least one. */
async function withResults(store: Store, rows: readonly TaskRow[]): Promise<TaskRow[]> {
  const full = new Map(
    (await store.readTasks(rows.map(({ taskId }) => taskId))).map((row) => [row.taskId, row]),
  );
  const page: TaskRow[] = [];
  let bytes = 0;
  for (const { taskId } of rows) {
    const row = full.get(taskId);
    if (row === undefined) continue;
    bytes += row.result?.length ?? 0;
    if (page.length > 0 && bytes > FULL_PAGE_BYTES) break;
    page.push(row);
  }
  return page;
}

function short(text: string): string {
  return text.slice(0, 1_024);
}
