import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RunKey, RunRow, RunState } from '../../src/core/dag/rows.js';
import type { TaskState } from '../../src/core/rows.js';
import type { ServiceMs, WallMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { type Puts, type Store, StoreError } from '../../src/store/store.js';
import type { Bench } from './bench.js';
import {
  assetEvent,
  backfill,
  dag,
  dagPuts,
  dagVersion,
  instanceOf,
  pool,
  run,
  trigger,
} from './dag-rows.js';
import { put, puts, task, taskId } from './rows.js';

const STATES = ['queued', 'running', 'success', 'failed'] as const satisfies readonly RunState[];
const RUNS = 6;
const TASKS = 12;

/** What a run gets next; the version is right but for `slip`. */
const runChange = fc.record({
  n: fc.nat(RUNS - 1),
  slip: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1),
  state: fc.constantFrom(...STATES),
  definitionVersion: fc.integer({ min: 1, max: 3 }),
  endedAt: fc.nat(9),
  remove: fc.constantFrom(false, false, false, true),
});
const taskChange = fc.record({
  n: fc.nat(TASKS - 1),
  state: fc.constantFrom<TaskState>('scheduled', 'success', 'failed'),
  ready: fc.boolean(),
  remove: fc.constantFrom(false, false, false, true),
});
const step = fc.record({
  runs: fc.uniqueArray(runChange, { maxLength: 4, selector: (each) => each.n }),
  tasks: fc.uniqueArray(taskChange, { maxLength: 5, selector: (each) => each.n }),
  event: fc.option(fc.nat(29)),
  definition: fc.option(fc.integer({ min: 1, max: 3 })),
  unpinned: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
  named: fc.constantFrom('none', 'next', 'next', 'next', 'stale'),
  over: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What a run was created with depends on its number alone, because it never changes. */
const created = (n: number): RunRow =>
  run(n % 2 === 0 ? 'even' : 'odd', n, {
    createdAt: Math.floor(n / 2) as WallMs,
    ...(n % 3 === 0 ? { type: 'backfill', backfill: 'may' } : {}),
  });
const keyOf = (n: number): RunKey => created(n).run;

async function putsOf(
  model: Store,
  { runs, tasks, event, definition, unpinned, named, over }: Step,
): Promise<Puts> {
  const storedRuns = new Map(
    (await model.readRuns(runs.map(({ n }) => keyOf(n)))).map((row) => [row.run, row]),
  );
  const storedTasks = new Map(
    (await model.readTasks(tasks.map(({ n }) => taskId(n)))).map((row) => [row.taskId, row]),
  );
  const version = ((await model.load()).dags.dags[0]?.version ?? 0) + (named === 'stale' ? 0 : 1);
  const knows =
    (await model.readDagVersions([{ dagId: 'even', definitionVersion: definition ?? 0 }])).length > 0;
  const goneRuns = runs.filter(({ n, remove }) => remove && storedRuns.has(keyOf(n)));
  const goneTasks = tasks.filter(({ n, remove }) => remove && storedTasks.has(taskId(n)));
  const rowOf = ({ n, slip, state, definitionVersion, endedAt }: (typeof runs)[number]): RunRow => {
    const before = storedRuns.get(keyOf(n)) ?? { ...created(n), version: 0 };
    const isOver = state === 'success' || state === 'failed';
    return {
      ...{ ...before, version: before.version + 1 + slip, state, definitionVersion },
      endedAt: isOver ? (endedAt as WallMs) : null,
    };
  };
  const taskOf = ({ n, state, ready }: (typeof tasks)[number]) => {
    const before = storedTasks.get(taskId(n)) ?? { ...task(n), version: 0 };
    const instance = n % 4 === 0 ? null : instanceOf({ run: keyOf(n % RUNS) }, { ready });
    return put({ ...before, version: before.version + 1, state, instance }, null, null, n);
  };
  return puts({
    removals: goneTasks.map(({ n }) => ({
      taskId: taskId(n),
      version: storedTasks.get(taskId(n))?.version ?? 0,
    })),
    tasks: tasks.filter((each) => !goneTasks.includes(each)).map(taskOf),
    dags: dagPuts({
      runs: runs.filter((each) => !goneRuns.includes(each)).map(rowOf),
      runRemovals: goneRuns.map(({ n, slip }) => ({
        run: keyOf(n),
        version: (storedRuns.get(keyOf(n))?.version ?? 0) + slip,
      })),
      versions: definition === null || knows ? [] : [dagVersion('even', definition)],
      versionRemovals: unpinned.map((definitionVersion) => ({ dagId: 'even', definitionVersion })),
      assetEvents: event === null ? [] : [assetEvent(event + 1, event % 2 === 0 ? 'a' : 'b')],
      ...(named === 'none'
        ? {}
        : {
            dags: [dag('even', { version, definitionVersion: 1 + (version % 3) })],
            pools: [pool('small', { version })],
            triggers: [trigger(1, { version })],
            backfills: [backfill('may', { version, state: over ? 'completed' : 'running' })],
          }),
    }),
  });
}

const outcome = (done: Promise<unknown>): Promise<string> =>
  done.then(
    () => 'done',
    (error: unknown) => (error instanceof StoreError ? error.fault : String(error)),
  );

const byId = <Row extends { readonly taskId: string }>(rows: readonly Row[]): Row[] =>
  [...rows].sort((a, b) => (a.taskId < b.taskId ? -1 : 1));

/** Everything a store can be asked about DAGs. */
async function everything(store: Store): Promise<unknown> {
  const { dags } = await store.load();
  const all = Array.from({ length: RUNS }, (_, n) => keyOf(n));
  const before = { createdAt: 1 as WallMs, run: keyOf(3) };
  const filters = [
    {},
    { dagId: 'even' },
    { backfill: 'may', states: ['failed', 'queued'] as const },
    { type: 'manual' } as const,
    ...STATES.map((state) => ({ states: [state], dagId: 'odd' })),
    { states: ['running', 'failed'] as const },
  ];
  return {
    dags: { ...dags, instances: byId(dags.instances) },
    runs: (await store.readRuns(all)).sort((a, b) => (a.run < b.run ? -1 : 1)),
    lists: await Promise.all(filters.map((filter) => store.listRuns(filter, null, 4))),
    nexts: await Promise.all(filters.map((filter) => store.listRuns(filter, before, 2))),
    ended: await store.readEndedRuns(null, 4),
    endedNext: await store.readEndedRuns({ endedAt: 4 as WallMs, run: keyOf(2) }, 2),
    instances: await Promise.all(all.map(async (key) => byId(await store.readInstances(key)))),
    ofRun: await store.listTasks({ run: keyOf(1) }, null, 2),
    ofDag: await store.listTasks({ dagId: 'odd', states: ['failed', 'scheduled'] }, taskId(9), 3),
    finished: await store.readFinished(null, 9),
    finishedAny: await store.readFinished(null, 9, { runs: 'any', until: 7 as ServiceMs }),
    versions: (
      await store.readDagVersions(
        [1, 2, 3].map((definitionVersion) => ({ dagId: 'even', definitionVersion })),
      )
    ).length,
    events: await store.listAssetEvents('a', 9, 3),
    between: await store.readAssetEvents('b', 2, 8, 3),
    newest: await store.newestAssetEvent(),
    backfills: await store.listBackfills('etl', null, 3),
  };
}

/** Every store gives the answers of the one in memory about DAGs, whatever it is given. */
export function describeDagModel(kind: string, open: () => Promise<Bench>, runs: number): void {
  describe(`a ${kind} store`, () => {
    test('gives the same answers about DAGs as one in memory, after a restart too', async () => {
      let made = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
          const memory = new MemoryStore();
          const bench = await open();
          try {
            for (const each of steps) {
              const changes = await putsOf(memory, each);
              const told = await outcome(memory.commit(changes));
              expect(await outcome(bench.store.commit(changes))).toBe(told);
              if (told === 'done') made++;
            }
            const expected = await everything(memory);
            expect(await everything(bench.store)).toEqual(expected);
            expect(await everything(await bench.reopen())).toEqual(expected);
            expect(await everything(memory.fork())).toEqual(expected);
          } finally {
            await bench.end();
          }
        }),
        { numRuns: runs },
      );
      expect(made).toBeGreaterThan(runs / 2);
    });
  });
}
