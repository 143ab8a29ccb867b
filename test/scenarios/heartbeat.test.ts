import { expect } from '@jest/globals';
import { tells } from './support/tells.js';

tells(
  'queued-work-fails-with-its-agent',
  'When the heartbeat between the API server and a Remote Execution Agent is disrupted, the Astro executor prevents task duplication by marking queued tasks from that agent as failed.',
  async (story) => {
    await story.worker('site-a', 1);
    await story.submit('report-1', { lasts: '1 min' });
    await story.submit('report-2');
    await story.pass('1 s');
    expect(story.said('coordinator', 'report-2: offered to site-a')).toHaveLength(1);

    await story.cut('site-a');
    await story.pass('2 min');

    // The assignment has failed; the task has not: nothing of it was ever started, so nothing is repeated.
    expect(story.said('coordinator', 'report-2: assignment failed, site-a (agent_lost)')).toHaveLength(1);
    expect(await story.state('report-2')).toBe('queued');
    // Its slot has been free for a minute.
    expect(story.said('site-a', 'finishes report-1')).toHaveLength(1);
    expect(story.startsOf('report-2')).toEqual([]);
  },
);

tells(
  'it-goes-to-healthy-agents',
  'This makes tasks eligible for reassignment to healthy agents.',
  async (story) => {
    await story.worker('site-a', 1);
    await story.submit('report-1', { lasts: '1 min' });
    await story.submit('report-2');
    await story.pass('1 s');
    await story.cut('site-a');
    await story.pass('10 s');
    await story.worker('site-b');
    await story.pass('10 s');

    // What was only queued there may go once the stream is lost, what was running once the agent is failed.
    expect(story.startsOf('report-2')).toEqual(['site-b']);
    expect(story.startsOf('report-1')).toEqual(['site-a', 'site-b']);
    const failedAt = story.when('coordinator', 'site-a is failed');
    expect(story.when('site-b', 'starts report-2')).toBeGreaterThan(
      story.when('coordinator', 'site-a is suspect'),
    );
    expect(story.when('site-b', 'starts report-1')).toBeGreaterThan(failedAt);
    expect(story.when('site-b', 'starts report-1')).toBeLessThan(failedAt + 1_000);
    expect(await story.state('report-2')).toBe('success');
  },
);

tells(
  'no-start-without-confirmation',
  'To ensure safe task execution, an agent must receive explicit confirmation from the API server before starting any task.',
  async (story) => {
    await story.worker('site-a');
    story.slowNetwork('site-a', '1 s');
    await story.submit('report-1');
    await story.pass('1500 ms');

    // It has been offered the task, has a free slot, an open gate, and has asked: that is not enough.
    expect(story.said('site-a', 'asks to start report-1')).toHaveLength(1);
    await story.coordinatorDies();
    await story.pass('3 s');
    expect(story.agent('site-a').gateOpen).toBe(true);
    expect(story.runs).toEqual([]);

    await story.coordinatorStarts();
    await story.pass('20 s');

    // Durable first, then told, then heard, then started.
    const permittedAt = story.when('coordinator', 'report-1: permitted, site-a');
    expect(story.when('coordinator', 'report-1: start confirmed to site-a')).toBe(permittedAt);
    expect(story.startsOf('report-1')).toEqual(['site-a']);
    expect(story.when('site-a', 'starts report-1')).toBeGreaterThan(permittedAt + 1_000);
  },
);

tells(
  'confirmed-work-goes-on',
  'If an agent loses connectivity with the API server, the agent continues executing any tasks that the API server already confirmed and marked as running, but the agent will not start new tasks until heartbeat communication is restored.',
  async (story) => {
    await story.worker('site-a');
    await story.submit('report-1', { lasts: '20 s' });
    await story.pass('1 s');
    story.slowStarts('site-a', '15 s');
    await story.submit('report-2');
    await story.pass('1 s');
    expect(story.said('coordinator', 'report-2: start confirmed to site-a')).toHaveLength(1);
    await story.cut('site-a');
    await story.pass('30 s');

    // Confirmed and running: it went on to its end. Confirmed and not begun before the gate was closed: it never begins.
    expect(story.said('site-a', 'finishes report-1')).toHaveLength(1);
    expect(story.when('site-a', 'does not start report-2')).toBeGreaterThan(
      story.when('site-a', 'closes its gate'),
    );
    expect(story.startsOf('report-2')).toEqual([]);

    await story.heal('site-a');
    await story.pass('1 min');
    expect(await story.state('report-1')).toBe('success');
    expect(story.startsOf('report-1')).toHaveLength(1);
    expect(story.when('site-a', 'starts report-2')).toBeGreaterThan(
      story.when('—', 'the network of site-a is mended'),
    );
    expect(await story.state('report-2')).toBe('success');
  },
);
