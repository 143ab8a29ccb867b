import type { TaskRow } from '../../core/rows.js';
import { decodeTask } from '../codec.js';
import type { Columns } from './driver.js';

export const TASK =
  'task_id, version, state, queue, priority, rank, idempotency_key, submitted, progress, result';
/** Where these columns are. */
export const TASKS = 'tasks JOIN submissions USING (task_id)';
export const TASK_WITHOUT_RESULT = TASK.replace('result', 'NULL::bytea AS result');

/** A task from the columns that TASK names. Throws StoreError `corrupt`. */
export const toTask = (c: Columns): TaskRow =>
  decodeTask({
    taskId: c.task_id as string,
    version: c.version as number,
    state: c.state as string,
    queue: c.queue as string,
    priority: c.priority as number,
    rank: c.rank as number,
    idempotencyKey: fromText(c.idempotency_key as string),
    submitted: c.submitted as string,
    progress: c.progress as string,
    result: c.result as Uint8Array | null,
  });

const NUL = '\u0000';
/** Of the private use area: stands for NUL, and itself is written twice over. */
const MARK = '\ue000';

/** PostgreSQL's text holds every character but NUL, and people may send that. For free text without a JSON of its own around it. */
export const toText = (text: string): string =>
  text.includes(NUL) || text.includes(MARK)
    ? text.replaceAll(MARK, `${MARK}1`).replaceAll(NUL, `${MARK}0`)
    : text;

/** What toText() was given. */
export const fromText = (text: string): string =>
  text.includes(MARK) ? text.replaceAll(`${MARK}0`, NUL).replaceAll(`${MARK}1`, MARK) : text;
