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

const reasonOf = (ack: { readonly refusals: readonly { readonly reason: string }[] }) =>
  ack.refusals[0]?.reason;

describe('a start request gets a permit only for what was offered to its own session', () => {
  test('an unknown task is refused', async () => {
    const agent = await stage.greeted({ agentId: 'a-unknown' });
    expect(reasonOf(await agent.ask('no-such-task'))).toBe('REFUSAL_REASON_TASK_UNKNOWN');
    expect((await agent.beat()).sendFullInventory).toBe(false);
  });

  test('a queued task that was not offered is refused', async () => {
    const agent = await stage.greeted({ agentId: 'a-early' });
    const [taskId = ''] = await stage.api.submit({ queue: 'nobody-serves-this' });
    expect(reasonOf(await agent.ask(taskId))).toBe('REFUSAL_REASON_NOT_OFFERED');
    expect((await stage.api.task(taskId)).state).toBe('TASK_STATE_QUEUED');
  });

  test('a task offered to another agent is refused, and the other agent still gets it', async () => {
    const other = await stage.greeted({ agentId: 'b-other', queue: 'theirs' });
    const thief = await stage.greeted({ agentId: 'b-thief' });
    const [taskId = ''] = await stage.api.submit({ queue: 'theirs' });
    await other.offered(taskId);
    expect(reasonOf(await thief.ask(taskId))).toBe('REFUSAL_REASON_OFFERED_ELSEWHERE');
    expect((await other.ask(taskId)).permits).toHaveLength(1);
  });

  test('a task that runs already is refused, to the same agent and to others', async () => {
    const agent = await stage.greeted({ agentId: 'c-runs', queue: 'c' });
    const other = await stage.greeted({ agentId: 'c-other' });
    const [taskId = ''] = await stage.api.submit({ queue: 'c' });
    const { token } = await agent.start(taskId);
    expect(reasonOf(await agent.ask(taskId))).toBe('REFUSAL_REASON_ALREADY_PERMITTED');
    expect(reasonOf(await other.ask(taskId))).toBe('REFUSAL_REASON_ALREADY_PERMITTED');
    expect(await stage.api.task(taskId)).toMatchObject({ tryNumber: 1, fencingToken: token });
  });

  test('a task that has ended is refused', async () => {
    const agent = await stage.greeted({ agentId: 'd-late', queue: 'd' });
    const [taskId = ''] = await stage.api.submit({ queue: 'd' });
    await agent.complete(taskId);
    expect(reasonOf(await agent.ask(taskId))).toBe('REFUSAL_REASON_NOT_QUEUED');
  });
});

describe('a start request is answered once, and within the slots of an agent that may have work', () => {
  test('the same nonce again gets the same permit, and the task one token', async () => {
    const agent = await stage.greeted({ agentId: 'e-again', queue: 'e' });
    const [taskId = ''] = await stage.api.submit({ queue: 'e' });
    await agent.offered(taskId);
    const [first] = (await agent.ask(taskId, '31')).permits;
    agent.say({ startRequests: [{ nonce: '31', taskId }] });
    const again = await agent.heard((ack) => ack.permits.length > 0);
    expect(again.permits).toEqual([first]);
    const { history } = await stage.api.task(taskId);
    expect(history.filter(({ event }) => event === 'permitted')).toHaveLength(1);
  });

  test('the same nonce twice in one message gets one permit', async () => {
    const agent = await stage.greeted({ agentId: 'f-twice', queue: 'f' });
    const [taskId = ''] = await stage.api.submit({ queue: 'f' });
    await agent.offered(taskId);
    agent.held.ask('8', taskId);
    agent.say({
      startRequests: [
        { nonce: '8', taskId },
        { nonce: '8', taskId },
      ],
    });
    expect((await agent.heard((ack) => ack.permits.length > 0)).permits).toHaveLength(1);
  });

  test('more requests than slots get as many permits as there are slots', async () => {
    const agent = await stage.greeted({ agentId: 'g-full', queue: 'g', slots: 1 });
    const ids = await stage.api.submit({ queue: 'g' }, { queue: 'g' });
    await agent.offered(...ids);
    for (const [i, taskId] of ids.entries()) agent.held.ask(String(i + 1), taskId);
    agent.say({ startRequests: ids.map((taskId, i) => ({ nonce: String(i + 1), taskId })) });
    const { permits, refusals } = await agent.heard((ack) => ack.permits.length > 0);
    expect(permits).toHaveLength(1);
    expect(refusals).toMatchObject([{ reason: 'REFUSAL_REASON_NO_FREE_SLOT' }]);
  });

  test('a cordoned agent is refused, its runs and heartbeats go on', async () => {
    const agent = await stage.greeted({ agentId: 'h-cordon', queue: 'h' });
    const [runs = '', waits = ''] = await stage.api.submit({ queue: 'h' }, { queue: 'h' });
    const { token } = await agent.start(runs);
    await stage.api.call('CordonAgent', { agentId: 'h-cordon' });
    expect(reasonOf(await agent.ask(waits))).toBe('REFUSAL_REASON_CORDONED');
    expect(await agent.report(token, { taskId: runs })).toBe('REPORT_DISPOSITION_RECORDED');
    expect((await stage.api.task(waits)).state).toBe('TASK_STATE_QUEUED');
  });
});

describe('a start request that makes no sense ends its stream', () => {
  test.each([
    ['without a nonce', { nonce: '0', taskId: 'x' }, 'nonce is 0'],
    [
      'with a nonce beyond 63 bits',
      { nonce: String(2n ** 63n), taskId: 'x' },
      'nonce is 9223372036854775808',
    ],
    ['without a task', { nonce: '1', taskId: '' }, 'start_requests.task_id'],
    ['with an oversize task id', { nonce: '1', taskId: 'x'.repeat(100_000) }, 'start_requests.task_id'],
  ])('%s', async (_name, request, words) => {
    const agent = await stage.greeted({ agentId: 'z-odd' });
    agent.say({ startRequests: [request] });
    const { code, details } = await agent.stream.ended;
    expect(code).toBe(status.INVALID_ARGUMENT);
    expect(details).toContain(words);
    expect(details.length).toBeLessThan(400);
    // The next of these comes under the same name, as another instance.
    agent.redial();
    await agent.greet();
    agent.stream.say({ goodbye: { endsSession: true } });
    await agent.stream.next('farewell');
  });
});
