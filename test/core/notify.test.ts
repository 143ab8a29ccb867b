import { describe, expect, test } from '@jest/globals';
import { NOTIFICATION_EVENTS } from '../../src/core/rows.js';
import { live, ready, settleDown } from './agent-model.js';
import { L, type PolicyChange, type World, world } from './support.js';

const told = (change: PolicyChange = {}): World => world({ notify: NOTIFICATION_EVENTS, ...change });
const events = (w: World) => w.notifications.map(({ event }) => event);

describe('the outside is told', () => {
  test('of a task that has failed for good, once', () => {
    const w = told({ queuedTimeoutMs: 1_000 });
    const taskId = w.submit({ queuedTimeoutMs: 1_000 });
    w.pass(5_000);
    expect(w.notifications).toEqual([
      {
        id: `task.failed_${taskId}_${w.task(taskId).historyCount}`,
        event: 'task.failed',
        at: expect.any(Number),
        atService: expect.any(Number),
        subject: `task:${taskId}`,
        data: {
          taskId,
          queue: 'default',
          reason: 'queued_timeout',
          message: 'queued for more than 1 s',
          tryNumber: 0,
          agentId: '',
          fencingToken: '0',
          exitCode: null,
        },
      },
    ]);
  });

  test('of an agent that is failed, with what it held', () => {
    const w = told({ stormBrake: false });
    const a = ready(w, 'a');
    w.submit();
    a.talk();
    a.vanish();
    w.pass(L);
    expect(w.notifications).toMatchObject([
      { event: 'agent.failed', subject: 'agent:a', data: { agentId: 'a', lostRuns: 1, sessionEpoch: '1' } },
    ]);
  });

  test('of poison, after the failure of the task', () => {
    const w = told({ stormBrake: false, poisonLimit: 1 });
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    a.talk();
    a.vanish();
    w.pass(L);
    expect(events(w)).toEqual(['task.failed', 'task.poison', 'agent.failed']);
    expect(w.notifications[0]).toMatchObject({ data: { taskId, reason: 'poison' } });
    expect(w.notifications[1]).toMatchObject({
      subject: `task:${taskId}`,
      data: { taskId, agentIds: ['a'] },
    });
  });

  test('of the storm brake', () => {
    const w = told();
    const workers = ['a', 'b', 'c'].map((name) => ready(w, name));
    settleDown(...workers);
    live(w, L, ...workers);
    for (const each of workers) each.vanish();
    w.pass(L);
    expect(w.notifications).toContainEqual(
      expect.objectContaining({ event: 'storm.brake', data: { failed: 3, alive: 3 } }),
    );
    const ids = w.notifications.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('of nothing that nobody has asked for', () => {
    const w = told({ notify: ['agent.failed'], queuedTimeoutMs: 1_000 });
    w.submit({ queuedTimeoutMs: 1_000 });
    w.pass(5_000);
    expect(w.notifications).toEqual([]);
  });
});

describe('the outside is told nothing', () => {
  test('of a try that a retry follows', () => {
    const w = told({ stormBrake: false });
    const a = ready(w, 'a');
    w.submit({ retries: 1 });
    a.talk();
    a.end(a.only, 'failed');
    a.talk();
    expect(events(w)).toEqual([]);
  });

  test('of what a failed commit would have done, and once of what the next one did', () => {
    const w = told({ queuedTimeoutMs: 1_000 });
    w.submit({ queuedTimeoutMs: 1_000 });
    w.advance(5_000);
    w.failCommits = 1;
    w.tick();
    w.tick();
    expect(events(w)).toEqual(['task.failed']);
  });
});
