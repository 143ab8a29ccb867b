import { describe, expect, test } from '@jest/globals';
import type { Json } from '../../../src/core/dag/definition.js';
import { planOf } from '../../../src/core/dag/plan.js';
import { type RunRow, runKeyOf } from '../../../src/core/dag/rows.js';
import type { Work } from '../../../src/core/rows.js';
import { checkDag } from '../../../src/dag/check/index.js';
import type { WallMs } from '../../../src/kit/time.js';
import { type LocalInstance, LocalRun, type TryEnd } from '../../../src/main/dag/local-run.js';

const row: RunRow = {
  ...{
    run: runKeyOf('d', 'r'),
    version: 1,
    dagId: 'd',
    runId: 'r',
    type: 'manual',
    state: 'running',
    reason: '',
  },
  ...{
    definitionVersion: 1,
    logicalDate: 0 as WallMs,
    intervalStart: null,
    intervalEnd: null,
    params: '{"n":[1,2]}',
  },
  ...{ consumed: [], backfill: '', createdAt: 0 as WallMs, startedAt: null, endedAt: null },
  ...{ timeoutAt: null, rerunBy: '', sweeps: [], instancesAtEnd: null },
};

const gave = (result: Json): TryEnd => ({ success: true, message: '', result, final: false });
const FAILED: TryEnd = { success: false, message: 'exit code 1', result: null, final: false };

/** Runs tasks whose tries end as `ends` says, by task; what it does not name gives null. */
async function run(
  tasks: object,
  ends: Readonly<Record<string, (instance: LocalInstance, work: Work) => TryEnd>> = {},
): Promise<{ success: boolean; states: Record<string, string>; instances: readonly LocalInstance[] }> {
  const checked = checkDag({ dag_id: 'd', params: { n: [1, 2] }, tasks });
  if (!checked.ok) throw new Error(JSON.stringify(checked.faults));
  const ended = await new LocalRun(planOf(checked.definition, 1), row, {
    attempt: async (instance, work) => ends[instance.task.taskId]?.(instance, work) ?? gave(null),
    told: () => {},
  }).run();
  const states = Object.fromEntries(
    ended.instances.map(({ task, mapIndex, state }) => [
      mapIndex < 0 ? task.taskId : `${task.taskId}[${mapIndex}]`,
      state,
    ]),
  );
  return { ...ended, states };
}

const command = { command: ['x'] };

describe('a DAG that is tested here', () => {
  test('runs its tasks behind their needs, and ends as its leaves do', async () => {
    const order: string[] = [];
    const note = (instance: LocalInstance): TryEnd => {
      order.push(instance.task.taskId);
      return gave(null);
    };
    const tasks = { c: { ...command, needs: 'b' }, b: { ...command, needs: 'a' }, a: command };
    expect((await run(tasks, { a: note, b: note, c: note })).success).toBe(true);
    expect(order).toEqual(['a', 'b', 'c']);
  });

  test('follows the real trigger rules when a task fails', async () => {
    const tasks = {
      bad: command,
      after: { ...command, needs: 'bad' },
      cleanup: { ...command, needs: ['bad', 'after'], trigger_rule: 'all_done' },
    };
    const ended = await run(tasks, { bad: () => FAILED });
    expect(ended.states).toEqual({ bad: 'failed', after: 'upstream_failed', cleanup: 'success' });
    expect(ended.success).toBe(true);
    expect((await run({ bad: command }, { bad: () => FAILED })).success).toBe(false);
  });

  test('tries again as often as the task may, unless that makes no sense', async () => {
    const second = ({ tries }: LocalInstance): TryEnd => (tries < 2 ? FAILED : gave(7));
    const flaky = await run({ t: { ...command, retries: 1 } }, { t: second });
    expect(flaky.instances[0]).toMatchObject({ state: 'success', tries: 2, result: 7 });
    const final = await run({ t: { ...command, retries: 3 } }, { t: () => ({ ...FAILED, final: true }) });
    expect(final.instances[0]).toMatchObject({ state: 'failed', tries: 1 });
  });

  test('maps a task over a list, and hands on the results in order', async () => {
    const tasks = {
      each: { expand: '{{ params.n }}', command: ['x', '{{ item }}'] },
      sum: { needs: 'each', handler: 'sum', input: { values: '{{ results.each }}' } },
      none: { expand: '{{ results.empty }}', needs: 'empty', ...command },
      empty: command,
    };
    let input = '';
    const ended = await run(tasks, {
      each: (_, work) => gave(work.kind === 'command' ? Number(work.argv[1]) * 10 : null),
      sum: (_, work) => {
        input = work.kind === 'handler' ? new TextDecoder().decode(work.input) : '';
        return gave(30);
      },
      empty: () => gave([]),
    });
    expect(JSON.parse(input)).toEqual({ values: [10, 20] });
    expect(ended.states).toEqual({
      ...{ 'each[0]': 'success', 'each[1]': 'success', sum: 'success', empty: 'success', none: 'skipped' },
    });
  });

  test('skips by condition and by short circuit, and passes over waits', async () => {
    const tasks = {
      gate: { ...command, short_circuit: true },
      cut: { ...command, needs: 'gate' },
      deep: { ...command, needs: 'cut', trigger_rule: 'all_done' },
      cond: { ...command, when: '{{ params.n | equals(1) }}' },
      late: { wait: { kind: 'delta', input: { for: '1h' } } },
    };
    expect((await run(tasks, { gate: () => gave(false) })).states).toEqual({
      ...{ gate: 'success', cut: 'skipped', deep: 'skipped', cond: 'skipped', late: 'success' },
    });
  });

  test('fails a task whose template leads nowhere, and says why', async () => {
    const tasks = { a: command, b: { needs: 'a', command: ['x', '{{ results.a.rows }}'] } };
    const ended = await run(tasks, { a: () => gave({ row: 1 }) });
    expect(ended.instances[1]).toMatchObject({ state: 'failed', tries: 0 });
    expect(ended.instances[1]?.message).toContain('results.a has no rows (did you mean row?)');
  });
});
