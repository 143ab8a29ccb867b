import { describe, expect, test } from '@jest/globals';
import { DagDraft } from '../../../src/core/dag/draft.js';
import { NOTHING_OF_DAGS } from '../../../src/core/dag/inputs.js';
import { DagState, NO_DAGS } from '../../../src/core/dag/state.js';
import { DagWorld, dag, task } from './support.js';

const pool = (slots: number) => ({ pool: 'p', version: 0, slots, description: '' });

describe('a draft of DAGs', () => {
  test('leaves no trace unless it is settled', () => {
    const state = new DagState(NO_DAGS);
    new DagDraft(state, NOTHING_OF_DAGS).putPool(pool(3));
    expect(state.pools.size).toBe(0);
  });

  test('gives each row a version one higher than the committed one, however often it is put', () => {
    const state = new DagState(NO_DAGS);
    const first = new DagDraft(state, NOTHING_OF_DAGS);
    first.putPool(pool(3));
    expect(first.putPool(pool(4)).version).toBe(1);
    first.settle();
    const second = new DagDraft(state, NOTHING_OF_DAGS);
    expect([second.putPool(pool(5)).version, second.slotsOf('p')]).toEqual([2, 5]);
    expect(state.slotsOf('p')).toBe(4);
  });

  test('writes nothing when nothing was put', () => {
    const draft = new DagDraft(new DagState(NO_DAGS), NOTHING_OF_DAGS);
    expect(draft.writes).toBe(false);
    draft.putPool(pool(1));
    expect(draft.writes).toBe(true);
  });

  test('never stores a trigger that it made and removed itself', () => {
    const draft = new DagDraft(new DagState(NO_DAGS), NOTHING_OF_DAGS);
    draft.putTrigger({ triggerId: 't' } as Parameters<typeof draft.putTrigger>[0]);
    draft.removeTrigger('t');
    expect([draft.triggers.size, draft.triggerRemovals.size, draft.trigger('t')]).toEqual([0, 0, undefined]);
  });

  test('counts the slots of a pool over all runs as they come and go', async () => {
    const w = await DagWorld.with([dag('d', [task('a', { pool: 'p', poolSlots: 2 })])]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 5, description: '' });
    await w.worker();
    await w.trigger('d');
    await w.pass(200);
    await w.trigger('d');
    const { dags } = w.engine.state;
    expect(dags.poolUse.get('p')).toBe(4);
    await w.finish('all');
    expect(dags.poolUse.get('p')).toBe(0);
  });
});
