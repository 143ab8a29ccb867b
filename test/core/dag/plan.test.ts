import { describe, expect, test } from '@jest/globals';
import { planOf, taskOf, templatesOf } from '../../../src/core/dag/plan.js';
import { dag, task } from './support.js';

describe('the plan of a definition', () => {
  test('its leaves are the tasks that no other needs', () => {
    const plan = planOf(dag('d', [task('a'), task('b', { needs: ['a'] }), task('c', { needs: ['a'] })]), 1);
    expect(plan.leaves).toEqual(['b', 'c']);
  });

  test('it is kept by DAG and version', () => {
    expect(planOf(dag('d', [task('a')]), 7).key).toBe('d@7');
  });

  test('it names the tasks whose results templates ask for, wherever the template stands, each once', () => {
    const asking = task('b', {
      needs: ['a'],
      when: '{{ results.a.rows }}',
      expand: '{{ results.list }}',
      work: { kind: 'handler', name: 'work', input: { deep: ['{{ results.a }}', 'and {{ params.x }}'] } },
    });
    const plan = planOf(dag('d', [task('a'), task('list'), asking]), 1);
    expect(plan.results.get('b')).toEqual(['a', 'list']);
    expect(plan.results.get('a')).toEqual([]);
  });

  test('a task asks for the results of every short circuit before it, however far', () => {
    const tasks = [
      task('gate', { shortCircuit: true }),
      task('a', { needs: ['gate'] }),
      task('b', { needs: ['a'] }),
      task('apart'),
    ];
    const plan = planOf(dag('d', tasks), 1);
    expect(plan.circuits.get('b')).toEqual(['gate']);
    expect(plan.results.get('b')).toEqual(['gate']);
    expect(plan.circuits.get('apart')).toEqual([]);
  });

  test('only texts that hold an expression are templates', () => {
    const work = {
      ...{ kind: 'command' as const, workingDirectory: '/tmp', memoryLimitBytes: null, cpuLimitMillis: null },
      argv: ['echo', '{{ ds }}'],
      env: { DAY: '{{ ts }}', PLAIN: 'x' },
    };
    expect(templatesOf(task('a', { work }))).toEqual(['{{ ds }}', '{{ ts }}']);
  });

  test('a task that the definition does not have is a bug', () => {
    expect(() => taskOf(planOf(dag('d', [task('a')]), 1), 'b')).toThrow('DAG d has a task b');
  });
});
