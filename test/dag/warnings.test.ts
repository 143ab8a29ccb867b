import { describe, expect, test } from '@jest/globals';
import type { DagDefinition } from '../../src/core/dag/definition.js';
import { checkDag } from '../../src/dag/check/index.js';
import { warningsOf } from '../../src/dag/check/warnings.js';

function definition(value: object): DagDefinition {
  const checked = checkDag(value);
  if (!checked.ok) throw new Error(JSON.stringify(checked.faults));
  return checked.definition;
}
const updating = (dagId: string, outlet: string, assets: unknown) =>
  definition({ dag_id: dagId, schedule: { assets }, tasks: { t: { outlets: [outlet] } } });
const told = (...dags: readonly DagDefinition[]) =>
  warningsOf(dags).map(({ dagId, message }) => `${dagId}: ${message}`);

describe('a warning is given', () => {
  test('of a DAG that updates the asset that it waits for', () => {
    expect(told(updating('self', 'a', 'a'), updating('fine', 'b', 'a'))).toEqual([
      'self: its runs make runs of itself without end: it updates what its schedule waits for',
    ]);
  });

  test('of DAGs that make runs of each other', () => {
    expect(told(updating('x', 'a', 'b'), updating('y', 'b', { any: ['a', 'c'] }))).toEqual([
      'x: its runs make runs of itself without end: it, y update what its schedule waits for',
      'y: its runs make runs of itself without end: it, x update what its schedule waits for',
    ]);
  });

  test('not where something from outside is waited for too: that sets the pace', () => {
    expect(told(updating('self', 'a', ['a', 'outside']))).toEqual([]);
    expect(told(updating('x', 'a', 'b'), updating('y', 'b', ['a', 'outside']))).toEqual([]);
  });

  test('of a wait whose kind is nearly a built-in one, and of no other kind', () => {
    const waiting = (kind: string) => definition({ dag_id: 'w', tasks: { t: { wait: { kind } } } });
    expect(told(waiting('fille'))).toEqual([
      'w: task t waits for fille, which is no built-in kind (did you mean file?)',
    ]);
    expect(told(waiting('queue_depth'))).toEqual([]);
    const known = { kind: 'file', input: { path: '/x' } };
    expect(told(definition({ dag_id: 'w', tasks: { t: { wait: known } } }))).toEqual([]);
  });
});
