import { writeFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { PausingProxy } from './support/proxy.js';
import { events, linesOf, Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

async function cutOff(slots: number, queues: readonly string[] = ['default']) {
  const proxy = await PausingProxy.start(site.address);
  site.atClose(() => proxy.close());
  const agent = await site.connected('cut', { coordinator: proxy.address, slots, queues });
  return { proxy, agent };
}

test('a partition shorter than the lease costs nothing: the run goes on in its session', async () => {
  const H = 2_000;
  site = await Site.start('--heartbeat-interval', `${H}ms`);
  const { proxy, agent } = await cutOff(1);
  const taskId = await site.submit('sleep 5; echo 1 > "$HOLDFAST_RESULT_FILE"');
  const { fencingToken } = await site.reaches(taskId, 'RUNNING');
  const { sessionEpoch } = await site.agentShown('cut');
  proxy.pause();
  // Beyond 1.5 H of silence: the agent hangs up and dials again, into nothing.
  await agent.says('the stream to the coordinator is lost');
  await site.agentReaches('cut', 'SUSPECT');
  proxy.resume();
  await agent.says('connected again: the session goes on');
  const task = await site.reaches(taskId, 'SUCCESS');
  expect(events(task)).toEqual(['submitted', 'permitted', 'success']);
  expect(task.fencingToken).toBe(fencingToken);
  expect((await site.agentShown('cut')).sessionEpoch).toBe(sessionEpoch);
});

/** Says when it starts, ends and is told to stop; on the agent `cut` it lasts until the file is there. */
function script(name: string, file: string, go: string): string {
  const say = (word: string) => `echo "${word} ${name} $HOLDFAST_AGENT_ID $(date +%s%N)" >> ${file}`;
  return [
    `trap '${say('stopped')}; exit 1' TERM`,
    say('start'),
    `if [ "$HOLDFAST_AGENT_ID" = cut ]; then while [ ! -e ${go} ]; do sleep 0.05; done; fi`,
    `echo "\\"$HOLDFAST_AGENT_ID\\"" > "$HOLDFAST_RESULT_FILE"`,
    say('end'),
  ].join('; ');
}

test('a partition beyond the lease: each policy keeps its guarantee, late results are adopted or refused', async () => {
  site = await Site.start('--heartbeat-interval', '1s', '--kill-grace', '500ms');
  const { proxy, agent } = await cutOff(4, ['default', 'only-cut']);
  const file = site.path('lines');
  const go = site.path('go');
  const task = (name: string, change: object = {}) => site.submit(script(name, file, go), change);
  const reassign = await task('reassign');
  const single = await task('single', { partitionPolicy: 'PARTITION_POLICY_SINGLE_RUN' });
  const hold = await task('hold', { partitionPolicy: 'PARTITION_POLICY_HOLD' });
  const late = await task('late', { queue: 'only-cut' });
  await eventually('four runs', () => linesOf(file).length === 4);
  await site.connected('other');
  proxy.pause();
  await site.agentReaches('cut', 'FAILED');

  // Reassigned at once; single_run only when it is provably dead; held until its agent returns.
  expect(await site.reaches(reassign, 'SUCCESS')).toMatchObject({ agentId: 'other', tryNumber: 2 });
  expect(await site.reaches(single, 'SUCCESS')).toMatchObject({ agentId: 'other', tryNumber: 2 });
  const at = (...words: string[]) =>
    BigInt(
      linesOf(file)
        .find((line) => line.startsWith(words.join(' ')))
        ?.split(' ')
        .at(-1) ?? 0,
    );
  expect(at('stopped', 'single', 'cut')).toBeGreaterThan(0n);
  expect(at('start', 'single', 'other')).toBeGreaterThan(at('stopped', 'single', 'cut'));
  expect(at('end', 'single', 'cut')).toBe(0n);
  expect(await site.task(hold)).toMatchObject({ state: 'TASK_STATE_RUNNING', agentId: 'cut', tryNumber: 1 });
  expect(await site.task(late)).toMatchObject({ state: 'TASK_STATE_QUEUED' });

  // All of them end while the agent is still cut off; then it comes back.
  await agent.says('gate closed');
  writeFileSync(go, '');
  await eventually('the ends', () => linesOf(file).filter((line) => /^end .* cut/.test(line)).length === 3);
  proxy.resume();
  const adopted = await site.reaches(late, 'SUCCESS');
  expect(adopted).toMatchObject({ tryNumber: 1, agentId: 'cut' });
  // Their shells have said their last word; whether they are reaped when the stream is back is the system's affair.
  const told = (of: typeof adopted) => events(of).filter((event) => event !== 'adopted');
  expect(told(adopted)).toEqual(['submitted', 'permitted', 'lost', 'requeued', 'success']);
  expect(told(await site.reaches(hold, 'SUCCESS'))).toEqual(['submitted', 'permitted', 'lost', 'success']);
  await eventually('the refusal', async () =>
    events(await site.task(reassign)).includes('late_report_refused'),
  );
  const settled = await site.task(reassign);
  // The cut-off worker went on beside the new try: allowed, counted and told, of this one task alone.
  expect(settled.history.find(({ event }) => event === 'overlap')).toMatchObject({
    ...{ agentId: 'cut', reason: 'reassign' },
    message: expect.stringMatching(/^ran beside try 2 \(token \d+\) for at most \d+ ms$/),
  });
  expect(await site.overlaps()).toBe(1);
  expect(settled).toMatchObject({ state: 'TASK_STATE_SUCCESS', agentId: 'other' });
  expect(settled.result.toString()).toBe('"other"\n');
  expect(linesOf(file).filter((line) => /^start (hold|late)/.test(line))).toHaveLength(2);
});
