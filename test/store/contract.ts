import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { TaskRow, TaskSpecRow } from '../../src/core/rows.js';
import type { AgentId, Epoch, TaskId, Token } from '../../src/kit/ids.js';
import type { ServiceMs, WallMs } from '../../src/kit/time.js';
import type { Puts, Store } from '../../src/store/store.js';
import { type Bench, faultOf } from './bench.js';
import { describeDags } from './dag-contract.js';
import { NO_DAGS } from './dag-rows.js';
import {
  agent,
  HUGE,
  history,
  next,
  notification,
  permit,
  put,
  puts,
  session,
  spec,
  task,
  taskId,
} from './rows.js';

const ids = (rows: readonly { readonly taskId: TaskId }[]): string[] => rows.map((row) => row.taskId);
const names = (...numbers: number[]): string[] => numbers.map(taskId);

/** What every store promises. */
export function describeStore(kind: string, open: () => Promise<Bench>): void {
  describeDags(kind, open);
  describe(`a ${kind} store`, () => {
    let bench: Bench;
    let store: Store;
    const commit = (changes: Partial<Puts>) => store.commit(puts(changes));
    const only = async (n: number): Promise<TaskRow | undefined> => (await store.readTasks([taskId(n)]))[0];

    beforeEach(async () => {
      bench = await open();
      store = bench.store;
    });
    afterEach(() => bench.end());

    test('is empty at first', async () => {
      expect(await store.load()).toEqual({
        counters: { token: 0n, epoch: 0n, serviceMs: 0 },
        agents: [],
        sessions: [],
        queues: [],
        openTasks: [],
        dags: NO_DAGS,
      });
      expect(await store.readTasks([taskId(1)])).toEqual([]);
      expect(await store.readLanes()).toEqual([]);
      expect(await store.nextDue()).toBeNull();
      expect(await store.countTasks()).toEqual({});
    });

    test('accepts a commit of nothing', async () => {
      await commit({});
      expect(await store.countTasks()).toEqual({});
    });

    test('gives back every field of every row, also after a restart', async () => {
      const lost = { at: 5 as WallMs, heldUntil: 6.25 as ServiceMs, rule: 'hold', charged: true };
      const row = task(1, {
        queue: 'gpu',
        priority: -5,
        rank: 12.5,
        startAfter: 1_700_000_000_001 as WallMs,
        startBefore: 1_700_000_000_002 as WallMs,
        concurrencyKey: 'customer ☃',
        concurrencyLimit: 7,
        requiredLabels: { zone: 'a', 'ü/"\\': 'x\ny' },
        handler: 'resize',
        partitionPolicy: 'hold',
        retries: 3,
        executionTimeoutMs: 60_000,
        idempotencyKey: 'key ☃ 𝄞',
        state: 'running',
        reason: 'AGENT_LOST',
        message: 'line one\nline two \u0000 “quoted” 𝄞',
        tryNumber: 2,
        retriesUsed: 1,
        retried: 3,
        releaseAt: 44.5 as ServiceMs,
        queuedSince: null,
        queuedMs: 12.5,
        notBefore: 99 as ServiceMs,
        neverStarted: 4,
        open: permit(HUGE, { epoch: (HUGE - 1n) as Epoch, lost }),
        losses: [{ token: HUGE as Token, tryNumber: 1, agentId: 'agent-9' as AgentId }],
        stopRequest: { kind: 'cancel', reason: 'asked', at: 7 as WallMs },
        lastToken: HUGE as Token,
        lastAgentId: 'agent-1' as AgentId,
        exitCode: 137,
        result: new Uint8Array([0, 255, 10, 0]),
        resultType: 'application/octet-stream',
        endedAt: 8 as WallMs,
        historyCount: 1,
      });
      const plain = task(2);
      const full = history(1, 0, { token: HUGE as Token, epoch: HUGE as Epoch, offeredAt: 3 as WallMs });
      const work = {
        kind: 'handler',
        name: 'resize',
        input: new Uint8Array([0, 255, 123]),
        inputType: 'x/y',
      } as const;
      const called = { ...spec(2), work };
      const live = session(HUGE);
      const worker = agent('agent-1', { epoch: HUGE as Epoch, draining: true, drainUntil: 1.5 as ServiceMs });
      const counters = { token: HUGE as Token, epoch: (HUGE - 1n) as Epoch, serviceMs: 1.25 as ServiceMs };
      await commit({
        tasks: [put(row), put(plain)],
        specs: [spec(1), called],
        history: [full],
        agents: [worker],
        sessions: [live],
        counters,
      });
      store = await bench.reopen();
      expect(await only(1)).toEqual(row);
      expect(await only(2)).toEqual(plain);
      expect(await store.readSpecs([taskId(1), taskId(2)])).toEqual([spec(1), called]);
      expect(await store.readHistory(taskId(1))).toEqual([full]);
      expect(await store.load()).toEqual({
        ...{ counters, agents: [worker], sessions: [live], openTasks: [row], queues: [], dags: NO_DAGS },
      });
    });

    test('tells an empty result from none', async () => {
      await commit({ tasks: [put(task(1, { result: new Uint8Array(0) })), put(task(2))] });
      expect((await only(1))?.result).toEqual(new Uint8Array(0));
      expect((await only(2))?.result).toBeNull();
    });

    test('keeps a result of 256 KiB as it is', async () => {
      const result = Uint8Array.from({ length: 256 * 1024 }, (_, i) => i % 251);
      await commit({ tasks: [put(task(1, { result }))] });
      expect(Buffer.compare((await only(1))?.result ?? new Uint8Array(), result)).toBe(0);
    });

    test('reads the tasks that exist, each once', async () => {
      await commit({ tasks: [put(task(1)), put(task(2))] });
      const found = await store.readTasks([taskId(2), taskId(9), taskId(2), taskId(1)]);
      expect(ids(found).sort()).toEqual(names(1, 2));
    });

    test('replaces a task by its next version', async () => {
      const row = task(1, { result: new Uint8Array([1]) });
      await commit({ tasks: [put(row, 'default', 5)] });
      const ended = next(row, { state: 'success', result: null, lastAgentId: 'agent-1' as AgentId });
      await commit({ tasks: [put(ended)] });
      const again = next(ended, { state: 'queued', lastAgentId: 'agent-2' as AgentId });
      await commit({ tasks: [put(again)] });
      expect(await only(1)).toEqual(again);
      expect(await store.readLanes()).toEqual([]);
      expect(await store.nextDue()).toBeNull();
    });

    test.each([
      ['a version too far', put(next(next(task(1), {}), {}))],
      ['a version already there', put(task(1))],
      ['a later version of a task that is not there', put(next(task(5), {}))],
    ])('refuses %s, and applies nothing of the commit', async (_, wrong) => {
      await commit({ tasks: [put(task(1, { state: 'scheduled' }))] });
      const attempt = commit({
        tasks: [put(task(2), 'default', 1), wrong],
        specs: [spec(2)],
        history: [history(2, 0)],
        agents: [agent('agent-1')],
        sessions: [session(1n)],
        counters: { token: 1n as Token, epoch: 1n as Epoch, serviceMs: 1 as ServiceMs },
      });
      expect(await faultOf(attempt)).toBe('conflict');
      expect(await store.countTasks()).toEqual({ scheduled: 1 });
      expect(await store.readSpecs([taskId(2)])).toEqual([]);
      expect(await store.readHistory(taskId(2))).toEqual([]);
      expect(await store.readLanes()).toEqual([]);
      expect(await store.load()).toMatchObject({ agents: [], sessions: [], counters: { token: 0n } });
      await commit({ tasks: [put(task(2))] });
    });

    test('keeps what a recovery still owes, until it is done (P18)', async () => {
      const counters = { token: 1n as Token, epoch: 1n as Epoch, serviceMs: 1 as ServiceMs };
      for (const recovery of [['wait', 'leap_token'], ['leap_token']] as const) {
        await commit({ counters: { ...counters, recovery } });
        const found = (await store.load()).counters.recovery;
        expect([...(found ?? [])].sort()).toEqual([...recovery].sort());
      }
      await commit({ counters });
      expect((await store.load()).counters).toEqual(counters);
    });

    test.each<[string, Partial<Puts>]>([
      ['a second specification of a task', { specs: [spec(1)] }],
      ['a history row that is there already', { history: [history(1, 0)] }],
      ['an agent that is there already', { agents: [agent('agent-1')] }],
      ['an agent of a wrong version', { agents: [agent('agent-1', { version: 3 })] }],
      ['a session that is there already', { sessions: [session(1n)] }],
      ['a session of a wrong version', { sessions: [session(1n, { version: 3 })] }],
      [
        'a token that goes back',
        { counters: { token: 4n as Token, epoch: 9n as Epoch, serviceMs: 9 as ServiceMs } },
      ],
      [
        'an epoch that goes back',
        { counters: { token: 9n as Token, epoch: 4n as Epoch, serviceMs: 9 as ServiceMs } },
      ],
    ])('refuses %s, and the whole commit with it', async (_, changes) => {
      const counters = { token: 5n as Token, epoch: 5n as Epoch, serviceMs: 5 as ServiceMs };
      await commit({
        tasks: [put(task(1))],
        specs: [spec(1)],
        history: [history(1, 0)],
        agents: [agent('agent-1')],
        sessions: [session(1n)],
        counters,
      });
      expect(await faultOf(commit({ tasks: [put(task(2))], ...changes }))).toBe('conflict');
      expect(await only(2)).toBeUndefined();
      expect((await store.load()).counters).toEqual(counters);
    });

    test('finds tasks by idempotency key, and gives each key once only', async () => {
      await commit({ tasks: [put(task(1, { idempotencyKey: 'a' })), put(task(2)), put(task(3))] });
      expect(ids(await store.readByIdempotencyKey(['b', 'a', 'a', '']))).toEqual(names(1));
      expect(await faultOf(commit({ tasks: [put(task(4, { idempotencyKey: 'a' }))] }))).toBe('conflict');
      const twice = [put(task(5, { idempotencyKey: 'c' })), put(task(6, { idempotencyKey: 'c' }))];
      expect(await faultOf(commit({ tasks: twice }))).toBe('conflict');
      expect(await store.readByIdempotencyKey(['c'])).toEqual([]);
    });

    test('finds tasks by keys of any characters, and many at once', async () => {
      const keys = ['"', '\\', "it's", 'a\nb', '[1,"2"]', 'ü☃𝄞', '0', 'null', 'x'.repeat(300)];
      await commit({ tasks: keys.map((idempotencyKey, n) => put(task(n, { idempotencyKey }))) });
      const found = await store.readByIdempotencyKey([...keys, ...keys.map((key) => `${key} `)]);
      expect(found.map(({ idempotencyKey }) => idempotencyKey).sort()).toEqual([...keys].sort());
    });

    test('gives history oldest first, of one task only', async () => {
      await commit({ tasks: [put(task(1))], history: [history(1, 0), history(2, 0), history(1, 1)] });
      await commit({ history: Array.from({ length: 12 }, (_, i) => history(1, i + 2)) });
      expect((await store.readHistory(taskId(1))).map((row) => row.n)).toEqual([...Array(14).keys()]);
    });

    test('keeps the whole history of a task that goes through a hundred versions', async () => {
      let row = task(1, { historyCount: 1 });
      const happened = (n: number) => history(1, n, n % 5 === 2 ? { message: 'a\u0000b, "c"],[\ud800' } : {});
      await commit({ tasks: [put(row)], history: [history(1, 0)] });
      while (row.version < 100) {
        const n = row.historyCount;
        const more = row.version % 7 === 0 ? [happened(n), happened(n + 1)] : [happened(n)];
        row = next(row, { historyCount: n + more.length });
        await commit({ tasks: [put(row)], history: more });
      }
      const numbers = [...Array(row.historyCount).keys()];
      const read = await store.readHistory(taskId(1));
      expect(read).toEqual(numbers.map(happened));
      for (const n of [0, 50, row.historyCount - 1])
        expect(await faultOf(commit({ history: [history(1, n)] }))).toBe('conflict');
      store = await bench.reopen();
      expect((await store.readHistory(taskId(1))).map(({ n }) => n)).toEqual(numbers);
      await commit({ removals: [{ taskId: taskId(1), version: 100 }] });
      expect(await store.readHistory(taskId(1))).toEqual([]);
    });

    test('offers a lane by rank, then by id, in pages', async () => {
      const of = (n: number, rank: number) => put(task(n, { rank }), 'lane');
      await commit({
        tasks: [of(4, 0), of(1, 0), of(3, -7.5), of(5, 2), of(2, -7.5), put(task(6), 'other')],
      });
      expect(ids(await store.readReady('lane', null, 10))).toEqual(names(2, 3, 1, 4, 5));
      expect(ids(await store.readReady('lane', null, 2))).toEqual(names(2, 3));
      expect(ids(await store.readReady('lane', { rank: -7.5, taskId: taskId(3) }, 2))).toEqual(names(1, 4));
      expect(ids(await store.readReady('lane', { rank: -7.5, taskId: taskId(9) }, 1))).toEqual(names(1));
      expect(ids(await store.readReady('lane', { rank: 0, taskId: taskId(4) }, 9))).toEqual(names(5));
      expect(await store.readReady('lane', { rank: 2, taskId: taskId(5) }, 9)).toEqual([]);
      expect(await store.readReady('nowhere', null, 9)).toEqual([]);
    });

    test('knows the lanes that have ready tasks, and how many', async () => {
      const many = Array.from({ length: 300 }, (_, i) => put(task(i), `lane-${i % 3}`));
      const only0 = task(900);
      await commit({ tasks: [...many, put(only0, 'gpu?zone=ü'), put(task(901))] });
      const lanes = async () =>
        (await store.readLanes()).map(({ lane, waiting }) => `${lane} ${waiting}`).sort();
      expect(await lanes()).toEqual(['gpu?zone=ü 1', 'lane-0 100', 'lane-1 100', 'lane-2 100']);
      await commit({ tasks: [put(next(only0, {}), 'lane-1')] });
      expect(await lanes()).toEqual(['lane-0 100', 'lane-1 101', 'lane-2 100']);
    });

    test('keeps what was said of a queue', async () => {
      const queue = { queue: 'gpu', version: 1, limit: 3 };
      await commit({ queues: [queue, { queue: 'a', version: 1, limit: null }] });
      await commit({ queues: [{ ...queue, version: 2, limit: 0 }] });
      expect((await store.load()).queues).toEqual([
        { queue: 'a', version: 1, limit: null },
        { queue: 'gpu', version: 2, limit: 0 },
      ]);
      await expect(commit({ queues: [queue] })).rejects.toMatchObject({ fault: 'conflict' });
      await expect(commit({ queues: [{ ...queue, version: 2 }] })).rejects.toMatchObject({
        fault: 'conflict',
      });
    });

    test('a task takes another queue with its next version, and is listed under that one', async () => {
      const first = task(1, { queue: 'old' });
      await commit({ tasks: [put(first, 'old'), put(task(2, { queue: 'old' }), 'old')] });
      await commit({ tasks: [put(next(first, { queue: 'new' }), 'new')] });
      expect(ids(await store.readReady('old', null, 9))).toEqual(names(2));
      expect(ids(await store.listTasks({ queue: 'new' }, null, 9))).toEqual(names(1));
      expect(ids(await store.listTasks({ queue: 'old' }, null, 9))).toEqual(names(2));
    });

    test('a task takes another place in its lane with another rank', async () => {
      const first = task(1, { rank: 5 });
      await commit({ tasks: [put(first, 'lane'), put(task(2, { rank: 6 }), 'lane')] });
      await commit({ tasks: [put(next(first, { rank: 7 }), 'lane')] });
      expect(ids(await store.readReady('lane', null, 10))).toEqual(names(2, 1));
      expect((await store.readTasks([taskId(1)]))[0]?.rank).toBe(7);
    });

    test('gives what waits for an instant of the wall clock, earliest first', async () => {
      const waits = (n: number, at: number) => task(n, { state: 'scheduled', startAfter: at as WallMs });
      const second = waits(2, 20);
      await commit({ tasks: [put(waits(1, 30)), put(second), put(task(3), 'lane', 10)] });
      expect(await store.nextWallDue()).toBe(20);
      expect(ids(await store.readWallDue(30 as WallMs, 10))).toEqual(names(2, 1));
      expect(ids(await store.readWallDue(30 as WallMs, 1))).toEqual(names(2));
      expect(await store.readWallDue(19 as WallMs, 10)).toEqual([]);
      await commit({ tasks: [put(next(second, { state: 'queued' }), 'lane')] });
      expect(await store.nextWallDue()).toBe(30);
      await commit({ removals: [{ taskId: taskId(1), version: 1 }] });
      expect(await store.nextWallDue()).toBeNull();
    });

    test('gives what is due, earliest first', async () => {
      await commit({
        tasks: [put(task(1), null, 30.5), put(task(2), 'l', 10), put(task(3), null, 20), put(task(4))],
      });
      expect(await store.nextDue()).toBe(10);
      expect(ids(await store.readDue(30.5 as ServiceMs, 10))).toEqual(names(2, 3, 1));
      expect(ids(await store.readDue(30.4 as ServiceMs, 10))).toEqual(names(2, 3));
      expect(ids(await store.readDue(99 as ServiceMs, 1))).toEqual(names(2));
      expect(await store.readDue(9.9 as ServiceMs, 10)).toEqual([]);
      await commit({ tasks: [put(next(task(2), {}), 'l', 40)] });
      expect(await store.nextDue()).toBe(20);
    });

    test('lists the newest first, without results, filtered and in pages', async () => {
      const result = new Uint8Array([1]);
      const by = (n: number, state: TaskRow['state'], queue: string, lastAgentId: string) =>
        put(task(n, { state, queue, lastAgentId: lastAgentId as AgentId, result }));
      await commit({
        tasks: [
          by(1, 'success', 'a', 'x'),
          by(2, 'failed', 'a', 'y'),
          by(3, 'queued', 'b', ''),
          by(4, 'success', 'b', 'y'),
          by(5, 'failed', 'b', 'x'),
        ],
      });
      const list = async (...args: Parameters<Store['listTasks']>) => ids(await store.listTasks(...args));
      expect(await list({}, null, 10)).toEqual(names(5, 4, 3, 2, 1));
      expect(await list({}, taskId(4), 2)).toEqual(names(3, 2));
      expect(await list({ states: ['success'] }, null, 10)).toEqual(names(4, 1));
      expect(await list({ states: ['failed', 'queued'] }, null, 10)).toEqual(names(5, 3, 2));
      expect(await list({ states: ['failed', 'queued'] }, taskId(5), 1)).toEqual(names(3));
      expect(await list({ states: ['failed', 'success'] }, null, 3)).toEqual(names(5, 4, 2));
      expect(await list({ states: [] }, null, 10)).toEqual([]);
      expect(await list({ queue: 'a' }, null, 10)).toEqual(names(2, 1));
      expect(await list({ agentId: 'y' as AgentId }, null, 10)).toEqual(names(4, 2));
      const all = { states: ['failed'], queue: 'b', agentId: 'x' as AgentId } as const;
      expect(await list(all, null, 10)).toEqual(names(5));
      expect(await list({ ...all, states: ['success'] }, null, 10)).toEqual([]);
      expect((await store.listTasks({}, null, 1))[0]?.result).toBeNull();
    });

    test('lists and counts every state alike, through every change of state', async () => {
      const states = [
        'scheduled',
        'queued',
        'running',
        'success',
        'failed',
        'deferred',
        'cancelled',
      ] as const;
      const stored = new Map<TaskRow['state'], number[]>();
      for (const [i, from] of states.entries()) {
        for (const [j, to] of states.entries()) {
          const n = 1 + i * states.length + j;
          const open = (state: TaskRow['state']) => (state === 'running' ? permit(BigInt(n)) : null);
          const row = task(n, { state: from, open: open(from) });
          await commit({
            tasks: [put(row, from === 'queued' ? 'lane' : null, from === 'queued' ? 5 : null)],
          });
          const then = next(row, { state: to, open: open(to) });
          await commit({ tasks: [put(then, to === 'queued' ? 'lane' : null, to === 'queued' ? 6 : null)] });
          stored.set(to, [n, ...(stored.get(to) ?? [])]);
        }
      }
      for (const state of states)
        expect(ids(await store.listTasks({ states: [state] }, null, 99))).toEqual(
          names(...(stored.get(state) ?? [])),
        );
      expect(await store.countTasks()).toEqual(
        Object.fromEntries(states.map((state) => [state, states.length])),
      );
      expect((await store.load()).openTasks).toHaveLength(states.length);
      expect(await store.readLanes()).toEqual([{ lane: 'lane', waiting: states.length }]);
      expect(await store.readDue(9 as ServiceMs, 99)).toHaveLength(states.length);
      expect(await store.readFinished(null, 99)).toHaveLength(3 * states.length);
    });

    test('counts tasks by state', async () => {
      const rows = [task(1), task(2), task(3, { state: 'success' }), task(4, { state: 'failed' })];
      await commit({ tasks: rows.map((row) => put(row)) });
      expect(await store.countTasks()).toEqual({ queued: 2, success: 1, failed: 1 });
      await commit({
        tasks: [put(next(task(1), { state: 'success' })), put(next(task(2), { state: 'success' }))],
      });
      expect(await store.countTasks()).toEqual({ success: 3, failed: 1 });
    });

    test('gives finished tasks in the order in which they ended, in pages, without results', async () => {
      const result = new Uint8Array([1]);
      const ended = (n: number, at: number, changes: Partial<TaskRow> = {}) =>
        put(task(n, { state: 'success', result, ...changes }), null, null, at);
      const failed = { state: 'failed' } as const;
      await commit({
        tasks: [ended(1, 30), ended(2, 10.5), ended(3, 20, failed), ended(4, 10.5), put(task(5))],
      });
      await commit({ tasks: [ended(6, 1, { open: permit(1n) }), put(task(7, { state: 'deferred' }))] });
      const all = await store.readFinished(null, 10);
      expect(ids(all.map(({ row }) => row))).toEqual(names(2, 4, 3, 1));
      expect(all.map(({ finishedAt }) => finishedAt)).toEqual([10.5, 10.5, 20, 30]);
      expect(all[0]?.row).toEqual(task(2, { state: 'success' }));
      const after = { finishedAt: 10.5 as ServiceMs, taskId: taskId(2) };
      expect(ids((await store.readFinished(after, 2)).map(({ row }) => row))).toEqual(names(4, 3));
      expect(await store.readFinished({ finishedAt: 30 as ServiceMs, taskId: taskId(1) }, 9)).toEqual([]);
      const until = async (at: number, from: typeof after | null = null) =>
        ids((await store.readFinished(from, 9, { until: at as ServiceMs })).map(({ row }) => row));
      expect(await until(20)).toEqual(names(2, 4, 3));
      expect(await until(19, after)).toEqual(names(4));
      expect(await until(10)).toEqual([]);
    });

    test('keeps when a task ended first, and forgets it when the task is begun again', async () => {
      const row = task(1, { state: 'success' });
      await commit({ tasks: [put(row, null, null, 5)] });
      const noted = next(row, { message: 'a late report' });
      await commit({ tasks: [put(noted, null, null, 9)] });
      store = await bench.reopen();
      expect(await store.readFinished(null, 9)).toEqual([{ row: noted, finishedAt: 5 }]);
      const again = next(noted, { state: 'queued' });
      await commit({ tasks: [put(again)] });
      expect(await store.readFinished(null, 9)).toEqual([]);
      await commit({ tasks: [put(next(again, { state: 'failed' }), null, null, 12)] });
      expect((await store.readFinished(null, 9)).map(({ finishedAt }) => finishedAt)).toEqual([12]);
    });

    test('removes a task with its specification, its history and its idempotency key', async () => {
      const gone = task(1, { state: 'success', idempotencyKey: 'a' });
      await commit({
        tasks: [put(gone, 'lane', 5), put(task(2), 'lane', 6)],
        specs: [spec(1), spec(2)],
        history: [history(1, 0), history(1, 1), history(2, 0)],
      });
      await commit({ removals: [{ taskId: taskId(1), version: 1 }] });
      store = await bench.reopen();
      expect(ids(await store.readTasks([taskId(1), taskId(2)]))).toEqual(names(2));
      expect(await store.readSpecs([taskId(1), taskId(2)])).toEqual([spec(2)]);
      expect(await store.readHistory(taskId(1))).toEqual([]);
      expect(await store.readHistory(taskId(2))).toHaveLength(1);
      expect(await store.readByIdempotencyKey(['a'])).toEqual([]);
      expect(ids(await store.readReady('lane', null, 9))).toEqual(names(2));
      expect(await store.nextDue()).toBe(6);
      expect(await store.readFinished(null, 9)).toEqual([]);
      expect(await store.countTasks()).toEqual({ queued: 1 });
      expect(ids(await store.listTasks({}, null, 9))).toEqual(names(2));
    });

    test('replaces the specification of a task that is decided anew', async () => {
      await commit({ tasks: [put(task(1))], specs: [spec(1)] });
      const anew: TaskSpecRow = { ...spec(1), traceparent: 'anew' };
      await commit({ tasks: [put(next(task(1), { message: 'anew' }))], specs: [anew] });
      store = await bench.reopen();
      expect(await store.readSpecs([taskId(1)])).toEqual([anew]);
    });

    test('gives an idempotency key again in the commit that removes its task', async () => {
      await commit({ tasks: [put(task(1, { state: 'success', idempotencyKey: 'a' }))] });
      const again = task(2, { idempotencyKey: 'a' });
      await commit({ removals: [{ taskId: taskId(1), version: 1 }], tasks: [put(again)] });
      expect(await store.readByIdempotencyKey(['a'])).toEqual([again]);
    });

    test.each([
      ['of another version', { taskId: taskId(1), version: 2 }],
      ['of a task that is not there', { taskId: taskId(9), version: 1 }],
    ])('refuses a removal %s, and the whole commit with it', async (_, removal) => {
      await commit({ tasks: [put(task(1)), put(task(2))] });
      const attempt = commit({
        removals: [{ taskId: taskId(2), version: 1 }, removal],
        tasks: [put(task(3))],
      });
      expect(await faultOf(attempt)).toBe('conflict');
      expect(await store.countTasks()).toEqual({ queued: 2 });
    });

    test('forgets an agent with all of its sessions, and may meet it again as a new one', async () => {
      const [gone, stays] = [agent('a', { epoch: 3n as Epoch }), agent('b', { epoch: 2n as Epoch })];
      const ended = session(3n, { agentId: gone.agentId, state: 'failed' });
      await commit({
        agents: [gone, stays],
        sessions: [session(2n, { agentId: stays.agentId }), ended],
      });
      const removal = { agentId: gone.agentId, version: 1 };
      expect(await faultOf(commit({ agentRemovals: [{ ...removal, version: 2 }] }))).toBe('conflict');
      await commit({ agentRemovals: [removal] });
      expect(await faultOf(commit({ agentRemovals: [removal] }))).toBe('conflict');
      store = await bench.reopen();
      const { agents, sessions } = await store.load();
      expect(agents).toEqual([stays]);
      expect(sessions.map(({ epoch }) => epoch)).toEqual([2n]);
      await commit({ agents: [gone], sessions: [session(4n, { agentId: gone.agentId })] });
      expect((await store.load()).agents).toEqual([gone, stays]);
    });

    test('counts rightly after tasks were removed', async () => {
      const rows = Array.from({ length: 6 }, (_, i) => put(task(i, { state: i < 4 ? 'success' : 'failed' })));
      await commit({ tasks: rows });
      await commit({ removals: [0, 2, 5].map((n) => ({ taskId: taskId(n), version: 1 })) });
      await commit({ tasks: [put(task(9, { state: 'success' }))] });
      expect(await store.countTasks()).toEqual({ success: 3, failed: 1 });
    });

    test('loads every task with an open token, whatever its state', async () => {
      const lost = task(1, { state: 'running', open: permit(1n) });
      const failed = task(2, { state: 'failed', open: permit(2n) });
      await commit({ tasks: [put(failed), put(lost), put(task(3))] });
      expect((await store.load()).openTasks).toEqual([lost, failed]);
      await commit({ tasks: [put(next(lost, { open: null, state: 'success' }))] });
      expect((await store.load()).openTasks).toEqual([failed]);
    });

    test('forgets a session that is over once its agent has a newer one, and no session that is live', async () => {
      const other = session(3n, { agentId: 'b' as AgentId, state: 'failed' });
      await commit({ sessions: [session(1n), session(2n), other] });
      await commit({ sessions: [session(1n, { state: 'ended', version: 2 })] });
      await commit({ sessions: [session(4n)] });
      await expect(commit({ sessions: [session(1n, { state: 'ended', version: 3 })] })).rejects.toMatchObject(
        {
          fault: 'conflict',
        },
      );
      expect((await store.load()).sessions.map((row) => row.epoch)).toEqual([2n, 3n, 4n]);
    });

    test('loads live sessions and the newest of each agent', async () => {
      const of = (id: string) => ({ agentId: id as AgentId });
      const old = session(1n);
      const ended = { state: 'ended', endedAt: 1 as WallMs, version: 2 } as const;
      const rows = [old, session(2n), session(3n, of('b')), session(4n, { ...of('b'), state: 'failed' })];
      await commit({ sessions: [...rows, session(5n, { ...of('c'), state: 'ended' })] });
      await commit({ sessions: [session(1n, ended), session(2n, ended)] });
      expect((await store.load()).sessions.map((row) => row.epoch)).toEqual([2n, 3n, 4n, 5n]);
      expect((await store.load()).sessions[0]).toEqual(session(2n, ended));
    });

    test('replaces agents by their next version', async () => {
      await commit({ agents: [agent('b'), agent('a')] });
      await commit({ agents: [agent('a', { version: 2, cordoned: true })] });
      expect((await store.load()).agents).toEqual([agent('a', { version: 2, cordoned: true }), agent('b')]);
    });

    test('numbers notifications in the order of their commits, and keeps every field', async () => {
      await commit({ notifications: [notification('a'), notification('b')] });
      await commit({ notifications: [notification('c')] });
      const found = await store.readNotifications(0, 10);
      expect(found).toEqual([
        { ...notification('a'), n: 1 },
        { ...notification('b'), n: 2 },
        { ...notification('c'), n: 3 },
      ]);
      expect((await store.readNotifications(1, 1)).map(({ id }) => id)).toEqual(['b']);
      expect(await store.newestNotification()).toBe(3);
    });

    test('forgets delivered notifications and gives no number twice, over a restart too', async () => {
      await commit({ notifications: [notification('a'), notification('b')] });
      const missed = { count: 3, first: 1, from: 5 as WallMs, to: 9 as WallMs };
      await store.putDeliveries([{ endpoint: 'y', cursor: 1, missed }], 0);
      await store.putDeliveries(
        [
          { endpoint: 'x', cursor: 2, missed: null },
          { endpoint: 'y', cursor: 2, missed },
        ],
        2,
      );
      store = await bench.reopen();
      expect(await store.readNotifications(0, 10)).toEqual([]);
      expect(await store.readDeliveries()).toEqual([
        { endpoint: 'x', cursor: 2, missed: null },
        { endpoint: 'y', cursor: 2, missed },
      ]);
      expect(await store.newestNotification()).toBe(2);
      await commit({ notifications: [notification('c')] });
      expect((await store.readNotifications(0, 10)).map(({ n }) => n)).toEqual([3]);
    });

    test('writes a notification with its commit or not at all', async () => {
      const fault = await faultOf(
        commit({ tasks: [put(task(1, { version: 2 }))], notifications: [notification('a')] }),
      );
      expect(fault).toBe('conflict');
      expect(await store.readNotifications(0, 10)).toEqual([]);
    });

    test('refuses everything once it is closed', async () => {
      await store.close();
      expect(await faultOf(store.load())).toBe('other');
      expect(await faultOf(commit({ tasks: [put(task(1))] }))).toBe('other');
      await store.close();
    });
  });
}
