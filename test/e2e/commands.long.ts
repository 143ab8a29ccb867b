import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { events, linesOf, Site } from './support/site.js';

let site: Site;
beforeAll(async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  await site.connected('worker', { slots: 8 });
});
afterAll(() => site.close());

const submit = (...args: string[]) => site.cli('task', 'submit', '--wait', '-o', 'json', ...args);
const shell = (script: string) => ['--', 'sh', '-c', script];
type Json = Readonly<Record<string, unknown>> & { readonly history: readonly { readonly event: string }[] };
const parsed = ({ stdout }: { readonly stdout: string }) => JSON.parse(stdout) as Json;

describe('task submit --wait', () => {
  test('exits 0 with a success, and shows the result that the command wrote', async () => {
    const done = await submit(...shell('echo \'{"answer":42}\' > "$HOLDFAST_RESULT_FILE"'));
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(parsed(done)).toMatchObject({
      ...{ state: 'success', exitCode: 0, result: { answer: 42 }, resultType: 'application/json' },
      ...{ agentId: 'worker', tryNumber: 1, queue: 'default' },
    });
  });

  test('exits 3 with a failure, and says why', async () => {
    const failed = await submit(...shell('exit 7'));
    expect(failed.code).toBe(3);
    expect(parsed(failed)).toMatchObject({ state: 'failed', reason: 'exit_code', exitCode: 7 });
    expect(failed.stderr).toContain('[TASK_FAILED]');
  });

  test('a command that does not exist fails, and its log says so', async () => {
    const failed = await submit('--', 'no-such-program-anywhere');
    expect([failed.code, parsed(failed).reason]).toEqual([3, 'start_failed']);
    const { stdout } = await site.cli('task', 'logs', String(parsed(failed).taskId));
    expect(stdout).toContain('no-such-program-anywhere');
  });

  test('a command sees its task, try, token, agent and queue', async () => {
    const names = ['TASK_ID', 'TRY_NUMBER', 'FENCING_TOKEN', 'AGENT_ID', 'QUEUE'];
    const json = names.map((name) => `\\"${name}\\":\\"$HOLDFAST_${name}\\"`).join();
    const task = parsed(await submit(...shell(`echo "{${json}}" > "$HOLDFAST_RESULT_FILE"`)));
    expect(task.result).toEqual({
      ...{ TASK_ID: task.taskId, TRY_NUMBER: '1', FENCING_TOKEN: task.fencingToken },
      ...{ AGENT_ID: 'worker', QUEUE: 'default' },
    });
  });
});

describe('task submit with limits', () => {
  test('retries a try that failed by itself, as often as it was told', async () => {
    const flags = ['--retries', '2', '--retry-initial', '50ms', '--retry-max', '50ms'];
    const done = parsed(await submit(...flags, ...shell('[ "$HOLDFAST_TRY_NUMBER" = 3 ]')));
    expect(done).toMatchObject({ state: 'success', tryNumber: 3 });
    const failed = await submit(...flags, ...shell('exit 1'));
    expect([failed.code, parsed(failed).tryNumber]).toEqual([3, 3]);
  });

  test('a command beyond its execution timeout is stopped', async () => {
    const failed = await submit(
      '--execution-timeout',
      '300ms',
      '--kill-grace',
      '200ms',
      ...shell('sleep 600'),
    );
    expect([failed.code, parsed(failed).reason]).toEqual([3, 'execution_timeout']);
  });

  test('a task that nobody serves fails when its time in the queue is over', async () => {
    const failed = await submit('--queue', 'nobody', '--queued-timeout', '300ms', ...shell('true'));
    expect([failed.code, parsed(failed).reason]).toEqual([3, 'queued_timeout']);
  });

  test('an oversize result fails the task and says how much would travel', async () => {
    const failed = await submit(...shell('head -c 300000 /dev/zero > "$HOLDFAST_RESULT_FILE"'));
    expect(parsed(failed)).toMatchObject({ state: 'failed', reason: 'result_too_large' });
    expect(parsed(failed).message).toContain('at most 262144 travel');
  });

  test('a hundred tasks from standard input of a file all end', async () => {
    const file = site.path('tasks.jsonl');
    const lines = Array.from({ length: 100 }, (_, i) => ({ command: ['sh', '-c', `exit $((${i} / 99))`] }));
    writeFileSync(file, lines.map((line) => JSON.stringify(line)).join('\n'));
    const mixed = await submit('--file', file);
    expect(mixed.code).toBe(3);
    const states = (JSON.parse(mixed.stdout) as Json[]).map(({ state }) => state);
    expect(states.filter((state) => state === 'success')).toHaveLength(99);
  });
});

describe('while a task runs', () => {
  test('logs -f shows its output as it comes, and ends with it', async () => {
    const go = site.path('go-logs');
    const taskId = await site.submit(
      `echo first; while [ ! -e ${go} ]; do sleep 0.05; done; echo second >&2`,
    );
    const follower = site.run('task', 'logs', '-f', taskId, '--coordinator', site.address);
    await eventually('the first line', () => follower.stdout.includes('first\n'));
    expect(follower.isOver).toBe(false);
    writeFileSync(go, '');
    expect((await follower.exited).code).toBe(0);
    expect(follower.stdout + follower.stderr).toContain('second\n');
  });

  test('a cancel asks it to end, and kills what does not', async () => {
    const file = site.path('lines');
    const stubborn = `trap 'echo told >> ${file}' TERM; echo up >> ${file}; while :; do sleep 0.05; done`;
    const [taskId = ''] = await site.api.submit({
      work: { command: { argv: ['sh', '-c', stubborn] } },
      killGrace: { seconds: 0, nanos: 300_000_000 },
    });
    await eventually('the run', () => linesOf(file).includes('up'));
    expect((await site.cli('task', 'cancel', taskId)).code).toBe(0);
    const task = await site.reaches(taskId, 'CANCELLED');
    expect(linesOf(file)).toContain('told');
    expect(events(task)).toEqual(['submitted', 'permitted', 'cancel_requested', 'cancelled']);
  });

  test('list, describe and explain tell of it', async () => {
    const taskId = await site.submit('sleep 600', { killGrace: { seconds: 0 } });
    await site.reaches(taskId, 'RUNNING');
    const list = JSON.parse(
      (await site.cli('task', 'list', '--state', 'running', '-o', 'json')).stdout,
    ) as Json[];
    expect(list.map((task) => task.taskId)).toContain(taskId);
    const described = parsed(await site.cli('task', 'describe', taskId, '-o', 'json'));
    expect(described.history.map(({ event }) => event)).toEqual(['submitted', 'permitted']);
    const agents = JSON.parse((await site.cli('agent', 'list', '-o', 'json')).stdout) as Json[];
    expect(agents).toMatchObject([{ agentId: 'worker', kind: 'worker', state: 'healthy', slots: 8 }]);
    expect((await site.cli('task', 'explain', taskId)).code).toBe(0);
    await site.cli('task', 'cancel', taskId);
    await site.reaches(taskId, 'CANCELLED');
  });
});

describe('what cannot be', () => {
  test('an unknown task is exit code 4', async () => {
    const { code, stderr } = await site.cli('task', 'describe', 'no-such-task');
    expect([code, stderr.includes('[TASK_NOT_FOUND]')]).toEqual([4, true]);
  });

  test('another task under a used key is exit code 5', async () => {
    const flags = ['task', 'submit', '--queue', 'nobody', '--idempotency-key', 'once'];
    expect((await site.cli(...flags, '--', 'true')).code).toBe(0);
    const { code, stderr } = await site.cli(...flags, '--', 'false');
    expect([code, stderr.includes('[IDEMPOTENCY_CONFLICT]')]).toEqual([5, true]);
  });

  test('a coordinator that is not there is exit code 69', async () => {
    const program = site.run('task', 'list', '--coordinator', '127.0.0.1:1', '--timeout', '2s');
    expect((await program.exited).code).toBe(69);
  });

  test('a port that is taken, and a database in use, are said in words', async () => {
    const port = site.address.split(':')[1] ?? '';
    const taken = site.run('server', 'start', '--port', port, '--db-file', site.path('other.db'));
    expect((await taken.exited).code).toBe(1);
    expect(taken.stderr).toContain('[PORT_IN_USE]');
    const locked = site.run('server', 'start', '--port', '0', '--db-file', site.path('holdfast.db'));
    expect((await locked.exited).code).toBe(1);
    expect(locked.stderr).toContain('[STORE_LOCKED]');
    expect((await site.cli('health')).code).toBe(0);
  });
});
