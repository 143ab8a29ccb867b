import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { millis } from './support/raw-agent.js';
import { Stage } from './support/stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start();
});
afterEach(() => stage.serves());
afterAll(() => stage.close());

const LONG = 'x'.repeat(129);
const HUGE = String(2n ** 63n);
const many = (count: number) => Array.from({ length: count }, (_, i) => `q${i}`);
const entry = (change: object) => ({
  inventory: [{ phase: 'INVENTORY_PHASE_RUNNING', token: '5', ...change }],
});

describe('a Hello that makes no sense is refused with the field and the reason', () => {
  test.each([
    ['no agent_id', { agentId: '' }, 'agent_id "" is not a name'],
    ['an agent_id with a slash', { agentId: '../etc' }, 'agent_id "../etc" is not a name'],
    ['an agent_id of 129 characters', { agentId: LONG }, 'agent_id'],
    ['a short instance_id', { instanceId: 'short' }, 'instance_id is too short'],
    ['an oversize instance_id', { instanceId: LONG }, 'instance_id'],
    ['stream_no 0', { streamNo: 0 }, 'stream_no is 0'],
    ['no kind', { kind: 'AGENT_KIND_UNSPECIFIED' }, 'kind is unspecified or unknown'],
    ['a kind of the future', { kind: 99 }, 'kind is unspecified or unknown'],
    ['no queue', { queues: [] }, 'queues has 0 entries'],
    ['65 queues', { queues: many(65) }, 'queues has 65 entries'],
    ['a queue with a space', { queues: ['no way'] }, 'queues "no way" is not a name'],
    ['an empty queue', { queues: [''] }, 'queues "" is not a name'],
    [
      'a DAG processor with queues',
      { kind: 'AGENT_KIND_DAG_PROCESSOR' },
      'queues has 1 entries: a dag_processor',
    ],
    [
      'a DAG processor without a bundle',
      { kind: 'AGENT_KIND_DAG_PROCESSOR', queues: [], slots: 0 },
      'bundles has 0 entries',
    ],
    ['a worker with bundles', { bundles: ['main'] }, 'bundles has 1 entries: a worker has 0 to 0'],
    [
      'a triggerer without a kind of triggers',
      { kind: 'AGENT_KIND_TRIGGERER', queues: [] },
      'trigger_kinds has 0 entries: a triggerer has 1 to 256',
    ],
    [
      'a triggerer with a kind that is no name',
      { kind: 'AGENT_KIND_TRIGGERER', queues: [], triggerKinds: ['a b'] },
      'trigger_kinds "a b" is not a name',
    ],
    ['no slots', { slots: 0 }, 'slots is 0'],
    ['absurdly many slots', { slots: 4_000_000_000 }, 'slots is 4000000000'],
    ['33 labels', { labels: Object.fromEntries(many(33).map((name) => [name, ''])) }, '33 labels'],
    ['an oversize label', { labels: { [LONG]: 'x' } }, 'label'],
    ['a token beyond 63 bits', { highestToken: HUGE }, 'highest_token'],
    ['an epoch beyond 63 bits', { highestEpoch: HUGE }, 'highest_epoch'],
    ['an entry without a phase', entry({ phase: 'INVENTORY_PHASE_UNSPECIFIED' }), 'phase 0'],
    ['an entry with a phase of the future', entry({ phase: 77 }), 'phase 77'],
    ['an entry without a token', entry({ token: '0' }), 'inventory.token is 0'],
    ['a start request without a nonce', entry({ phase: 'INVENTORY_PHASE_ASKED' }), 'nonce is 0'],
    ['an oversize task id', entry({ taskId: LONG }), 'inventory.task_id'],
    ['a report without a token', { reports: [{ kind: 'REPORT_KIND_SUCCESS' }] }, 'reports.token is 0'],
  ])('%s', async (_name, change, words) => {
    const agent = stage.agent({ agentId: 'odd' });
    agent.hello(change);
    const refused = await agent.stream.next('refused');
    expect(refused.reason).toBe('HELLO_REFUSAL_INVALID');
    expect(refused.message).toContain(words);
    const ended = await agent.stream.ended;
    expect(ended).toEqual({ code: status.INVALID_ARGUMENT, details: refused.message });
  });

  test.each([
    ['no protocol version', { protocolVersion: 0 }, 'protocol_version is 0'],
    ['a token far beyond any drawn', { highestToken: String(2n ** 60n) }, 'wrong coordinator?'],
  ])('%s is well said, but not supported here', async (_name, change, words) => {
    const agent = stage.agent({ agentId: 'other' });
    agent.hello(change);
    const refused = await agent.stream.next('refused');
    expect(refused).toMatchObject({
      reason: 'HELLO_REFUSAL_UNSUPPORTED',
      message: expect.stringContaining(words),
    });
    expect(millis(refused.delay)).toBeGreaterThan(0);
    expect((await agent.stream.ended).code).toBe(status.FAILED_PRECONDITION);
  });

  test('what a newer agent says beyond our knowledge is no reason to refuse it', async () => {
    const agent = await stage
      .agent({ agentId: 'newer' })
      .greet({ protocolVersion: 7, capabilities: ['levitation'] });
    expect(agent.protocolVersion).toBe(1);
  });
});

describe('the first message is a Hello, and it comes once', () => {
  test.each([
    ['a heartbeat', { heartbeat: { seq: 2 } }, 'a Heartbeat before the Welcome'],
    ['a goodbye', { goodbye: { endsSession: true } }, 'a Goodbye before the Welcome'],
    ['task output', { logChunk: { token: '1', data: Buffer.from('x') } }, 'a LogChunk before the Welcome'],
    ['a chunk', { inventoryChunk: { last: true } }, 'an InventoryChunk that nothing announced'],
  ])('%s instead ends the stream', async (_name, message, words) => {
    const stream = stage.stream();
    stream.say(message);
    expect((await stream.next('refused')).message).toBe(words);
    expect(await stream.ended).toEqual({ code: status.INVALID_ARGUMENT, details: words });
  });

  test('a second Hello ends the stream, and costs the agent no more than the stream', async () => {
    const agent = stage.agent({ agentId: 'twice' });
    const { epoch } = await agent.greet();
    agent.hello();
    expect(await agent.stream.ended).toEqual({
      code: status.INVALID_ARGUMENT,
      details: 'a second Hello on one stream',
    });
    agent.redial();
    expect((await agent.greet()).epoch).toBe(epoch);
  });

  test('a second Hello between the chunks of the first ends the stream', async () => {
    const agent = stage.agent({ agentId: 'chunked' });
    agent.hello({ moreChunks: true });
    agent.hello();
    expect((await agent.stream.ended).details).toBe('a second Hello on one stream');
  });

  test('a stream that ends before its Hello leaves nothing behind', async () => {
    const stream = stage.stream();
    stream.halfClose();
    expect((await stream.ended).code).toBe(status.OK);
    const { agents } = await stage.api.call<{ agents: { agentId: string }[] }>('ListAgents', {});
    expect(agents.map(({ agentId }) => agentId)).not.toContain('');
  });
});

describe('one agent_id, one live instance (P5)', () => {
  test('another instance is refused with a delay, and its finished reports are judged all the same', async () => {
    const first = await stage.greeted({ agentId: 'shared', queue: 'shared' });
    const [taskId = ''] = await stage.api.submit({ queue: 'shared' });
    const { token } = await first.start(taskId);
    const second = stage.agent({ agentId: 'shared', queue: 'shared' });
    second.hello({
      inventory: [{ phase: 'INVENTORY_PHASE_FINISHED', token, taskId }],
      reports: [{ token, taskId, kind: 'REPORT_KIND_SUCCESS' }],
    });
    const refused = await second.stream.next('refused');
    expect(refused).toMatchObject({
      reason: 'HELLO_REFUSAL_IN_USE',
      message: expect.stringContaining('in use by another live instance, because its lease runs for'),
      acknowledgements: [{ token, disposition: 'REPORT_DISPOSITION_RECORDED' }],
    });
    expect(millis(refused.delay)).toBeGreaterThan(0);
    expect(millis(refused.delay)).toBeLessThanOrEqual(15_000);
    expect((await second.stream.ended).code).toBe(status.ALREADY_EXISTS);
    expect((await stage.api.task(taskId)).state).toBe('TASK_STATE_SUCCESS');
    // The holder goes on undisturbed.
    expect((await first.beat()).received).toBe(String(first.seq));
  });

  test('an older or equal stream_no of the same instance is refused, and the newer stream goes on', async () => {
    const agent = stage.agent({ agentId: 'older' });
    agent.streamNo = 6;
    await agent.greet();
    for (const streamNo of [7, 3]) {
      const late = stage.stream();
      late.say({ hello: { ...agent.helloMessage(), streamNo } });
      expect((await late.next('refused')).reason).toBe('HELLO_REFUSAL_OLD_STREAM');
      expect((await late.ended).code).toBe(status.ABORTED);
    }
    agent.seq = 1;
    expect((await agent.beat()).received).toBe('2');
  });

  test('a newer stream of the same instance takes over, and the older one is ended', async () => {
    const agent = await stage.greeted({ agentId: 'newest' });
    const old = agent.stream;
    agent.redial(true);
    await agent.greet();
    expect(await old.ended).toMatchObject({
      code: status.ABORTED,
      details: expect.stringContaining('taken over'),
    });
    old.close();
  });
});

test('a Hello with runs that nobody permitted is told to stop them, and requests that nobody heard never to start', async () => {
  const agent = stage.agent({ agentId: 'dreamer' });
  const welcome = await agent.greet({
    inventory: [
      { phase: 'INVENTORY_PHASE_RUNNING', token: '700000', taskId: 'nothing' },
      { phase: 'INVENTORY_PHASE_ASKED', nonce: '4', taskId: 'nothing' },
    ],
    reports: [],
  });
  expect(welcome.verdicts).toMatchObject([
    { token: '700000', kind: 'VERDICT_KIND_STOP', reason: 'STOP_REASON_UNKNOWN' },
    { nonce: '4', kind: 'VERDICT_KIND_NEVER_START' },
  ]);
});
