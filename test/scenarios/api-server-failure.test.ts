import { expect } from '@jest/globals';
import { overlaps } from './support/runs.js';
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
