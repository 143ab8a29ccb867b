import { describe, expect, test } from '@jest/globals';
import type { Json } from '../../../src/core/dag/definition.js';
import { DAG_LIMITS } from '../../../src/core/dag/limits.js';
import { DagWorld, dag, task } from './support.js';

/** One mapped task over what the task before it gives, whose elements are its input. */
async function mappedOver(result: Json) {
  const each = task('each', {
    needs: ['list'],
    expand: '{{ results.list }}',
    work: { kind: 'handler', name: 'work', input: '{{ item }}' },
  });
  const w = await DagWorld.with([dag('d', [task('list'), each], { maxActiveTasks: 1 })]);
  await w.worker();
  const run = await w.trigger('d');
  await w.finish({ list: { result } });
  return { w, run };
}

describe('at a limit an instance fails and says so', () => {
  test('a list of as many elements as are allowed is mapped, of one more it is not', async () => {
    const most = Array.from({ length: DAG_LIMITS.mappedInstances }, (_, n) => n);
    const fits = await mappedOver(most);
    expect((await fits.w.instances(fits.run)).size).toBe(1 + DAG_LIMITS.mappedInstances);
    const { w, run } = await mappedOver([...most, 0]);
    const row = (await w.instances(run)).get('each');
    expect(row).toMatchObject({ state: 'failed', reason: 'too_many_instances' });
    expect(row?.message).toContain(`${DAG_LIMITS.mappedInstances + 1} elements`);
  });

  test('work that templates make too large is not handed to any agent', async () => {
    const { w, run } = await mappedOver(['x'.repeat(100), 'x'.repeat(DAG_LIMITS.workBytes)]);
    const rows = await w.instances(run);
    expect(rows.get('each[0]')?.state).toBe('running');
    expect(rows.get('each[1]')).toMatchObject({ state: 'failed', reason: 'work_too_large' });
  });
});
