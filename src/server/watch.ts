import type { ServerWritableStream } from '@grpc/grpc-js';
import { isFinal, type TaskRow } from '../core/rows.js';
import type { TaskId } from '../kit/ids.js';
import type { WatchTasksRequest, WatchTasksResponse } from '../wire/gen/holdfast/v1/task_service.js';
import { Fault, faultOf, serviceError } from './fault.js';
import { idOf, noTask, type TaskServiceHost } from './task-host.js';
import { taskOf } from './views.js';

const WATCH_LIMIT = 10_000;

type WatchCall = ServerWritableStream<WatchTasksRequest, WatchTasksResponse>;

/**
 * Sends each watched task as it is, then whenever it changes, until all have ended. A slow reader misses steps, never
 * the last one: only the newest row of each task waits for it.
 */
export function watchTasks(host: TaskServiceHost, call: WatchCall): void {
  const waiting = new Map<TaskId, TaskRow>();
  const open = new Set<TaskId>();
  const stops: (() => void)[] = [];
  let blocked = true;
  const over = () => {
    for (const stop of stops.splice(0)) stop();
  };
  const flush = () => {
    blocked = false;
    for (const [taskId, row] of waiting) {
      if (blocked) return;
      waiting.delete(taskId);
      if (isFinal(row.state)) open.delete(taskId);
      const progress = host.progress.of(row);
      const shown = { spec: undefined, history: [], result: true, progress } as const;
      const task = taskOf(row, host.engine.serviceNow, shown);
      blocked = !call.write({ task });
    }
    if (open.size > 0 || waiting.size > 0) return;
    // A task that has ended may still change in its history: nothing may be written after the end.
    over();
    call.end();
  };
  const tell = (row: TaskRow) => {
    waiting.set(row.taskId, row);
    if (!blocked) flush();
  };
  call.on('drain', flush);
  call.on('close', over);
  call.on('cancelled', over);
  call.on('error', over);
  begin(host, call, open, (taskId) => stops.push(host.watchers.watch(taskId, tell))).then(
    (rows) => {
      for (const row of rows) if (!waiting.has(row.taskId)) waiting.set(row.taskId, row);
      flush();
    },
    (error: unknown) => {
      over();
      call.emit('error', serviceError(faultOf(error, host.log)));
    },
  );
}

async function begin(
  host: TaskServiceHost,
  call: WatchCall,
  open: Set<TaskId>,
  watch: (taskId: TaskId) => void,
): Promise<TaskRow[]> {
  const taskIds = call.request.taskIds.map(idOf);
  if (taskIds.length === 0 || taskIds.length > WATCH_LIMIT) {
    throw new Fault(
      'INVALID_REQUEST',
      `${taskIds.length} tasks to watch`,
      `one call watches 1 to ${WATCH_LIMIT}`,
      'split it',
    );
  }
  for (const taskId of taskIds) {
    open.add(taskId);
    watch(taskId);
  }
  const rows = await host.store.readTasks([...open]);
  const found = new Set(rows.map((row) => row.taskId));
  for (const taskId of open) {
    if (found.has(taskId)) continue;
    throw noTask(host, taskId);
  }
  return rows;
}
