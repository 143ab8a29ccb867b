import { stripVTControlCharacters } from 'node:util';
import { afterEach, expect, jest, test } from '@jest/globals';
import { Progress } from '../../src/cli/progress.js';
import type { Terminal } from '../../src/cli/terminal.js';

afterEach(() => {
  jest.useRealTimers();
});

function terminal(isTTY: boolean): Terminal & { lines: string[] } {
  const lines: string[] = [];
  const print = (text: string | Uint8Array): void => void lines.push(String(text));
  const silent = { isTTY: false, columns: undefined, print: () => {} };
  let now = 0;
  return {
    lines,
    out: silent,
    err: { isTTY, columns: 80, print },
    env: {},
    interrupt: new AbortController().signal,
    now: () => {
      now += 1_000;
      return now;
    },
    randomId: () => 'id',
    readInput: () => Promise.resolve(''),
  };
}

test('a terminal sees one line that is drawn again, and taken away at the end', () => {
  jest.useFakeTimers();
  const on = terminal(true);
  const progress = new Progress(on, 4);
  progress.see('a', 'success', false);
  progress.see('b', 'running', false);
  progress.see('c', 'running', true);
  jest.advanceTimersByTime(100);
  progress.note('the coordinator is away, trying again');
  jest.advanceTimersByTime(100);
  progress.end();
  jest.advanceTimersByTime(1_000);
  expect(on.lines.map((line) => stripVTControlCharacters(line))).toEqual([
    '\r1/4 ended · 1 success · 1 running · 1 lost · 1.0s',
    '\r1/4 ended · 1 success · 1 running · 1 lost · 2.0s · the coordinator is away, trying again',
    '\r',
  ]);
});

test('anything else sees nothing', () => {
  jest.useFakeTimers();
  const on = terminal(false);
  const progress = new Progress(on, 1);
  progress.see('a', 'success', false);
  jest.advanceTimersByTime(1_000);
  progress.end();
  expect(on.lines).toEqual([]);
});

test('of what nobody knows the number of, it says how many have ended', () => {
  jest.useFakeTimers();
  const on = terminal(true);
  const progress = new Progress(on, null);
  progress.see('a', 'success', false);
  jest.advanceTimersByTime(100);
  progress.end();
  expect(stripVTControlCharacters(on.lines[0] ?? '')).toBe('\r1 ended · 1 success · 1.0s');
});
