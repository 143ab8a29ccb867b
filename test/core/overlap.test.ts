import { describe, expect, test } from '@jest/globals';
import { overlapOf } from '../../src/core/overlap.js';
import type { HistoryRow, PartitionPolicy } from '../../src/core/rows.js';
import type { AgentId, Epoch, TaskId, Token } from '../../src/kit/ids.js';
import type { WallMs } from '../../src/kit/time.js';
import { ready } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { L, report, world } from './support.js';

/** Permitted to a at 0, then after the loss to b at 10,000. */
const row = (n: number, at: number, event: string, token: number): HistoryRow => ({
  ...{ taskId: 't' as TaskId, n, at: at as WallMs, event, agentId: 'a' as AgentId, epoch: 1n as Epoch },
  ...{ tryNumber: token, token: BigInt(token) as Token, reason: '', message: '', offeredAt: null },
});
const twice = [row(0, 0, 'permitted', 1), row(1, 9_000, 'lost', 1), row(2, 10_000, 'permitted', 2)];
const at = (history: readonly HistoryRow[], ranMs: number, wall = 16_000) =>
  overlapOf(history, 1n as Token, ranMs, wall as WallMs);

describe('two runs at once are proven', () => {
  test('by a run that lasted beyond a newer permit, 1 % of clock rates allowed for', () => {
    expect(at(twice, 10_101)).toEqual({ tryNumber: 2, token: 2n, atMostMs: 6_000 });
    expect(at(twice, 10_100)).toBeNull();
    expect(at(twice, 3_000)).toBeNull();
  });

  test('for no longer than the newer run lasted, if that has ended', () => {
    expect(at([...twice, row(3, 12_000, 'success', 2)], 11_000)?.atMostMs).toBe(2_000);
    expect(at([...twice, row(3, 12_000, 'lost', 2)], 11_000)?.atMostMs).toBe(6_000);
    const third = [...twice, row(3, 12_000, 'try_failed', 2), row(4, 13_000, 'permitted', 3)];
    expect(at(third, 11_000)?.atMostMs).toBe(6_000);
  });

  test('never without a newer permit, nor beside one that was never started', () => {
    expect(at(twice.slice(0, 2), 20_000)).toBeNull();
    expect(at([...twice, row(3, 10_500, 'never_started', 2)], 20_000)).toBeNull();
    expect(overlapOf(twice, 2n as Token, 20_000, 16_000 as WallMs)).toBeNull();
  });
});

/** Lost with a, given to b, which runs it. */
function reassigned(partitionPolicy: PartitionPolicy = 'reassign') {
  const w = world({ stormBrake: false });
  const a = ready(w, 'a');
  const taskId = w.submit({ partitionPolicy });
  a.talk();
  const token = a.only;
  a.vanish();
  w.pass(L);
  const b = ready(w, 'b');
  return { w, a, b, taskId, token };
}

describe('under reassign an overlap is counted and told', () => {
  test('once the cut-off agent has come back and ended its run: once, with how long at most', () => {
    const { w, a, b, taskId, token } = reassigned();
    expect(w.task(taskId)).toMatchObject({ state: 'running', tryNumber: 2 });
    w.pass(1_000);
    b.talk();
    a.connect();
    expect(w.noted('overlap')).toEqual([]);
    a.end(token, 'killed', { ranMs: L + 1_000 }).talk();
    const noted = {
      kind: 'overlap',
      agentId: 'a',
      taskId,
      token,
      newer: b.only,
      partitionPolicy: 'reassign',
    };
    expect(w.noted('overlap')).toMatchObject([{ ...noted, atMostMs: 1_000 }]);
    a.reports.set(token, report(token, 'killed', { taskId, ranMs: L + 1_000 }));
    a.talk();
    expect(w.noted('overlap')).toHaveLength(1);
    const told = (w.histories.get(taskId) ?? []).slice(-2);
    expect(told).toMatchObject([
      { event: 'overlap', tryNumber: 1, token, message: 'ran beside try 2 (token 2) for at most 1000 ms' },
      { event: 'late_report_refused' },
    ]);
    checkWorld(w);
  });

  test('when its run ended while it was cut off, if it is known to have lasted beyond the newer permit', () => {
    for (const [kind, ranMs, count] of [
      ['success', 10 * L, 1],
      ['failed', 10 * L, 1],
      ['success', L / 2, 0],
      ['success', undefined, 0],
      ['lost', 10 * L, 0],
    ] as const) {
      const { w, a, taskId, token } = reassigned();
      a.end(token, kind, { ranMs }).connect();
      expect(w.noted('overlap')).toHaveLength(count);
      expect(w.events(taskId).filter((event) => event === 'overlap')).toHaveLength(count);
      expect(w.events(taskId)).toContain('late_report_refused');
      checkWorld(w);
    }
  });

  test('never of another agent than the one that the token was given to', () => {
    const { w, b, taskId, token } = reassigned();
    b.reports.set(token, report(token, 'success', { taskId, ranMs: 10 * L }));
    b.talk();
    expect(w.noted('overlap')).toEqual([]);
    checkWorld(w);
  });
});
