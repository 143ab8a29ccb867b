import { describe, expect, test } from '@jest/globals';
import {
  factsOf,
  instanceEnv,
  rendered,
  renderedText,
  renderWork,
  resultOf,
  sizeOfWork,
} from '../../../src/core/dag/render.js';
import type { RunKey, RunRow } from '../../../src/core/dag/rows.js';
import { scopeOf } from '../../../src/core/dag/scope.js';
import { NEW_YEAR, task } from './support.js';

const RUN: RunRow = {
  ...{
    run: 'd/r' as RunKey,
    version: 1,
    dagId: 'd',
    runId: 'r',
    type: 'manual',
    state: 'running',
    reason: '',
  },
  ...{ definitionVersion: 1, logicalDate: NEW_YEAR, intervalStart: NEW_YEAR, intervalEnd: NEW_YEAR },
  params: '{"city":"Bonn"}',
  consumed: [{ asset: 'raw', count: 2, first: 1, last: 4 }],
  ...{ backfill: '', createdAt: NEW_YEAR, startedAt: null, endedAt: null },
  ...{ timeoutAt: null, rerunBy: '', sweeps: [], instancesAtEnd: null },
};
const scope = scopeOf(factsOf(RUN, 'a', { up: { rows: 3 } }));
const bytes = (text: string) => new TextEncoder().encode(text);

describe('rendering', () => {
  test('a handler gets its input as JSON, with values where the template is one expression', () => {
    const input = { city: '{{ params.city }}', rows: '{{ results.up.rows }}', text: 'in {{ params.city }}' };
    const work = renderWork({ kind: 'handler', name: 'h', input }, scope, {});
    if (!work.ok || work.value?.kind !== 'handler') throw new Error('no handler');
    expect(JSON.parse(new TextDecoder().decode(work.value.input))).toEqual({
      city: 'Bonn',
      rows: 3,
      text: 'in Bonn',
    });
    expect(work.value.inputType).toBe('application/json');
  });

  test('a handler without input gets none', () => {
    const work = renderWork({ kind: 'handler', name: 'h', input: null }, scope, {});
    expect(work).toEqual({
      ok: true,
      value: { kind: 'handler', name: 'h', input: new Uint8Array(), inputType: '' },
    });
  });

  test('a command gets its arguments as texts, and learns of its run from its environment', () => {
    const work = renderWork(
      {
        ...{ kind: 'command', argv: ['echo', '{{ results.up }}'], env: { DAY: '{{ ds }}' } },
        ...{ workingDirectory: '/data/{{ ds_nodash }}', memoryLimitBytes: 1, cpuLimitMillis: null },
      },
      scope,
      instanceEnv(RUN, task('a'), 4),
    );
    expect(work).toEqual({
      ok: true,
      value: {
        kind: 'command',
        argv: ['echo', '{"rows":3}'],
        env: {
          ...{
            HOLDFAST_DAG_ID: 'd',
            HOLDFAST_RUN_ID: 'r',
            HOLDFAST_DAG_TASK_ID: 'a',
            HOLDFAST_MAP_INDEX: '4',
          },
          HOLDFAST_LOGICAL_DATE: '2026-01-01T00:00:00.000Z',
          HOLDFAST_DATA_INTERVAL_START: '2026-01-01T00:00:00.000Z',
          HOLDFAST_DATA_INTERVAL_END: '2026-01-01T00:00:00.000Z',
          DAY: '2026-01-01',
        },
        workingDirectory: '/data/20260101',
        ...{ memoryLimitBytes: 1, cpuLimitMillis: null },
      },
    });
  });

  test('a task without work renders to none', () => {
    expect(renderWork({ kind: 'none' }, scope, {})).toEqual({ ok: true, value: null });
  });

  test.each([
    ['an argument', { argv: ['{{ params.town }}'], env: {}, workingDirectory: '' }],
    ['the environment', { argv: [], env: { A: '{{ params.town }}' }, workingDirectory: '' }],
    ['the working directory', { argv: [], env: {}, workingDirectory: '{{ params.town }}' }],
  ])('a template without a value in %s is a fault that says why', (_, change) => {
    const work = { kind: 'command', memoryLimitBytes: null, cpuLimitMillis: null, ...change } as const;
    const got = renderWork(work, scope, {});
    expect(got.ok ? '' : got.fault.because).toContain('params has no town');
  });

  test('what is no template is a fault', () => {
    expect([rendered('{{ }}', scope).ok, renderedText('{{', scope).ok]).toEqual([false, false]);
  });

  test('assets whose events made the run are known to its templates', () => {
    expect(rendered('{{ triggering_assets }}', scope)).toEqual({ ok: true, value: ['raw'] });
  });
});

describe('the result of a task, as templates see it', () => {
  test.each([
    ['JSON as what it says', '{"a":1}', 'application/json', { a: 1 }],
    ['JSON with a parameter, too', '[1]', 'application/json; charset=utf-8', [1]],
    ['anything else as text', 'plain', 'text/plain', 'plain'],
    ['what says to be JSON and is not as nothing', '{', 'application/json', null],
  ])('is %s', (_, text, resultType, value) => {
    expect(resultOf({ result: bytes(text), resultType })).toEqual(value);
  });

  test('is null when there is none, or when its bytes are no text', () => {
    expect(resultOf({ result: null, resultType: '' })).toBeNull();
    expect(resultOf({ result: new Uint8Array(), resultType: '' })).toBeNull();
    expect(resultOf({ result: new Uint8Array([0xff, 0xfe]), resultType: 'text/plain' })).toBeNull();
  });
});

describe('the size of work', () => {
  test('counts what its agent is told, in bytes', () => {
    expect(sizeOfWork({ kind: 'handler', name: 'long name', input: bytes('ä'), inputType: '' })).toBe(2);
    const command = { argv: ['ä', 'b'], env: { A: 'bc' }, workingDirectory: '/' };
    const limits = { memoryLimitBytes: null, cpuLimitMillis: null };
    expect(sizeOfWork({ kind: 'command', ...command, ...limits })).toBe(7);
  });
});
