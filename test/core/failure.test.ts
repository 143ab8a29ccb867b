import { describe, expect, test } from '@jest/globals';
import { HOLD_RULES, type LossCase, stormBrake } from '../../src/core/failure.js';
import { singleRunReleaseMs } from '../../src/core/lease.js';
import type { PartitionPolicy } from '../../src/core/rows.js';
import type { TaskId } from '../../src/kit/ids.js';
import type { ServiceMs } from '../../src/kit/time.js';
import { agent, live, ready, settleDown } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { L, type PolicyChange, type World, world } from './support.js';

/** A task that ran on agent a when a was lost. */
function lostRun(partitionPolicy: PartitionPolicy, change: PolicyChange = {}) {
  const w = world({ stormBrake: false, ...change });
  const a = ready(w, 'a');
  const taskId = w.submit({ partitionPolicy });
  a.talk();
  a.vanish();
  w.pass(L);
  return { w, a, taskId, token: a.only };
}

const TASK_POLICIES: readonly PartitionPolicy[] = ['reassign', 'single_run', 'hold'];

describe('P11: who may run next after a loss', () => {
  const c = (change: {
    policy?: PartitionPolicy;
    brake?: boolean;
    kind?: string;
    silentMs?: number | null;
  }) =>
    ({
      task: { partitionPolicy: change.policy ?? 'reassign', holdTimeoutMs: 86_400_000, killGraceMs: 10_000 },
      session: { leaseMs: L, kind: change.kind ?? 'worker' },
      brake: change.brake ?? false,
      service: 100_000 as ServiceMs,
      silentMs: change.silentMs === undefined ? L : change.silentMs,
      serviceStart: 90_000 as ServiceMs,
    }) as LossCase;
  const table: readonly [string, LossCase, string, number | null][] = [
    ['hold waits for its timeout', c({ policy: 'hold' }), 'hold', 100_000 + 86_400_000],
    ['hold outranks the storm brake', c({ policy: 'hold', brake: true }), 'hold', 100_000 + 86_400_000],
    [
      'single_run counts from the last heartbeat',
      c({ policy: 'single_run' }),
      'single_run',
      100_000 - L + singleRunReleaseMs(L, 10_000),
    ],
    [
      'single_run counts from our start when no heartbeat is known',
      c({ policy: 'single_run', silentMs: null }),
      'single_run',
      90_000 + singleRunReleaseMs(L, 10_000),
    ],
    ['the storm brake holds for one further L', c({ brake: true }), 'storm_brake', 100_000 + L],
    ['the storm brake is for workers only', c({ brake: true, kind: 'triggerer' }), 'reassign', null],
    ['reassign holds nothing', c({}), 'reassign', null],
  ];
  for (const [claim, loss, rule, heldUntil] of table) {
    test(`row ${rule}: ${claim}`, () => {
      const row = HOLD_RULES.find((r) => r.when(loss));
      expect(row?.name).toBe(rule);
      expect(row?.heldUntil(loss)).toBe(heldUntil);
    });
  }
});

describe('a worker is lost', () => {
  test('before a permit: its task is queued as before, no try counted, the offer noted as failed', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    const { queuedSince } = w.task(taskId);
    a.cut();
    expect(w.state.offered.has(taskId)).toBe(false);
    w.pass(L);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', tryNumber: 0, queuedSince, losses: [] });
    expect(w.events(taskId)).toEqual(['submitted', 'assignment_failed']);
    checkWorld(w);
  });

  test('while its stream is only lost: what runs goes on, and nothing is decided before the lease is over (P4)', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk().cut();
    w.pass(L - 1);
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { lost: null } });
    w.pass(1);
    expect(w.task(taskId).open?.lost).not.toBeNull();
  });

  test('under reassign: its task is queued again at once, and another worker may run it', () => {
    const { w, taskId } = lostRun('reassign');
    expect(w.task(taskId)).toMatchObject({
      state: 'queued',
      open: { lost: { rule: 'reassign', heldUntil: null } },
    });
    expect(w.events(taskId)).toEqual(['submitted', 'permitted', 'lost', 'requeued']);
    const b = ready(w, 'b');
    expect(w.task(taskId)).toMatchObject({ state: 'running', tryNumber: 2, lastAgentId: 'b' });
    expect(w.events(taskId).slice(-2)).toEqual(['try_lost', 'permitted']);
    expect(b.only).toBe(2n);
    checkWorld(w);
  });

  test('under single_run: held until L, the kill grace and a pause have passed since the last heartbeat', () => {
    const { w, taskId } = lostRun('single_run');
    const b = ready(w, 'b');
    const wait = singleRunReleaseMs(L, w.policy.task.killGraceMs) - L;
    live(w, wait - 1_000, b);
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { lost: { rule: 'single_run' } } });
    live(w, 1_000, b);
    b.talk();
    expect(w.task(taskId)).toMatchObject({ state: 'running', lastAgentId: 'b', tryNumber: 2 });
    checkWorld(w);
  });

  test('under hold: held until the operator rules, or the hold timeout', () => {
    const { w, taskId } = lostRun('hold');
    w.advance(w.policy.task.holdTimeoutMs - 2_000);
    w.tick();
    expect(w.task(taskId).state).toBe('running');
    w.pass(3_000);
    expect(w.task(taskId).state).toBe('queued');
    checkWorld(w);
  });

  test('with a permit that it never showed: nothing is charged', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.deaf = true;
    a.beat().vanish();
    w.pass(L);
    expect(w.task(taskId).losses).toEqual([]);
  });
});

describe('a worker that was lost and returns', () => {
  for (const policy of TASK_POLICIES) {
    test(`gets its started run back and is not charged (${policy})`, () => {
      const { w, a, taskId, token } = lostRun(policy);
      expect(w.task(taskId).losses).toHaveLength(1);
      a.connect().talk();
      expect(a.epoch).toBe(2n);
      expect(a.verdicts).toEqual([{ kind: 'keep', token, nonce: 0n }]);
      expect(w.task(taskId)).toMatchObject({
        state: 'running',
        tryNumber: 1,
        losses: [],
        open: { epoch: 2n, lost: null },
      });
      a.end(token).talk();
      expect(w.task(taskId).state).toBe('success');
      expect(w.events(taskId)).toContain('adopted');
      checkWorld(w);
    });

    test(`gets its finished result recorded, uncharged (${policy})`, () => {
      const { w, a, taskId, token } = lostRun(policy);
      a.end(token).connect();
      expect(a.acknowledged).toEqual([{ token, disposition: 'recorded' }]);
      expect(w.task(taskId)).toMatchObject({ state: 'success', losses: [] });
      checkWorld(w);
    });
  }

  test('gets its run back even when cordoned', () => {
    const { w, a, taskId } = lostRun('reassign');
    w.call((callId) => ({ kind: 'cordon', callId, agentId: a.agentId }));
    a.connect().talk();
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { lost: null } });
  });

  test('takes the replacement back from whom it was only offered to', () => {
    const { w, a, taskId } = lostRun('reassign');
    const b = agent(w, 'b').connect();
    b.asking = false;
    expect(b.offers.has(taskId)).toBe(true);
    a.connect();
    expect(b.offers.has(taskId)).toBe(false);
    expect(w.task(taskId)).toMatchObject({ state: 'running', lastAgentId: 'a' });
    checkWorld(w);
  });

  test('too late is told to stop its run as superseded, and what it reports is kept apart (I10)', () => {
    const { w, a, taskId, token } = lostRun('reassign');
    const b = ready(w, 'b');
    a.connect().talk();
    expect(a.verdicts).toEqual([{ kind: 'stop', token, reason: 'superseded' }]);
    a.end(token).talk();
    expect(a.acknowledged).toEqual([{ token, disposition: 'stale' }]);
    expect(w.task(taskId)).toMatchObject({ state: 'running', lastAgentId: 'b' });
    expect(w.events(taskId).at(-1)).toBe('late_report_refused');
    b.end(b.only).talk();
    expect(w.task(taskId).state).toBe('success');
    checkWorld(w);
  });

  test('in the batch in which another asks for its task: the first of both wins, never both', () => {
    for (const first of ['hello', 'start'] as const) {
      const { w, a, taskId } = lostRun('reassign');
      const b = agent(w, 'b').connect();
      const start = b.beatInput();
      const hello = a.helloInput();
      w.feed(...(first === 'hello' ? [hello, start] : [start, hello]));
      expect(w.task(taskId).lastAgentId).toBe(first === 'hello' ? 'a' : 'b');
      expect(a.verdicts[0]?.kind).toBe(first === 'hello' ? 'keep' : 'stop');
      settleDown(a, b);
      checkWorld(w);
    }
  });

  test('without the run it had, and without a report, has lost it at once (P13)', () => {
    for (const policy of TASK_POLICIES) {
      const { w, a, taskId, token } = lostRun(policy);
      a.forgetRun(token);
      a.connect();
      expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null });
      expect(w.events(taskId)).toContain('lost_reported');
      checkWorld(w);
    }
  });
});

describe('poison (P14)', () => {
  const loseOn = (w: World, taskId: TaskId, ...names: readonly string[]): void => {
    for (const name of names) {
      const a = ready(w, name);
      expect(w.task(taskId).lastAgentId).toBe(a.agentId);
      a.vanish();
      w.pass(L);
    }
  };

  test('the third lost try that was seen running fails the task, and names the agents it took down', () => {
    const w = world({ stormBrake: false });
    const taskId = w.submit({ retries: 5 });
    loseOn(w, taskId, 'a1', 'a2');
    expect(w.task(taskId)).toMatchObject({ state: 'queued', retriesUsed: 0 });
    loseOn(w, taskId, 'a3');
    expect(w.task(taskId)).toMatchObject({ state: 'failed', reason: 'poison', open: null, retriesUsed: 0 });
    expect(w.task(taskId).message).toContain('a1, a2, a3');
    expect(w.noted('poison')).toHaveLength(1);
    checkWorld(w);
  });

  test('is judged when P11 releases, so an agent that returns before saves its task', () => {
    const w = world({ stormBrake: false });
    const taskId = w.submit({ partitionPolicy: 'single_run', killGraceMs: 1_000 });
    for (const name of ['a1', 'a2']) {
      ready(w, name).vanish();
      w.pass(2 * L);
    }
    const a3 = ready(w, 'a3').vanish();
    w.pass(L);
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { lost: { charged: true } } });
    expect(w.task(taskId).losses).toHaveLength(3);
    a3.connect().talk();
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { lost: null } });
    expect(w.task(taskId).losses).toHaveLength(2);
    a3.end(a3.only).talk();
    expect(w.task(taskId).state).toBe('success');
    checkWorld(w);
  });

  test('counts a run that its agent reports as lost once, and answers the repeated report as recorded', () => {
    const w = world({ poisonLimit: 1 });
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const token = a.only;
    a.end(token, 'lost').deaf = true;
    a.beat();
    expect(w.task(taskId)).toMatchObject({ state: 'failed', reason: 'poison' });
    // The try has an outcome of its own beside the end of the task (I2).
    expect(w.events(taskId).slice(-2)).toEqual(['lost_reported', 'poison']);
    a.cut().deaf = false;
    a.unread.length = 0;
    a.connect();
    expect(a.acknowledged).toEqual([{ token, disposition: 'already_recorded' }]);
    expect(w.events(taskId)).not.toContain('late_report_refused');
  });

  test('charges a lost try once: failing the agent and its later report of the loss are one loss', () => {
    const { w, a, taskId, token } = lostRun('hold');
    a.end(token, 'lost').connect();
    expect(w.task(taskId).losses).toHaveLength(1);
  });

  test('does not charge a run that was killed in a session that lives', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    a.asking = false;
    a.end(a.only, 'killed', { reason: 'gate' }).talk();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', losses: [], retriesUsed: 0 });
    checkWorld(w);
  });
});

describe('the storm brake (P8)', () => {
  test('needs three failures and more than half of those alive', () => {
    expect(stormBrake(2, 2)).toBe(false);
    expect(stormBrake(3, 3)).toBe(true);
    expect(stormBrake(3, 5)).toBe(true);
    expect(stormBrake(3, 6)).toBe(false);
    expect(stormBrake(4, 6)).toBe(true);
  });

  const storm = (on: boolean, policy: PartitionPolicy = 'reassign') => {
    const w = world({ stormBrake: on });
    const workers = ['a', 'b', 'c'].map((name) => ready(w, name));
    const taskIds = workers.map(() => w.submit({ partitionPolicy: policy }));
    settleDown(...workers);
    live(w, L, ...workers);
    for (const each of workers) each.vanish();
    w.pass(L);
    return { w, workers, taskIds };
  };

  test('holds the work of all of them back for one further L, charged to no budget', () => {
    const { w, taskIds } = storm(true);
    for (const taskId of taskIds) {
      expect(w.task(taskId)).toMatchObject({
        state: 'running',
        losses: [],
        open: { lost: { rule: 'storm_brake' } },
      });
    }
    expect(w.noted('storm_brake').length).toBeGreaterThan(0);
    w.pass(L);
    for (const taskId of taskIds) expect(w.task(taskId)).toMatchObject({ state: 'queued', losses: [] });
    checkWorld(w);
  });

  test('is told once for a storm, however its failures are spread, and again for the next one', () => {
    const w = world();
    const workers = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ready(w, name));
    settleDown(...workers);
    live(w, L, ...workers);
    for (const [i, each] of workers.entries()) {
      each.vanish();
      live(w, L / 3, ...workers.slice(i + 1));
    }
    w.pass(L);
    expect([...w.sessions.values()].filter(({ state }) => state === 'failed')).toHaveLength(6);
    expect(w.noted('storm_brake')).toMatchObject([{ failed: 3, alive: 5 }]);
    w.pass(L);
    const others = ['g', 'h', 'i'].map((name) => ready(w, name));
    settleDown(...others);
    live(w, L, ...others);
    for (const each of others) each.vanish();
    w.pass(L);
    expect(w.noted('storm_brake')).toMatchObject([{ failed: 3 }, { failed: 3, alive: 3 }]);
    checkWorld(w);
  });

  test('gives returning agents their runs back', () => {
    const { w, workers, taskIds } = storm(true);
    for (const each of workers) each.connect().talk();
    for (const taskId of taskIds)
      expect(w.task(taskId)).toMatchObject({ state: 'running', open: { lost: null } });
    checkWorld(w);
  });

  test('charges no budget under single_run and hold either', () => {
    for (const policy of ['single_run', 'hold'] as const) {
      const { w, taskIds } = storm(true, policy);
      for (const taskId of taskIds) {
        expect(w.task(taskId)).toMatchObject({
          losses: [],
          open: { lost: { rule: policy, charged: false } },
        });
      }
    }
  });

  test('can be turned off', () => {
    const { w, taskIds } = storm(false);
    for (const taskId of taskIds) expect(w.task(taskId).state).toBe('queued');
    for (const taskId of taskIds) expect(w.task(taskId).losses).toHaveLength(1);
  });
});
