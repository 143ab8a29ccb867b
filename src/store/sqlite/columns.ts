import type { TaskRow } from '../../core/rows.js';
import { decodeTask } from '../codec.js';
import type { Param } from './driver.js';

export const TASK =
  'task_id, version, state, queue, priority, rank, idempotency_key, submitted, progress, result';
export const TASK_WITHOUT_RESULT = TASK.replace('result', 'NULL AS result');

/** A task from the columns that TASK names, in its order. Throws StoreError `corrupt`. */
export const toTask = (c: readonly Param[]): TaskRow =>
  decodeTask({
    taskId: c[0] as string,
    version: c[1] as number,
    state: c[2] as string,
    queue: c[3] as string,
    priority: c[4] as number,
    rank: c[5] as number,
    idempotencyKey: c[6] as string,
    submitted: c[7] as string,
    progress: c[8] as string,
    result: c[9] as Uint8Array | null,
  });
