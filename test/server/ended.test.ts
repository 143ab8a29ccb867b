import { readdirSync, readlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { MemoryStore } from '../../src/store/memory/store.js';
import { Stage } from '../wire/support/stage.js';

/** A store whose disk breaks when it is told to, and that takes its time to close. */
class BreakingStore extends MemoryStore {
  broken = false;
  closed = false;

  constructor() {
    super({ beforeCommit: () => (this.broken ? { fault: 'io', applied: false } : null) });
  }

  override async close(): Promise<void> {
    for (let i = 0; i < 100; i++) await turn();
    this.closed = true;
    await super.close();
  }
}

let stage: Stage;
afterEach(() => stage.close());

/** Files under the folder that this process has open. */
const openFiles = (folder: string): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  }).length;

test('a coordinator whose disk breaks says that it has ended once everything is closed, so another may start', async () => {
  const store = new BreakingStore();
  stage = await Stage.start({}, store);
  const agent = await stage.greeted({ agentId: 'w', queue: 'q' });
  const [taskId = ''] = await stage.api.submit({ queue: 'q' });
  const { token } = await agent.start(taskId);
  const data = Buffer.from('output');
  agent.stream.say({ logChunk: { token, taskId, offset: 0, data, stream: 'LOG_STREAM_STDOUT' } });
  await agent.stream.next('logAck');
  expect(openFiles(stage.logs)).toBe(1);

  store.broken = true;
  const ended = stage.coordinator.ended.then((error) => ({
    error: error?.message,
    closed: store.closed,
    files: openFiles(stage.logs),
  }));
  await expect(stage.api.submit({ queue: 'q' })).rejects.toBeDefined();
  expect(await ended).toEqual({ error: expect.stringContaining('io'), closed: true, files: 0 });
});

test('a coordinator that is stopped waits a second at most for a peer that says nothing and never hangs up', async () => {
  stage = await Stage.start();
  const [host = '', port] = stage.address.split(':');
  const peer = createConnection({ host, port: Number(port), allowHalfOpen: true });
  // What it is told first shows that it is served.
  await new Promise((resolve) => peer.once('data', resolve));
  await stage.coordinator.stop();
  expect(await stage.coordinator.ended).toBeNull();
  peer.destroy();
});
