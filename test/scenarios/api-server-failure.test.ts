import { expect } from '@jest/globals';
import { HARVEST } from './support/dags.js';
import { overlaps } from './support/seen.js';
import { tells } from './support/tells.js';

tells(
  'others-are-taken-to-be-healthy',
  'If an agent’s heartbeats can’t reach the API server, the agent assumes that the API server and other agents remain healthy.',
  async (story) => {
    await story.worker('site-a');
    await story.worker('site-b');
    await story.submit('report-1', { lasts: '90 s', policy: 'hold' });
    await story.submit('report-2', { lasts: '90 s', policy: 'hold' });
    await story.pass('1 s');
    expect([story.startsOf('report-1'), story.startsOf('report-2')]).toEqual([['site-a'], ['site-b']]);
    await story.cut('site-a');
    await story.pass('1 min');

    // It gives up nothing, takes nothing over, and dials for as long as it takes; so nobody else is disturbed.
    const site = story.agent('site-a');
    expect(site.isUp).toBe(true);
    expect(story.said('site-a', 'stops')).toEqual([]);
    expect(story.said('site-a', 'cannot reach the coordinator').length).toBeGreaterThan(2);
    await story.submit('report-3');
    await story.pass('20 s');
    expect(story.startsOf('report-3')).toEqual(['site-b']);

    // Nor does it matter whether it is the coordinator that is gone: both go on, and are there again when it is.
    await story.coordinatorDies();
    await story.heal('site-a');
    await story.pass('30 s');
    expect(story.said('site-a', 'finishes report-1')).toHaveLength(1);
    expect(story.said('site-b', 'finishes report-2')).toHaveLength(1);
    await story.coordinatorStarts();
    await story.pass('10 s');
    expect([await story.state('report-1'), await story.state('report-2')]).toEqual(['success', 'success']);
    expect(story.runs).toHaveLength(3);
  },
);

tells(
  'a-worker-starts-nothing-while-cut-off',
  'A worker continues running any tasks that the API server already marked as running, but the worker doesn’t start new tasks until it reconnects with the API server.',
  async (story) => {
    await story.worker('site-a', 1);
    await story.submit('report-1', { lasts: '5 s' });
    await story.submit('report-2', { lasts: '30 s' });
    await story.pass('1 s');
    await story.coordinatorDies();
    await story.pass('1 min');

    // Its slot is free, and it was offered the other one: nobody is there to confirm it.
    expect(story.said('coordinator', 'report-2: offered to site-a')).toHaveLength(1);
    expect(story.said('site-a', 'finishes report-1')).toHaveLength(1);
    expect(story.runs).toHaveLength(1);

    await story.coordinatorStarts();
    await story.pass('10 s');
    expect(await story.state('report-1')).toBe('success');
    expect(story.startsOf('report-2')).toEqual(['site-a']);
    expect(story.when('site-a', 'starts report-2')).toBeGreaterThan(
      story.when('site-a', 'goes on with session 1'),
    );
  },
);

tells('no-task-on-two-agents', 'This prevents two agents from running the same task.', async (story) => {
  await story.worker('site-a');
  await story.submit('ledger', { lasts: '2 min', policy: 'single_run' });
  await story.pass('1 s');
  // The confirmation of the other one is on its way when nothing arrives at site-a any more.
  story.slowNetwork('site-a', '1 s');
  await story.submit('report-1');
  await story.pass('1500 ms');
  await story.cut('site-a', 'down');
  await story.pass('5 s');
  expect(story.said('coordinator', 'report-1: start confirmed to site-a')).toHaveLength(1);
  await story.worker('site-b');
  await story.pass('1 min');
  expect(story.startsOf('report-1')).toEqual(['site-b']);

  // It arrives at last, and starts nothing; what was running under single_run had ended before it began elsewhere.
  await story.heal('site-a');
  await story.pass('3 min');
  expect(story.startsOf('report-1')).toEqual(['site-b']);
  expect(story.startsOf('ledger')).toEqual(['site-a', 'site-b']);
  expect(overlaps(story.runs)).toEqual([]);
  expect([await story.state('report-1'), await story.state('ledger')]).toEqual(['success', 'success']);
});

tells(
  'a-triggerer-stops-while-cut-off',
  'A triggerer stops processing tasks entirely until it restores connectivity.',
  async (story) => {
    await story.processor('parser', { 'harvest.dag.yaml': HARVEST });
    await story.triggerer('east');
    for (const _ of ['one', 'two', 'three']) {
      await story.triggers('harvest');
      await story.pass('1 s');
    }
    expect(story.waits).toHaveLength(3);
    await story.cut('east');
    await story.pass('10 s');

    // All of them, and at once: one and a half intervals after it last heard of the coordinator.
    const stoppedAt = story.when('east', 'has lost its stream');
    expect(story.waits.map(({ to }) => to)).toEqual([stoppedAt, stoppedAt, stoppedAt]);
    expect(stoppedAt).toBeLessThan(story.when('—', 'east is cut off') + 7_500);

    // Their time comes, and nobody notices.
    await story.pass('3 min');
    expect(story.said('east', 'fires')).toEqual([]);
    expect(story.waits).toHaveLength(3);

    await story.heal('east');
    await story.pass('10 s');
    expect(story.waits).toHaveLength(6);
    expect(story.said('east', 'fires')).toHaveLength(3);
    expect(story.when('east', 'fires')).toBeGreaterThan(story.when('—', 'the network of east is mended'));
    expect(story.said('coordinator', 'ripen: success')).toHaveLength(3);
  },
);

tells(
  'no-trigger-on-two-triggerers',
  'Since triggerer workloads are designed to be reassigned immediately when disconnected, trigger execution stops during the partition.',
  async (story) => {
    await story.processor('parser', { 'harvest.dag.yaml': HARVEST });
    await story.triggerer('east');
    await story.triggers('harvest');
    await story.triggerer('west');
    await story.cut('east', 'down');
    await story.pass('30 s');

    // It had stopped before it was reassigned: that is why it may be reassigned at once.
    const [first, second] = story.waits;
    expect([first?.agentId, second?.agentId]).toEqual(['east', 'west']);
    expect(first?.to).toBeLessThan(second?.from ?? 0);
    expect(second?.from).toBeLessThan(story.when('coordinator', 'east is failed') + 100);

    await story.heal('east');
    await story.pass('3 min');
    expect(story.waits).toHaveLength(2);
    expect(story.said('coordinator', 'ripen: success')).toHaveLength(1);
  },
);

tells(
  'safe-through-partial-failures',
  'This behavior preserves task safety and prevents duplication for both workers and triggerers, even during partial failures or network partitions.',
  async (story) => {
    await story.processor('parser', { 'harvest.dag.yaml': HARVEST });
    for (const triggerer of ['east', 'west']) await story.triggerer(triggerer);
    for (const worker of ['site-a', 'site-b']) await story.worker(worker, 4);
    const tasks = ['ledger-1', 'ledger-2', 'ledger-3', 'ledger-4', 'ledger-5', 'ledger-6'];
    for (const task of tasks) await story.submit(task, { lasts: '90 s', policy: 'single_run' });
    await story.triggers('harvest');
    await story.pass('1 s');
    await story.triggers('harvest');

    // What it says does not arrive; what is said to it does not; the coordinator dies; and one is cut off altogether.
    await story.cut('site-a', 'up');
    await story.cut('east', 'down');
    await story.pass('20 s');
    await story.coordinatorDies();
    await story.pass('5 s');
    await story.coordinatorStarts();
    await story.heal('site-a');
    await story.cut('site-b');
    await story.pass('40 s');
    await story.heal('east');
    await story.cut('west', 'up');
    await story.pass('40 s');
    await story.heal('site-b');
    await story.heal('west');
    await story.pass('4 min');

    expect(overlaps(story.runs)).toEqual([]);
    expect(overlaps(story.waits)).toEqual([]);
    for (const task of tasks) {
      expect(await story.state(task)).toBe('success');
      expect((await story.history(task)).filter((event) => event === 'success')).toHaveLength(1);
    }
    expect(await story.dagRuns('harvest')).toEqual([
      expect.stringMatching(/ success$/),
      expect.stringMatching(/ success$/),
    ]);
    expect(story.said('coordinator', 'ripen: success')).toHaveLength(2);
    // Every start was confirmed, under a token that nobody else had.
    expect(new Set(story.runs.map(({ token }) => token)).size).toBe(story.runs.length);
    for (const { task, agentId, token, from } of story.runs)
      expect(
        story.when('coordinator', `${task}: start confirmed to ${agentId}, token ${token}`),
      ).toBeLessThan(from);
  },
);
