import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type RunKey, type RunRow, runKeyOf } from '../../src/core/dag/rows.js';
import type { TaskRow } from '../../src/core/rows.js';
import type { AgentId, Epoch, TaskId, Token } from '../../src/kit/ids.js';
import type { ServiceMs, WallMs } from '../../src/kit/time.js';
import type { DagPuts } from '../../src/store/dags.js';
import type { Puts, Store } from '../../src/store/store.js';
import { type Bench, faultOf } from './bench.js';
import {
  asset,
  assetEvent,
  backfill,
  bundle,
  dag,
  dagPuts,
  dagVersion,
  instanceOf,
  NO_DAGS,
  pool,
  run,
  trigger,
} from './dag-rows.js';
import { HUGE, next, put, puts, session, spec, task, taskId } from './rows.js';

const keys = (rows: readonly { readonly run: RunKey }[]): string[] => rows.map((row) => row.run);
const ids = (rows: readonly TaskRow[]): string[] => rows.map((row) => row.taskId).sort();
const names = (...numbers: number[]): string[] => numbers.map(taskId);
const ended = (state: RunRow['state'], at: number) => ({ state, endedAt: at as WallMs });

/** What every store promises of DAGs. */
export function describeDags(kind: string, open: () => Promise<Bench>): void {
  describe(`a ${kind} store of DAGs`, () => {
    let bench: Bench;
    let store: Store;
    const commit = (dags: Partial<DagPuts>, others: Partial<Puts> = {}) =>
      store.commit(puts({ ...others, dags: dagPuts(dags) }));

    beforeEach(async () => {
      bench = await open();
      store = bench.store;
    });
    afterEach(() => bench.end());

    test('gives back every field of every row, also after a restart', async () => {
      const at = 1_700_000_000_001 as WallMs;
      const pending = { asset: 's3://a/ü', count: 3, first: 2, last: 9 };
      const condition = {
        kind: 'all',
        of: [
          { kind: 'asset', asset: 'a' },
          { kind: 'any', of: [{ kind: 'asset', asset: 'b' }] },
        ],
      } as const;
      const dags = [
        dag('assets', { schedule: { kind: 'assets', condition }, pendingAssets: [pending], paused: true }),
        dag('cron', {
          schedule: { kind: 'cron', expression: '0 3 * * *', timezone: 'Europe/Berlin' },
          startDate: 1 as WallMs,
          endDate: 2 as WallMs,
          catchup: true,
          description: 'ü "☃"',
          defaultParams: '{"n":1}',
          tags: ['a', 'b'],
          active: false,
          importError: { message: 'etl.yaml:1:2: no', since: at },
          nextInstant: 3 as WallMs,
          lastInstant: 4 as WallMs,
        }),
        dag('interval', { schedule: { kind: 'interval', everyMs: 60_000 }, definitionVersion: 7 }),
        dag('none'),
      ];
      const full = run('etl', 1, {
        type: 'asset_triggered',
        state: 'running',
        reason: 'cleared',
        definitionVersion: 7,
        logicalDate: 10 as WallMs,
        intervalStart: 5 as WallMs,
        intervalEnd: 10 as WallMs,
        params: '{"n":1}',
        consumed: [pending],
        backfill: 'may',
        createdAt: at,
        startedAt: at,
        rerunBy: 'june',
        instancesAtEnd: 12,
      });
      const source = { run: full.run, task: 'load', mapIndex: 3 };
      const held = { token: HUGE as Token, epoch: (HUGE - 1n) as Epoch, agentId: 'agent-1' as AgentId };
      const rows = {
        dags,
        runs: [full, run('etl', 2)],
        pools: [pool('default_pool'), pool('small', { slots: 0 })],
        assets: [asset('a'), asset('b', { lastEvent: 5, lastEventAt: at })],
        triggers: [
          trigger(1, { ...held, state: '{"page":2}', timeoutAt: 12.5 as ServiceMs }),
          trigger(2, { triggerId: 'trigger-2' }),
        ],
        bundles: [
          bundle('main', {
            ...{ epoch: HUGE as Epoch, sequence: HUGE, agentId: 'agent-1' as AgentId, receivedAt: at },
            importErrors: [{ file: 'a.yaml', message: 'a.yaml:1:1: no', since: at }],
          }),
        ],
        backfills: [backfill('may', { state: 'paused', next: null, reprocess: 'completed' })],
      };
      const event = assetEvent(5, 'b', { source, extra: '{"rows":1}' });
      const row = task(1, {
        instance: instanceOf(full, { mapIndex: 2, pool: 'small', poolSlots: 3, ready: true }),
        resume: { state: '{"page":2}', event: 'null' },
        result: new Uint8Array([1]),
      });
      const plain = task(2, { instance: instanceOf(full) });
      const live = session(1n, { bundles: ['main'], triggerKinds: ['file', 'http'] });
      await commit(
        { ...rows, versions: [dagVersion('etl'), dagVersion('etl', 2)], assetEvents: [event] },
        { tasks: [put(row), put(plain)], specs: [spec(1)], sessions: [live] },
      );
      store = await bench.reopen();
      const { dags: loaded, sessions } = await store.load();
      const byId = [...loaded.instances].sort((a, b) => (a.taskId < b.taskId ? -1 : 1));
      expect({ ...loaded, instances: byId }).toEqual({
        ...rows,
        instances: [{ ...row, result: null }, plain],
      });
      expect(sessions).toEqual([live]);
      expect(await store.readTasks([taskId(1)])).toEqual([row]);
      expect(
        await store.readDagVersions([
          { dagId: 'etl', definitionVersion: 2 },
          { dagId: 'etl', definitionVersion: 3 },
        ]),
      ).toEqual([dagVersion('etl', 2)]);
      expect(await store.listAssetEvents(null, null, 9)).toEqual([event]);
    });

    test('replaces rows by their next version', async () => {
      const first = {
        dags: [dag('etl')],
        runs: [run('etl', 1)],
        pools: [pool('small')],
        assets: [asset('a')],
        triggers: [trigger(1)],
        bundles: [bundle('main')],
        backfills: [backfill('may')],
      };
      await commit(first);
      const second = {
        dags: [dag('etl', { version: 2, definitionVersion: 3, paused: true })],
        runs: [run('etl', 1, { version: 2, state: 'running', definitionVersion: 3 })],
        pools: [pool('small', { version: 2, slots: 9 })],
        assets: [asset('a', { version: 2, lastEvent: 4, lastEventAt: 5 as WallMs })],
        triggers: [trigger(1, { version: 2, token: 7n as Token })],
        bundles: [bundle('main', { version: 2, sequence: 8n })],
        backfills: [backfill('may', { version: 2, next: 200 as WallMs })],
      };
      await commit(second);
      expect((await store.load()).dags).toEqual({ ...second, instances: [] });
      await commit({ backfills: [backfill('may', { version: 3, state: 'completed' })] });
      expect((await store.load()).dags.backfills).toEqual([]);
    });

    const stale: [string, Partial<DagPuts>][] = [1, 3].flatMap((version): [string, Partial<DagPuts>][] => [
      [`a DAG of version ${version}`, { dags: [dag('etl', { version })] }],
      [`a run of version ${version}`, { runs: [run('etl', 1, { version })] }],
      [`a pool of version ${version}`, { pools: [pool('small', { version })] }],
      [`an asset of version ${version}`, { assets: [asset('a', { version })] }],
      [`a trigger of version ${version}`, { triggers: [trigger(1, { version })] }],
      [`a bundle of version ${version}`, { bundles: [bundle('main', { version })] }],
      [`a backfill of version ${version}`, { backfills: [backfill('may', { version })] }],
    ]);
    test.each<[string, Partial<DagPuts>]>([
      ...stale,
      ['a run twice', { runs: [run('etl', 1, { version: 2 }), run('etl', 1, { version: 2 })] }],
      ['a definition that is there already', { versions: [dagVersion('etl')] }],
      ['a definition twice', { versions: [dagVersion('new'), dagVersion('new')] }],
      ['an asset event that is there already', { assetEvents: [assetEvent(1, 'b')] }],
      [
        'a removal of a run of another version',
        { runRemovals: [{ run: runKeyOf('etl', 'manual__1'), version: 2 }] },
      ],
      ['a removal of a backfill of another version', { backfillRemovals: [{ backfill: 'may', version: 2 }] }],
      ['a removal of a run that is not there', { runRemovals: [{ run: runKeyOf('etl', 'x'), version: 1 }] }],
      ['a removal of a pool of another version', { poolRemovals: [{ pool: 'small', version: 2 }] }],
      [
        'a removal of a trigger of another version',
        { triggerRemovals: [{ triggerId: 'trigger-1', version: 2 }] },
      ],
      [
        'a second removal of a trigger',
        {
          triggerRemovals: [
            { triggerId: 'trigger-1', version: 1 },
            { triggerId: 'trigger-1', version: 1 },
          ],
        },
      ],
    ])('refuses %s, and the whole commit with it', async (_, changes) => {
      await commit({
        dags: [dag('etl')],
        versions: [dagVersion('etl')],
        runs: [run('etl', 1)],
        pools: [pool('small')],
        assets: [asset('a')],
        assetEvents: [assetEvent(1, 'a')],
        triggers: [trigger(1)],
        bundles: [bundle('main')],
        backfills: [backfill('may')],
      });
      const before = await store.load();
      const attempt = commit(
        { ...changes, dags: [dag('other'), ...(changes.dags ?? [])] },
        { tasks: [put(task(1))] },
      );
      expect(await faultOf(attempt)).toBe('conflict');
      expect(await store.load()).toEqual(before);
      expect(await store.countTasks()).toEqual({});
    });

    test('gives a name again in the commit that removes what had it', async () => {
      const first = { runs: [run('etl', 1)], pools: [pool('small')], triggers: [trigger(1)] };
      await commit(first);
      await commit({
        runRemovals: [{ run: run('etl', 1).run, version: 1 }],
        poolRemovals: [{ pool: 'small', version: 1 }],
        triggerRemovals: [{ triggerId: 'trigger-1', version: 1 }],
        runs: [run('etl', 1, { params: '{"again":true}' })],
        pools: [pool('small', { slots: 1 })],
      });
      expect((await store.load()).dags).toEqual({
        ...NO_DAGS,
        runs: [run('etl', 1, { params: '{"again":true}' })],
        pools: [pool('small', { slots: 1 })],
      });
    });

    test('removes a definition only when no run pins it and it is not the newest', async () => {
      const keysOf = (...numbers: number[]) =>
        numbers.map((definitionVersion) => ({ dagId: 'etl', definitionVersion }));
      const left = async () =>
        (await store.readDagVersions(keysOf(1, 2, 3, 4)))
          .map((row) => row.definitionVersion)
          .sort((a, b) => a - b);
      await commit({
        dags: [dag('etl', { definitionVersion: 4 })],
        versions: [1, 2, 3, 4].map((n) => dagVersion('etl', n)),
        runs: [run('etl', 1), run('etl', 2, { ...ended('success', 5), definitionVersion: 2 })],
      });
      await commit({ versionRemovals: [...keysOf(1, 2, 3, 4, 9), { dagId: 'other', definitionVersion: 1 }] });
      expect(await left()).toEqual([1, 2, 4]);
      await commit({
        runRemovals: [{ run: run('etl', 2).run, version: 1 }],
        runs: [run('etl', 1, { version: 2, definitionVersion: 4 })],
        versionRemovals: keysOf(1, 2),
      });
      expect(await left()).toEqual([4]);
    });

    test('loads the runs that are queued or running, with all their instances, ended ones too', async () => {
      const of = (row: RunRow, n: number, state: TaskRow['state'] = 'success') =>
        put(task(n, { state, instance: instanceOf(row), result: new Uint8Array([1]) }));
      const queued = run('etl', 1);
      const running = run('etl', 2, { state: 'running' });
      const done = run('etl', 3, ended('success', 9));
      const failed = run('etl', 4, ended('failed', 9));
      await commit(
        { runs: [done, failed, running, queued] },
        { tasks: [of(queued, 1, 'scheduled'), of(running, 2), of(running, 3), of(done, 4), put(task(5))] },
      );
      const { dags } = await store.load();
      expect(keys(dags.runs)).toEqual([queued.run, running.run]);
      expect(ids(dags.instances)).toEqual(names(1, 2, 3));
      expect(dags.instances.every(({ result }) => result === null)).toBe(true);
      await commit({ runs: [{ ...running, version: 2, ...ended('cancelled', 9) }] });
      expect(ids((await store.load()).dags.instances)).toEqual(names(1));
      expect(ids(await store.readInstances(running.run))).toEqual(names(2, 3));
      expect((await store.readInstances(running.run))[0]?.result).toBeNull();
      expect(await store.readInstances(runKeyOf('etl', 'none'))).toEqual([]);
      const [first] = names(2) as TaskId[];
      expect(ids(await store.readInstances(running.run, null, 1))).toEqual([first]);
      expect(ids(await store.readInstances(running.run, first, 9))).toEqual(names(3));
    });

    test('keeps the finished instances of runs that are queued or running from retention', async () => {
      const running = run('etl', 1, { state: 'running' });
      const done = run('etl', 2, ended('failed', 9));
      const of = (row: RunRow, n: number) => task(n, { state: 'success', instance: instanceOf(row) });
      await commit(
        { runs: [running, done] },
        {
          tasks: [
            put(of(running, 1), null, null, 1),
            put(of(done, 2), null, null, 2),
            put(of(running, 3), null, null, 3),
            put(task(4, { state: 'success' }), null, null, 4),
            put(of(run('etl', 9), 5), null, null, 5),
          ],
        },
      );
      const finished = async (...args: Parameters<Store['readFinished']>) =>
        (await store.readFinished(...args)).map(({ row }) => row.taskId);
      expect(await finished(null, 9)).toEqual(names(2, 4, 5));
      expect(await finished(null, 2)).toEqual(names(2, 4));
      expect(await finished({ finishedAt: 2 as ServiceMs, taskId: taskId(2) }, 1)).toEqual(names(4));
      expect(await finished(null, 9, { runs: 'any' })).toEqual(names(1, 2, 3, 4, 5));
      await commit({ runs: [{ ...running, version: 2, ...ended('success', 10) }] });
      expect(await finished(null, 9)).toEqual(names(1, 2, 3, 4, 5));
      await commit({ runs: [{ ...done, version: 2, state: 'queued', endedAt: null }] });
      expect(await finished(null, 9)).toEqual(names(1, 3, 4, 5));
    });

    test('changes whether an instance is ready, and what it resumes with, from version to version', async () => {
      const row = task(1, { instance: instanceOf(run('etl', 1)), state: 'scheduled' });
      await commit({ runs: [run('etl', 1)] }, { tasks: [put(row)] });
      const ready = next(row, {
        instance: instanceOf(run('etl', 1), { ready: true }),
        resume: { state: '', event: '{"at":1}' },
      });
      await commit({}, { tasks: [put(ready)] });
      expect(await store.readTasks([taskId(1)])).toEqual([ready]);
      const again = next(ready, { instance: instanceOf(run('etl', 1)), resume: null });
      await commit({}, { tasks: [put(again)] });
      expect((await store.load()).dags.instances).toEqual([again]);
    });

    test('lists the instances of a run and of a DAG, newest first, filtered and in pages', async () => {
      const [one, two, other] = [run('etl', 1), run('etl', 2), run('etl-2', 1)];
      const of = (row: RunRow, n: number, state: TaskRow['state'] = 'success', lastAgentId = '') =>
        put(task(n, { state, instance: instanceOf(row), lastAgentId: lastAgentId as AgentId }));
      await commit(
        { runs: [one, two, other] },
        {
          tasks: [
            of(one, 1, 'failed'),
            of(one, 2, 'success', 'x'),
            of(two, 3, 'failed', 'x'),
            of(other, 4, 'failed'),
            put(task(5, { state: 'failed' })),
            of(one, 6),
          ],
        },
      );
      const list = async (...args: Parameters<Store['listTasks']>) =>
        (await store.listTasks(...args)).map((row) => row.taskId);
      expect(await list({ run: one.run }, null, 9)).toEqual(names(6, 2, 1));
      expect(await list({ run: one.run }, taskId(6), 1)).toEqual(names(2));
      expect(await list({ run: one.run, states: ['failed', 'queued'] }, null, 9)).toEqual(names(1));
      expect(await list({ run: one.run, dagId: 'etl-2' }, null, 9)).toEqual([]);
      expect(await list({ dagId: 'etl' }, null, 9)).toEqual(names(6, 3, 2, 1));
      expect(await list({ dagId: 'etl' }, taskId(6), 2)).toEqual(names(3, 2));
      expect(await list({ dagId: 'etl', states: ['failed'] }, null, 9)).toEqual(names(3, 1));
      expect(await list({ dagId: 'etl', agentId: 'x' as AgentId }, null, 9)).toEqual(names(3, 2));
      expect(await list({ dagId: 'et' }, null, 9)).toEqual([]);
    });

    test('forgets the instances that are removed', async () => {
      const row = run('etl', 1);
      const of = (n: number) => put(task(n, { state: 'success', instance: instanceOf(row) }));
      await commit({ runs: [row] }, { tasks: [of(1), of(2)] });
      await store.commit(puts({ removals: [{ taskId: taskId(1), version: 1 }] }));
      expect(ids(await store.readInstances(row.run))).toEqual(names(2));
      await commit(
        { runRemovals: [{ run: row.run, version: 1 }] },
        { removals: [{ taskId: taskId(2), version: 1 }] },
      );
      store = await bench.reopen();
      expect((await store.load()).dags).toEqual(NO_DAGS);
      expect(await store.readRuns([row.run])).toEqual([]);
      expect(await store.listRuns({}, null, 9)).toEqual([]);
      expect(await store.readInstances(row.run)).toEqual([]);
    });

    test('reads the runs that exist, each once', async () => {
      await commit({ runs: [run('a', 1), run('b', 1)] });
      const found = await store.readRuns([run('b', 1).run, run('c', 1).run, run('b', 1).run]);
      expect(found).toEqual([run('b', 1)]);
    });

    test('finds the run of an instant whatever it is called, and the first where there are two', async () => {
      const of = (name: string, n: number, logicalDate: number | null, createdAt: number) =>
        run(name, n, { logicalDate: logicalDate as WallMs | null, createdAt: createdAt as WallMs });
      const rows = [
        of('a', 1, 60_000, 2),
        of('a', 2, 60_000, 1),
        of('a', 3, 120_000, 3),
        of('b', 1, null, 4),
      ];
      await commit({ runs: rows });
      const find = async (dagId: string, at: number) =>
        (await store.readRunsOfInstants([{ dagId, at: at as WallMs }])).map((row) => row.run);
      expect(await find('a', 60_000)).toEqual([rows[1]?.run]);
      expect(await find('a', 120_000)).toEqual([rows[2]?.run]);
      expect([...(await find('a', 1)), ...(await find('b', 60_000))]).toEqual([]);
      await store.commit(
        puts({ dags: dagPuts({ runRemovals: [{ run: rows[1]?.run as RunKey, version: 1 }] }) }),
      );
      store = await bench.reopen();
      expect(await find('a', 60_000)).toEqual([rows[0]?.run]);
    });

    test('lists runs newest first, by when they were created, filtered and in pages', async () => {
      const at = (n: number) => ({ createdAt: n as WallMs });
      const rows = [
        run('a', 1, { ...ended('success', 50), type: 'scheduled' }),
        run('a', 2, { ...ended('failed', 40), type: 'backfill', backfill: 'may' }),
        run('b', 3, at(2)),
        run('a', 4, { state: 'running', type: 'backfill', backfill: 'may' }),
        run('b', 5, { ...ended('success', 45), type: 'scheduled' }),
      ];
      await commit({ runs: rows });
      const [a1, a2, b3, a4, b5] = keys(rows);
      const list = async (...args: Parameters<Store['listRuns']>) => keys(await store.listRuns(...args));
      expect(await list({}, null, 9)).toEqual([b5, a4, b3, a2, a1]);
      expect(await list({}, null, 2)).toEqual([b5, a4]);
      expect(await list({}, { createdAt: 2 as WallMs, run: b3 as RunKey }, 9)).toEqual([a2, a1]);
      expect(await list({ dagId: 'a' }, null, 9)).toEqual([a4, a2, a1]);
      expect(await list({ dagId: 'a' }, { createdAt: 4 as WallMs, run: a4 as RunKey }, 1)).toEqual([a2]);
      expect(await list({ states: ['success'] }, null, 9)).toEqual([b5, a1]);
      expect(await list({ states: ['queued', 'failed', 'running'] }, null, 9)).toEqual([a4, b3, a2]);
      expect(await list({ states: ['queued', 'failed', 'running'] }, null, 2)).toEqual([a4, b3]);
      expect(await list({ states: ['success', 'failed'], dagId: 'a' }, null, 9)).toEqual([a2, a1]);
      expect(await list({ states: ['failed'], dagId: 'b' }, null, 9)).toEqual([]);
      expect(await list({ states: [] }, null, 9)).toEqual([]);
      expect(await list({ type: 'scheduled' }, null, 9)).toEqual([b5, a1]);
      expect(await list({ type: 'backfill', backfill: 'may' }, null, 9)).toEqual([a4, a2]);
      expect(await list({ backfill: 'may', states: ['failed', 'queued'] }, null, 9)).toEqual([a2]);
      expect(await list({ backfill: '' }, null, 9)).toEqual([b5, b3, a1]);
    });

    test('gives ended runs in the order in which they ended, in pages', async () => {
      const rows = [
        run('a', 1, ended('success', 50)),
        run('a', 2, ended('failed', 40)),
        run('a', 3),
        run('a', 4, ended('cancelled', 40)),
      ];
      await commit({ runs: rows });
      const [a1, a2, , a4] = keys(rows);
      expect(keys(await store.readEndedRuns(null, 9))).toEqual([a2, a4, a1]);
      expect(keys(await store.readEndedRuns({ endedAt: 40 as WallMs, run: a2 as RunKey }, 1))).toEqual([a4]);
      await commit({ runs: [run('a', 2, { version: 2, state: 'running', endedAt: null })] });
      expect(keys(await store.readEndedRuns(null, 9))).toEqual([a4, a1]);
    });

    test('reads asset events by their numbers, and knows the newest ever written', async () => {
      expect(await store.newestAssetEvent()).toBe(0);
      const of = (n: number) => assetEvent(n, n % 2 === 0 ? 'even' : 'odd');
      await commit({ assetEvents: [1, 2, 3, 4].map(of) });
      await commit({ assetEvents: [5, 6, 9].map(of) });
      store = await bench.reopen();
      const list = async (...args: Parameters<Store['listAssetEvents']>) =>
        (await store.listAssetEvents(...args)).map(({ n }) => n);
      expect(await list(null, null, 9)).toEqual([9, 6, 5, 4, 3, 2, 1]);
      expect(await list(null, 5, 2)).toEqual([4, 3]);
      expect(await list('even', null, 9)).toEqual([6, 4, 2]);
      expect(await list('even', 6, 1)).toEqual([4]);
      expect(await list('none', null, 9)).toEqual([]);
      const read = async (...args: Parameters<Store['readAssetEvents']>) =>
        (await store.readAssetEvents(...args)).map(({ n }) => n);
      expect(await read('odd', 3, 9, 9)).toEqual([3, 5, 9]);
      expect(await read('odd', 3, 9, 2)).toEqual([3, 5]);
      expect(await read('even', 5, 5, 9)).toEqual([]);
      expect(await store.newestAssetEvent()).toBe(9);
    });

    test('finds backfills that are over, too', async () => {
      const at = (n: number) => ({ createdAt: n as WallMs });
      const rows = [
        backfill('may', at(1)),
        backfill('june', { ...at(2), state: 'completed' }),
        backfill('all', { ...at(2), dagId: 'other', state: 'cancelled' }),
      ];
      await commit({ backfills: rows });
      expect(await store.readBackfills(['june', 'july', 'june'])).toEqual([rows[1]]);
      const list = async (...args: Parameters<Store['listBackfills']>) =>
        (await store.listBackfills(...args)).map((row) => row.backfill);
      expect(await list(null, null, 9)).toEqual(['june', 'all', 'may']);
      expect(await list(null, { createdAt: 2 as WallMs, backfill: 'june' }, 1)).toEqual(['all']);
      expect(await list('etl', null, 9)).toEqual(['june', 'may']);
      expect(await list('etl', { createdAt: 2 as WallMs, backfill: 'june' }, 9)).toEqual(['may']);
    });

    test('finds the backfills that have ended, oldest first, and removes them', async () => {
      await commit({
        backfills: [
          backfill('late', { state: 'completed', createdAt: 3 as WallMs }),
          backfill('goes', { state: 'paused', createdAt: 1 as WallMs }),
          backfill('b', { state: 'cancelled', createdAt: 2 as WallMs }),
          backfill('a', { state: 'completed', createdAt: 2 as WallMs }),
        ],
      });
      const ended = async (limit: number) =>
        (await store.readEndedBackfills(limit)).map((row) => row.backfill);
      expect(await ended(9)).toEqual(['a', 'b', 'late']);
      expect(await ended(1)).toEqual(['a']);
      await commit({ backfillRemovals: [{ backfill: 'a', version: 1 }] });
      expect(await ended(9)).toEqual(['b', 'late']);
      expect(await store.readBackfills(['a'])).toEqual([]);
      await commit({ backfillRemovals: [{ backfill: 'b', version: 1 }], backfills: [backfill('b')] });
      expect((await store.load()).dags.backfills.map((row) => row.backfill)).toEqual(['b', 'goes']);
    });
  });
}
