import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { TaskState } from '../../src/wire/gen/holdfast/v1/task_service.js';
import { FakeCoordinator, refusal } from './support/fake-coordinator.js';
import { type Ended, holdfast, inProcess, type RunOptions } from './support/program.js';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let fake: FakeCoordinator;
beforeEach(async () => {
  fake = await new FakeCoordinator().start();
});
afterEach(() => fake.stop());

const run = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
  inProcess(args, { ...options, env: { HOLDFAST_COORDINATOR: fake.address, ...options.env } });

const finishes = (
  state: TaskState,
  why = 'exit_code',
  more: { result?: Buffer; resultType?: string } = {},
) => {
  fake.hooks.watchTasks = (request, send) => {
    for (const id of request.taskIds) {
      const task = fake.tasks.get(id);
      if (task === undefined) continue;
      const ended = fake.addTask({
        ...task,
        ...more,
        state,
        reason: state === TaskState.FAILED ? why : '',
      } as never);
      send(ended);
    }
    return true;
  };
};

describe('task submit', () => {
  test('prints the id, and hands over every flag', async () => {
    const flags = ['--queue', 'q', '--retries', '2', '--partition-policy', 'single-run', '--priority=-5'];
    const more = [
      '--execution-timeout',
      '90s',
      '--require-label',
      'zone=a',
      '--env',
      'A=1,2',
      '--env',
      'B=x=y',
    ];
    const { code, stdout, stderr } = await run([
      'task',
      'submit',
      ...flags,
      ...more,
      '--',
      'sh',
      '-c',
      'exit 3',
      '--wait',
    ]);
    expect([code, stdout, stderr]).toEqual([0, 'task-1\n', '']);
    const spec = fake.submitted[0]?.tasks[0];
    expect(spec).toMatchObject({ queue: 'q', retries: 2, partitionPolicy: 2, priority: -5 });
    expect(spec?.work?.work).toMatchObject({
      $case: 'command',
      value: {
        argv: ['sh', '-c', 'exit 3', '--wait'],
        env: new Map([
          ['A', '1,2'],
          ['B', 'x=y'],
        ]),
      },
    });
    expect(spec?.executionTimeout?.seconds).toBe(90n);
    expect(spec?.idempotencyKey).toMatch(/^cli-.+-1$/);
  });

  test('--start-in counts from now, and not beside --start-after', async () => {
    const window = ['--start-in', '10m', '--start-before', '2999-01-01T00:00:00Z'];
    const before = Date.now();
    expect((await run(['task', 'submit', ...window, '--', 'true'])).code).toBe(0);
    const spec = fake.submitted[0]?.tasks[0];
    const start = spec?.startAfter?.getTime() ?? 0;
    expect(start).toBeGreaterThanOrEqual(before + 600_000);
    expect(spec?.startBefore).toEqual(new Date('2999-01-01T00:00:00Z'));
    const both = await run([
      'task',
      'submit',
      ...window,
      '--start-after',
      '2999-01-01T00:00:00Z',
      '--',
      'true',
    ]);
    expect([both.code, both.stderr]).toEqual([
      2,
      expect.stringContaining('--start-in as well as --start-after'),
    ]);
    const zoneless = await run(['task', 'submit', '--start-after', '2999-01-01T00:00:00', '--', 'true']);
    expect([zoneless.code, zoneless.stderr]).toEqual([
      2,
      expect.stringContaining('an instant with its zone'),
    ]);
  });

  test('with -o json prints the task, and variables stand for flags', async () => {
    const env = { HOLDFAST_QUEUE: 'from-env', HOLDFAST_OUTPUT: 'json', HOLDFAST_RETRIES: '4' };
    const { code, stdout } = await run(['task', 'submit', '--retries', '1', '--', 'true'], { env });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      taskId: 'task-1',
      state: 'queued',
      queue: 'from-env',
      retries: 1,
      history: [],
    });
  });

  test('names a handler and its input instead of a command', async () => {
    const inline = await run(['task', 'submit', '--handler', 'resize', '--input', '{"width": 320}']);
    const piped = await run(
      ['task', 'submit', '--handler', 'resize', '--input', '@-', '--input-type', 'image/png'],
      {
        input: 'PNG…',
      },
    );
    const none = await run(['task', 'submit', '--handler', 'ping']);
    expect([inline.code, piped.code, none.code]).toEqual([0, 0, 0]);
    const sent = fake.submitted.map(({ tasks }) => tasks[0]?.work?.work?.value);
    expect(sent).toEqual([
      { name: 'resize', input: Buffer.from('{"width":320}'), inputType: 'application/json' },
      { name: 'resize', input: Buffer.from('PNG…'), inputType: 'image/png' },
      { name: 'ping', input: Buffer.alloc(0), inputType: '' },
    ]);
  });

  test('with --wait ends as its task does', async () => {
    finishes(TaskState.SUCCESS);
    const good = await run(['task', 'submit', '--wait', '--', 'true']);
    expect([good.code, good.stdout]).toEqual([0, 'task-1\n']);
    expect(good.stderr).toMatch(/^success( in .+)?; output: holdfast task logs task-1\n$/);
    const json = await run(['task', 'submit', '--wait', '-o', 'json', '--', 'true']);
    expect([json.code, json.stderr]).toEqual([0, '']);
    finishes(TaskState.FAILED);
    const bad = await run(['task', 'submit', '--wait', '--', 'false']);
    expect([bad.code, bad.stdout]).toEqual([3, 'task-3\n']);
    expect(bad.stderr).toBe(
      'error: task task-3 ended as failed [TASK_FAILED]\n  because: exit_code\n  try: holdfast task logs task-3\n',
    );
  });

  test('with --wait shows the result of one task, and where to find one that is long or is no text', async () => {
    const wait = async (result: Buffer, resultType: string) => {
      finishes(TaskState.SUCCESS, '', { result, resultType });
      return (await run(['task', 'submit', '--wait', '--', 'true'])).stderr;
    };
    expect(await wait(Buffer.from('{"area":9}'), 'application/json')).toContain(
      '; result {"area":9}; output: ',
    );
    expect(await wait(Buffer.from('plain'), 'text/plain')).toContain('; result "plain"; output: ');
    expect(await wait(Buffer.alloc(300, 'x'), 'text/plain')).toMatch(
      /; result: holdfast task describe task-\d+; /,
    );
    expect(await wait(Buffer.from([0xff, 0xfe]), 'image/png')).toContain('; result: holdfast task describe ');
  });

  test('with --wait of a handler that refused its input says so, and sends nobody to an empty log', async () => {
    finishes(TaskState.FAILED, 'handler_input_invalid');
    const { stderr } = await run(['task', 'submit', '--wait', '--handler', 'resize']);
    expect(stderr).toContain('  try: correct the input, and submit it again\n');
  });

  test('with --wait and --timeout gives up waiting, not the task', async () => {
    fake.hooks.watchTasks = () => false;
    const { code, stdout, stderr } = await run([
      'task',
      'submit',
      '--wait',
      '--timeout',
      '300ms',
      '--',
      'true',
    ]);
    expect([code, stdout]).toEqual([6, 'task-1\n']);
    expect(stderr).toContain('1 of 1 tasks go on');
  });

  test('that is interrupted while it waits ends with 130', async () => {
    let pid: number | undefined;
    fake.hooks.watchTasks = () => {
      if (pid !== undefined) process.kill(pid, 'SIGINT');
      return false;
    };
    const { code, stderr } = await holdfast(['task', 'submit', '--wait', '--', 'true'], {
      env: { HOLDFAST_COORDINATOR: fake.address },
      meanwhile: (child) => {
        pid = child.pid;
      },
    });
    expect(code).toBe(130);
    expect(stderr).toContain('1 of 1 tasks go on');
  });

  test('sends a batch again when the coordinator was busy, with the same keys', async () => {
    const keys: string[] = [];
    fake.hooks.submitTasks = (request) => {
      keys.push(request.tasks[0]?.idempotencyKey ?? '');
      return keys.length === 1
        ? refusal(status.RESOURCE_EXHAUSTED, 'too busy', { code: 'OVERLOADED' })
        : undefined;
    };
    const { code, stdout, stderr } = await run(['task', 'submit', '--', 'true']);
    expect([code, stdout, stderr]).toEqual([0, 'task-1\n', 'too busy; trying again\n']);
    expect(new Set(keys).size).toBe(1);
  });
});

describe('task submit --file', () => {
  test('takes many from standard input in batches of 500, defaults from flags', async () => {
    const input = Array.from(
      { length: 501 },
      (_, i) => `{"command":["echo","${i}"]${i === 7 ? ',"queue":"own"' : ''}}\n`,
    ).join('');
    const { code, stdout } = await run(['task', 'submit', '--file', '-', '--queue', 'q'], { input });
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(501);
    expect(fake.submitted.map((request) => request.tasks.length)).toEqual([500, 1]);
    expect(fake.submitted[0]?.tasks.slice(6, 9).map((spec) => spec.queue)).toEqual(['q', 'own', 'q']);
  });

  test('keeps a batch with large inputs within what one message holds', async () => {
    const input = 'x'.repeat(200_000);
    const lines = Array.from({ length: 9 }, () => `${JSON.stringify({ handler: 'resize', input })}\n`);
    const { code, stdout } = await run(['task', 'submit', '--file', '-'], { input: lines.join('') });
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(9);
    expect(fake.submitted.map((request) => request.tasks.length)).toEqual([4, 4, 1]);
  });

  test('with one bad line submits nothing and names file and line', async () => {
    const file = join(folder, 'bad.jsonl');
    writeFileSync(file, '{"command":["a"]}\n{"command":["b"],"queu":"q"}\n{"command":["c"],"retries":-1}\n');
    const { code, stdout, stderr } = await run(['task', 'submit', '--file', file]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`${file}:2: unknown field "queu" (did you mean queue?) [BAD_TASK_FILE]`);
    expect(stderr).toContain(`${file}:3: retries cannot be -1 [BAD_TASK_FILE]`);
    expect(fake.submitted).toEqual([]);
  });

  test('waits for all, and says which did not succeed', async () => {
    finishes(TaskState.FAILED);
    const { code, stdout, stderr } = await run(['task', 'submit', '--file', '-', '--wait', '-o', 'json'], {
      input: '{"command":["a"]}\n{"command":["b"]}\n',
    });
    expect(code).toBe(3);
    expect((JSON.parse(stdout) as { state: string }[]).map((task) => task.state)).toEqual([
      'failed',
      'failed',
    ]);
    expect(stderr).toContain('task task-2 ended as failed');
  });

  test.each([
    [['--file', '-', '--', 'x'], 'there is a command as well as --file'],
    [['--file', '/nowhere/t.jsonl'], 'cannot read /nowhere/t.jsonl'],
    [['--file', '-', '--idempotency-key', 'k'], '--idempotency-key names one task'],
    [['--file', '-'], 'stdin has no task in it'],
  ])('%j is a wrong use', async (args, what) => {
    const { code, stderr } = await run(['task', 'submit', ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(what);
  });
});

describe('seeing tasks', () => {
  test('task list -o json is an array, filtered and limited', async () => {
    fake.addTask({ taskId: 'a', state: TaskState.QUEUED });
    fake.addTask({
      taskId: 'b',
      state: TaskState.RUNNING,
      agentId: 'w',
      tryNumber: 1,
      fencingToken: 18446744073709551615n,
    });
    fake.addTask({ taskId: 'c', state: TaskState.RUNNING });
    const { code, stdout } = await run(['task', 'list', '--state', 'running', '--limit', '1', '-o', 'json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([
      {
        taskId: 'b',
        state: 'running',
        queue: 'default',
        agentId: 'w',
        tryNumber: 1,
        fencingToken: '18446744073709551615',
      },
    ]);
    expect((await run(['task', 'list', '-o', 'name'])).stdout).toBe('a\nb\nc\n');
  });

  test('task describe -o json has history and result', async () => {
    const result = Buffer.from('{"sum":3}');
    const history = [{ event: 'submitted', at: new Date(0) }];
    fake.addTask({ taskId: 'a', state: TaskState.SUCCESS, result, resultType: 'application/json', history });
    const { stdout } = await run(['task', 'describe', 'a', '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({
      taskId: 'a',
      state: 'success',
      result: { sum: 3 },
      history: [
        {
          at: '1970-01-01T00:00:00.000Z',
          event: 'submitted',
          agentId: null,
          tryNumber: 0,
          fencingToken: '0',
        },
      ],
    });
  });

  test('a task that is not there is exit code 4, with the coordinator’s words', async () => {
    const { code, stdout, stderr } = await run(['task', 'describe', 'nope']);
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toBe(
      'error: there is no task nope [TASK_NOT_FOUND]\n  because: no task was ever given this id\n  try: holdfast task list\n',
    );
  });

  test('task explain says what blocks and what happens next', async () => {
    fake.addTask({ taskId: 'a' });
    const { stdout } = await run(['task', 'explain', 'a']);
    expect(stdout).toContain('  - no agent serves queue q [no_agent_serves_queue]\n    try: start one\n');
    expect(stdout).toContain('  - in 1m 30s: it fails [queued_timeout]\n');
  });

  test('task watch prints each change and ends as the tasks do', async () => {
    const queued = fake.addTask({ taskId: 'a' });
    fake.hooks.watchTasks = (_request, send) => {
      send(queued);
      send({ ...queued, state: TaskState.RUNNING, tryNumber: 1, agentId: 'w' });
      send({ ...queued, state: TaskState.CANCELLED });
      return true;
    };
    const { code, stdout } = await run(['task', 'watch', 'a', '-o', 'json']);
    expect(code).toBe(3);
    const states = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { state: string }).state);
    expect(states).toEqual(['queued', 'running', 'cancelled']);
  });

  test('task logs prints the bytes as they are, or objects with whole characters', async () => {
    fake.addTask({ taskId: 'a', state: TaskState.SUCCESS });
    const [first, second] = [Buffer.from([0xc3]), Buffer.from([0xa9, 0x0a])];
    fake.logs = [
      { tryNumber: 1, fencingToken: 7n, stream: 1, data: first },
      { tryNumber: 1, fencingToken: 7n, stream: 2, data: Buffer.from('err\n') },
      { tryNumber: 1, fencingToken: 7n, stream: 1, data: second },
    ] as never;
    const plain = await run(['task', 'logs', 'a', '--try', '1']);
    expect(plain.code).toBe(0);
    expect(plain.stderr).toBe('');
    const objects = await run(['task', 'logs', '-f', 'a', '-o', 'jsonl']);
    const pieces = objects.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { stream: string; text: string });
    expect(pieces.map(({ stream, text }) => [stream, text])).toEqual([
      ['stdout', ''],
      ['stderr', 'err\n'],
      ['stdout', 'é\n'],
    ]);
  });
});

describe('steering', () => {
  test('task cancel says when there was nothing left to do', async () => {
    fake.addTask({ taskId: 'a', state: TaskState.SUCCESS });
    fake.addTask({ taskId: 'b', state: TaskState.RUNNING });
    const late = await run(['task', 'cancel', 'a']);
    expect([late.code, late.stderr]).toEqual([0, 'nothing was done: task a had already ended as success\n']);
    expect((await run(['task', 'cancel', 'b'])).stderr).toBe('');
  });

  test('task resolve needs one verdict', async () => {
    fake.addTask({ taskId: 'a', state: TaskState.RUNNING });
    const verdicts: number[] = [];
    fake.hooks.resolveTask = (request) => void verdicts.push(request.verdict);
    expect((await run(['task', 'resolve', 'a'])).code).toBe(2);
    expect((await run(['task', 'resolve', 'a', '--fail', '--succeed'])).code).toBe(2);
    expect((await run(['task', 'resolve', 'a', '--succeed'])).code).toBe(0);
    expect(verdicts).toEqual([3]);
  });

  test('agents are listed with the documented fields', async () => {
    fake.addAgent({
      agentId: 'w',
      sessionEpoch: 12n,
      leaseRemaining: { seconds: 14n, nanos: 0 },
      slots: 4,
      running: 1,
      queues: ['q'] as never,
    });
    const { stdout } = await run(['agent', 'list', '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject([
      {
        agentId: 'w',
        kind: 'worker',
        state: 'healthy',
        sessionEpoch: '12',
        leaseRemainingMs: 14_000,
        slots: 4,
        running: 1,
      },
    ]);
    const table = await run(['agent', 'cordon', 'w']);
    expect(table.stdout).toContain('w      worker  healthy (cordoned)  1/4');
  });

  test('agent drain carries its limit; one that is not there is exit code 4', async () => {
    fake.addAgent({ agentId: 'w' });
    const limits: unknown[] = [];
    fake.hooks.drainAgent = (request) => void limits.push(request.timeout?.seconds);
    expect((await run(['agent', 'drain', 'w', '--drain-timeout', '30s'])).code).toBe(0);
    expect(limits).toEqual([30n]);
    expect((await run(['agent', 'drain', 'nobody'])).code).toBe(4);
  });

  test('health shows what the coordinator says, 64-bit counters as strings', async () => {
    const { code, stdout } = await run(['health', '-o', 'json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'serving',
      address: fake.address,
      heartbeatIntervalMs: 5_000,
      counters: { permits: '18446744073709551615' },
    });
  });
});

describe('exit codes', () => {
  test.each<[status, number]>([
    [status.PERMISSION_DENIED, 77],
    [status.UNAUTHENTICATED, 77],
    [status.FAILED_PRECONDITION, 5],
    [status.ALREADY_EXISTS, 5],
    [status.INVALID_ARGUMENT, 2],
    [status.INTERNAL, 1],
  ])('gRPC status %d is exit code %d', async (grpc, exit) => {
    fake.hooks.listTasks = () => refusal(grpc, 'no');
    const { code, stderr } = await run(['task', 'list']);
    expect([code, stderr]).toEqual([exit, `error: no [${status[grpc]}]\n`]);
  });

  test('nobody at the address is 69, waiting for somebody in vain is 6', async () => {
    const env = { HOLDFAST_COORDINATOR: '127.0.0.1:1' };
    const [there, waited] = await Promise.all([
      run(['agent', 'list'], { env }),
      run(['health', '--wait', '--timeout', '500ms'], { env }),
    ]);
    expect(there.code).toBe(69);
    expect(there.stderr).toContain('cannot reach the coordinator at 127.0.0.1:1 [COORDINATOR_UNREACHABLE]');
    expect(waited.code).toBe(6);
  });

  test.each([
    [['tsk'], "unknown command 'tsk'"],
    [['task', 'list', '--limt', '3'], 'try: --limit; holdfast task list --help'],
    [['task', 'list', '--state', 'runing'], 'did you mean running?'],
    [
      ['task', 'list', '--limit', '0'],
      '--limit cannot be "0" [USAGE]\n  because: it must be a whole number from 1',
    ],
    [['task', 'describe'], "missing required argument 'ID'"],
    [['task', 'describe', 'a', 'b'], 'because: it expects 1 argument but got 2'],
    [['task', 'list', '--limit'], 'because: the option needs a value'],
    [['task', 'submit', '--retries', '-1', '--', 'x'], 'because: it must be a whole number from 0 to 100'],
    [['task', 'submit', '--working-directory', 'x'.repeat(5_000), '--', 'x'], 'at most 4096 bytes'],
    [['task', 'submit'], 'there is no command to run'],
    [['task', 'submit', '--handler', 'h', '--', 'ls'], 'there is a command as well as --handler'],
    [['task', 'submit', '--handler', 'h', '--env', 'A=1'], 'there is --env as well as --handler'],
    [['task', 'submit', '--handler', 'h', '--input', '{width: 1}'], 'the input {width: 1} is not JSON'],
    [['task', 'submit', '--handler', 'h', '--input', '@/nowhere'], 'cannot read /nowhere'],
    [['task', 'submit', '--input', '1', '--', 'ls'], 'there is an input but no handler'],
    [['task', 'submit', 'ls', '-l'], 'put -- before the command'],
    [['task', 'list', '--coordinator', 'nowhere'], 'it must be HOST:PORT'],
    [['task', 'list', '-o', 'xml'], '--output cannot be "xml"'],
  ])('%j is 2', async (args, words) => {
    const { code, stdout, stderr } = await run(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(words);
    expect(stderr).toMatch(/^error: .+ \[[A-Z_]+\]\n {2}because: .+\n {2}try: .+\n$/);
  });

  test('a bad value in a variable names the variable', async () => {
    const { code, stderr } = await run(['task', 'submit', '--', 'x'], { env: { HOLDFAST_RETRIES: 'many' } });
    expect(code).toBe(2);
    expect(stderr).toContain('HOLDFAST_RETRIES cannot be "many"');
  });
});
