import { writeFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { PausingProxy } from './support/proxy.js';
import { events, linesOf, Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

test('hold waits for the operator: each verdict is final at once, and only --reassign lets a second copy run', async () => {
  site = await Site.start('--heartbeat-interval', '500ms', '--kill-grace', '500ms');
  const proxy = await PausingProxy.start(site.address);
  site.atClose(() => proxy.close());
  await site.connected('cut', { coordinator: proxy.address });
  const [file, go] = [site.path('lines'), site.path('go')];
  const say = (word: string) => `echo "${word} $HOLDFAST_TASK_ID $HOLDFAST_AGENT_ID" >> ${file}`;
  const script = [
    say('start'),
    `if [ "$HOLDFAST_AGENT_ID" = cut ]; then while [ ! -e ${go} ]; do sleep 0.05; done; fi`,
    say('end'),
  ].join('; ');
  const submit = () => site.submit(script, { partitionPolicy: 'PARTITION_POLICY_HOLD' });
  const again = await submit();
  const failed = await submit();
  const done = await submit();
  const waits = await submit();
  await eventually('four runs', () => linesOf(file).length === 4);
  await site.connected('other');
  proxy.pause();
  await site.agentReaches('cut', 'FAILED');

  // Everybody who asks is told that it is held, and for how long at most: 24 h, unless somebody knows better.
  const list = await site.cli('task', 'list');
  expect(list.stdout.match(/running \(lost, held 23h/g)).toHaveLength(4);
  expect((await site.cli('task', 'describe', waits)).stdout).toMatch(/held for 23h/);
  const explained = (await site.cli('task', 'explain', waits)).stdout;
  expect(explained).toMatch(/held by hold for (2[34]h|1d)/);
  expect(explained).toContain(`holdfast task resolve ${waits} --reassign|--fail|--succeed`);

  const verdicts = [
    [again, '--reassign'],
    [failed, '--fail'],
    [done, '--succeed'],
  ] as const;
  for (const [taskId, verdict] of verdicts)
    expect(await site.cli('task', 'resolve', taskId, verdict)).toMatchObject({ code: 0 });
  expect(await site.task(failed)).toMatchObject({ state: 'TASK_STATE_FAILED', reason: 'resolved' });
  expect(await site.task(done)).toMatchObject({ state: 'TASK_STATE_SUCCESS' });
  expect(await site.reaches(again, 'SUCCESS')).toMatchObject({ agentId: 'other', tryNumber: 2 });
  expect(await site.task(waits)).toMatchObject({ state: 'TASK_STATE_RUNNING', agentId: 'cut' });

  // It comes back with all four: the one that was held is its own again, the others are stopped.
  proxy.resume();
  await eventually('the adoption', async () => events(await site.task(waits)).includes('adopted'));
  for (const taskId of [again, failed, done]) {
    const refused = async () => events(await site.task(taskId)).includes('late_report_refused');
    await eventually(`the refusal of ${taskId}`, refused);
  }
  writeFileSync(go, '');
  expect(events(await site.reaches(waits, 'SUCCESS'))).toEqual([
    ...['submitted', 'permitted', 'lost', 'adopted', 'success'],
  ]);
  // The operator's word made two copies of one task; it is said so, of that one alone.
  expect(linesOf(file).filter((line) => line.startsWith(`start ${again}`))).toHaveLength(2);
  expect(
    linesOf(file)
      .filter((line) => line.startsWith('end'))
      .sort(),
  ).toEqual([`end ${again} other`, `end ${waits} cut`].sort());
  for (const taskId of [failed, done, waits])
    expect(events(await site.task(taskId))).not.toContain('overlap');
  expect(events(await site.task(again))).toContain('overlap');
  expect(await site.overlaps()).toBe(1);
});
