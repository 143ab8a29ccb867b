import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NewerRelay } from '../compat/support/newer.js';
import { eventually } from '../wire/support/wait.js';
import { Site } from './support/site.js';

type Line = Readonly<Record<string, unknown>> & { readonly what: string };

const compat = resolve(import.meta.dirname, '../compat');

/** An agent of the first release: the protos of that time, and none of our code. */
class FirstWorker {
  readonly lines: Line[] = [];
  readonly exited: Promise<number | null>;
  errors = '';
  readonly #child: ChildProcess;

  constructor(address: string, agentId: string, queue: string) {
    const args = [resolve(compat, 'protos-0.1.0'), address, agentId, queue];
    this.#child = spawn(process.execPath, [resolve(compat, 'first-worker.mjs'), ...args]);
    let text = '';
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      const parts = (text + chunk.toString()).split('\n');
      text = parts.pop() ?? '';
      this.lines.push(...parts.map((part) => JSON.parse(part) as Line));
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString();
    });
    this.exited = new Promise((done) => this.#child.on('close', done));
  }

  said(what: string): Line[] {
    return this.lines.filter((line) => line.what === what);
  }

  says(what: string, times = 1): Promise<void> {
    const detail = () => `${what} × ${times}; it said ${JSON.stringify(this.lines)} ${this.errors}`;
    return eventually(detail(), () => this.said(what).length >= times, 40_000);
  }

  /** Says goodbye and ends. */
  async leave(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return this.exited;
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }
}

let site: Site;
let relay: NewerRelay;
const workers: FirstWorker[] = [];
beforeAll(async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  relay = await NewerRelay.start(site.address);
});
afterAll(async () => {
  for (const worker of workers) await worker.close();
  relay.close();
  await site.close();
});

function firstWorker(address: string, name: string): FirstWorker {
  const worker = new FirstWorker(address, name, name);
  workers.push(worker);
  return worker;
}

/** The states in which tasks end that succeed, that fail, that are cancelled while they run. */
async function works(queue: string): Promise<string[]> {
  const good = await site.submit('echo "token $HOLDFAST_FENCING_TOKEN"', { queue });
  const bad = await site.submit('exit 7', { queue });
  const long = await site.submit('sleep 600', { queue });
  await site.reaches(long, 'RUNNING');
  await site.api.call('CancelTask', { taskId: long });
  const ends = await Promise.all([
    site.reaches(good, 'SUCCESS'),
    site.reaches(bad, 'FAILED'),
    site.reaches(long, 'CANCELLED'),
  ]);
  return ends.map(({ state, reason }) => `${state} ${reason}`);
}

const ENDS = ['TASK_STATE_SUCCESS ', 'TASK_STATE_FAILED exit_code', 'TASK_STATE_CANCELLED cancelled'];

describe('an agent of the first release', () => {
  test('works with the coordinator as it is, over the end of a stream, to its Goodbye', async () => {
    const worker = firstWorker(site.address, 'first');
    await worker.says('welcome');
    expect(await works('first')).toEqual(ENDS);

    const held = await site.submit('sleep 3', { queue: 'first' });
    await site.reaches(held, 'RUNNING');
    await site.server.kill();
    await site.startServer();
    await worker.says('welcome', 2);
    expect(worker.said('welcome').at(-1)).toMatchObject({ verdicts: 1 });
    expect((await site.reaches(held, 'SUCCESS')).tryNumber).toBe(1);

    expect(await worker.leave()).toBe(0);
    expect(worker.said('unknown')).toEqual([{ what: 'unknown', unknownMessages: 0 }]);
    expect([worker.said('farewell').length, worker.errors]).toEqual([1, '']);
  });

  test('lives with messages, fields and enum values that it has never heard of', async () => {
    const worker = firstWorker(relay.address, 'far');
    await worker.says('welcome');
    expect(await works('far')).toEqual(ENDS);
    // Asked once more when a look at the deadlines comes before the end (P15).
    const stops = worker.said('stop').map(({ token, reason }) => `${String(token)} ${String(reason)}`);
    expect([...new Set(stops)]).toEqual([expect.stringMatching(/^\d+ STOP_REASON_SUPERSEDED$/)]);
    expect(await worker.leave()).toBe(0);
    const [{ unknownMessages } = { unknownMessages: 0 }] = worker.said('unknown');
    expect(unknownMessages).toBeGreaterThan(5);
    expect([worker.said('welcome').length, worker.errors]).toEqual([1, '']);
  });
});

describe('the agent and the coordinator as they are', () => {
  test('live with messages, fields and enum values of a later release', async () => {
    const agent = await site.connected('ours', { queues: ['ours'], coordinator: relay.address });
    const before = { ...relay.values };
    relay.unknownMet = 0;
    expect(await works('ours')).toEqual(ENDS);
    // An end is seen over the API before the agent is told that its report has arrived.
    const since = (value: string) => (relay.values[value] ?? 0) - (before[value] ?? 0);
    await eventually('three reports are acknowledged', () => since('acknowledgements') >= 3);
    expect(since('cancellations')).toBeGreaterThan(0);
    await eventually('the agent counts what it does not know', () => relay.unknownMet > 5);
    agent.signal('SIGTERM');
    expect(await agent.exited).toMatchObject({ code: 0 });
    expect(agent.stderr.split('connected: a new session')).toHaveLength(2);
    const { counters } = await site.api.call<{ counters: Record<string, string> }>('GetCoordinator', {});
    expect(Number(counters.unknownArms)).toBeGreaterThan(5);
  });
});
