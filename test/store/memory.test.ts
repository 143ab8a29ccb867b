import { describe, expect, test } from '@jest/globals';
import type { WallMs } from '../../src/kit/time.js';
import type { DagPuts } from '../../src/store/dags.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import type { Puts } from '../../src/store/store.js';
import { faultOf } from './bench.js';
import { describeStore } from './contract.js';
import { assetEvent, dagPuts, instanceOf, NO_DAGS, pool, run, trigger } from './dag-rows.js';
import { next, put, puts, task, taskId } from './rows.js';

describeStore('memory', async () => {
  let store = new MemoryStore();
  return {
    store,
    reopen: async () => {
      await store.close();
      store = store.fork();
      return store;
    },
    end: () => store.close(),
  };
});

const one = (n: number): Puts => puts({ tasks: [put(task(n), 'lane', n)], history: [] });

describe('the memory store for simulations', () => {
  test('a crash loses the commits since the last sync, except those the disk kept', async () => {
    const store = new MemoryStore({ sync: 'manual' });
    await store.commit(one(1));
    store.sync();
    await store.commit(one(2));
    await store.commit(one(3));
    expect(store.unsynced).toBe(2);
    expect(await store.fork().countTasks()).toEqual({ queued: 1 });
    const kept = store.fork({}, 1);
    expect((await kept.readReady('lane', null, 9)).map((row) => row.taskId)).toEqual([taskId(1), taskId(2)]);
    await kept.commit(one(3));
    expect(await store.countTasks()).toEqual({ queued: 3 });
  });

  test('a crash loses of DAGs what the lost commits put, and brings back what they removed', async () => {
    const store = new MemoryStore({ sync: 'manual' });
    const of = (changes: Partial<DagPuts>) => puts({ dags: dagPuts(changes) });
    const instance = task(1, { instance: instanceOf(run('etl', 1)) });
    await store.commit({
      ...of({ runs: [run('etl', 1)], pools: [pool('small')], triggers: [trigger(1)] }),
      tasks: [put(instance)],
    });
    store.sync();
    const before = store.fork().snapshot();
    await store.commit(
      of({
        runs: [run('etl', 1, { version: 2, state: 'success', endedAt: 9 as WallMs }), run('etl', 2)],
        triggerRemovals: [{ triggerId: 'trigger-1', version: 1 }],
      }),
    );
    await store.commit(of({ assetEvents: [assetEvent(1, 'a')], pools: [pool('small', { version: 2 })] }));
    expect(store.fork().snapshot()).toEqual(before);
    const kept = store.fork({}, 1);
    expect((await kept.load()).dags).toEqual({ ...NO_DAGS, runs: [run('etl', 2)], pools: [pool('small')] });
    expect(await kept.newestAssetEvent()).toBe(0);
    const { dags } = await store.fork().load();
    expect(dags).toMatchObject({ runs: [run('etl', 1)], instances: [instance], triggers: [trigger(1)] });
  });

  test('a change of what a run was created with is refused, because other stores would not see it', async () => {
    const store = new MemoryStore();
    await store.commit(puts({ dags: dagPuts({ runs: [run('etl', 1)] }) }));
    const changed = run('etl', 1, { version: 2, backfill: 'may' });
    expect(await faultOf(store.commit(puts({ dags: dagPuts({ runs: [changed] }) })))).toBe('other');
  });

  test('a change of the run of an instance is refused', async () => {
    const store = new MemoryStore();
    const row = task(1, { instance: instanceOf(run('etl', 1)) });
    await store.commit(puts({ tasks: [put(row)] }));
    const moved = next(row, { instance: instanceOf(run('etl', 2)) });
    expect(await faultOf(store.commit(puts({ tasks: [put(moved)] })))).toBe('other');
    const ready = next(row, { instance: instanceOf(run('etl', 1), { ready: true }) });
    await store.commit(puts({ tasks: [put(ready)] }));
  });

  test('a commit of unknown outcome is there or not, as the fault says', async () => {
    let applied = true;
    const made: Puts[] = [];
    const store = new MemoryStore({
      beforeCommit: () => ({ fault: 'unknown', applied }),
      onCommit: (each) => void made.push(each),
    });
    expect(await faultOf(store.commit(one(1)))).toBe('unknown');
    applied = false;
    expect(await faultOf(store.commit(one(2)))).toBe('unknown');
    expect(store.snapshot().tasks.map((each) => each.row.taskId)).toEqual([taskId(1)]);
    expect(made).toHaveLength(1);
  });

  test('a full disk passes, a broken one does not', async () => {
    let fault: 'full' | 'io' | null = 'full';
    const store = new MemoryStore({
      beforeCommit: () => (fault === null ? null : { fault, applied: false }),
    });
    expect(await faultOf(store.commit(one(1)))).toBe('full');
    fault = null;
    await store.commit(one(1));
    fault = 'io';
    expect(await faultOf(store.commit(one(2)))).toBe('io');
    fault = null;
    expect(await faultOf(store.commit(one(2)))).toBe('io');
    expect(await faultOf(store.load())).toBe('io');
    expect(await store.fork({}).countTasks()).toEqual({ queued: 1 });
  });

  test('a change of what was submitted is refused, because other stores would not see it', async () => {
    const store = new MemoryStore();
    await store.commit(one(1));
    const changed = next(task(1), { priority: 1 });
    expect(await faultOf(store.commit(puts({ tasks: [put(changed)] })))).toBe('other');
  });
});
