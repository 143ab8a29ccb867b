import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RawAgent } from './support/raw-agent.js';
import { Stage } from './support/stage.js';
import { eventually } from './support/wait.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start({ neverStartedBackoff: { initialMs: 1, maxMs: 1 } });
});
afterAll(async () => {
  await stage.serves();
  await stage.close();
});

async function running(agentId: string): Promise<{ agent: RawAgent; taskId: string; token: string }> {
  const agent = await stage.greeted({ agentId, queue: agentId });
  const [taskId = ''] = await stage.api.submit({ queue: agentId });
  const { token } = await agent.start(taskId);
  return { agent, taskId, token };
}

describe('a report is recorded once, and only with an open token of its own agent (P10)', () => {
  test('the same report again was recorded already', async () => {
    const { agent, taskId, token } = await running('again');
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_ALREADY_RECORDED');
    expect((await agent.beat()).sendFullInventory).toBe(false);
  });

  test('a token that was never drawn is unknown', async () => {
    const { agent, taskId, token } = await running('future');
    const future = String(BigInt(token) + 1_000n);
    expect(await agent.report(future, { taskId })).toBe('REPORT_DISPOSITION_UNKNOWN');
    expect(await agent.report(future, { taskId: 'no-such-task' })).toBe('REPORT_DISPOSITION_UNKNOWN');
    expect(await agent.report(future)).toBe('REPORT_DISPOSITION_UNKNOWN');
    expect((await stage.api.task(taskId)).state).toBe('TASK_STATE_RUNNING');
  });

  test("another agent's token is foreign, and its task untouched", async () => {
    const { taskId, token } = await running('owner');
    const thief = await stage.greeted({ agentId: 'thief' });
    expect(await thief.report(token, { taskId })).toBe('REPORT_DISPOSITION_FOREIGN');
    const task = await stage.api.task(taskId);
    expect(task).toMatchObject({ state: 'TASK_STATE_RUNNING', agentId: 'owner' });
    expect(task.history.at(-1)).toMatchObject({ event: 'late_report_refused', agentId: 'thief' });
  });

  test('a permit that was never started is queued again, and its token is closed for good', async () => {
    const { agent, taskId, token } = await running('void');
    agent.offers.clear();
    const never = { taskId, kind: 'REPORT_KIND_NEVER_STARTED' };
    expect(await agent.report(token, never, 'INVENTORY_PHASE_VOID')).toBe('REPORT_DISPOSITION_RECORDED');
    const again = await agent.start(taskId);
    expect(BigInt(again.token)).toBeGreaterThan(BigInt(token));
    expect(again.tryNumber).toBe(1);
    expect(await agent.report(token, { taskId })).not.toBe('REPORT_DISPOSITION_RECORDED');
    expect(await agent.report(again.token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
  });

  test('a report of another task under an open token counts for the task of the token', async () => {
    const { agent, taskId, token } = await running('mixed');
    const [other = ''] = await stage.api.submit({ queue: 'nobody' });
    expect(await agent.report(token, { taskId: other })).toBe('REPORT_DISPOSITION_RECORDED');
    expect((await stage.api.task(taskId)).state).toBe('TASK_STATE_SUCCESS');
    expect((await stage.api.task(other)).state).toBe('TASK_STATE_QUEUED');
  });
});

describe('what is reported after the loss', () => {
  const H = 400;
  let quick: Stage;
  beforeAll(async () => {
    quick = await Stage.start({ heartbeatIntervalMs: H });
  });
  afterAll(() => quick.close());

  async function lost(agentId: string): Promise<{ agent: RawAgent; taskId: string; token: string }> {
    const agent = await quick.greeted({ agentId, queue: agentId });
    const [taskId = ''] = await quick.api.submit({ queue: agentId });
    const { token } = await agent.start(taskId);
    await agent.beat();
    agent.stream.close();
    await eventually('the loss', async () => (await quick.api.task(taskId)).state === 'TASK_STATE_QUEUED');
    return { agent, taskId, token };
  }

  test('is adopted while the token is open: a result is recorded, a run goes on', async () => {
    const { agent, taskId, token } = await lost('back');
    agent.redial();
    const { verdicts } = await agent.greet();
    expect(verdicts).toMatchObject([{ token, kind: 'VERDICT_KIND_KEEP' }]);
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
    const { state, history } = await quick.api.task(taskId);
    expect(state).toBe('TASK_STATE_SUCCESS');
    expect(history.map(({ event }) => event)).toEqual([
      ...['submitted', 'permitted', 'lost', 'requeued', 'adopted', 'success'],
    ]);
  });

  test('is stale once another agent has the task, and the run is told to stop', async () => {
    const { agent, taskId, token } = await lost('late');
    const other = await quick.greeted({ agentId: 'other', queue: 'late' });
    await other.complete(taskId, { result: Buffer.from('theirs'), resultType: 'text/plain' });
    agent.redial();
    const { verdicts } = await agent.greet();
    expect(verdicts).toMatchObject([{ token, kind: 'VERDICT_KIND_STOP', reason: 'STOP_REASON_SUPERSEDED' }]);
    const mine = { taskId, result: Buffer.from('mine'), resultType: 'text/plain' };
    expect(await agent.report(token, mine)).toBe('REPORT_DISPOSITION_STALE');
    const task = await quick.api.task(taskId);
    expect(task).toMatchObject({ state: 'TASK_STATE_SUCCESS', agentId: 'other' });
    expect(task.result.toString()).toBe('theirs');
    expect(task.history.at(-1)).toMatchObject({ event: 'late_report_refused', reason: 'stale' });
  });
});

describe('a report that makes no sense ends its stream, and is not recorded', () => {
  const KIB = 1_024;
  test.each([
    [
      'with an oversize result',
      { result: Buffer.alloc(256 * KIB + 1) },
      status.INVALID_ARGUMENT,
      '262145 bytes',
    ],
    ['without a kind', { kind: 'REPORT_KIND_UNSPECIFIED' }, status.FAILED_PRECONDITION, 'the kind 0'],
    ['with a kind nobody knows', { kind: 111 }, status.FAILED_PRECONDITION, 'the kind 111'],
    ['without a token', { token: '0' }, status.INVALID_ARGUMENT, 'reports.token is 0'],
    ['with an oversize task id', { taskId: 'x'.repeat(5_000) }, status.INVALID_ARGUMENT, 'reports.task_id'],
  ])('%s', async (name, change, code, words) => {
    const { agent, taskId, token } = await running(`odd-${name.replaceAll(' ', '-')}`);
    agent.say({ reports: [{ token, taskId, kind: 'REPORT_KIND_SUCCESS', ...change }] });
    const ended = await agent.stream.ended;
    expect(ended.code).toBe(code);
    expect(ended.details).toContain(words);
    expect((await stage.api.task(taskId)).state).toBe('TASK_STATE_RUNNING');
    agent.redial();
    expect((await agent.greet()).verdicts).toMatchObject([{ token, kind: 'VERDICT_KIND_KEEP' }]);
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
  });

  test('the largest result is taken, and longer words for people are cut', async () => {
    const { agent, taskId, token } = await running('largest');
    const result = Buffer.alloc(256 * KIB, 7);
    const report = { taskId, result, resultType: 'application/octet-stream', message: 'm'.repeat(10_000) };
    expect(await agent.report(token, report)).toBe('REPORT_DISPOSITION_RECORDED');
    expect((await stage.api.task(taskId)).result.equals(result)).toBe(true);
  });
});
