import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Client, connect, HoldfastError, type Task } from '../../src/client/index.js';
import { TaskState } from '../../src/wire/gen/holdfast/v1/task_service.js';
import { FakeCoordinator, refusal } from '../cli/support/fake-coordinator.js';

let fake: FakeCoordinator;
let client: Client;
const clock = { now: () => Date.now(), random: () => 0, wait: () => Promise.resolve() };

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
  expect(spec?.work?.work?.value.env.get('A')).toBe('1');
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
      because: 'no task was ever given this id',
      try: 'holdfast task list',
    });
  });

  test('fall back on the status', async () => {
    fake.hooks.listTasks = () => refusal(status.PERMISSION_DENIED, 'not yours');
    expect(await failureOf(collect(client.tasks.list()))).toMatchObject({
      code: 'PERMISSION_DENIED',
      what: 'not yours',
    });
  });

  test('tell an unreachable coordinator at once', async () => {
    const nobody = connect('127.0.0.1:1', { clock });
    const error = await failureOf(nobody.coordinator());
    expect(error).toMatchObject({ code: 'COORDINATOR_UNREACHABLE', grpcStatus: status.UNAVAILABLE });
    expect(error.because).toContain('refused');
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
