import { describe, expect, test } from '@jest/globals';
import { command, type DagTask, dag, handler, task } from '../../src/dag/builder/index.js';
import type { CommonOptions, Dag, DagOptions } from '../../src/dag/builder/types.js';
import { checkDag } from '../../src/dag/check/index.js';
import {
  COMMON_FIELDS,
  type DagFileInput,
  dagFile,
  TASK_FIELDS,
  type TaskInput,
} from '../../src/dag/format/schema.js';

describe('the builder', () => {
  test('makes what a file would say', () => {
    const made = dag({
      dag_id: 'a',
      schedule: '@daily',
      params: { city: 'Oslo' },
      tasks: {
        ingest: command(['./ingest', '{{ ds }}'], { retries: 2 }),
        shell: command('date', { needs: 'ingest' }),
        report: handler('report', { rows: '{{ results.ingest }}' }, { needs: ['ingest', 'shell'] }),
        late: task({ needs: 'report', wait: { kind: 'delta', input: { for: '1h' } } }),
        none: task(),
        ping: handler('ping'),
      },
    });
    expect(JSON.parse(JSON.stringify(made))).toEqual({
      dag_id: 'a',
      schedule: '@daily',
      params: { city: 'Oslo' },
      tasks: {
        ingest: { command: ['./ingest', '{{ ds }}'], retries: 2 },
        shell: { command: 'date', needs: 'ingest' },
        report: { handler: 'report', input: { rows: '{{ results.ingest }}' }, needs: ['ingest', 'shell'] },
        late: { needs: 'report', wait: { kind: 'delta', input: { for: '1h' } } },
        none: {},
        ping: { handler: 'ping', input: null },
      },
    });
    expect(checkDag(made).ok).toBe(true);
  });

  test('has the fields of files, all of them and no other', () => {
    const common: Record<keyof CommonOptions, true> = {
      ...{ env: true, trigger_rule: true, retries: true, retry_backoff: true, execution_timeout: true },
      ...{
        queued_timeout: true,
        kill_grace: true,
        hold_timeout: true,
        queue: true,
        priority: true,
        labels: true,
      },
      ...{ pool: true, pool_slots: true, partition_policy: true, memory_limit: true, cpu_limit: true },
    };
    const ofTask: Record<Exclude<keyof DagTask, keyof CommonOptions>, true> = {
      ...{ needs: true, when: true, short_circuit: true, expand: true, wait: true, working_directory: true },
      ...{ inlets: true, outlets: true, command: true, handler: true, input: true },
    };
    const ofDag: Record<keyof Dag, true> = {
      ...{ dag_id: true, description: true, tags: true, schedule: true, timezone: true, start_date: true },
      ...{ end_date: true, catchup: true, max_active_runs: true, max_active_tasks: true, params: true },
      ...{ dagrun_timeout: true, is_paused_upon_creation: true, default_args: true, tasks: true },
    };
    expect(Object.keys(common).sort()).toEqual([...COMMON_FIELDS].sort());
    expect([...Object.keys(common), ...Object.keys(ofTask)].sort()).toEqual([...TASK_FIELDS].sort());
    expect([...Object.keys(ofDag), '$schema'].sort()).toEqual(Object.keys(dagFile.shape).sort());
  });

  // The compiler is the test: what the builder takes, files take.
  test('types its fields as files do', () => {
    const ofTask = (made: Omit<DagTask, 'needs'>): Omit<TaskInput, 'needs'> => made;
    const ofDag = (made: DagOptions): Omit<DagFileInput, 'tasks'> => made;
    expect([ofTask({}), ofDag({ dag_id: 'a' })]).toEqual([{}, { dag_id: 'a' }]);
  });
});
