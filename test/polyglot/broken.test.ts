import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { CASES } from '../../src/testing/conformance/index.js';

const worker = resolve(import.meta.dirname, '../../examples/python-worker/holdfast_worker');
interface Broken {
  readonly rule: string;
  readonly noticedBy: string;
  readonly changes: readonly (readonly [file: string, find: string, put: string])[];
}

const { BROKEN_RULES: RULES } = (await import(
  String(new URL('../../scripts/polyglot/broken.mjs', import.meta.url))
)) as { BROKEN_RULES: readonly Broken[] };

describe('the rules that are broken in the Python worker', () => {
  test.each(RULES.map((one) => [one.rule, one] as const))(
    '%s: is where the table looks for it, once',
    (_rule, one) => {
      for (const [file, find] of one.changes)
        expect([file, find, readFileSync(resolve(worker, file), 'utf8').split(find).length - 1]).toEqual([
          file,
          find,
          1,
        ]);
    },
  );

  test('are each noticed by a must of the kit for workers', () => {
    const forWorkers = CASES.filter(({ level, kinds }) => level === 'must' && kinds.includes('worker'));
    const musts = new Set(forWorkers.map(({ id }) => id));
    expect(RULES.map(({ noticedBy }) => noticedBy).filter((id) => !musts.has(id))).toEqual([]);
  });
});
