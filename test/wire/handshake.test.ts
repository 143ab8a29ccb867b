import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import { SILENT } from '../../src/kit/log.js';
import { startCoordinator } from '../../src/server/coordinator.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { hashOfEntry, PHASES } from './support/inventory.js';
import { millis } from './support/raw-agent.js';
import { Stage } from './support/stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(() => stage.close());

describe('a client that knows nothing but the proto files', () => {
  test('goes through the whole handshake, from Hello to Farewell', async () => {
    const { api } = stage;
    const agent = stage.agent({ agentId: 'stranger', queue: 'whole' });
    const welcome = await agent.greet();
    expect(millis(welcome.lease)).toBe(3 * millis(welcome.heartbeatInterval));
    expect(millis(welcome.gate)).toBe((5 / 6) * millis(welcome.lease));
    expect(welcome).toMatchObject({ verdicts: [], acknowledgements: [], protocolVersion: 1 });
    const idle = await agent.beat();
    expect(idle).toMatchObject({ received: '2', permits: [], refusals: [], sendFullInventory: false });

    const argv = ['sh', '-c', 'echo hello'];
    const [taskId = ''] = await api.submit({ queue: 'whole', work: { command: { argv } } });
    await agent.offered(taskId);
    const [permit] = (await agent.ask(taskId, '77')).permits;
    expect(permit).toMatchObject({ nonce: '77', epoch: welcome.epoch, taskId, tryNumber: 1 });
    expect(permit?.work.command.argv).toEqual(argv);
    const token = permit?.token ?? '';
    expect(BigInt(token)).toBeGreaterThan(0n);

    // The run is shown with a count and a hash of the client's own making.
    expect(agent.held.hash).toBe(hashOfEntry(BigInt(token), 0n, PHASES.INVENTORY_PHASE_RUNNING));
    expect((await agent.beat()).sendFullInventory).toBe(false);
    expect(await api.task(taskId)).toMatchObject({ state: 'TASK_STATE_RUNNING', fencingToken: token });

    const result = Buffer.from('{"answer":42}');
    const report = { taskId, result, resultType: 'application/json' };
    expect(await agent.report(token, report)).toBe('REPORT_DISPOSITION_RECORDED');
    expect(agent.held.hash).toBe(0);
    expect((await agent.beat()).sendFullInventory).toBe(false);
    const task = await api.task(taskId);
    expect(task).toMatchObject({ state: 'TASK_STATE_SUCCESS', agentId: 'stranger', result });
    expect(task.history.map(({ event }) => event)).toEqual(['submitted', 'permitted', 'success']);

    agent.stream.say({ goodbye: { endsSession: true, reason: 'done' } });
    await agent.stream.next('farewell');
    expect(await agent.stream.ended).toMatchObject({ code: 0 });
    const { agents } = await api.call<{ agents: object[] }>('ListAgents', {});
    expect(agents).toContainEqual(
      expect.objectContaining({ agentId: 'stranger', state: 'AGENT_STATE_GONE' }),
    );
  });
});

describe('such a client', () => {
  test('asks for several starts, and reports several ends, in one message each', async () => {
    const agent = await stage.greeted({ agentId: 'batch', queue: 'batch', slots: 3 });
    const ids = await stage.api.submit({ queue: 'batch' }, { queue: 'batch' }, { queue: 'batch' });
    await agent.offered(...ids);
    for (const [i, taskId] of ids.entries()) agent.held.ask(String(i + 1), taskId);
    agent.say({ startRequests: ids.map((taskId, i) => ({ nonce: String(i + 1), taskId })) });
    const { permits } = await agent.heard((ack) => ack.permits.length > 0);
    expect(permits.map(({ taskId }) => taskId).sort()).toEqual([...ids].sort());
    const reports = permits.map(({ token, taskId }) => ({ token, taskId, kind: 'REPORT_KIND_SUCCESS' }));
    for (const { token, taskId } of reports) agent.held.put(token, 'INVENTORY_PHASE_FINISHED', taskId);
    agent.say({ reports });
    const { acknowledgements } = await agent.heard((ack) => ack.acknowledgements.length > 0);
    expect(acknowledgements).toHaveLength(3);
    expect((await agent.beat()).sendFullInventory).toBe(false);
  });

  test('sends a Hello in chunks, and all of its inventory is ruled on', async () => {
    const agent = stage.agent({ agentId: 'chunks' });
    const entry = (token: number) => ({
      phase: 'INVENTORY_PHASE_RUNNING',
      token: String(token),
      taskId: 'x',
    });
    agent.hello({ inventory: [entry(900_001)], moreChunks: true });
    agent.stream.say({ inventoryChunk: { entries: [entry(900_002)], reports: [], last: false } });
    agent.stream.say({ inventoryChunk: { entries: [entry(900_003)], reports: [], last: true } });
    const { verdicts } = await agent.stream.next('welcome');
    expect(verdicts.map(({ token }) => token)).toEqual(['900001', '900002', '900003']);
    agent.close();
  });

  test('keeps its session, its run and its token over a new stream', async () => {
    const agent = await stage.greeted({ agentId: 'again', queue: 'again' });
    const [taskId = ''] = await stage.api.submit({ queue: 'again' });
    const { token, epoch } = await agent.start(taskId);
    agent.redial();
    const welcome = await agent.greet();
    expect(welcome.epoch).toBe(epoch);
    expect(welcome.verdicts).toMatchObject([{ token, kind: 'VERDICT_KIND_KEEP' }]);
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
    expect((await stage.api.task(taskId)).state).toBe('TASK_STATE_SUCCESS');
  });
});

describe('a coordinator that stops', () => {
  let own: Stage;
  beforeAll(async () => {
    own = await Stage.start();
  });
  afterAll(() => own.close());

  test('tells its agents to dial again, ends their streams well, and ends itself without an error', async () => {
    const agent = await own.greeted();
    const [taskId = ''] = await own.api.submit({});
    await agent.start(taskId);
    const stopped = own.coordinator.stop();
    await agent.stream.next('reconnect');
    expect(await agent.stream.ended).toMatchObject({ code: 0 });
    await stopped;
    expect(await own.coordinator.ended).toBeNull();
  });
});

test('a port that is taken is an error at start, and leaves nothing behind', async () => {
  const port = Number(stage.address.split(':')[1]);
  const options = { host: '127.0.0.1', port, policy: DEFAULT_POLICY, logDirectory: null, log: SILENT };
  await expect(startCoordinator({ ...options, store: new MemoryStore() })).rejects.toThrow('EADDRINUSE');
});
