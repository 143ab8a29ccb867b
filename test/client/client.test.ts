import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Client, type ClientClock, connect, HoldfastError, type Task } from '../../src/client/index.js';
import { TaskState } from '../../src/wire/gen/holdfast/v1/task_service.js';
import { FakeCoordinator, refusal } from '../cli/support/fake-coordinator.js';

let fake: FakeCoordinator;
let client: Client;
let drawn = 0;
const clock: ClientClock = {
  now: () => Date.now(),
  random: () => 0,
  wait: () => Promise.resolve(),
  unique: () => `drawn-${++drawn}`,
};

beforeEach(async () => {
  fake = await new FakeCoordinator().start();
  client = connect(fake.address, { clock });
});
afterEach(() => {
  client.close();
  fake.stop();
});

const failureOf = async (call: Promise<unknown>): Promise<HoldfastError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HoldfastError);
  return error as HoldfastError;
};

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};

test('a submission carries every choice, and leaves the rest to the coordinator', async () => {
  const [answer] = await client.tasks.submit([
    {
      command: ['sh', '-c', 'true'],
      queue: 'q',
      env: { A: '1' },
      retries: 2,
      retryBackoff: { initialMs: 1_500 },
      executionTimeoutMs: 90_250,
      partitionPolicy: 'single_run',
      requiredLabels: { zone: 'a' },
      idempotencyKey: 'k',
    },
  ]);
  expect(answer).toEqual({ taskId: 'task-1', existing: false });
  const spec = fake.submitted[0]?.tasks[0];
  expect(spec?.work?.work).toMatchObject({ $case: 'command', value: { env: new Map([['A', '1']]) } });
  expect(spec?.retryBackoff).toEqual({ initial: { seconds: 1n, nanos: 500_000_000 }, max: undefined });
  expect(spec?.executionTimeout).toEqual({ seconds: 90n, nanos: 250_000_000 });
  expect(spec?.queuedTimeout).toBeUndefined();
  expect(spec?.partitionPolicy).toBe(2);

  const task = await client.tasks.get('task-1');
  expect(task).toMatchObject({ state: 'queued', queue: 'q', fencingToken: 0n, history: [] });
  expect(task.spec).toMatchObject({
    executionTimeoutMs: 90_250,
    partitionPolicy: 'single_run',
    command: ['sh', '-c', 'true'],
  });
});

test('a list goes over pages until its limit', async () => {
  for (let i = 0; i < 250; i++) fake.addTask({ taskId: `t${i}` });
  const sizes: number[] = [];
  fake.hooks.listTasks = (request) => void sizes.push(request.pageSize);
  expect(await collect(client.tasks.list())).toHaveLength(250);
  expect(await collect(client.tasks.list({}, { limit: 120 }))).toHaveLength(120);
  expect(sizes).toEqual([100, 100, 100, 100, 20]);
});

test('a state that this client does not know is none that has ended', async () => {
  fake.addTask({ taskId: 't', state: 77 as TaskState });
  expect((await client.tasks.get('t')).state).toBe('scheduled');
});

describe('errors', () => {
  test('carry the coordinator’s own code and words', async () => {
    expect(await failureOf(client.tasks.get('nope'))).toMatchObject({
      code: 'TASK_NOT_FOUND',
      grpcStatus: status.NOT_FOUND,
      what: 'there is no task nope',
      reason: 'no task was ever given this id',
      advice: 'holdfast task list',
    });
  });

  test('fall back on the status', async () => {
    fake.hooks.listTasks = () => refusal(status.PERMISSION_DENIED, 'not yours');
    expect(await failureOf(collect(client.tasks.list()))).toMatchObject({
      code: 'PERMISSION_DENIED',
      what: 'not yours',
    });
  });

  test('tell an unreachable coordinator at once to who does not want to wait', async () => {
    const nobody = connect('127.0.0.1:1', { clock, retry: false });
    const error = await failureOf(nobody.coordinator());
    expect(error).toMatchObject({ code: 'COORDINATOR_UNREACHABLE', grpcStatus: status.UNAVAILABLE });
    expect(error.reason).toContain('refused');
    nobody.close();
  });

  test('a call that its caller cancels says so', async () => {
    const abort = new AbortController();
    fake.hooks.watchTasks = () => false;
    const watching = collect(client.tasks.watch(['t'], { signal: abort.signal }));
    setTimeout(() => abort.abort(), 50);
    expect(await failureOf(watching)).toMatchObject({ code: 'CANCELLED' });
  });
});

describe('a watch', () => {
  test('goes on over a coordinator that comes back, and repeats nothing', async () => {
    const queued = fake.addTask({ taskId: 't' });
    const running = { ...queued, state: TaskState.RUNNING, tryNumber: 1, fencingToken: 9n };
    let opened = 0;
    fake.hooks.watchTasks = (_request, send) => {
      opened += 1;
      send(opened < 3 ? queued : running);
      if (opened === 1) return refusal(status.UNAVAILABLE, 'going away');
      send(opened < 3 ? running : { ...running, state: TaskState.SUCCESS });
      return true;
    };
    const interruptions: string[] = [];
    const seen: Task[] = await collect(
      client.tasks.watch(['t'], { onInterrupted: (error) => interruptions.push(error.code) }),
    );
    expect(seen.map((task) => task.state)).toEqual(['queued', 'running', 'success']);
    expect(seen[1]?.fencingToken).toBe(9n);
    expect(interruptions).toEqual(['COORDINATOR_UNREACHABLE']);
  });

  test('asks again only for tasks that are still open', async () => {
    const asked: string[][] = [];
    const done = fake.addTask({ taskId: 'a', state: TaskState.SUCCESS });
    const open = fake.addTask({ taskId: 'b' });
    fake.hooks.watchTasks = (request, send) => {
      asked.push([...request.taskIds]);
      if (asked.length === 1) {
        send(done);
        return refusal(status.UNAVAILABLE, 'going away');
      }
      send({ ...open, state: TaskState.FAILED });
      return true;
    };
    await collect(client.tasks.watch(['a', 'b']));
    expect(asked).toEqual([['a', 'b'], ['b']]);
  });

  test('ends with the error when it is told not to reconnect', async () => {
    fake.hooks.watchTasks = () => refusal(status.UNAVAILABLE, 'going away');
    const error = await failureOf(collect(client.tasks.watch(['t'], { reconnect: false })));
    expect(error.grpcStatus).toBe(status.UNAVAILABLE);
  });
});

test('a drain carries its time limit, and an agent comes with its numbers whole', async () => {
  fake.addAgent({
    agentId: 'a',
    sessionEpoch: 18446744073709551615n,
    labels: new Map([['zone', 'b']]) as never,
  });
  const limits: unknown[] = [];
  fake.hooks.drainAgent = (request) => void limits.push(request.timeout);
  const agent = await client.agents.drain('a', 1_500);
  expect(limits).toEqual([{ seconds: 1n, nanos: 500_000_000 }]);
  expect(agent).toMatchObject({
    sessionEpoch: 18446744073709551615n,
    draining: true,
    labels: { zone: 'b' },
    kind: 'worker',
  });
});

describe('a call that is safe to repeat', () => {
  const away = refusal(status.UNAVAILABLE, 'going away');

  test('is made again while the coordinator is away, a submission with the same key', async () => {
    const keys: (string | undefined)[] = [];
    fake.hooks.submitTasks = ({ tasks }) => {
      keys.push(tasks[0]?.idempotencyKey);
      return keys.length < 3 ? away : undefined;
    };
    await client.tasks.submit([{ command: ['true'] }]);
    expect(new Set(keys).size).toBe(1);
    expect(keys).toHaveLength(3);
    expect(keys[0]).toMatch(/^drawn-/);
  });

  test('a key of the task itself is left alone, and two tasks never share a drawn one', async () => {
    await client.tasks.submit([
      { command: ['a'], idempotencyKey: 'mine' },
      { command: ['b'] },
      { command: ['b'] },
    ]);
    const keys = fake.submitted[0]?.tasks.map((task) => task.idempotencyKey) ?? [];
    expect(keys[0]).toBe('mine');
    expect(new Set(keys).size).toBe(3);
  });

  test('an answer that was lost counts as the first one: the task is new to its submitter', async () => {
    let lost = true;
    fake.hooks.submitTasks = () => {
      if (!lost) return undefined;
      lost = false;
      return away;
    };
    fake.existing = true;
    const [drawnKey] = await client.tasks.submit([{ command: ['true'] }]);
    expect(drawnKey?.existing).toBe(false);
    const [ownKey] = await client.tasks.submit([{ command: ['true'], idempotencyKey: 'k' }]);
    expect(ownKey?.existing).toBe(true);
  });

  test('ends with the last word of the coordinator when its time is over', async () => {
    let now = 0;
    const waits: number[] = [];
    const slow = connect(fake.address, {
      timeoutMs: 1_000,
      clock: {
        ...clock,
        now: () => Date.now() + now,
        random: () => 0.999,
        wait: async (ms) => {
          waits.push(ms);
          now += ms;
        },
      },
    });
    fake.hooks.listTasks = () => refusal(status.RESOURCE_EXHAUSTED, 'too much to do', { code: 'OVERLOADED' });
    expect(await failureOf(collect(slow.tasks.list()))).toMatchObject({ code: 'OVERLOADED' });
    expect(waits).toEqual([99, 199, 399]);
    slow.close();
  });

  test('is made once when the refusal is final', async () => {
    let calls = 0;
    fake.hooks.listTasks = () => {
      calls += 1;
      return refusal(status.INVALID_ARGUMENT, 'nonsense', { code: 'INVALID_REQUEST' });
    };
    await failureOf(collect(client.tasks.list()));
    expect(calls).toBe(1);
  });

  test('stops waiting when its caller cancels', async () => {
    const abort = new AbortController();
    fake.hooks.listTasks = () => {
      abort.abort();
      return away;
    };
    expect(await failureOf(collect(client.tasks.list({}, { signal: abort.signal })))).toMatchObject({
      code: 'CANCELLED',
    });
  });
});

describe('a stream with a deadline', () => {
  test('ends with DEADLINE_EXCEEDED while it waits for the next change', async () => {
    fake.addTask({ taskId: 't' });
    fake.hooks.watchTasks = () => false;
    expect(await failureOf(collect(client.tasks.watch(['t'], { timeoutMs: 50 })))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
  });

  test('ends with DEADLINE_EXCEEDED while the coordinator is away', async () => {
    let now = 0;
    const waiting = connect(fake.address, {
      clock: {
        ...clock,
        now: () => Date.now() + now,
        random: () => 0.999,
        wait: async (ms) => {
          now += ms;
        },
      },
    });
    fake.hooks.watchTasks = () => refusal(status.UNAVAILABLE, 'going away');
    const error = await failureOf(collect(waiting.tasks.watch(['t'], { timeoutMs: 5_000 })));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    waiting.close();
  });
});

test('submitAndWait gives the task as it ended, with its result', async () => {
  fake.hooks.watchTasks = (request, send) => {
    const taskId = request.taskIds[0] ?? '';
    send(fake.addTask({ taskId, state: TaskState.SUCCESS, result: Buffer.from('42'), tryNumber: 1 }));
    return true;
  };
  const task = await client.tasks.submitAndWait({ command: ['true'] });
  expect(task.state).toBe('success');
  expect(Buffer.from(task.result).toString()).toBe('42');
});

test('events come once each and in order, over a coordinator that comes back', async () => {
  const happened = [{ event: 'submitted' }];
  const show = (state: TaskState) => fake.addTask({ taskId: 't', state, history: [...happened] as never });
  let opened = 0;
  fake.hooks.watchTasks = (_request, send) => {
    opened += 1;
    if (opened === 1) {
      send(show(TaskState.QUEUED));
      return refusal(status.UNAVAILABLE, 'going away');
    }
    happened.push({ event: 'permitted' }, { event: 'success' });
    send(show(TaskState.SUCCESS));
    return true;
  };
  const events = await collect(client.tasks.events('t'));
  expect(events.map(({ event }) => event)).toEqual(['submitted', 'permitted', 'success']);
});
