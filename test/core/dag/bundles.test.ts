import { describe, expect, test } from '@jest/globals';
import type { DagDefinition } from '../../../src/core/dag/definition.js';
import { DEFAULT_POLICY } from '../../../src/core/policy.js';
import { openTimetable } from '../../../src/dag/timetable.js';
import { bundleIn, dagIn, inFile, inForce, Processor } from './processors.js';
import { DagWorld, dag, task } from './support.js';

const L = 3 * DEFAULT_POLICY.heartbeatIntervalMs;
const hourly = { kind: 'cron', expression: '0 * * * *', timezone: 'UTC' } as const;
const etl = (change: Partial<DagDefinition> = {}) => dag('etl', [task('a')], change);

async function held(): Promise<{ w: DagWorld; holder: Processor }> {
  const w = await DagWorld.with([], openTimetable());
  return { w, holder: await new Processor(w, 'holder').connect() };
}

async function versions(w: DagWorld, dagId: string): Promise<(number | undefined)[]> {
  const wanted = [1, 2, 3].map((definitionVersion) => ({ dagId, definitionVersion }));
  return (await w.store.readDagVersions(wanted)).map((row) => row.definitionVersion);
}

describe('what a snapshot puts in force', () => {
  test('a new DAG gets its first version, its next instant and its assets', async () => {
    const { w, holder } = await held();
    const definition = etl({ schedule: hourly });
    const outlets = dag('made', [task('a', { inlets: ['raw'], outlets: ['clean'] })], {
      schedule: { kind: 'assets', condition: { kind: 'asset', asset: 'source' } },
    });
    expect(await holder.snapshot([inFile(definition), inFile(outlets)])).toMatchObject({ state: 'in_force' });
    expect(dagIn(w, 'etl')).toMatchObject({
      ...{ bundle: 'main', file: 'etl.dag.yaml', definitionVersion: 1, active: true, paused: false },
      nextInstant: Date.UTC(2026, 0, 1, 1),
    });
    expect([...w.engine.state.dags.assets.keys()].sort()).toEqual(['clean', 'raw', 'source']);
    expect(bundleIn(w)).toMatchObject({ sequence: 1n, receivedAt: w.wall });
    const [row] = await w.store.readDagVersions([{ dagId: 'etl', definitionVersion: 1 }]);
    expect(JSON.parse(row?.definition ?? '')).toEqual(definition);
  });

  test('a DAG that did not change writes nothing, whatever else the snapshot has', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())]);
    const before = dagIn(w, 'etl');
    await holder.snapshot([inFile(etl()), inFile(dag('other', [task('a')]))]);
    expect(dagIn(w, 'etl')).toBe(before);
    expect(inForce(w)).toEqual(['etl', 'other']);
  });

  test('a changed definition is a version more, and keeps its place in time; what no run pins goes', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl({ schedule: hourly }))]);
    const { firstSeenAt } = dagIn(w, 'etl');
    await w.pass(1_000);
    await holder.snapshot([inFile(etl({ schedule: hourly, description: 'new' }), 'v2')]);
    expect(dagIn(w, 'etl')).toMatchObject({
      ...{ definitionVersion: 2, description: 'new', firstSeenAt, changedAt: w.wall },
      nextInstant: Date.UTC(2026, 0, 1, 1),
    });
    expect(await versions(w, 'etl')).toEqual([2]);
  });

  test('a changed schedule has its next instant from now on', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl({ schedule: hourly }))]);
    const daily = { ...hourly, expression: '0 5 * * *' };
    await holder.snapshot([inFile(etl({ schedule: daily }), 'v2')]);
    expect(dagIn(w, 'etl').nextInstant).toBe(Date.UTC(2026, 0, 1, 5));
    await holder.snapshot([inFile(etl(), 'v3')]);
    expect(dagIn(w, 'etl').nextInstant).toBeNull();
  });

  test('a run goes on with the version that it started with', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())]);
    await w.worker();
    const run = await w.trigger('etl');
    expect(await w.running()).toEqual(['a']);
    await holder.snapshot([inFile(dag('etl', [task('z')]), 'v2')]);
    await w.finishAll();
    expect(await w.states(run)).toEqual({ a: 'success' });
    expect(await w.run(run)).toMatchObject({ state: 'success', definitionVersion: 1 });
    await w.pass(200);
    const next = await w.trigger('etl');
    expect(await w.run(next)).toMatchObject({ definitionVersion: 2 });
  });

  test('a DAG says once whether it begins paused; after that people do', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl({ pausedUponCreation: true }))]);
    expect(dagIn(w, 'etl').paused).toBe(true);
    await w.call({ action: 'pause', dagId: 'etl', paused: false });
    await holder.snapshot([inFile(etl({ pausedUponCreation: true, description: 'new' }), 'v2')]);
    expect(dagIn(w, 'etl').paused).toBe(false);
  });

  test('a DAG that moves to another file stays the same DAG', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl(), 'v1', 'old.dag.yaml')]);
    await holder.snapshot([inFile(etl(), 'v1', 'new.dag.yaml')]);
    expect(dagIn(w, 'etl')).toMatchObject({ file: 'new.dag.yaml', definitionVersion: 1, active: true });
  });

  test('pools without slots are told of, and hold no DAG up', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(dag('etl', [task('a', { pool: 'nowhere' })]))]);
    expect(inForce(w)).toEqual(['etl']);
    expect(w.notes.at(-1)).toMatchObject({ kind: 'snapshot_in_force', closedPools: ['nowhere'] });
  });
});

describe('what stays in force (I9)', () => {
  test('only a complete newer snapshot without it removes a DAG; its runs go on, no new ones are created', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl({ schedule: hourly })), inFile(dag('other', [task('a')]))]);
    await w.worker();
    const run = await w.trigger('etl');
    await holder.snapshot([inFile(dag('other', [task('a')]))]);
    expect(dagIn(w, 'etl')).toMatchObject({ active: false, nextInstant: null });
    await w.finishAll();
    expect(await w.run(run)).toMatchObject({ state: 'success' });
    expect(
      await w.call({ action: 'trigger', dagId: 'etl', runId: '', logicalDate: null, params: {} }),
    ).toMatchObject({
      kind: 'refused',
      fault: { code: 'DAG_NOT_FOUND' },
    });
  });

  test('a DAG that comes back is itself again: its versions go on, and so do its instants', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl({ schedule: hourly }))]);
    await holder.snapshot([]);
    expect(inForce(w)).toEqual([]);
    await holder.snapshot([inFile(etl({ schedule: hourly }))]);
    expect(dagIn(w, 'etl')).toMatchObject({
      ...{ active: true, definitionVersion: 1, nextInstant: Date.UTC(2026, 0, 1, 1) },
    });
    await holder.snapshot([]);
    await holder.snapshot([inFile(etl({ schedule: hourly, description: 'new' }), 'v2')]);
    expect(dagIn(w, 'etl')).toMatchObject({
      ...{ active: true, definitionVersion: 2, nextInstant: Date.UTC(2026, 0, 1, 1) },
    });
  });

  test('a file that cannot be read any more keeps its DAGs as they last were, and since when is told', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl({ schedule: hourly }))]);
    const since = w.wall;
    await holder.snapshot([], { errors: { 'etl.dag.yaml': 'etl.dag.yaml:3:1: no YAML' } });
    expect(dagIn(w, 'etl')).toMatchObject({
      ...{ active: true, definitionVersion: 1, nextInstant: Date.UTC(2026, 0, 1, 1) },
      importError: { message: 'etl.dag.yaml:3:1: no YAML', since },
    });
    await w.pass(5_000);
    await holder.beat();
    // Wrong in another way, but wrong since the same moment.
    await holder.snapshot([], { errors: { 'etl.dag.yaml': 'etl.dag.yaml:1:1: empty' } });
    expect(dagIn(w, 'etl').importError).toEqual({ message: 'etl.dag.yaml:1:1: empty', since });
    expect(bundleIn(w).importErrors).toEqual([
      { file: 'etl.dag.yaml', message: 'etl.dag.yaml:1:1: empty', since },
    ]);
    await holder.snapshot([inFile(etl({ schedule: hourly }))]);
    expect(dagIn(w, 'etl')).toMatchObject({ importError: null, definitionVersion: 1 });
    expect(bundleIn(w).importErrors).toEqual([]);
  });

  test('a file that is wrong and then gone takes its DAGs with it', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())]);
    await holder.snapshot([], { errors: { 'etl.dag.yaml': 'wrong' } });
    await holder.snapshot([]);
    expect(inForce(w)).toEqual([]);
  });

  test('a DAG whose file is wrong is taken over by another file that has it', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl(), 'v1', 'old.dag.yaml')]);
    await holder.snapshot([inFile(etl(), 'v1', 'new.dag.yaml')], { errors: { 'old.dag.yaml': 'wrong' } });
    expect(dagIn(w, 'etl')).toMatchObject({ file: 'new.dag.yaml', importError: null });
  });

  test('without any agent, and over a restart, every DAG stays and gets its runs', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl({ schedule: { kind: 'interval', everyMs: 60_000 } }))]);
    await w.pass(L + 1_000, 1_000);
    await w.restart();
    expect(inForce(w)).toEqual(['etl']);
    await w.pass(60_000, 1_000);
    expect((await w.runs('etl')).length).toBeGreaterThan(0);
  });

  test('what one processor put in force stays when the next one takes over', async () => {
    const { w, holder } = await held();
    const second = await new Processor(w, 'second').connect();
    await holder.snapshot([inFile(etl())]);
    await holder.goodbye();
    expect(second.holding()).toBe(true);
    expect(inForce(w)).toEqual(['etl']);
    expect(bundleIn(w)).toMatchObject({ agentId: 'second', sequence: 0n });
    expect(await second.snapshot([])).toMatchObject({ state: 'in_force' });
    expect(inForce(w)).toEqual([]);
  });
});

describe('snapshots that change nothing', () => {
  test('of a processor that stands by', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())]);
    const second = await new Processor(w, 'second').connect();
    expect(await second.snapshot([])).toMatchObject({ state: 'not_held' });
    expect(inForce(w)).toEqual(['etl']);
  });

  test('of a sequence that is not newer', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())], { sequence: 5n });
    expect(await holder.snapshot([], { sequence: 4n })).toMatchObject({
      state: 'refused',
      message: 'snapshot 5 of this session is in force already: count the sequence up',
    });
    expect(await holder.snapshot([], { sequence: 5n })).toMatchObject({ state: 'refused' });
    expect(inForce(w)).toEqual(['etl']);
    expect(w.notes.at(-1)).toMatchObject({ kind: 'snapshot_refused', agentId: 'holder' });
  });

  test('of a former holder with a higher sequence, because its session is over', async () => {
    const { w, holder } = await held();
    const second = await new Processor(w, 'second').connect();
    await holder.snapshot([inFile(etl())]);
    for (let n = 0; n < L / 1_000 + 1; n++) {
      await w.pass(1_000);
      await second.beat();
    }
    expect(await holder.snapshot([], { sequence: 99n })).toBeUndefined();
    await holder.connect(true);
    expect(await holder.snapshot([], { sequence: 100n })).toMatchObject({ state: 'not_held' });
    expect(inForce(w)).toEqual(['etl']);
  });

  test('of a stream that a newer one has replaced', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())]);
    const old = holder.streamId;
    await holder.connect();
    const input = { bundle: 'main', sequence: 9n, hash: 'x', dags: [], importErrors: [] };
    w.engine.put({ kind: 'snapshot', streamId: old, ...input });
    await w.idle();
    expect(inForce(w)).toEqual(['etl']);
  });

  test('of a stream that a newer one replaces in the same moment', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())]);
    const old = holder.streamId;
    holder.hello();
    const input = { bundle: 'main', sequence: 9n, hash: 'x', dags: [], importErrors: [] };
    w.engine.put({ kind: 'snapshot', streamId: old, ...input });
    await w.idle();
    expect(inForce(w)).toEqual(['etl']);
    expect(holder.holding()).toBe(true);
  });

  test('said twice, the same snapshot is in force both times', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())], { sequence: 1n });
    const before = bundleIn(w);
    expect(await holder.snapshot([inFile(etl())], { sequence: 1n })).toMatchObject({ state: 'in_force' });
    expect(bundleIn(w)).toBe(before);
  });

  test('of a DAG that was not checked because it was in force, and is not any more: it is asked for again', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())]);
    await holder.snapshot([inFile(etl(), 'v2')]);
    const unchecked = { ...inFile(etl()), checked: null };
    const told = holder.holds.length;
    expect(await holder.snapshot([unchecked])).toMatchObject({ state: 'not_held' });
    expect(holder.holds.slice(told)).toMatchObject([{ held: true }]);
    expect(dagIn(w, 'etl').definitionVersion).toBe(2);
  });
});

describe('a dag_id that two files or bundles claim', () => {
  test('within a bundle the file that had it keeps it, and the other one is wrong', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl(), 'v1', 'b.dag.yaml')]);
    await holder.snapshot([inFile(etl(), 'v2', 'a.dag.yaml'), inFile(etl(), 'v1', 'b.dag.yaml')]);
    expect(dagIn(w, 'etl')).toMatchObject({ file: 'b.dag.yaml', definitionVersion: 1, importError: null });
    expect(bundleIn(w).importErrors).toMatchObject([
      { file: 'a.dag.yaml', message: 'a.dag.yaml: DAG etl is in b.dag.yaml as well: rename one of them' },
    ]);
  });

  test('of two new files the first has it', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl(), 'v1', 'a.dag.yaml'), inFile(etl(), 'v2', 'b.dag.yaml')]);
    expect(dagIn(w, 'etl').file).toBe('a.dag.yaml');
    expect(bundleIn(w).importErrors).toMatchObject([{ file: 'b.dag.yaml' }]);
  });

  test('a bundle that comes later is told that the DAG belongs to another, and the rest of it is in force', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())]);
    const other = await new Processor(w, 'other', ['late']).connect();
    const answer = await other.snapshot([inFile(etl(), 'v2'), inFile(dag('own', [task('a')]))], {
      bundle: 'late',
    });
    expect(answer).toMatchObject({ state: 'in_force' });
    expect(dagIn(w, 'etl')).toMatchObject({ bundle: 'main', definitionVersion: 1 });
    expect(dagIn(w, 'own').bundle).toBe('late');
    expect(bundleIn(w, 'late').importErrors).toMatchObject([
      { message: 'etl.dag.yaml: DAG etl belongs to bundle main: give one of them another dag_id' },
    ]);
  });

  test('once its bundle gives it up, the other one is asked to send it again, and gets it', async () => {
    const { w, holder } = await held();
    await holder.snapshot([inFile(etl())]);
    const other = await new Processor(w, 'other', ['late']).connect();
    await other.snapshot([inFile(etl(), 'v2')], { bundle: 'late' });
    const told = other.holds.length;
    await holder.snapshot([]);
    expect(other.holds.slice(told)).toMatchObject([{ bundle: 'late', held: true, hash: '' }]);
    await other.snapshot([inFile(etl(), 'v2')], { bundle: 'late' });
    expect(dagIn(w, 'etl')).toMatchObject({ bundle: 'late', active: true, definitionVersion: 2 });
  });
});

test('import errors beyond what is kept are not told of, and their DAGs stay all the same', async () => {
  const { w, holder } = await held();
  const names = Array.from({ length: 1_200 }, (_, n) => `d${n}`);
  await holder.snapshot(names.map((name) => inFile(dag(name, [task('a')]))));
  const errors = Object.fromEntries(names.map((name) => [`${name}.dag.yaml`, 'x'.repeat(10_000)]));
  await holder.snapshot([], { errors });
  const since = dagIn(w, 'd1199').importError?.since;
  expect(since).toBe(w.wall);
  await w.pass(1_000);
  const others = Object.fromEntries(names.map((name) => [`${name}.dag.yaml`, 'y'.repeat(10_000)]));
  await holder.snapshot([], { errors: others });
  expect(dagIn(w, 'd1199').importError).toEqual({ message: 'y'.repeat(4_096), since });
  expect(inForce(w)).toHaveLength(1_200);
  expect(bundleIn(w).importErrors).toHaveLength(1_000);
  expect(bundleIn(w).importErrors[0]?.message).toHaveLength(4_096);
});
