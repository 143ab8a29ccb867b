import { describe, expect, test } from '@jest/globals';
import { isFinal, type OpenPermit, type TaskRow, type TaskState } from '../../src/core/rows.js';
import {
  dueAt,
  EDGES,
  type Edge,
  executionDeadline,
  hasExpired,
  leaveQueue,
  move,
  queuedDeadline,
  wallDueAt,
} from '../../src/core/task.js';
import { InvariantError } from '../../src/kit/invariant.js';
import type { ServiceMs, WallMs } from '../../src/kit/time.js';
import { L, world } from './support.js';

const STATES: readonly TaskState[] = [
  'scheduled',
  'queued',
  'running',
  'success',
  'failed',
  'up_for_retry',
  'deferred',
  'upstream_failed',
  'skipped',
  'cancelled',
];

const w = world();
const base = w.task(w.submit());
const open = {
  token: 1n,
  tryNumber: 1,
  permittedAtService: 1_000 as ServiceMs,
  lost: null,
} as OpenPermit;
const at = (ms: number) => ms as ServiceMs;
const row = (change: Partial<TaskRow>): TaskRow => ({ ...base, ...change });

describe('the edges', () => {
  const legal: Record<Edge, readonly TaskState[]> = {
    queueTask: ['scheduled'],
    confirmStart: ['queued'],
    voidPermit: ['running', 'queued'],
    holdLostTry: ['running'],
    releaseLostTry: ['running'],
    adoptRun: ['running', 'queued'],
    regainRun: ['scheduled', 'queued', 'running', 'up_for_retry', 'deferred'],
    succeedTask: ['scheduled', 'running', 'queued'],
    failTask: ['scheduled', 'running', 'queued', 'up_for_retry', 'deferred'],
    retryTask: ['running', 'queued', 'deferred'],
    deferTask: ['running', 'queued', 'scheduled'],
    resumeTask: ['deferred'],
    resumeInstance: ['deferred'],
    queueRetry: ['up_for_retry'],
    scheduleRetry: ['up_for_retry'],
    skipTask: ['scheduled', 'running', 'queued'],
    failUpstream: ['scheduled'],
    requeueFinal: ['success', 'failed', 'upstream_failed', 'skipped', 'cancelled'],
    rescheduleFinal: ['cancelled'],
    clearTask: STATES,
    markSuccess: STATES,
    markFailed: STATES,
    cancelTask: ['scheduled', 'queued', 'running', 'up_for_retry', 'deferred'],
  };
  for (const edge of Object.keys(EDGES) as Edge[]) {
    test(`${edge} leads to ${EDGES[edge].to} from ${legal[edge].join(', ')}, and from nowhere else`, () => {
      const leads = (state: TaskState) => move(row({ state }), edge, {}).state;
      for (const state of legal[edge]) expect(leads(state)).toBe(EDGES[edge].to);
      const illegal = STATES.filter((state) => !legal[edge].includes(state));
      for (const state of illegal) expect(() => leads(state)).toThrow(InvariantError);
    });
  }

  test('nothing leaves a final state but an operator’s retry, clear or mark', () => {
    const left = Object.entries(EDGES).filter(([, { from }]) => from.some((state) => isFinal(state)));
    expect(left.map(([edge]) => edge)).toEqual([
      'requeueFinal',
      'rescheduleFinal',
      'clearTask',
      'markSuccess',
      'markFailed',
    ]);
  });

  test('to a final state close the token and end every wait (P10)', () => {
    const task = row({
      state: 'running',
      open,
      notBefore: at(9),
      stopRequest: { kind: 'cancel', reason: '', at: w.wall },
    });
    expect(move(task, 'succeedTask', {})).toMatchObject({
      open: null,
      stopRequest: null,
      queuedSince: null,
      notBefore: null,
    });
  });

  test('clear the reason of the state before', () => {
    expect(move(row({ state: 'up_for_retry', reason: 'exit_code' }), 'queueRetry', {}).reason).toBe('');
  });
});

describe('deadlines', () => {
  test('leaving the queue keeps the time spent in it', () => {
    expect(leaveQueue(row({ queuedSince: at(1_000), queuedMs: 500 }), at(4_000))).toEqual({
      queuedSince: null,
      queuedMs: 3_500,
      notBefore: null,
    });
  });

  test('the queued timeout is strictly more, and counts what was gathered before (P12)', () => {
    const task = row({ state: 'queued', queuedSince: at(0), queuedMs: 100, queuedTimeoutMs: 1_000 });
    expect(queuedDeadline(task)).toBe(901);
    expect(queuedDeadline({ ...task, state: 'running' })).toBeNull();
  });

  test('a delayed task waits for its start_after, and any task that never started for its start_before', () => {
    const [startAfter, startBefore] = [50 as WallMs, 90 as WallMs];
    const task = row({ state: 'scheduled', startAfter, startBefore, queuedSince: null });
    expect(wallDueAt(task)).toBe(50);
    expect(wallDueAt({ ...task, state: 'queued' })).toBe(90);
    expect(wallDueAt({ ...task, state: 'queued', startBefore: null })).toBeNull();
    const started = { ...task, state: 'queued', tryNumber: 1 } as const;
    expect([wallDueAt(started), hasExpired(started, startBefore)]).toEqual([null, false]);
    expect([89, 90].map((wall) => hasExpired(task, wall as WallMs))).toEqual([false, true]);
  });

  test('the execution timeout is ours one lease and a grace after the agent’s; a lost or asked run has none', () => {
    const task = row({
      state: 'running',
      open,
      executionTimeoutMs: 2_000,
      killGraceMs: 300,
      queuedSince: null,
    });
    expect(executionDeadline(task, L)).toBe(1_000 + 2_000 + 300 + L);
    const lost = { at: w.wall, heldUntil: null, rule: 'hold', charged: false };
    expect(executionDeadline({ ...task, open: { ...open, lost } }, L)).toBeNull();
    expect(executionDeadline({ ...task, executionTimeoutMs: null }, L)).toBeNull();
    expect(
      executionDeadline({ ...task, stopRequest: { kind: 'timeout', reason: '', at: w.wall } }, L),
    ).toBeNull();
  });

  test('the next of them is when something must happen', () => {
    const queued = row({ state: 'queued', queuedSince: at(0), queuedTimeoutMs: 1_000 });
    expect(dueAt(queued, L)).toBe(1_001);
    expect(dueAt({ ...queued, notBefore: at(300) }, L)).toBe(300);
    const lost = { at: w.wall, heldUntil: at(700), rule: 'hold', charged: false };
    expect(dueAt(row({ state: 'running', queuedSince: null, open: { ...open, lost } }), L)).toBe(700);
    expect(dueAt(row({ state: 'success', queuedSince: null }), L)).toBeNull();
  });
});
