import { describe, expect, test } from '@jest/globals';
import { ROOTS, type ScopeFacts, scopeOf } from '../../../src/core/dag/scope.js';
import type { WallMs } from '../../../src/kit/time.js';

const at = (text: string): WallMs => Date.parse(text) as WallMs;
const facts: ScopeFacts = {
  dagId: 'weather',
  runId: 'scheduled__2026-03-29T01:00:00Z',
  taskId: 'ingest',
  mapIndex: -1,
  logicalDate: at('2026-03-29T01:00:00Z'),
  intervalStart: at('2026-03-28T01:00:00Z'),
  intervalEnd: at('2026-03-29T01:00:00Z'),
  params: { city: 'Oslo' },
  results: { fetch: [1, 2] },
  triggeringAssets: ['raw'],
};

describe('what templates know of a run', () => {
  test('are its params, results and dates, by names of Airflow', () => {
    expect(scopeOf(facts)).toEqual({
      params: { city: 'Oslo' },
      results: { fetch: [1, 2] },
      triggering_assets: ['raw'],
      dag_id: 'weather',
      run_id: 'scheduled__2026-03-29T01:00:00Z',
      task_id: 'ingest',
      logical_date: '2026-03-29T01:00:00Z',
      ts: '2026-03-29T01:00:00Z',
      ts_nodash: '20260329T010000',
      ds: '2026-03-29',
      ds_nodash: '20260329',
      data_interval_start: '2026-03-28T01:00:00Z',
      data_interval_end: '2026-03-29T01:00:00Z',
    });
    expect(scopeOf({ ...facts, logicalDate: at('2026-03-29T01:00:00.250Z') })).toMatchObject({
      ts: '2026-03-29T01:00:00.250Z',
      ts_nodash: '20260329T010000',
    });
  });

  test('includes item and map index for a mapped instance only, the event after its wait', () => {
    expect(scopeOf({ ...facts, mapIndex: 0, item: null })).toMatchObject({ map_index: 0, item: null });
    expect(scopeOf({ ...facts, event: { n: 1 } })).toMatchObject({ event: { n: 1 } });
    for (const name of ['map_index', 'item', 'event']) expect(scopeOf(facts)).not.toHaveProperty(name);
  });

  test('has no dates when the run has none', () => {
    const undated = scopeOf({ ...facts, logicalDate: null, intervalStart: null, intervalEnd: null });
    expect(Object.keys(undated)).toEqual([
      'params',
      'results',
      'triggering_assets',
      'dag_id',
      'run_id',
      'task_id',
    ]);
  });

  test('has no name that a file may not use, and the other way round', () => {
    expect(Object.keys(scopeOf({ ...facts, mapIndex: 1, item: 1, event: 1 })).sort()).toEqual(
      Object.keys(ROOTS).sort(),
    );
  });
});
