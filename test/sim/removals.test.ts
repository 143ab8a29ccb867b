import { describe, expect, test } from '@jest/globals';
import type { RunState } from '../../src/core/dag/rows.js';
import type { TaskRow } from '../../src/core/rows.js';
import { RemovalAudit } from '../../src/testing/sim/removals.js';
import { dagPuts, instanceOf, run } from '../store/dag-rows.js';
import { put, puts, task, taskId } from '../store/rows.js';

const before = (...rows: TaskRow[]) => new Map(rows.map((row) => [row.taskId, row]));
const removal = puts({ removals: [{ taskId: taskId(1), version: 1 }] });
const said = (audit: RemovalAudit, ...rows: TaskRow[]) =>
  audit.faultsOf(removal, before(...rows)).map(({ what }) => what.slice(what.indexOf('was')));

describe('the simulator', () => {
  test('sees a removal of what has not ended, one that comes twice, and a write that comes after', () => {
    const audit = new RemovalAudit();
    expect(said(audit, task(1))).toEqual(['was removed while queued']);
    expect(said(audit, task(1, { state: 'success' }))).toEqual(['was removed twice']);
    expect(audit.faultsOf(puts({ tasks: [put(task(1))] }), new Map())).toHaveLength(1);
  });

  test('sees that an instance is taken from a run that goes on', () => {
    const ended = task(1, { state: 'success', instance: instanceOf(run('etl', 1)) });
    const removedAfter = (...states: RunState[]) => {
      const audit = new RemovalAudit();
      for (const state of states)
        audit.faultsOf(puts({ dags: dagPuts({ runs: [run('etl', 1, { state })] }) }), new Map());
      return said(audit, ended);
    };
    const found = ['was removed while run etl/manual__1 goes on'];
    expect(removedAfter('queued')).toEqual(found);
    expect(removedAfter('queued', 'failed', 'running')).toEqual(found);
    expect(removedAfter('queued', 'running', 'success')).toEqual([]);
  });
});
