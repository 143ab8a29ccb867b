import type { TaskId } from '../../kit/ids.js';
import { invariant } from '../../kit/invariant.js';
import { later } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import { rankOf } from '../rank.js';
import type { TaskRow, Work } from '../rows.js';
import { move, UNTRIED } from '../task.js';
import type { TaskDefinition } from './definition.js';
import type { Instance } from './rows.js';
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
  /** Of one without work: what it gives. */
  readonly result?: Uint8Array;
}

const HAPPENED = {
  skipTask: 'skipped',
  failUpstream: 'upstream_failed',
  failTask: 'failed',
  succeedTask: 'success',
} as const;

/** Ends an instance that nobody runs: skipped, failed because of its needs or templates, or without any work. */
export function endUnrun(draft: Draft, instance: NewInstance, unrun: Unrun): TaskRow {
  const { edge, reason, message, result } = unrun;
  const given = result === undefined ? {} : { result, resultType: 'application/json' };
  const change = { ...decided(draft, instance), ...given, reason, message, endedAt: draft.ctx.wall };
  return draft.put(move(rowOf(draft, instance), edge, change), { event: HAPPENED[edge], reason, message });
}

/** An instance whose needs are decided and whose work is known: it waits for room in its run and its pool. */
export function makeReady(draft: Draft, instance: NewInstance, work: Work): TaskRow {
  const row = rowOf(draft, instance);
  draft.specs.push({ taskId: row.taskId, work, traceparent: '' });
  return draft.put(
    { ...row, ...decided(draft, instance), reason: '', message: '' },
    { event: 'submitted', reason: 'scheduled' },
  );
}

/** An instance whose needs are decided and that waits for an event: once it has come, the instance is decided again. */
export function makeWaiting(
  draft: Draft,
  instance: NewInstance,
  kind: string,
  timeoutMs: number | null,
): TaskRow {
  const { instance: at, rank } = decided(draft, instance);
  const waiting = {
    rank,
    instance: { ...at, ready: false },
    notBefore: timeoutMs === null ? null : later(draft.ctx.service, timeoutMs),
    resume: null,
    reason: kind,
  };
  return draft.put(move(rowOf(draft, instance), 'deferTask', waiting), { event: 'deferred', reason: kind });
}

/** The row of an instance before anything is decided of it: a new one, or the one that was cleared. */
function rowOf(draft: Draft, { view, task, mapIndex }: NewInstance): TaskRow {
  const known = view.get(task.taskId, mapIndex);
  if (known === undefined) return newRow(draft, view, task, mapIndex, draft.ctx.newTaskId());
  const row = draft.task(known.taskId);
  invariant(row !== undefined, 'an instance that was cleared is read before it is decided');
  return row;
}

/** It is decided now; its place among others counts from here. */
function decided(
  draft: Draft,
  { view, task, mapIndex }: NewInstance,
): { readonly rank: number; readonly instance: Instance; readonly resume: null } {
  const { service, policy } = draft.ctx;
  const { pool, poolSlots } = task;
  return {
    rank: rankOf(task.priority, service, policy),
    instance: { run: view.row.run, task: task.taskId, mapIndex, pool, poolSlots, ready: true },
    // The event of its wait is in what was filled in; no segment has to be given it.
    resume: null,
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
    ...UNTRIED,
    taskId,
    version: 0,
    queue: task.queue,
    priority: task.priority,
    requiredLabels: task.requiredLabels,
    // Known before its work is filled in, and never changed: whoever inserts the row inserts it with this.
    handler: task.work.kind === 'handler' ? task.work.name : '',
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
    rank: 0,
    queuedSince: null,
    instance: {
      run: view.row.run,
      task: task.taskId,
      mapIndex,
      pool: task.pool,
      poolSlots: task.poolSlots,
      ready: false,
    },
  };
}
