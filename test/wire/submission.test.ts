import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Stage } from './support/stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(async () => {
  await stage.serves();
  await stage.close();
});

const seconds = (count: number) => ({ seconds: count });
const command = (change: object) => ({ work: { command: { argv: ['true'], ...change } } });
const task = (change: object = {}) => ({ ...command({}), queue: 'none', ...change });
const listed = async (queue: string): Promise<number> =>
  (await stage.api.call<{ tasks: unknown[] }>('ListTasks', { queue })).tasks.length;

const BAD: readonly (readonly [string, object, string])[] = [
  ['negative retries', { retries: -1 }, 'retries is 4294967295'],
  ['too many retries', { retries: 101 }, 'retries is 101'],
  ['a priority out of range', { priority: 1_001 }, 'priority is 1001'],
  ['a queue with a space', { queue: 'no way' }, 'queue "no way" is not a name'],
  ['an unknown policy', { partitionPolicy: 42 }, 'partition_policy 42 is unknown'],
  ['hold_timeout without hold', { holdTimeout: seconds(60) }, 'hold_timeout is set'],
  [
    'a hold shorter than the run may last',
    { partitionPolicy: 'PARTITION_POLICY_HOLD', holdTimeout: seconds(30), executionTimeout: seconds(60) },
    'hold_timeout is 30000 ms',
  ],
  ['a negative execution timeout', { executionTimeout: seconds(-1) }, 'execution_timeout is -1000'],
  ['an execution timeout of nothing', { executionTimeout: {} }, 'execution_timeout is 0'],
  ['a queued timeout of a thousand years', { queuedTimeout: seconds(31_536_000_000) }, 'queued_timeout is'],
  ['a negative kill grace', { killGrace: seconds(-1) }, 'kill_grace is -1000'],
  ['a kill grace beyond an hour', { killGrace: seconds(3_601) }, 'kill_grace is 3601000'],
  [
    'a back-off that shrinks',
    { retryBackoff: { initial: seconds(10), max: seconds(5) } },
    'retry_backoff.max is shorter',
  ],
  [
    'a negative back-off',
    { retryBackoff: { initial: seconds(-1), max: seconds(5) } },
    'retry_backoff.initial',
  ],
  ['no work', { work: undefined }, 'it has no work'],
  ['no command', command({ argv: [] }), 'its command is empty'],
  ['an empty command', command({ argv: [''] }), 'its command is empty'],
  ['a command of 70 KiB', command({ argv: ['x'.repeat(70_000)] }), '1 words and 70000 bytes'],
  ['too many words', command({ argv: Array.from({ length: 1_025 }, () => 'x') }), '1025 words'],
  ['a NUL in the command', command({ argv: ['a\0b'] }), 'NUL character'],
  ['a HOLDFAST_ variable', command({ env: { HOLDFAST_TASK_ID: 'x' } }), 'env HOLDFAST_TASK_ID is reserved'],
  ['a variable without a name', command({ env: { '': 'x' } }), "is not a variable's name"],
  ['a variable with =', command({ env: { 'A=B': 'x' } }), "is not a variable's name"],
  ['an environment of 70 KiB', command({ env: { A: 'x'.repeat(70_000) } }), 'its env has 70001 bytes'],
  [
    'a memory limit of 1 KiB',
    command({ argv: ['x'], memoryLimitBytes: 1_024 }),
    'memory_limit_bytes is 1024',
  ],
  [
    'a memory limit beyond any',
    command({ argv: ['x'], memoryLimitBytes: '9007199254740993' }),
    'memory_limit_bytes is',
  ],
  ['a CPU limit of 5m', command({ argv: ['x'], cpuLimitMillis: 5 }), 'cpu_limit_millis is 5'],
  ['a handler without a name', { work: { handler: {} } }, 'handler "" is not a name'],
  ['a handler with a space', { work: { handler: { name: 'a b' } } }, 'handler "a b" is not a name'],
  [
    'an input without a type',
    { work: { handler: { name: 'h', input: Buffer.from('1') } } },
    'its input has no content type',
  ],
  [
    'an input of 257 KiB',
    { work: { handler: { name: 'h', input: Buffer.alloc(257 * 1024), inputType: 'x/y' } } },
    'its input has 263168 bytes',
  ],
  ['an oversize idempotency key', { idempotencyKey: 'x'.repeat(257) }, 'idempotency_key is longer'],
  [
    'an end before its beginning',
    { startAfter: seconds(32_503_680_000 - 31_000_000_000), startBefore: seconds(1_500_000_000) },
    'start_before is 2017-07-14T02:40:00.000Z',
  ],
  ['an oversize concurrency key', { concurrencyKey: 'x'.repeat(257) }, 'concurrency_key is longer'],
  ['a concurrency limit without a key', { concurrencyLimit: 2 }, 'concurrency_limit is set'],
  ['too large a concurrency limit', { concurrencyKey: 'k', concurrencyLimit: 10_001 }, 'limit is 10001'],
  ['a start in a thousand years', { startAfter: seconds(33_000_000_000) }, 'start_after is'],
  ['an expiry in a thousand years', { startBefore: seconds(33_000_000_000) }, 'start_before is'],
  ['an oversize label', { requiredLabels: { x: 'y'.repeat(129) } }, 'label "x"'],
];

describe('a submission that makes no sense is refused as a whole: what, because, try', () => {
  test.each(BAD)('%s', async (_name, change, words) => {
    const before = await listed('none');
    const refused = await stage.api.refused('SubmitTasks', { tasks: [task(), task(change)] });
    expect(refused).toMatchObject({ status: status.INVALID_ARGUMENT, code: 'INVALID_TASK' });
    expect(refused.details).toContain('task 2 of the batch: ');
    expect(refused.details).toContain(words);
    expect(refused.because).not.toBe('');
    expect(refused.try).not.toBe('');
    expect(await listed('none')).toBe(before);
  });

  test.each([
    ['an empty batch', 0],
    ['501 tasks', 501],
  ])('%s', async (_name, count) => {
    const tasks = Array.from({ length: count }, () => task());
    const refused = await stage.api.refused('SubmitTasks', { tasks });
    expect(refused).toMatchObject({
      status: status.INVALID_ARGUMENT,
      code: 'INVALID_REQUEST',
      try: 'split it',
    });
  });

  test('500 tasks are a batch', async () => {
    const tasks = Array.from({ length: 500 }, () => task({ queue: 'five-hundred' }));
    const { tasks: accepted } = await stage.api.call<{ tasks: object[] }>('SubmitTasks', { tasks });
    expect(accepted).toHaveLength(500);
  });

  test('times that are no whole milliseconds are taken', async () => {
    const odd = { seconds: 1, nanos: 1 };
    const ids = await stage.api.submit({
      queue: 'odd-times',
      queuedTimeout: odd,
      killGrace: odd,
      executionTimeout: odd,
    });
    expect(ids).toHaveLength(1);
    await stage.serves();
  });
});

describe('an idempotency key names one submission', () => {
  test('the same content again returns the first task', async () => {
    const spec = task({ queue: 'keys', idempotencyKey: 'k1', ...command({ env: { A: '1', B: '2' } }) });
    const twin = task({ queue: 'keys', idempotencyKey: 'k1', ...command({ env: { B: '2', A: '1' } }) });
    const submit = async (...tasks: object[]) =>
      (await stage.api.call<{ tasks: { taskId: string; existing: boolean }[] }>('SubmitTasks', { tasks }))
        .tasks;
    const [first] = await submit(spec);
    expect(first?.existing).toBe(false);
    expect(await submit(twin, spec)).toEqual([
      { taskId: first?.taskId, existing: true },
      { taskId: first?.taskId, existing: true },
    ]);
    expect(await listed('keys')).toBe(1);
  });

  test('other content is a conflict, and nothing of the batch is accepted', async () => {
    await stage.api.submit({ queue: 'conflict', idempotencyKey: 'k2' });
    const tasks = [
      task({ queue: 'conflict' }),
      task({ queue: 'conflict', idempotencyKey: 'k2', priority: 7 }),
    ];
    const refused = await stage.api.refused('SubmitTasks', { tasks });
    expect(refused).toMatchObject({ status: status.ALREADY_EXISTS, code: 'IDEMPOTENCY_CONFLICT' });
    expect(refused.because).toBe('the same key must always come with the same content');
    expect(await listed('conflict')).toBe(1);
  });

  test('two contents under one key in one batch are a conflict', async () => {
    const tasks = [task({ idempotencyKey: 'k3' }), task({ idempotencyKey: 'k3', priority: 1 })];
    expect((await stage.api.refused('SubmitTasks', { tasks })).code).toBe('IDEMPOTENCY_CONFLICT');
  });
});

describe('ids and pages that are none', () => {
  test.each([
    ['GetTask', {}],
    ['CancelTask', {}],
    ['ExplainTask', {}],
    ['ResolveTask', { verdict: 'RESOLVE_VERDICT_FAIL' }],
  ])('%s of an unknown task is NOT_FOUND, of an impossible id INVALID_ARGUMENT', async (method, change) => {
    const unknown = await stage.api.refused(method, { taskId: 'no-such-task', ...change });
    expect(unknown).toMatchObject({ status: status.NOT_FOUND, code: 'TASK_NOT_FOUND' });
    expect(unknown.try).toContain('task list');
    const impossible = await stage.api.refused(method, { taskId: 'no such\ntask', ...change });
    expect(impossible).toMatchObject({ status: status.INVALID_ARGUMENT, code: 'INVALID_REQUEST' });
  });

  test.each(['DescribeAgent', 'CordonAgent', 'UncordonAgent', 'DrainAgent'])(
    '%s of an unknown agent is NOT_FOUND',
    async (method) => {
      const refused = await stage.api.refused(method, { agentId: 'no such agent' });
      expect(refused).toMatchObject({ status: status.NOT_FOUND, code: 'AGENT_NOT_FOUND' });
    },
  );

  test('a page token that is none is refused', async () => {
    const refused = await stage.api.refused('ListTasks', { pageToken: 'no token!' });
    expect(refused).toMatchObject({ status: status.INVALID_ARGUMENT, code: 'INVALID_REQUEST' });
  });

  test('a state of the future is refused', async () => {
    const refused = await stage.api.refused('ListTasks', { states: [77] });
    expect(refused.code).toBe('INVALID_REQUEST');
  });

  test('a verdict is needed, and a lost try to rule on', async () => {
    const [taskId = ''] = await stage.api.submit({ queue: 'none' });
    expect((await stage.api.refused('ResolveTask', { taskId })).code).toBe('INVALID_REQUEST');
    const refused = await stage.api.refused('ResolveTask', { taskId, verdict: 'RESOLVE_VERDICT_FAIL' });
    expect(refused).toMatchObject({ status: status.FAILED_PRECONDITION, code: 'NO_LOST_TRY' });
  });

  test('a drain with a negative timeout is refused', async () => {
    const agent = await stage.greeted({ agentId: 'drained' });
    const refused = await stage.api.refused('DrainAgent', { agentId: agent.agentId, timeout: seconds(-1) });
    expect(refused.code).toBe('INVALID_REQUEST');
  });

  test('pages hold every task once, newest first', async () => {
    const ids = await stage.api.submit(...Array.from({ length: 7 }, () => ({ queue: 'pages' })));
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await stage.api.call<{ tasks: { taskId: string }[]; nextPageToken: string }>('ListTasks', {
        queue: 'pages',
        pageSize: 3,
        pageToken,
      });
      seen.push(...page.tasks.map(({ taskId }) => taskId));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual([...ids].reverse());
  });
});

test('words that no header can carry arrive in the metadata all the same', async () => {
  const refused = await stage.api.refused('SubmitTasks', { tasks: [task({ queue: 'größe ✓\n' })] });
  expect(refused.code).toBe('INVALID_TASK');
  expect(refused.because).not.toBe('');
});
