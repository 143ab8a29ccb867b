import { expect } from '@jest/globals';
import { HARVEST } from './support/dags.js';
import { overlaps } from './support/seen.js';
import { tells } from './support/tells.js';

tells(
  'failed-after-three-intervals',
  'The API Server marks an agent as failed if the API server misses three consecutive heartbeat intervals.',
  async (story) => {
    await story.worker('site-a');
    await story.worker('site-b');
    await story.pass('4 s');
    await story.cut('site-a');
    await story.cut('site-b');
    await story.pass('9 s');
    // Two intervals of 5 s have gone by without a heartbeat of either.
    await story.heal('site-b');
    await story.pass('4 s');
    expect(story.said('coordinator', 'is failed')).toEqual([]);
    await story.pass('1 min');

    const [failed, ...others] = story.said('coordinator', 'is failed');
    expect(others).toEqual([]);
    const [, silence] = /^site-a is failed: not heard for (\d+\.\d) s/.exec(failed ?? '') ?? [];
    expect(Number(silence)).toBeGreaterThanOrEqual(15);
    // It looks five times a second.
    expect(Number(silence)).toBeLessThanOrEqual(15.2);
    expect(story.said('site-b', 'goes on with session 2')).toHaveLength(1);
  },
);

tells(
  'what-it-had-is-looked-through',
  'When that happens, the API server checks whether the Agent has any “queued” tasks, or tasks the agent already picked up and started running, but has not yet reported as complete.',
  async (story) => {
    await story.worker('site-a');
    await story.submit('complete', { lasts: '1 s' });
    await story.pass('2 s');
    await story.submit('running', { lasts: '1 min' });
    await story.submit('unreported', { lasts: '5 s' });
    await story.submit('queued');
    await story.pass('1 s');
    expect(story.said('coordinator', 'queued: offered to site-a')).toHaveLength(1);
    await story.cut('site-a');
    await story.pass('20 s');

    const failedAt = story.when('coordinator', 'site-a is failed: not heard for 15.2 s, 2 running');
    expect(story.when('coordinator', 'running: lost, site-a')).toBe(failedAt);
    expect(story.when('coordinator', 'unreported: lost, site-a')).toBe(failedAt);
    expect(story.when('coordinator', 'queued: assignment failed, site-a')).toBe(failedAt);
    expect(story.when('site-a', 'finishes unreported')).toBeLessThan(failedAt);
    // What it had reported as complete stays so.
    expect(await story.history('complete')).toEqual(['submitted', 'permitted', 'success']);

    // And what it has only finished is recorded when it comes back to say so: nobody had to do it again.
    await story.heal('site-a');
    await story.pass('10 s');
    expect(await story.state('unreported')).toBe('success');
    expect(story.startsOf('unreported')).toEqual(['site-a']);
  },
);

tells(
  'a-workers-tasks-are-reassigned',
  'If a worker agent fails, the API server marks those tasks as failed and makes them available for reassignment.',
  async (story) => {
    await story.worker('site-a');
    await story.submit('report-1', { lasts: '1 min' });
    await story.pass('1 s');
    await story.worker('site-b');
    await story.killed('site-a');
    await story.pass('2 min');

    // The try has failed, not the task: losing an agent uses up none of its retries, of which it has none here.
    expect(await story.history('report-1')).toEqual([
      ...['submitted', 'permitted', 'lost', 'requeued'],
      ...['try_lost', 'permitted', 'success'],
    ]);
    expect(story.startsOf('report-1')).toEqual(['site-a', 'site-b']);
    expect(story.when('coordinator', 'report-1: lost, site-a, try 1 (agent_lost)')).toBe(
      story.when('coordinator', 'site-a is failed'),
    );
    expect(story.when('site-b', 'starts report-1')).toBeLessThan(
      story.when('coordinator', 'site-a is failed') + 1_000,
    );
    expect(await story.state('report-1')).toBe('success');
  },
);

tells(
  'triggers-are-reassigned-at-once',
  'If a triggerer Agent fails, the API server immediately reassigns the tasks, since triggerer tasks are short-lived and idempotent.',
  async (story) => {
    await story.processor('parser', { 'harvest.dag.yaml': HARVEST });
    await story.triggerer('east');
    await story.triggers('harvest');
    await story.triggerer('west');
    expect(story.said('east', 'waits for harvest@00:00:03/ripen')).toHaveLength(1);
    await story.killed('east');
    await story.pass('20 s');

    // By the commit that fails it: no hold, no back-off.
    expect(story.when('coordinator', 'trigger of harvest@00:00:03/ripen: goes to west')).toBe(
      story.when('coordinator', 'east is failed'),
    );
    expect(story.waits.map(({ agentId }) => agentId)).toEqual(['east', 'west']);
    expect(overlaps(story.waits)).toEqual([]);

    // What it waits for has not begun anew: two minutes since the task was deferred, not since then.
    await story.pass('2 min');
    const deferredAt = story.when('coordinator', 'harvest@00:00:03/ripen: deferred');
    expect(story.when('west', 'fires for harvest@00:00:03/ripen')).toBeLessThan(deferredAt + 120_100);
    expect(await story.state('harvest@00:00:03/ripen')).toBe('success');
  },
);
