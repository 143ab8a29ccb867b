import type { ServerWritableStream } from '@grpc/grpc-js';
import { type RunRow, runKeyOf } from '../core/dag/rows.js';
import { isActive } from '../core/dag/state.js';
import type { TaskRow } from '../core/rows.js';
import type { TaskId } from '../kit/ids.js';
import type { RunInstance, WatchRunRequest, WatchRunResponse } from '../wire/gen/holdfast/v1/dag_service.js';
import type { DagServiceHost } from './dag-host.js';
import { findRun } from './dag-runs.js';
import { instanceOf, runOf } from './dag-views.js';
import { faultOf, serviceError } from './fault.js';

/** Instances of one message. */
const TOGETHER = 500;

type WatchCall = ServerWritableStream<WatchRunRequest, WatchRunResponse>;

/**
 * Sends a run and its instances as they are, then whatever changes, until the run has ended. A slow reader misses steps,
 * never the last one: only the newest row of each waits for it. Whoever lost the stream asks again.
 */
export function watchRun(host: DagServiceHost, call: WatchCall): void {
  const { dagId, runId } = call.request;
  const waiting = new Map<TaskId, TaskRow>();
  let run: RunRow | null = null;
  let blocked = true;
  let ended = false;
  const flush = () => {
    blocked = false;
    if (ended) return;
    // A run that begins is told before its instances, one that has ended after them.
    if (run !== null && isActive(run)) {
      const row = run;
      run = null;
      blocked = !call.write({ run: runOf(row), instances: [] });
    }
    if (waiting.size > 0 && !blocked) {
      blocked = !call.write({ run: undefined, instances: taken(waiting) });
      // One message a turn: those of thousands of instances would keep heartbeats waiting.
      if (waiting.size > 0 && !blocked) {
        blocked = true;
        void host.rest().then(flush);
      }
    }
    if (run === null || isActive(run) || waiting.size > 0 || blocked) return;
    ended = true;
    stop();
    call.write({ run: runOf(run), instances: [] });
    call.end();
  };
  const tell = () => {
    if (!blocked) flush();
  };
  // What changes while the rows are read is told as well, and is newer than they are.
  const stop = host.runWatchers.watch(runKeyOf(dagId, runId), {
    run(row) {
      run = row;
      tell();
    },
    instance(row) {
      waiting.set(row.taskId, row);
      tell();
    },
  });
  call.on('drain', flush);
  call.on('close', stop);
  call.on('cancelled', stop);
  call.on('error', stop);
  const told = (row: RunRow, instances: readonly TaskRow[]) => {
    run ??= row;
    for (const instance of instances)
      if (!waiting.has(instance.taskId)) waiting.set(instance.taskId, instance);
  };
  read(host, call, told).then(
    () => flush(),
    (error: unknown) => {
      stop();
      call.emit('error', serviceError(faultOf(error, host.log)));
    },
  );
}

/**
 * The run is read first: instances that its end has left behind are then never missed. They are read page by page, each in
 * a turn of its own, and told once all of them are there.
 */
async function read(
  host: DagServiceHost,
  call: WatchCall,
  told: (row: RunRow, instances: readonly TaskRow[]) => void,
): Promise<void> {
  const { dagId, runId } = call.request;
  const row = await findRun(host, dagId, runId);
  let after: TaskId | null = null;
  do {
    const page: readonly TaskRow[] = await host.store.readInstances(row.run, after, TOGETHER);
    told(row, page);
    after = page.length < TOGETHER ? null : (page.at(-1)?.taskId ?? null);
    if (after !== null) await host.rest();
  } while (after !== null && !call.cancelled);
}

function taken(waiting: Map<TaskId, TaskRow>): RunInstance[] {
  const instances: RunInstance[] = [];
  for (const [taskId, row] of waiting) {
    waiting.delete(taskId);
    const instance = instanceOf(row);
    if (instance !== null) instances.push(instance);
    if (instances.length === TOGETHER) break;
  }
  return instances;
}
