import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { RawAgent } from './support/raw-agent.js';
import { Stage } from './support/stage.js';
import { eventually } from './support/wait.js';

let stage: Stage;
let patient: Stage;
beforeAll(async () => {
  patient = await Stage.start({ heartbeatIntervalMs: 60_000 });
  stage = await Stage.start();
});
afterEach(() => stage.serves());
afterAll(() => Promise.all([stage.close(), patient.close()]));

const unknownArms = async (): Promise<number> => {
  const { counters } = await stage.api.call<{ counters: Record<string, string> }>('GetCoordinator', {});
  return Number(counters.unknownArms);
};

async function running(agentId: string): Promise<{ agent: RawAgent; taskId: string; token: string }> {
  const agent = await stage.greeted({ agentId, queue: agentId });
  const [taskId = ''] = await stage.api.submit({ queue: agentId });
  const { token } = await agent.start(taskId);
  return { agent, taskId, token };
}

describe('bytes that are no message', () => {
  test.each([
    ['before the Hello', false],
    ['after the Welcome', true],
  ])('end their stream %s, and nothing else', async (_name, greeted) => {
    const agent = stage.agent({ agentId: 'garbage' });
    if (greeted) await agent.greet();
    agent.stream.say(Buffer.from('ffffffffff0102', 'hex'));
    expect((await agent.stream.ended).code).not.toBe(status.OK);
  });

  test('a message beyond 1 MiB ends its stream as too large', async () => {
    const agent = await stage.greeted({ agentId: 'large' });
    agent.stream.say(Buffer.alloc(1_024 * 1_024 + 1));
    expect((await agent.stream.ended).code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test('an arm nobody knows is ignored and counted, and the stream goes on', async () => {
    const agent = await stage.greeted({ agentId: 'arms' });
    const before = await unknownArms();
    // Field 25, one byte of content; and no arm at all.
    agent.stream.say(Buffer.from('ca010100', 'hex'));
    agent.stream.say(Buffer.alloc(0));
    expect((await agent.beat()).received).toBe('2');
    expect(await unknownArms()).toBe(before + 2);
  });

  test('a field nobody knows in a heartbeat is ignored', async () => {
    const agent = await stage.greeted({ agentId: 'fields' });
    // heartbeat { seq: 2, applied: 1, field 99: 5 }
    agent.stream.say(Buffer.from('120708021001980605', 'hex'));
    expect((await agent.heard(() => true)).received).toBe('2');
  });
});

describe('heartbeats count by one', () => {
  test.each([
    ['a gap', 3],
    ['the same number again', 1],
    ['0', 0],
    ['a number beyond 53 bits', '18446744073709551615'],
  ])('%s ends the stream', async (_name, seq) => {
    const agent = await stage.greeted({ agentId: 'counts' });
    agent.say({ seq });
    const { code, details } = await agent.stream.ended;
    expect(code).toBe(status.INVALID_ARGUMENT);
    expect(details).toContain(`heartbeat seq ${seq} follows 1: count by one`);
    agent.redial();
    await agent.greet();
    agent.stream.say({ goodbye: { endsSession: true } });
    await agent.stream.next('farewell');
  });

  test('an applied number from the future changes nothing that is not sent yet', async () => {
    const { agent, taskId, token } = await running('ahead');
    agent.applied = 1_000_000;
    await agent.beat({ applied: 1_000_000 });
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
    const { sendFullInventory } = await agent.beat();
    expect(sendFullInventory).toBe(false);
  });

  test('an applied number that is none ends the stream', async () => {
    const agent = await stage.greeted({ agentId: 'applied-0' });
    agent.say({ applied: 0 });
    expect((await agent.stream.ended).details).toBe('applied is 0: count from 1');
  });
});

describe('an inventory that differs is asked for in full', () => {
  test.each([
    ['count', { inventoryCount: 9 }],
    ['hash', { inventoryHash: 12_345 }],
  ])('a wrong %s: no permits until it is resolved, then all is well', async (name, wrong) => {
    const agent = await stage.greeted({ agentId: `differs-${name}`, queue: name });
    expect((await agent.beat(wrong)).sendFullInventory).toBe(true);
    const [taskId = ''] = await stage.api.submit({ queue: name });
    agent.held.ask('5', taskId);
    agent.say({ startRequests: [{ nonce: '5', taskId }], ...wrong });
    const { refusals, sendFullInventory } = await agent.heard((ack) => ack.refusals.length > 0);
    expect(refusals).toMatchObject([{ reason: 'REFUSAL_REASON_INVENTORY_UNRESOLVED' }]);
    expect(sendFullInventory).toBe(true);
    expect(agent.offers.has(taskId)).toBe(false);
    expect((await agent.beat({ fullInventory: { entries: agent.held.entries } })).sendFullInventory).toBe(
      false,
    );
    await agent.complete(taskId);
  });

  test('a full inventory may come in chunks', async () => {
    const { agent, taskId, token } = await running('in-chunks');
    const seq = agent.say({ fullInventory: { entries: [], moreChunks: true } });
    agent.stream.say({ inventoryChunk: { entries: agent.held.entries, last: true } });
    const ack = await agent.heard(({ received }) => Number(received) === seq);
    expect(ack).toMatchObject({ sendFullInventory: false, stops: [] });
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
  });

  test('a heartbeat between the chunks ends the stream', async () => {
    const agent = await stage.greeted({ agentId: 'between' });
    agent.say({ fullInventory: { entries: [], moreChunks: true } });
    agent.say();
    expect((await agent.stream.ended).details).toBe('a Heartbeat between the chunks of an inventory');
  });

  test('runs in it that nobody permitted are stopped, a run that vanished from it is lost', async () => {
    const { agent, taskId, token } = await running('vanished');
    await agent.beat();
    agent.held.dropToken(token);
    agent.held.put('800000', 'INVENTORY_PHASE_RUNNING', 'dream');
    const { stops } = await agent.beat({ fullInventory: { entries: agent.held.entries } });
    expect(stops).toEqual([{ token: '800000', reason: 'STOP_REASON_UNKNOWN' }]);
    const { history } = await stage.api.task(taskId);
    expect(history.map(({ event, reason }) => [event, reason])).toContainEqual(['lost_reported', 'vanished']);
  });

  test.each([
    ['in the chunks of a Hello', false],
    ['in one heartbeat', true],
  ])('more entries than the limit end the stream: %s', async (_name, isBeat) => {
    const agent = stage.agent({ agentId: `hoarder-${isBeat}` });
    const entries = Array.from({ length: 20_001 }, (_, i) => ({
      phase: 'INVENTORY_PHASE_RUNNING',
      token: String(i + 1),
    }));
    if (isBeat) {
      await agent.greet();
      agent.say({ fullInventory: { entries } });
    } else {
      agent.hello({ moreChunks: true });
      agent.stream.say({ inventoryChunk: { entries, last: true } });
    }
    expect((await agent.stream.ended).code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe('streams that end in other ways', () => {
  test('a half-closed stream makes the agent suspect, and its session waits for the next stream (P4)', async () => {
    const { agent, taskId, token } = await running('half');
    agent.stream.halfClose();
    expect(await agent.stream.ended).toMatchObject({ code: status.OK });
    const stateOf = async () =>
      (await stage.api.call<{ agent: { state: string } }>('DescribeAgent', { agentId: 'half' })).agent.state;
    await eventually('suspect', async () => (await stateOf()) === 'AGENT_STATE_SUSPECT');
    expect((await stage.api.task(taskId)).state).toBe('TASK_STATE_RUNNING');
    agent.redial();
    await agent.greet();
    expect(await stateOf()).toBe('AGENT_STATE_HEALTHY');
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
  });

  test('a goodbye while something is held ends nothing', async () => {
    const { agent, taskId, token } = await running('liar');
    await agent.beat();
    agent.stream.say({ goodbye: { endsSession: true } });
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
  });

  test('an agent that stops reading what it is sent is closed alone', async () => {
    const deaf = await patient.greeted({ agentId: 'deaf', slots: 300 });
    const long = { work: { command: { argv: ['echo', 'x'.repeat(65_000)] } } };
    const ids: string[] = [];
    while (ids.length < 300)
      ids.push(...(await patient.api.submit(...Array.from({ length: 15 }, () => long))));
    await deaf.offered(...ids);
    // 19 MB of permits are on their way to somebody who does not listen: more than is kept for one stream.
    deaf.stream.stopReading();
    const startRequests = ids.map((taskId, i) => ({ nonce: String(i + 1), taskId }));
    for (const { nonce, taskId } of startRequests) deaf.held.ask(nonce, taskId);
    deaf.say({ startRequests });
    const stateOf = async () =>
      (await patient.api.call<{ agent: { state: string } }>('DescribeAgent', { agentId: 'deaf' })).agent
        .state;
    await eventually('its end', async () => (await stateOf()) === 'AGENT_STATE_SUSPECT');
    await patient.serves();
    deaf.stream.readOn();
    const ended = await deaf.stream.ended;
    expect(ended.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(ended.details).toContain('SESSION_SLOW');
  });
});
