import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { RULES } from '../../src/testing/model/index.js';

interface Mutant {
  readonly name: string;
  readonly rule: string;
  readonly model?: string;
}

const { MUTANTS, changed } = (await import(
  String(new URL('../../scripts/mutants/table.mjs', import.meta.url))
)) as {
  MUTANTS: Mutant[];
  changed: (mutant: Mutant, read: (file: string) => string) => { stale: string[] };
};

function read(file: string): string {
  const path = resolve(file);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

describe('the mutants', () => {
  test('change text that the sources have exactly once: an edit there moves its mutant along', () => {
    expect(MUTANTS.flatMap((mutant) => changed(mutant, read).stale)).toEqual([]);
  });

  test('are the load-bearing rules and more than thirty changes besides, each with a name of its own', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    expect(MUTANTS.length).toBeGreaterThanOrEqual(12 + 30);
  });

  test('take rules of the model by their names', () => {
    const names: readonly string[] = RULES.map(({ name }) => name);
    const wanted = MUTANTS.flatMap(({ model }) => model ?? []);
    expect(wanted.length).toBeGreaterThan(0);
    expect(names).toEqual(expect.arrayContaining(wanted));
  });
});
