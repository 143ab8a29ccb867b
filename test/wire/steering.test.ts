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

interface Step {
  readonly taskIds: readonly string[];
  readonly skipped: Readonly<Record<string, number>>;
  readonly nextPageToken: string;
}

const submit = async (count: number, queue: string): Promise<string[]> => {
  const tasks = Array.from({ length: count }, () => ({ work: { command: { argv: ['true'] } }, queue }));
  const answer = await stage.api.call<{ tasks: { taskId: string }[] }>('SubmitTasks', { tasks });
  return answer.tasks.map(({ taskId }) => taskId);
};
const step = (request: object) => stage.api.call<Step>('SteerTasks', request);

/** Every step until the end. */
async function all(request: object): Promise<Step[]> {
  const steps: Step[] = [];
  for (
    let pageToken = '';
    steps.length === 0 || pageToken !== '';
    pageToken = steps.at(-1)?.nextPageToken ?? ''
  )
    steps.push(await step({ ...request, pageToken }));
  return steps;
}

describe('tasks steered by a selection', () => {
  test('are found in steps of at most 200, newest first, each once', async () => {
    const ids = await submit(450, 'many');
    const cancel = { action: 'STEER_ACTION_CANCEL', selection: { queue: 'many' } };
    const dry = await all({ ...cancel, dryRun: true });
    expect(dry.map(({ taskIds }) => taskIds.length)).toEqual([200, 200, 50]);
    expect(dry.flatMap(({ taskIds }) => taskIds)).toEqual([...ids].sort().reverse());
    const done = await all(cancel);
    expect(done.flatMap(({ taskIds }) => taskIds)).toHaveLength(450);
    const again = await all(cancel);
    expect(again.flatMap(({ taskIds }) => taskIds)).toEqual([]);
    expect(again.reduce((sum, { skipped }) => sum + (skipped.ended ?? 0), 0)).toBe(450);
    const retried = await all({ action: 'STEER_ACTION_RETRY', selection: { taskIds: ids.slice(0, 3) } });
    expect(retried.flatMap(({ taskIds }) => taskIds)).toEqual(ids.slice(0, 3).reverse());
    const moved = await all({
      ...{ action: 'STEER_ACTION_MOVE', queue: 'elsewhere' },
      selection: { queue: 'many', states: ['TASK_STATE_QUEUED'] },
    });
    expect(moved.flatMap(({ taskIds }) => taskIds)).toHaveLength(3);
    const { tasks } = await stage.api.call<{ tasks: unknown[] }>('ListTasks', { queue: 'elsewhere' });
    expect(tasks).toHaveLength(3);
  });

  test.each([
    ['no action', { selection: { queue: 'q' } }, 'no action'],
    ['an unknown action', { action: 42, selection: { queue: 'q' } }, 'no action'],
    ['no selection', { action: 'STEER_ACTION_CANCEL' }, 'the selection is empty'],
    ['an empty selection', { action: 'STEER_ACTION_RETRY', selection: {} }, 'the selection is empty'],
    [
      'an unknown state',
      { action: 'STEER_ACTION_RETRY', selection: { states: [99] } },
      'task state 99 is unknown',
    ],
    [
      'no queue to move to',
      { action: 'STEER_ACTION_MOVE', selection: { queue: 'q' } },
      'queue "" is not a name',
    ],
    [
      'a queue for a cancel',
      { action: 'STEER_ACTION_CANCEL', queue: 'q', selection: { queue: 'q' } },
      'queue is set',
    ],
    [
      'too many ids',
      { action: 'STEER_ACTION_RETRY', selection: { taskIds: Array(10_001).fill('x') } },
      '10001 task ids',
    ],
  ])('are refused with %s', async (_name, request, words) => {
    const refused = await stage.api.refused('SteerTasks', request);
    expect(refused).toMatchObject({ status: status.INVALID_ARGUMENT, code: 'INVALID_REQUEST' });
    expect(refused.details).toContain(words);
  });
});

test('a retry of a task that has not ended is refused', async () => {
  const [taskId] = await submit(1, 'waits');
  expect(await stage.api.refused('RetryTask', { taskId })).toMatchObject({ code: 'TASK_NOT_ENDED' });
  expect(await stage.api.refused('RetryTask', { taskId: '0199-nobody' })).toMatchObject({
    code: 'TASK_NOT_FOUND',
  });
});
