import { writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
import { custom, defer, deferringSite } from './support/deferral.js';
import type { Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

describe('a trigger that misbehaves', () => {
  test('fails its own task, by name, and costs neither the lease nor the other triggers', async () => {
    site = await deferringSite();
    await site.triggerer('t', { flags: custom(site) });
    const { sessionEpoch } = await site.agentShown('t');
    const go = site.path('go');
    const good = await defer(site, 'exists', { go });
    await site.reaches(good, 'DEFERRED');
    const bad = {
      throws: 'trigger_failed',
      escapes: 'trigger_failed',
      exits: 'trigger_crashed',
      large: 'payload_too_large',
      hoards: 'trigger_crashed',
      blocks: 'trigger_blocked',
    };
    for (const [kind, reason] of Object.entries(bad)) {
      const taskId = await defer(site, kind, { ms: 10 });
      expect(await site.reaches(taskId, 'FAILED')).toMatchObject({ reason });
    }
    expect((await site.task(good)).state).toBe('TASK_STATE_DEFERRED');
    writeFileSync(go, '');
    await site.reaches(good, 'SUCCESS');
    expect((await site.agentShown('t')).sessionEpoch).toBe(sessionEpoch);
  });

  test('is tried again where the task has retries', async () => {
    site = await deferringSite();
    await site.triggerer('t', { flags: custom(site) });
    const taskId = await defer(
      site,
      'throws',
      {},
      {},
      { retries: 1, retryBackoff: { initial: { nanos: 1_000_000 } } },
    );
    const task = await site.reaches(taskId, 'FAILED');
    expect(task).toMatchObject({ tryNumber: 2, message: expect.stringContaining('no such queue') });
  });

  test('of a module that is of no use keeps the triggerer from starting, and says why', async () => {
    site = await deferringSite();
    writeFileSync(site.path('broken.mjs'), 'export default 1;');
    const agent = site.run(
      'agent',
      'start',
      '--kind',
      'triggerer',
      '--coordinator',
      site.address,
      '--state-dir',
      site.path('b'),
      '--triggers',
      site.path('broken.mjs'),
    );
    expect((await agent.exited).code).not.toBe(0);
    expect(agent.stderr).toContain('it has no triggers');
  });
});
