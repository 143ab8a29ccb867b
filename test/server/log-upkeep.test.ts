import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Instance } from '../../src/core/dag/rows.js';
import type { LogPolicy } from '../../src/core/policy.js';
import type { AgentId, TaskId, Token } from '../../src/kit/ids.js';
import type { ServiceMs } from '../../src/kit/time.js';
import { LogUpkeep } from '../../src/server/log-upkeep.js';
import { TaskLogs } from '../../src/server/logs.js';
import { segmentTerms } from '../../src/server/try-log.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { LogStream } from '../../src/wire/gen/holdfast/v1/types.js';
import { dagPuts, instanceOf, run } from '../store/dag-rows.js';
import { put, puts, task } from '../store/rows.js';

const AGENT = 'agent-1' as AgentId;
const DAY = 86_400_000;
const RECORD = 13 + 100;
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A store with tasks 1 to `count` that ended a second after one another, and 100 bytes of output of each. */
class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-upkeep-'));
  readonly store = new MemoryStore();
  readonly complaints: unknown[] = [];
  logs = this.openLogs();
  #upkeep: LogUpkeep | null = null;
  #look: () => void = () => {};
  #idle: () => void = () => {};

  constructor() {
    folders.push(this.folder);
  }

  openLogs(): TaskLogs {
    return new TaskLogs({
      directory: this.folder,
      findOwner: async (token) => ({ agentId: AGENT, taskId: idOf(Number(token)), tryNumber: 1 }),
      segments: segmentTerms(1024 ** 2),
      complain: (error) => this.complaints.push(error),
    });
  }

  async add(n: number, state: 'success' | 'running', instance: Instance | null = null): Promise<void> {
    const finishedAt = state === 'success' ? ((1_000 * n) as ServiceMs) : null;
    await this.store.commit(puts({ tasks: [{ ...put(task(n, { state, instance })), finishedAt }] }));
    await this.say(n);
  }

  async say(n: number, offset = 0): Promise<boolean> {
    const chunk = { token: BigInt(n) as Token, taskId: idOf(n), data: Buffer.alloc(100, 'x') };
    const rest = { offset: BigInt(offset), stream: LogStream.STDOUT, at: new Date(0) };
    return !(await this.logs.append(AGENT, { ...chunk, ...rest })).resend;
  }

  /** Upkeep on a clock that stands at `now`, until it has nothing more to do; called again, it looks again. */
  async keepUp(change: Partial<LogPolicy> = {}, now = 100_000): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    if (this.#upkeep === null) this.#start(change, now);
    else this.#look();
    await idle;
    if (this.complaints.length > 0) throw new Error('upkeep complained', { cause: this.complaints });
  }

  #start(change: Partial<LogPolicy>, now: number): void {
    this.#upkeep = new LogUpkeep({
      logs: this.logs,
      store: this.store,
      policy: { perTryBytes: 1024 ** 2, totalBytes: 1024 ** 3, ageMs: DAY, ...change },
      serviceNow: () => now as ServiceMs,
      // The long pause is the one after everything was looked at.
      after: (ms, go) => {
        if (ms < 1_000) go();
        else {
          this.#look = go;
          this.#idle();
        }
        return { cancel: () => {} };
      },
      complain: (error) => this.complaints.push(error),
    });
    this.#upkeep.start();
  }

  async close(): Promise<void> {
    await this.#upkeep?.stop();
    await this.logs.close();
  }

  /** Numbers of the tasks that have output. */
  get withOutput(): number[] {
    const names = readdirSync(this.folder).flatMap((name) => readdirSync(join(this.folder, name)));
    const numbers = new Map(Array.from({ length: 200 }, (_, n) => [idOf(n) as string, n]));
    return names.map((name) => numbers.get(name) ?? -1).sort((a, b) => a - b);
  }
}

const idOf = (n: number): TaskId => task(n).taskId;

describe('upkeep of task output', () => {
  test('removes output by its age, also of a task whose DAG run goes on', async () => {
    const place = new Place();
    await place.store.commit(puts({ dags: dagPuts({ runs: [run('etl', 1, { state: 'running' })] }) }));
    await place.add(1, 'success', instanceOf(run('etl', 1)));
    await place.add(2, 'success');
    await place.keepUp({}, DAY + 1_500);
    expect(place.withOutput).toEqual([2]);
    await place.close();
  });

  test('removes at a start what belongs to no task, as a kill -9 amid a removal leaves it', async () => {
    const place = new Place();
    for (let n = 1; n <= 120; n++) await place.say(n);
    for (let n = 1; n <= 60; n++) await place.add(2 * n, n % 2 === 0 ? 'success' : 'running');
    await place.logs.close();
    place.logs = place.openLogs();
    await place.keepUp({});
    expect(place.withOutput).toEqual(Array.from({ length: 60 }, (_, i) => 2 * (i + 1)));
    expect(place.logs.bytes).toBe(60 * RECORD);
    await place.close();
  });

  test('beyond the limit of all, the output of those that ended first goes, and of none that has not ended', async () => {
    const place = new Place();
    await place.add(1, 'running');
    for (let n = 2; n <= 10; n++) await place.add(n, 'success');
    await place.keepUp({ totalBytes: 5 * RECORD });
    expect(place.withOutput).toEqual([1, 7, 8, 9, 10]);
    expect([place.logs.bytes, place.logs.full]).toEqual([5 * RECORD, false]);
    await place.close();
  });

  test('when nothing that has ended is left, further output waits with the agents until there is room', async () => {
    const place = new Place();
    for (let n = 1; n <= 3; n++) await place.add(n, 'running');
    await place.keepUp({ totalBytes: 2 * RECORD });
    expect([place.withOutput, place.logs.full]).toEqual([[1, 2, 3], true]);
    expect(await place.say(1, 100)).toBe(false);
    await place.store.commit(
      puts({
        tasks: [{ ...put(task(1, { state: 'success', version: 2 })), finishedAt: 9_000 as ServiceMs }],
      }),
    );
    await place.keepUp();
    expect([place.withOutput, place.logs.full]).toEqual([[2, 3], false]);
    expect(await place.say(2, 100)).toBe(true);
    await place.close();
  });

  test('output of finished tasks goes with its age on the service clock, and younger output stays', async () => {
    const place = new Place();
    for (let n = 1; n <= 6; n++) await place.add(n, 'success');
    await place.keepUp({ ageMs: 60_000 }, 64_000);
    expect(place.withOutput).toEqual([4, 5, 6]);
    await place.close();
  });
});
