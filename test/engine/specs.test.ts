import { describe, expect, test } from '@jest/globals';
import type { TaskSpecRow } from '../../src/core/rows.js';
import { SpecCache } from '../../src/engine/specs.js';
import type { TaskId } from '../../src/kit/ids.js';

const KIB = 1_024;

function spec(taskId: string, kib = 0): TaskSpecRow {
  const env = { LARGE: 'x'.repeat(kib * KIB) };
  const work = {
    kind: 'command',
    argv: ['true'],
    env,
    workingDirectory: '',
    memoryLimitBytes: null,
    cpuLimitMillis: null,
  } as const;
  return { taskId: taskId as TaskId, work, traceparent: '' };
}

function handled(taskId: string, kib: number): TaskSpecRow {
  const work = { kind: 'handler', name: 'n', input: new Uint8Array(kib * KIB), inputType: '' } as const;
  return { taskId: taskId as TaskId, work, traceparent: '' };
}

const has = (cache: SpecCache, taskId: string) => cache.get(taskId as TaskId) !== undefined;

describe('what tasks are made of, in memory', () => {
  test('is kept up to a number of tasks, the oldest leave first', () => {
    const cache = new SpecCache(2, 1_000 * KIB);
    for (const taskId of ['a', 'b', 'c']) cache.keep(spec(taskId));
    expect(['a', 'b', 'c'].map((taskId) => has(cache, taskId))).toEqual([false, true, true]);
  });

  test.each([
    ['commands with large environments', spec],
    ['inputs of handlers', handled],
  ])('takes no more than so many bytes: %s', (_, make) => {
    const cache = new SpecCache(100, 64 * KIB);
    for (const taskId of ['a', 'b', 'c']) cache.keep(make(taskId, 30));
    expect(['a', 'b', 'c'].map((taskId) => has(cache, taskId))).toEqual([false, true, true]);
    expect(cache.bytes).toBeLessThanOrEqual(64 * KIB);
  });

  test('does not hold what is larger than all of it, and loses nothing for it', () => {
    const cache = new SpecCache(100, 64 * KIB);
    cache.keep(spec('a', 30));
    cache.keep(spec('b', 70));
    expect([has(cache, 'a'), has(cache, 'b')]).toEqual([true, false]);
  });

  test('finds what was removed no more, and what was replaced as it is now', () => {
    const cache = new SpecCache(100, 64 * KIB);
    cache.keep(spec('a', 10));
    cache.keep(spec('b', 10));
    const newer = spec('b', 20);
    cache.keep(newer);
    cache.remove('a' as TaskId);
    cache.remove('a' as TaskId);
    expect([has(cache, 'a'), cache.get('b' as TaskId)]).toEqual([false, newer]);
    cache.keep(spec('b', 70));
    expect(has(cache, 'b')).toBe(false);
  });

  test('stays within its bounds however often one is replaced', () => {
    const cache = new SpecCache(100, 64 * KIB);
    for (let times = 0; times < 50; times++) {
      cache.keep(spec('a', 20));
      expect(has(cache, 'a')).toBe(true);
      expect(cache.bytes).toBeLessThanOrEqual(64 * KIB);
    }
  });
});
