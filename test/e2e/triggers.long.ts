import { existsSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { defer, deferringSite, resultOf } from './support/deferral.js';
import { PausingProxy } from './support/proxy.js';
import { events, linesOf, type Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

describe('a task that defers', () => {
  test('goes on in the same try with its event and its state, a handler or a command, and holds no slot meanwhile', async () => {
    site = await deferringSite('500ms', 1);
    const handled = await defer(site, 'delta', { for: '200ms' }, { state: { page: 2 } });
    const script = [
      'if [ -z "$HOLDFAST_RESUME_FILE" ]; then',
      `echo '{"trigger":{"kind":"delta","input":{"for":"200ms"}},"state":[1,2],"timeout":"1h"}' > "$HOLDFAST_DEFER_FILE"`,
      'exit 75; fi; cat "$HOLDFAST_RESUME_FILE" > "$HOLDFAST_RESULT_FILE"',
    ].join('\n');
    const commanded = await site.submit(script);
    await site.reaches(handled, 'DEFERRED');
    await site.reaches(commanded, 'DEFERRED');
    await site.reaches(await site.submit('true'), 'SUCCESS');
    await site.triggerer('t');
    expect(await resultOf(site, handled)).toEqual({
      event: { for: '200ms' },
      state: { page: 2 },
      tryNumber: 1,
    });
    expect(await resultOf(site, commanded)).toEqual({ event: { for: '200ms' }, state: [1, 2] });
    const trail = ['submitted', 'permitted', 'deferred', 'resumed', 'permitted', 'success'];
    expect(events(await site.task(commanded))).toEqual(trail);
  });

  test('is heard although its agent was killed before the deferral was acknowledged', async () => {
    site = await deferringSite();
    const proxy = await PausingProxy.start(site.address);
    site.atClose(() => proxy.close());
    const worker = await site.connected('cut', { queues: ['cut'], coordinator: proxy.address });
    const go = site.path('go');
    const defer = `echo '{"trigger":{"kind":"delta","input":{"for":"1ms"}}}' > "$HOLDFAST_DEFER_FILE"; exit 75`;
    const up = site.path('up');
    const script = `[ -n "$HOLDFAST_RESUME_FILE" ] && exit 0; touch ${up}; while [ ! -e ${go} ]; do sleep 0.05; done; ${defer}`;
    const taskId = await site.submit(script, { queue: 'cut' });
    // RUNNING says that the start is confirmed; the confirmation may still be on its way to the agent.
    await eventually('the start of the run', () => existsSync(up));
    proxy.pause();
    writeFileSync(go, '');
    await eventually('the end of the run', () =>
      linesOf(`${site.path('state-cut')}/journal.jsonl`).some((line) => line.includes('"ended"')),
    );
    await worker.kill();
    await site.connected('cut', { queues: ['cut'] });
    await site.triggerer('t');
    expect(events(await site.reaches(taskId, 'SUCCESS'))).toEqual(
      expect.arrayContaining(['deferred', 'resumed']),
    );
  });

  test('fails its try when its event has not come in time, while no triggerer is there', async () => {
    site = await deferringSite();
    const taskId = await defer(site, 'delta', { for: '1h' }, { timeout: '1s' });
    expect(await site.reaches(taskId, 'FAILED')).toMatchObject({ reason: 'deferral_timeout' });
  });

  test('outlives kill -9 of the coordinator, and the delay goes on where it was', async () => {
    site = await deferringSite();
    await site.triggerer('t');
    const taskId = await defer(site, 'delta', { for: '3s' });
    await site.reaches(taskId, 'DEFERRED');
    await site.server.kill();
    await site.startServer();
    expect(await resultOf(site, taskId)).toMatchObject({ event: { for: '3s' } });
    expect(events(await site.task(taskId)).filter((event) => event === 'resumed')).toHaveLength(1);
  });

  test('with an input that its trigger refuses fails with the reason, and a skip without a run is a success', async () => {
    site = await deferringSite();
    await site.triggerer('t');
    const taskId = await defer(site, 'date_time', { at: 'tomorrow' });
    expect(await site.reaches(taskId, 'FAILED')).toMatchObject({
      reason: 'invalid_input',
      message: expect.stringContaining('date_time'),
    });
    const [skipped = ''] = await site.api.submit({ work: { handler: { name: 'skips' } } });
    await site.reaches(skipped, 'SUCCESS');
    const large = await defer(site, 'delta', { for: '1s' }, { state: 'x'.repeat(70_000) });
    expect(await site.reaches(large, 'FAILED')).toMatchObject({ reason: 'deferral_too_large' });
  });
});
