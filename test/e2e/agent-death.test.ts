import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { PausingProxy } from './support/proxy.js';
import { carriers, events, linesOf, Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

/** A child that has left its session, and a grandchild of it that has done so as well. */
const ESCAPERS = `setsid sh -c 'setsid sleep 600 & echo up >> "$FILE"; sleep 600' & sleep 600`;

test('kill -9 of an agent ends all processes of its commands, and its tasks run elsewhere once its lease is over', async () => {
  const H = 500;
  const L = 3 * H;
  site = await Site.start('--heartbeat-interval', `${H}ms`);
  const mark = randomUUID();
  const file = site.path('lines');
  const agent = await site.connected('first', { slots: 4 });
  const script = `if [ "$HOLDFAST_AGENT_ID" = first ]; then ${ESCAPERS}; else echo again >> "$FILE"; fi`;
  const env = { MARK: mark, FILE: file };
  const argv = ['sh', '-c', script];
  const ids = await site.api.submit(
    { work: { command: { argv, env } } },
    { work: { command: { argv, env } } },
  );
  await eventually('both runs', () => linesOf(file).length === 2);
  expect(carriers(`MARK=${mark}`).length).toBeGreaterThanOrEqual(6);
  await site.connected('second');
  // The lease ends no earlier than what is left of it now.
  const asked = Date.now();
  const { leaseRemaining } = await site.agentShown('first');
  const leftMs = Number(leaseRemaining?.seconds) * 1_000 + (leaseRemaining?.nanos ?? 0) / 1_000_000;
  await agent.kill();
  const killed = Date.now();
  await eventually('the end of all its processes', () => carriers(`MARK=${mark}`).length === 0, 3_000);
  expect(linesOf(file)).toHaveLength(2);

  for (const taskId of ids) {
    const task = await site.reaches(taskId, 'SUCCESS');
    expect(task).toMatchObject({ agentId: 'second', tryNumber: 2 });
    expect(events(task)).toEqual([
      ...['submitted', 'permitted', 'lost', 'requeued', 'try_lost', 'permitted', 'success'],
    ]);
    const lost = task.history.find(({ event }) => event === 'lost') as unknown as {
      at: { seconds: string; nanos: number };
    };
    const lostAt = Number(lost.at.seconds) * 1_000 + lost.at.nanos / 1_000_000;
    // One millisecond for the rounding of what is compared: the answer left after it was measured.
    expect(lostAt).toBeGreaterThanOrEqual(asked + leftMs - 1);
    // A second is the promise; the rest is for a machine that is busy with other tests.
    expect(lostAt).toBeLessThan(killed + L + 1_000 + 4_000);
  }
  expect(linesOf(file).filter((line) => line === 'again')).toHaveLength(2);
});

test('an agent restarted after kill -9 proves its predecessor dead: its work is reassigned at once, a finished result delivered', async () => {
  // The lease of 60 s would be waited for if the proof did not count.
  site = await Site.start('--heartbeat-interval', '20s');
  const proxy = await PausingProxy.start(site.address);
  site.atClose(() => proxy.close());
  const agent = await site.connected('phoenix', { coordinator: proxy.address });
  const go = site.path('go');
  const lost = await site.submit('[ "$HOLDFAST_TRY_NUMBER" = 2 ] || sleep 600');
  const finishes = await site.submit(
    `while [ ! -e ${go} ]; do sleep 0.05; done; echo '{"by":"the first"}' > "$HOLDFAST_RESULT_FILE"`,
  );
  await site.reaches(lost, 'RUNNING');
  const { fencingToken } = await site.reaches(finishes, 'RUNNING');
  const journal = site.path('state-phoenix/journal.jsonl');
  const journalled = (words: string) => existsSync(journal) && readFileSync(journal, 'utf8').includes(words);
  await eventually(
    'both starts',
    () => linesOf(journal).filter((line) => line.includes('"started"')).length === 2,
  );
  proxy.pause();
  writeFileSync(go, '');
  await eventually('the end in the journal', () => journalled('"ended"'));
  await agent.kill();

  await site.connected('phoenix');
  const finished = await site.reaches(finishes, 'SUCCESS');
  expect(finished).toMatchObject({ tryNumber: 1, fencingToken });
  expect(finished.result.toString()).toBe('{"by":"the first"}\n');
  const again = await site.reaches(lost, 'SUCCESS');
  expect(again.tryNumber).toBe(2);
  expect(events(again).slice(0, 2)).toEqual(['submitted', 'permitted']);
  expect(events(again).slice(-2)).toEqual(['permitted', 'success']);
  const { agents } = await site.api.call<{ agents: { state: string }[] }>('ListAgents', {});
  expect(agents).toMatchObject([{ agentId: 'phoenix', state: 'AGENT_STATE_HEALTHY', sessionEpoch: '2' }]);
});

test('a second agent under the same name waits, and the first goes on', async () => {
  site = await Site.start('--heartbeat-interval', '20s');
  await site.connected('one');
  const twin = site.run(
    ...['agent', 'start', '--coordinator', site.address, '--agent-id', 'one'],
    ...['--state-dir', site.path('state-elsewhere')],
  );
  await twin.says('in use by another live instance');
  const taskId = await site.submit('true');
  expect((await site.reaches(taskId, 'SUCCESS')).tryNumber).toBe(1);
  const same = site.agent('one');
  expect((await same.exited).code).toBe(78);
  expect(same.stderr).toContain('[STATE_DIRECTORY_IN_USE]');
});
