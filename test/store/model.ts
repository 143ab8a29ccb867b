import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { TaskRow, TaskState } from '../../src/core/rows.js';
import type { AgentId, Token } from '../../src/kit/ids.js';
import type { ServiceMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { type Puts, type Store, StoreError } from '../../src/store/store.js';
import type { Bench } from './bench.js';
import { agent, history, permit, put, puts, session, spec, task, taskId } from './rows.js';

const STATES = [
  'queued',
  'running',
  'success',
  'failed',
  'cancelled',
] as const satisfies readonly TaskState[];
const LANES = ['a', 'b', null] as const;
const AGENTS = ['', 'x', 'y'] as const;

/** What a task gets next; the version is right but for `slip`. */
const change = fc.record({
  n: fc.nat(11),
  slip: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1),
  state: fc.constantFrom(...STATES),
  lane: fc.constantFrom(...LANES),
  dueAt: fc.option(fc.nat(50)),
  agentId: fc.constantFrom(...AGENTS),
  open: fc.boolean(),
  withHistory: fc.boolean(),
  remove: fc.constantFrom(false, false, false, true),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

const step = fc.record({
  changes: fc.uniqueArray(change, { maxLength: 6, selector: (each) => each.n }),
  session: fc.option(
    fc.record({ epoch: fc.bigInt(1n, 5n), version: fc.integer({ min: 1, max: 3 }), live: fc.boolean() }),
  ),
  token: fc.option(fc.bigInt(0n, 2n ** 62n)),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What was submitted depends on the number alone, because it never changes. */
function submitted(n: number): TaskRow {
  return task(n, {
    queue: n % 2 === 0 ? 'even' : 'odd',
    priority: n % 3,
    idempotencyKey: n % 4 === 0 ? `key ${n}` : '',
  });
}

async function putsOf(model: Store, { changes, session: live, token }: Step): Promise<Puts> {
  const stored = new Map(
    (await model.readTasks(changes.map(({ n }) => taskId(n)))).map((row) => [row.taskId, row]),
  );
  const rowOf = ({ n, slip, state, agentId, open, withHistory }: Change): TaskRow => {
    const before = stored.get(taskId(n)) ?? { ...submitted(n), version: 0 };
    return {
      ...before,
      version: before.version + 1 + slip,
      state,
      open: open ? permit(BigInt(n), { agentId: agentId as AgentId }) : null,
      lastAgentId: agentId as AgentId,
      historyCount: before.historyCount + (withHistory ? 1 : 0),
    };
  };
  const removed = changes.filter(({ n, remove }) => remove && stored.has(taskId(n)));
  const kept = changes.filter((each) => !removed.includes(each));
  const rows = kept.map(rowOf);
  return puts({
    removals: removed.map(({ n, slip }) => ({
      taskId: taskId(n),
      version: (stored.get(taskId(n))?.version ?? 0) + slip,
    })),
    tasks: kept.map(({ lane, dueAt }, i) => put(rows[i] as TaskRow, lane, dueAt, dueAt ?? 0)),
    specs: rows.filter((row) => row.version === 1).map((row) => spec(Number(row.taskId.slice(5)))),
    history: kept
      .filter((each) => each.withHistory)
      .map(({ n }) => history(n, stored.get(taskId(n))?.historyCount ?? 0)),
    agents: live?.version === 1 ? [agent(`agent-${live.epoch}`)] : [],
    sessions:
      live === null
        ? []
        : [session(live.epoch, { version: live.version, state: live.live ? 'live' : 'ended' })],
    counters:
      token === null ? null : { token: token as Token, epoch: 0n as never, serviceMs: 1 as ServiceMs },
  });
}

const outcome = (done: Promise<unknown>): Promise<string> =>
  done.then(
    () => 'done',
    (error: unknown) => (error instanceof StoreError ? error.fault : String(error)),
  );

const byId = (rows: TaskRow[]): TaskRow[] => rows.sort((a, b) => (a.taskId < b.taskId ? -1 : 1));

/** Everything a store can be asked about the twelve tasks. */
async function everything(store: Store): Promise<unknown> {
  const all = Array.from({ length: 12 }, (_, n) => taskId(n));
  const filters = [
    {},
    { queue: 'odd' },
    { agentId: 'x' as AgentId },
    ...STATES.map((state) => ({ states: [state] })),
    { states: ['success', 'failed'] as const, agentId: 'y' as AgentId },
    { states: ['queued', 'failed'] as const, queue: 'even' },
  ];
  return {
    loaded: await store.load(),
    tasks: byId(await store.readTasks(all)),
    specs: (await store.readSpecs(all)).length,
    keyed: byId(await store.readByIdempotencyKey(['key 0', 'key 4', 'key 8', 'none'])),
    history: await Promise.all(all.map((id) => store.readHistory(id))),
    lanes: (await store.readLanes()).map(({ lane, waiting }) => `${lane} ${waiting}`).sort(),
    ready: await store.readReady('a', null, 99),
    readyNext: await store.readReady('b', { rank: -1, taskId: taskId(5) }, 3),
    due: await store.readDue(25 as ServiceMs, 4),
    nextDue: await store.nextDue(),
    finished: await store.readFinished(null, 9),
    finishedNext: await store.readFinished({ finishedAt: 9 as ServiceMs, taskId: taskId(4) }, 3),
    lists: await Promise.all(filters.map((filter) => store.listTasks(filter, taskId(9), 4))),
    counts: await store.countTasks(),
  };
}

/** Every store gives the answers of the one in memory, whatever it is given. */
export function describeModel(kind: string, open: () => Promise<Bench>, runs: number): void {
  describe(`a ${kind} store`, () => {
    test('gives the same answers after the same puts as one in memory', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
          const memory = new MemoryStore();
          const bench = await open();
          const { store } = bench;
          try {
            for (const each of steps) {
              const made = await putsOf(memory, each);
              expect(await outcome(store.commit(made))).toBe(await outcome(memory.commit(made)));
            }
            expect(await everything(store)).toEqual(await everything(memory));
          } finally {
            await bench.end();
          }
        }),
        { numRuns: runs },
      );
    });
  });
}
