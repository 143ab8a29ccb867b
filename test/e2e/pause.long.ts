import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { events, linesOf, Site } from './support/site.js';

const H = 600;
const L = 3 * H;
let site: Site;
afterEach(() => site.close());

/** Real time has to pass on the other side: there is nothing to ask a stopped process for. */
async function passes(ms: number): Promise<void> {
  const end = Date.now() + ms;
  await eventually(`${ms} ms`, () => Date.now() >= end, ms + 60_000);
}

const say = (word: string, file: string) =>
  `echo "${word} $HOLDFAST_TASK_ID $HOLDFAST_FENCING_TOKEN" >> ${file}`;

test('an agent that was stopped for longer than its lease starts nothing on a closed gate, and its run is adopted', async () => {
  site = await Site.start('--heartbeat-interval', `${H}ms`);
  const file = site.path('lines');
  const agent = await site.connected('sleeper');
  const running = await site.submit(`${say('start', file)}; sleep ${(0.5 * L) / 1_000}; ${say('end', file)}`);
  await eventually('the run', () => linesOf(file).length === 1);
  agent.signal('SIGSTOP');
  // Offered to an agent that cannot hear it: it finds the offers when it wakes, with its gate closed.
  const waiting = [await site.submit(say('start', file)), await site.submit(say('start', file))];
  await site.agentReaches('sleeper', 'FAILED');
  await passes(H);
  expect(linesOf(file).filter((line) => waiting.some((taskId) => line.includes(taskId)))).toEqual([]);
  agent.signal('SIGCONT');
  await agent.says('gate closed');
  for (const taskId of waiting) {
    const task = await site.reaches(taskId, 'SUCCESS');
    expect(task.tryNumber).toBe(1);
    const permits = task.history.filter(({ event }) => event === 'permitted');
    expect(permits).toMatchObject([{ sessionEpoch: '2' }]);
    expect(linesOf(file).filter((line) => line.includes(taskId))).toEqual([
      `start ${taskId} ${task.fencingToken}`,
    ]);
  }
  const adopted = await site.reaches(running, 'SUCCESS');
  expect(adopted.tryNumber).toBe(1);
  expect(linesOf(file).filter((line) => line.includes(running))).toHaveLength(2);
});

test("a stopped agent's single_run work is dead before another agent runs it, although the agent cannot see to it", async () => {
  site = await Site.start('--heartbeat-interval', `${H}ms`);
  const file = site.path('lines');
  const agent = await site.connected('sleeper');
  const lasts = `while :; do echo "sleeper $(date +%s%N)" >> ${file}; sleep 0.02; done`;
  const taskId = await site.submit(
    `[ "$HOLDFAST_AGENT_ID" = sleeper ] && { ${lasts}; }; echo "other $(date +%s%N)" >> ${file}`,
    { partitionPolicy: 'PARTITION_POLICY_SINGLE_RUN', killGrace: { nanos: 300_000_000 } },
  );
  await eventually('the run', () => linesOf(file).length > 0);
  await site.connected('other');
  agent.signal('SIGSTOP');
  expect(await site.reaches(taskId, 'SUCCESS')).toMatchObject({ agentId: 'other', tryNumber: 2 });
  const lines = linesOf(file);
  expect(lines.filter((line) => line.startsWith('other'))).toHaveLength(1);
  expect(lines.at(-1)).toMatch(/^other/);
  agent.signal('SIGCONT');
  await agent.says('gate closed');
  await site.agentReaches('sleeper', 'HEALTHY');
  expect(linesOf(file)).toEqual(lines);
  await eventually('the report', async () => events(await site.task(taskId)).includes('late_report_refused'));
  expect(await site.overlaps()).toBe(0);
});

test('a coordinator that was stopped for three leases fails no agent when it goes on (P7)', async () => {
  site = await Site.start('--heartbeat-interval', `${H}ms`);
  const agents = ['w1', 'w2'];
  for (const id of agents) await site.connected(id, { slots: 1 });
  const runs = [await site.submit(`sleep ${(4 * L) / 1_000}`), await site.submit(`sleep ${(4 * L) / 1_000}`)];
  for (const taskId of runs) await site.reaches(taskId, 'RUNNING');
  const epochs = await Promise.all(agents.map(async (id) => (await site.agentShown(id)).sessionEpoch));
  site.server.signal('SIGSTOP');
  await passes(3 * L);
  site.server.signal('SIGCONT');
  for (const id of agents) await site.agentReaches(id, 'HEALTHY');
  for (const taskId of runs) {
    const task = await site.reaches(taskId, 'SUCCESS');
    expect(events(task)).toEqual(['submitted', 'permitted', 'success']);
  }
  const after = await Promise.all(agents.map(async (id) => (await site.agentShown(id)).sessionEpoch));
  expect(after).toEqual(epochs);
});
