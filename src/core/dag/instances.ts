import type { TaskId } from '../../kit/ids.js';
import { NO_TOKEN } from '../../kit/ids.js';
import { invariant } from '../../kit/invariant.js';
import type { Draft } from '../draft.js';
import { rankOf } from '../rank.js';
import type { TaskRow, Work } from '../rows.js';
import { move, type TaskChange } from '../task.js';
import type { TaskDefinition } from './definition.js';
import type { RunView } from './run-view.js';

/** An instance that is decided for the first time, or once more after a clear. */
export interface NewInstance {
  readonly view: RunView;
  readonly task: TaskDefinition;
  readonly mapIndex: number;
}

/** What there is to say of an instance that ends without having been tried. */
export interface Unrun {
  readonly edge: 'skipTask' | 'failUpstream' | 'failTask' | 'succeedTask';
  readonly reason: string;
  readonly message: string;
}

const HAPPENED = {
  skipTask: 'skipped',
  failUpstream: 'upstream_failed',
  failTask: 'failed',
  succeedTask: 'success',
} as const;

/** Ends an instance that nobody runs: skipped, failed because of its needs or templates, or without any work. */
export function endUnrun(draft: Draft, instance: NewInstance, { edge, reason, message }: Unrun): TaskRow {
  const change = { ...decided(draft, instance), reason, message, endedAt: draft.ctx.wall };
  return draft.put(move(rowOf(draft, instance), edge, change), { event: HAPPENED[edge], reason, message });
}

/** An instance whose needs are decided and whose work is known: it waits for room in its run and its pool. */
export function makeReady(draft: Draft, instance: NewInstance, work: Work): TaskRow {
  const row = rowOf(draft, instance);
  draft.specs.push({ taskId: row.taskId, work, traceparent: '' });
  const ready = { ...row, ...decided(draft, instance), handler: work.kind === 'handler' ? work.name : '' };
  return draft.put(ready, { event: 'submitted', reason: 'scheduled' });
}

/** The row of an instance before anything is decided of it: a new one, or the one that was cleared. */
function rowOf(draft: Draft, { view, task, mapIndex }: NewInstance): TaskRow {
  const known = view.of(task.taskId).get(mapIndex);
  if (known === undefined) return newRow(draft, view, task, mapIndex, draft.ctx.newTaskId());
  const row = draft.task(known.taskId);
  invariant(row !== undefined, 'an instance that was cleared is read before it is decided');
  return row;
}

/** It is decided now; its place among others counts from here. */
function decided(draft: Draft, { view, task, mapIndex }: NewInstance): TaskChange {
  const { service, policy } = draft.ctx;
  const { pool, poolSlots } = task;
  return {
    rank: rankOf(task.priority, service, policy),
    instance: { run: view.row.run, task: task.taskId, mapIndex, pool, poolSlots, ready: true },
  };
}

function newRow(
  draft: Draft,
  view: RunView,
  task: TaskDefinition,
  mapIndex: number,
  taskId: TaskId,
): TaskRow {
  const { wall, policy } = draft.ctx;
  return {
    taskId,
    version: 0,
    queue: task.queue,
    priority: task.priority,
    requiredLabels: task.requiredLabels,
    handler: '',
    partitionPolicy: task.partitionPolicy,
    retries: task.retries,
    retryBackoff: task.retryBackoff,
    executionTimeoutMs: task.executionTimeoutMs,
    queuedTimeoutMs: task.queuedTimeoutMs ?? policy.queuedTimeoutMs,
    killGraceMs: task.killGraceMs,
    holdTimeoutMs: task.holdTimeoutMs,
    concurrencyKey: '',
    concurrencyLimit: 1,
    startAfter: null,
    startBefore: null,
    idempotencyKey: '',
    contentHash: '',
    submittedAt: wall,
    state: 'scheduled',
    reason: '',
    message: '',
    tryNumber: 0,
    rank: 0,
    retriesUsed: 0,
    retried: 0,
    releaseAt: null,
    queuedSince: null,
    queuedMs: 0,
    notBefore: null,
    neverStarted: 0,
    open: null,
    losses: [],
    stopRequest: null,
    lastToken: NO_TOKEN,
    lastAgentId: '',
    exitCode: null,
    result: null,
    resultType: '',
    endedAt: null,
    historyCount: 0,
    instance: {
      run: view.row.run,
      task: task.taskId,
      mapIndex,
      pool: task.pool,
      poolSlots: task.poolSlots,
      ready: false,
    },
    resume: null,
  };
}
