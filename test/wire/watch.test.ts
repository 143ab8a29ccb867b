import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { refusalOf } from './support/proto.js';
import { Stage } from './support/stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(() => stage.close());

interface Seen {
  readonly task: { readonly taskId: string; readonly state: string; readonly result: Buffer };
}
const watch = (...taskIds: string[]) => stage.api.stream('WatchTasks', { taskIds });
async function all(stream: AsyncIterable<unknown>): Promise<Seen['task'][]> {
  const seen: Seen['task'][] = [];
  for await (const message of stream) seen.push((message as Seen).task);
  return seen;
}

describe('watching tasks', () => {
  test('shows each as it is, then its changes, and ends with the last end', async () => {
    const agent = await stage.greeted({ agentId: 'watched', queue: 'watched', slots: 1 });
    const [first = '', second = ''] = await stage.api.submit({ queue: 'watched' }, { queue: 'watched' });
    const watching = all(watch(first, second));
    await agent.complete(first, { result: Buffer.from('1'), resultType: 'text/plain' });
    await agent.complete(second);
    const seen = await watching;
    const statesOf = (id: string) => seen.filter(({ taskId }) => taskId === id).map(({ state }) => state);
    expect(statesOf(first)).toEqual(['TASK_STATE_QUEUED', 'TASK_STATE_RUNNING', 'TASK_STATE_SUCCESS']);
    expect(statesOf(second).at(-1)).toBe('TASK_STATE_SUCCESS');
    expect(
      seen
        .filter(({ taskId }) => taskId === first)
        .at(-1)
        ?.result.toString(),
    ).toBe('1');
  });

  test('of tasks that have ended shows them and ends', async () => {
    const [taskId = ''] = await stage.api.submit({ queue: 'nobody' });
    await stage.api.call('CancelTask', { taskId });
    expect((await all(watch(taskId, taskId))).map(({ state }) => state)).toEqual(['TASK_STATE_CANCELLED']);
  });

  test('slowly misses steps, never the last one', async () => {
    const agent = await stage.greeted({ agentId: 'busy', queue: 'slow', slots: 50 });
    const ids = await stage.api.submit(...Array.from({ length: 400 }, () => ({ queue: 'slow' })));
    const stream = watch(...ids);
    const last = new Map<string, string>();
    stream.on('data', ({ task }: Seen) => last.set(task.taskId, task.state));
    const ended = new Promise((resolve) => stream.once('end', resolve));
    await new Promise((resolve) => stream.once('data', resolve));
    stream.pause();
    // Results of this size fill what the connection takes unread.
    const result = { result: Buffer.alloc(20_000), resultType: 'application/octet-stream' };
    for (const taskId of ids) await agent.complete(taskId, result);
    stream.resume();
    await ended;
    expect([...new Set(last.values())]).toEqual(['TASK_STATE_SUCCESS']);
    expect(last.size).toBe(400);
  });

  test.each([
    ['no task', [], status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['an impossible id', ['no way'], status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['an unknown task', ['no-such-task'], status.NOT_FOUND, 'TASK_NOT_FOUND'],
    [
      'too many tasks',
      Array.from({ length: 10_001 }, (_, i) => `t${i}`),
      status.INVALID_ARGUMENT,
      'INVALID_REQUEST',
    ],
  ])('of %s is refused', async (_name, taskIds, code, stable) => {
    const refused = await all(watch(...taskIds)).catch(refusalOf);
    expect(refused).toMatchObject({ status: code, code: stable });
  });

  test('that is broken off leaves nothing behind', async () => {
    const [taskId = ''] = await stage.api.submit({ queue: 'nobody' });
    const stream = watch(taskId);
    stream.on('error', () => {});
    await new Promise((resolve) => stream.once('data', resolve));
    stream.cancel();
    await stage.api.call('CancelTask', { taskId });
    await stage.serves();
    expect((await stage.api.task(taskId)).state).toBe('TASK_STATE_CANCELLED');
  });
});

test('reading the output of an unknown task is refused', async () => {
  const stream = stage.api.stream('ReadTaskLogs', { taskId: 'no-such-task' });
  expect(await all(stream).catch(refusalOf)).toMatchObject({
    status: status.NOT_FOUND,
    code: 'TASK_NOT_FOUND',
  });
});
