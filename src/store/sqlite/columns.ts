import type { TaskRow } from '../../core/rows.js';
import { decodeTask } from '../codec.js';
import type { Columns } from './driver.js';

export const TASK =
  'task_id, version, state, queue, priority, rank, idempotency_key, submitted, progress, result';
export const TASK_WITHOUT_RESULT = TASK.replace('result', 'NULL AS result');

/** A task from the columns that TASK names. Throws StoreError `corrupt`. */
export const toTask = (c: Columns): TaskRow =>
  decodeTask({
    taskId: c.task_id as string,
    version: c.version as number,
    state: c.state as string,
    queue: c.queue as string,
    priority: c.priority as number,
    rank: c.rank as number,
    idempotencyKey: c.idempotency_key as string,
    submitted: c.submitted as string,
    progress: c.progress as string,
    result: c.result as Uint8Array | null,
  });
