import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import { Stage } from './support/stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start({ limits: { ...DEFAULT_POLICY.limits, queues: 2, laneWindow: 5 } });
});
afterAll(async () => {
  await stage.serves();
  await stage.close();
});

interface ShownQueue {
  readonly name: string;
  readonly runLimit?: number;
  readonly waiting: number;
}
const limit = (request: object) => stage.api.call<{ queue: ShownQueue }>('LimitQueue', request);
const shown = async (name: string) => {
  const { queues } = await stage.api.call<{ queues: ShownQueue[] }>('ListQueues', {});
  return queues.find((queue) => queue.name === name);
};

describe('LimitQueue', () => {
  test.each([
    ['no name', {}, 'queue "" is no name'],
    ['a name with a space', { name: 'a b', runLimit: 1 }, 'queue "a b" is no name'],
    ['a name that is too long', { name: 'x'.repeat(129), runLimit: 1 }, 'is no name'],
    ['a limit beyond a million', { name: 'q', runLimit: 1_000_001 }, 'run_limit is 1000001'],
  ])('is refused with %s', async (_name, request, words) => {
    const refused = await stage.api.refused('LimitQueue', request);
    expect(refused).toMatchObject({ status: status.INVALID_ARGUMENT, code: 'INVALID_REQUEST' });
    expect(refused.details).toContain(words);
    expect(refused.try).not.toBe('');
  });

  test('takes 0 as a limit, and no limit as none', async () => {
    expect((await limit({ name: 'zero', runLimit: 0 })).queue.runLimit).toBe(0);
    expect(await shown('zero')).toMatchObject({ runLimit: 0 });
    expect((await limit({ name: 'zero' })).queue).not.toHaveProperty('runLimit');
    // Without a limit, an agent or a task there is nothing to show of it.
    expect(await shown('zero')).toBeUndefined();
  });

  test('of more queues than may have one is refused, with advice, and those that have one can be changed', async () => {
    await limit({ name: 'one', runLimit: 1 });
    const refused = await stage.api.refused('LimitQueue', { name: 'another', runLimit: 1 });
    expect(refused).toMatchObject({ status: status.RESOURCE_EXHAUSTED, code: 'TOO_MANY_QUEUES' });
    expect((await limit({ name: 'one', runLimit: 7 })).queue.runLimit).toBe(7);
  });
});

describe('ListQueues', () => {
  test('counts every task that waits, many more than memory holds', async () => {
    await stage.api.submit(...Array.from({ length: 100 }, () => ({ queue: 'deep' })));
    await stage.api.submit({ queue: 'deep', requiredLabels: { zone: 'a' } });
    expect(await shown('deep')).toMatchObject({ waiting: 101, running: 0, agents: 0 });
  });
});
