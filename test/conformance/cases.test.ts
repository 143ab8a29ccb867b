import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { KINDS } from '../../src/testing/conformance/case.js';
import { CASES } from '../../src/testing/conformance/cases/index.js';
import { casesFor, isMeant } from '../../src/testing/conformance/run.js';

/** The ids that stand in the table of faults, read as text: the table is a script's. */
const faulty = new Set(
  [
    ...readFileSync(resolve(import.meta.dirname, '../../scripts/conformance/faults.mjs'), 'utf8').matchAll(
      /^ {4}'([a-z-]+\.[a-z-]+)': '[a-z-]+',$/gm,
    ),
  ].map(([, id]) => id),
);

describe('the cases of the conformance kit', () => {
  test('have names of their own', () => {
    const ids = CASES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$/);
  });

  test('can all fail: for each there is an agent with the fault that it is there for', () => {
    expect(CASES.filter(({ id }) => !faulty.has(id)).map(({ id }) => id)).toEqual([]);
    expect([...faulty].filter((name) => !CASES.some(({ id }) => id === name))).toEqual([]);
  });

  test('say what they ask in a sentence, and of whom', () => {
    for (const { title, kinds } of CASES) {
      expect(title).not.toMatch(/\.$/);
      expect(title.length).toBeGreaterThan(20);
      expect(kinds.length).toBeGreaterThan(0);
    }
  });

  test('have musts for every kind of agent', () => {
    for (const kind of KINDS) {
      expect(casesFor(CASES, kind, []).some(({ level }) => level === 'must')).toBe(true);
    }
  });

  test('are chosen by rule, by name, and by the first part of a name', () => {
    const ids = (only: string) => CASES.filter((one) => isMeant(one, only)).map(({ id }) => id);
    expect(ids('p13')).toEqual(['permit.lost', 'permit.void-token', 'permit.void-held']);
    expect(ids('gate.from-send')).toEqual(['gate.from-send']);
    expect(ids('single-run')).toEqual(['single-run.gate', 'single-run.paused', 'single-run.killed']);
    expect(ids('P1')).toEqual([]);
  });
});
