import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import { refusalOf } from './support/proto.js';
import type { RawAgent } from './support/raw-agent.js';
import { Stage } from './support/stage.js';
import { eventually } from './support/wait.js';

let stage: Stage;
let agent: RawAgent;
beforeAll(async () => {
  stage = await Stage.start({ retention: { ...DEFAULT_POLICY.retention, ageMs: 60_000, count: 0 } });
  agent = await stage.greeted({ agentId: 'worker', queue: 'q' });
});
afterAll(() => stage.close());

/** A task that has ended and was removed, with the token that it had. */
async function removed(key = ''): Promise<{ taskId: string; token: string }> {
  const [taskId = ''] = await stage.api.submit({ queue: 'q', idempotencyKey: key });
  const { token } = await agent.start(taskId);
  await agent.report(token, { taskId });
  await eventually('the task is removed', async () => {
    // Until it says that it has applied the acknowledgement, the agent still shows the run.
    await agent.beat();
    return stage.api.task(taskId).then(
      () => false,
      () => true,
    );
  });
  return { taskId, token };
}

describe('a task that retention has removed', () => {
  test('is not found, with the limits as the reason, however it is asked for', async () => {
    const { taskId } = await removed();
    const watched = new Promise((_, reject) => {
      stage.api.stream('WatchTasks', { taskIds: [taskId] }).on('error', reject);
    });
    const asked = [stage.api.call('GetTask', { taskId }), stage.api.call('ExplainTask', { taskId }), watched];
    for (const { reason } of (await Promise.allSettled(asked)) as PromiseRejectedResult[]) {
      const refusal = refusalOf(reason);
      expect(refusal).toMatchObject({ status: status.NOT_FOUND, code: 'TASK_NOT_FOUND' });
      expect(refusal.because).toContain(
        'retention has removed it: finished tasks are kept for 1m, the newest 0',
      );
    }
  });

  test('takes no late report: it is refused as stale', async () => {
    const { taskId, token } = await removed();
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_STALE');
  });

  test('has set its idempotency key free', async () => {
    const { taskId } = await removed('once');
    const [again] = await stage.api.submit({ queue: 'q', idempotencyKey: 'once' });
    expect(again).not.toBe(taskId);
  });
});
