import { expect } from '@jest/globals';
import type { DagCall } from '../../../src/core/dag/calls.js';
import type { DagDefinition, TaskDefinition, TriggerRule } from '../../../src/core/dag/definition.js';
import type { RunRow } from '../../../src/core/dag/rows.js';
import { instanceAt } from '../../../src/core/dag/run-view.js';
import { addTo, NOTHING_DECIDED, type Standing } from '../../../src/core/dag/standing.js';
import { DagState } from '../../../src/core/dag/state.js';
import { decideByRule, TRIGGER_RULES } from '../../../src/core/dag/trigger-rules.js';
import { isFinal, type TaskRow } from '../../../src/core/rows.js';
import { type Random, seededRandom } from '../../../src/kit/random.js';
import { type Puts, StoreError } from '../../../src/store/store.js';
import { DagWorld, dag, type End, KILLED, task } from './support.js';
import { INTERVALS, MINUTE } from './support-time.js';

/** What is drawn for one seed: a world of DAGs, and somebody who does all that may be done to them. */
class Chaos {
  readonly #random: Random;
  /** Whether the store is one of those that fail. */
  isBad = false;
  readonly definitions: readonly DagDefinition[];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.definitions = Array.from({ length: 3 }, (_, n) => this.#dag(n));
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)] as T;
  }

  below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  #dag(n: number): DagDefinition {
    const tasks: TaskDefinition[] = [];
    for (let i = 0; i < 2 + this.below(7); i++) tasks.push(this.#task(i, tasks));
    const schedule =
      n === 0
        ? ({ kind: 'interval', everyMs: MINUTE } as const)
        : ({ kind: 'assets', condition: { kind: n === 1 ? 'any' : 'all', of: ASSETS } } as const);
    const list = { type: 'array' as const, description: '', oneOf: [], minimum: null, maximum: null };
    return dag(`dag-${n}`, tasks, {
      schedule,
      catchup: this.chance(0.5),
      maxActiveRuns: 1 + this.below(3),
      maxActiveTasks: 1 + this.below(4),
      params: { list: { ...list, default: [1, 2, 3].slice(this.below(3)) } },
    });
  }

  #task(i: number, before: readonly TaskDefinition[]): TaskDefinition {
    const needs = before.filter(() => this.chance(0.4)).map(({ taskId }) => taskId);
    const rules = Object.keys(TRIGGER_RULES) as TriggerRule[];
    return task(`t${i}`, {
      needs,
      triggerRule: this.chance(0.5) ? 'all_success' : this.pick(rules),
      expand: this.chance(0.25) ? '{{ params.list }}' : '',
      work: this.chance(0.15) ? { kind: 'none' } : { kind: 'handler', name: 'work', input: null },
      retries: this.below(2),
      pool: this.chance(0.3) ? 'p' : 'default_pool',
      poolSlots: 1 + this.below(2),
      outlets: this.chance(0.2) ? [this.pick(ASSETS).asset] : [],
      shortCircuit: this.chance(0.1),
    });
  }

  end(): End {
    if (this.chance(0.7)) return this.chance(0.2) ? { result: this.pick([0, 1, null, 'x']) } : {};
    return this.pick([{ kind: 'failed', reason: 'exit_code' }, { kind: 'killed' }] as const);
  }

  call(runs: readonly RunRow[], definition: DagDefinition): DagCall {
    const { dagId } = definition;
    const run = this.pick(runs);
    const tasks = [{ task: this.pick(definition.tasks).taskId, mapIndex: null }];
    const of = { run: run?.run ?? ('none/none' as RunRow['run']), reason: 'chaos' };
    const around = { upstream: this.chance(0.3), downstream: this.chance(0.6), onlyFailed: this.chance(0.3) };
    return this.pick<() => DagCall>([
      () => ({ action: 'trigger', dagId, runId: '', logicalDate: null, params: {} }),
      () => ({ action: 'pause', dagId, paused: this.chance(0.5) }),
      () => ({ action: 'end_run', ...of, as: this.pick(['cancelled', 'success', 'failed']) }),
      () => ({ action: 'clear', ...of, tasks, ...around, dryRun: this.chance(0.1) }),
      () => ({ action: 'clear', ...of, tasks: [], ...around, dryRun: false }),
      () => ({ action: 'mark', ...of, tasks, as: this.pick(['success', 'failed']) }),
      () => ({ action: 'set_pool', pool: 'p', slots: this.below(4), description: '' }),
      () => ({ action: 'delete_pool', pool: 'p' }),
      () => ({ action: 'emit_asset', asset: this.pick(ASSETS).asset, extra: '' }),
    ])();
  }
}

const ASSETS = ['x', 'y'].map((asset) => ({ kind: 'asset' as const, asset }));

/** What must hold of the durable rows at every moment, and of the memory that stands over them. */
async function check(w: DagWorld, definitions: readonly DagDefinition[], inForce = true): Promise<void> {
  const events = await w.store.listAssetEvents(null, null, 100_000);
  for (const definition of definitions) {
    const runs = await w.runs(definition.dagId);
    const dates = runs.flatMap(({ logicalDate }) => (logicalDate === null ? [] : [logicalDate]));
    expect(new Set(dates).size).toBe(dates.length);
    if (inForce) checkAssets(w, definition, runs, events);
    for (const run of runs) await checkRun(w, definition, run);
  }
  await checkMemory(w);
}

/** Each event of an asset is taken by one run, or waits for one: as many as there were, and none of them twice. */
function checkAssets(
  w: DagWorld,
  { dagId, schedule }: DagDefinition,
  runs: readonly RunRow[],
  events: readonly { readonly asset: string; readonly n: number }[],
): void {
  if (schedule.kind !== 'assets') return;
  const pending = w.engine.state.dags.dags.get(dagId)?.pendingAssets ?? [];
  for (const { asset } of ASSETS) {
    const taken = [...runs.flatMap(({ consumed }) => consumed), ...pending].filter(
      (one) => one.asset === asset,
    );
    taken.sort((a, b) => a.first - b.first);
    expect(taken.reduce((sum, { count }) => sum + count, 0)).toBe(
      events.filter((event) => event.asset === asset).length,
    );
    for (const [i, one] of taken.entries()) {
      expect(one.first).toBeGreaterThan(taken[i - 1]?.last ?? 0);
      const within = events.filter(({ n, ...e }) => e.asset === asset && n >= one.first && n <= one.last);
      expect(within.length).toBe(one.count);
    }
  }
}

/** An instance that is on its way to an agent, or was decided without one, has needs that its rule is content with. */
async function checkRun(w: DagWorld, { tasks, maxActiveTasks }: DagDefinition, run: RunRow): Promise<void> {
  const rows = [...(await w.instances(run)).values()];
  const of = (name: string) => rows.filter(({ instance }) => instance?.task === name);
  const active = rows.filter(({ state }) => state === 'queued' || state === 'running');
  expect(active.length).toBeLessThanOrEqual(maxActiveTasks);
  const isOver = run.state !== 'queued' && run.state !== 'running';
  if (isOver) expect(rows.filter(({ state }) => !isFinal(state))).toEqual([]);
  if (run.state === 'success' && run.reason === '') {
    for (const { taskId } of tasks) expect([taskId, of(taskId).length]).not.toEqual([taskId, 0]);
  }
}

/** What memory counts is what a new coordinator would count. */
async function checkMemory(w: DagWorld): Promise<void> {
  const loaded = await w.store.load();
  const fresh = new DagState({ ...loaded.dags, newestEvent: await w.store.newestAssetEvent() });
  const { dags } = w.engine.state;
  expect([...dags.runs.keys()].sort()).toEqual([...fresh.runs.keys()].sort());
  for (const [key, view] of dags.runs) {
    const other = fresh.runs.get(key);
    expect([key, view.row.state, view.active, view.over, view.decided]).toEqual([
      ...[key, other?.row.state, other?.active, other?.over, other?.decided],
    ]);
    for (const name of view.tasks())
      expect([name, view.standing(name)]).toEqual([name, other?.standing(name)]);
  }
  const uses = (state: DagState) =>
    [...state.poolUse].flatMap(([pool, use]) => (use > 0 ? [`${pool}: ${use}`] : [])).sort();
  expect(uses(dags)).toEqual(uses(fresh));
  const waits = (state: DagState) =>
    [...state.waiting]
      .flatMap(([pool, runs]) => [...runs].map(([run, list]) => `${pool} ${run} ${list.size}`))
      .sort();
  expect(waits(dags)).toEqual(waits(fresh));
  expect(dags.newestEvent).toBe(fresh.newestEvent);
}

/** Watches what is decided: an instance is on its way for the first time only once its rule says that it runs. */
class Watch {
  readonly faults: string[] = [];
  readonly #w: DagWorld;
  readonly #definitions: readonly DagDefinition[];

  /** Some commits find their store busy, and behind some the coordinator is killed. */
  constructor(w: DagWorld, definitions: readonly DagDefinition[], chaos: Chaos) {
    this.#w = w;
    this.#definitions = definitions;
    const commit = w.store.commit.bind(w.store);
    w.store.commit = async (puts) => {
      if (chaos.isBad && chaos.chance(0.03)) throw new StoreError('busy', 'busy');
      const before = await this.#rowsOf(puts);
      await commit(puts);
      this.#judge(before, puts);
      if (chaos.isBad && chaos.chance(0.02)) throw KILLED;
    };
  }

  async #rowsOf({ tasks }: Puts): Promise<Map<string, TaskRow>> {
    const rows = new Map<string, TaskRow>();
    const runs = new Set(tasks.flatMap(({ row }) => (row.instance === null ? [] : [row.instance.run])));
    for (const run of runs)
      for (const row of await this.#w.store.readInstances(run)) rows.set(row.taskId, row);
    return rows;
  }

  #judge(before: ReadonlyMap<string, TaskRow>, { tasks }: Puts): void {
    const rows = new Map(before);
    for (const { row } of tasks) rows.set(row.taskId, row);
    const isOnItsWay = (row: TaskRow | undefined) => row?.instance?.ready === true && !isFinal(row.state);
    for (const { row } of tasks) {
      const { instance } = row;
      if (instance === null || !isOnItsWay(row) || isOnItsWay(before.get(row.taskId))) continue;
      const definition = this.#definitions.find(({ dagId }) => instance.run.startsWith(`${dagId}/`));
      const found = definition?.tasks.find(({ taskId }) => taskId === instance.task);
      if (found === undefined) continue;
      const standing = standingIn([...rows.values()], instance.run, found.needs);
      const decision = decideByRule(found.triggerRule, standing);
      if (decision !== 'run') this.faults.push(`${instance.run} ${instance.task} is ready: ${decision}`);
    }
  }
}

function standingIn(rows: readonly TaskRow[], run: string, needs: readonly string[]): Standing {
  let sum: Standing = { ...NOTHING_DECIDED, total: 0 };
  for (const need of needs) {
    let one = NOTHING_DECIDED;
    for (const row of rows)
      if (row.instance?.run === run && row.instance.task === need) one = addTo(one, instanceAt(row), 1);
    const add = (field: keyof Standing) => sum[field] + one[field];
    sum = {
      ...{ total: add('total'), success: add('success'), failed: add('failed'), skipped: add('skipped') },
      ...{ upstreamFailed: add('upstreamFailed'), instances: add('instances'), undecided: add('undecided') },
      unmapped: add('unmapped'),
    };
  }
  return sum;
}

/** Lives through so many steps of a seed, checks what must hold, and tells of instances that were on their way too early. */
export async function live(seed: number, steps: number): Promise<readonly string[]> {
  const chaos = new Chaos(seed);
  const { definitions } = chaos;
  const w = await DagWorld.with(definitions, INTERVALS);
  for (const { asset } of ASSETS) await w.storeAsset({ asset, version: 1, lastEvent: 0, lastEventAt: null });
  const again = async () => {
    await w.restart();
    await w.worker(6);
  };
  await again();
  const watch = new Watch(w, definitions, chaos);
  for (let n = 0; n < steps; n++) {
    chaos.isBad = true;
    await step(w, chaos, again);
    chaos.isBad = false;
    // What waited for a busy store tries again.
    await w.pass(200);
    if (w.isDead) await again();
    if (n % 5 === 0) await check(w, definitions);
  }
  await check(w, definitions);
  await settle(w, definitions);
  await check(w, definitions, false);
  return watch.faults;
}

async function step(w: DagWorld, chaos: Chaos, again: () => Promise<void>): Promise<void> {
  const definition = chaos.pick(chaos.definitions);
  const what = chaos.below(10);
  if (what < 4) {
    // Not waited for: it is answered when the store is there again, or never.
    void w.call(chaos.call(await w.runs(definition.dagId), definition));
    await w.idle();
  } else if (what < 7) {
    const names = (await w.running()).filter(() => chaos.chance(0.6));
    await w.finish(Object.fromEntries(names.map((name) => [name, chaos.end()])));
  } else if (what < 9) await w.pass(chaos.pick([200, 2_000, 30_000]), 2_000);
  else if (chaos.chance(0.3)) await again();
}

/** Everything that anybody has stopped may go on: then every run comes to its end. */
async function settle(w: DagWorld, definitions: readonly DagDefinition[]): Promise<void> {
  await w.call({ action: 'set_pool', pool: 'p', slots: 4, description: '' });
  // Nothing new by their schedules, so that there is an end: they are gone from their bundle.
  for (const { dagId } of definitions) {
    await w.call({ action: 'pause', dagId, paused: false });
    const row = w.engine.state.dags.dags.get(dagId);
    if (row !== undefined)
      w.engine.state.dags.putDag({ ...row, nextInstant: null, schedule: { kind: 'none' } });
  }
  const open = () => w.engine.state.dags.runs.size;
  for (let n = 0; n < 400 && open() > 0; n++) {
    await w.finish('all');
    await w.pass(2_000, 1_000);
  }
  expect([...w.engine.state.dags.runs.values()].map(({ row }) => `${row.run} ${row.state}`)).toEqual([]);
}
