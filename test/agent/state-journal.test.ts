import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';
import { COMPACT_AFTER_BYTES, Journal, MAX_HELD, MAX_LINE_BYTES } from '../../src/agent/state/journal.js';
import type { InstanceRecord, StartedRun } from '../../src/agent/state/records.js';
import { newFolder, removeFolders } from './support.js';

afterAll(removeFolders);

const open = (stateDir: string): Journal => Journal.open(stateDir, realClock);
const fileOf = (stateDir: string): string => join(stateDir, 'journal.jsonl');

const instance = (instanceId: string): InstanceRecord => ({
  instanceId,
  pid: 7,
  bootId: 'boot',
  device: 2n ** 63n,
  inode: 12n,
  pidNamespace: 'pid:[1]',
});
const run = (token: bigint): StartedRun => ({
  token,
  taskId: `task-${token}`,
  tryNumber: 2,
  pgid: 4_711,
  atMs: 1_700_000_000_000,
});

test('a new journal knows nothing', () => {
  const { recovered } = open(newFolder());
  expect(recovered).toEqual({
    previousInstance: null,
    instances: [],
    highestToken: 0n,
    highestEpoch: 0n,
    runs: [],
    groups: [],
    reports: [],
  });
});

test('the groups that handlers run in are known until they are told to be gone, over a new writing of the file too', () => {
  const stateDir = newFolder();
  const journal = open(stateDir);
  for (const pgid of [7, 8, 9]) journal.startGroup({ pgid, atMs: 1_000 + pgid });
  journal.endGroup(8);
  journal.close();
  const left = [7, 9].map((pgid) => ({ pgid, atMs: 1_000 + pgid }));
  expect(open(stateDir).recovered.groups).toEqual(left);
  expect(open(stateDir).recovered.groups).toEqual(left);
});

test('a run has started until its end, whatever that is', () => {
  const journal = open(newFolder());
  journal.startRuns([run(1n)]);
  expect([journal.hasStarted(1n), journal.hasStarted(2n)]).toEqual([true, false]);
  journal.endRun(1n, { kind: 'never_started' });
  expect(journal.hasStarted(1n)).toBe(false);
});

test('what was journalled is recovered: runs without an end, reports without an acknowledgement, the highest numbers', () => {
  const stateDir = newFolder();
  const big = 2n ** 63n + 1n;
  const journal = open(stateDir);
  journal.startInstance(instance('first'));
  journal.raiseHighest(5n, 3n);
  for (const token of [10n, 11n, 12n, big]) journal.startRuns([run(token)]);
  journal.endRun(11n, { kind: 'success', result: 'aGk=' });
  journal.endRun(12n, { kind: 'failure', exitCode: 1 });
  journal.acknowledge(12n);
  journal.endRun(99n, { kind: 'neverStarted' });
  journal.flush();

  const { recovered } = open(stateDir);
  expect(recovered.previousInstance).toEqual(instance('first'));
  expect(recovered.runs).toEqual([run(10n), run(big)]);
  expect(recovered.reports).toEqual([
    { token: 11n, report: { kind: 'success', result: 'aGk=' } },
    { token: 99n, report: { kind: 'neverStarted' } },
  ]);
  expect([recovered.highestToken, recovered.highestEpoch]).toEqual([big, 3n]);
});

test('a start is in the file when the call returns, and takes along the ends before it', () => {
  const stateDir = newFolder();
  const journal = open(stateDir);
  journal.startRuns([run(7n)]);
  expect(readFileSync(fileOf(stateDir), 'utf8')).toContain('"token":"7"');
  journal.endRun(7n, 'done');
  expect(readFileSync(fileOf(stateDir), 'utf8')).not.toContain('done');
  journal.startRuns([run(8n)]);
  const { recovered } = open(stateDir);
  expect([recovered.runs, recovered.reports]).toEqual([[run(8n)], [{ token: 7n, report: 'done' }]]);
});

test('what could not be written goes with the next write that can be', () => {
  const stateDir = newFolder();
  const journal = open(stateDir);
  journal.startRuns([run(1n)]);
  const { fd } = journal as unknown as { fd: number };
  Object.assign(journal, { fd: -1 });
  journal.endRun(1n, 'done');
  expect(journal.flush()).toMatchObject({ kind: 'refused', code: 'io' });
  Object.assign(journal, { fd });
  expect(journal.flush()).toEqual({ kind: 'written' });
  expect(open(stateDir).recovered.reports).toEqual([{ token: 1n, report: 'done' }]);
});

test('a last line torn by the death of its writer is left out, and what follows is whole', () => {
  const stateDir = newFolder();
  open(stateDir).startRuns([run(1n)]);
  appendFileSync(fileOf(stateDir), '{"kind":"started","token":"2","task');
  const journal = open(stateDir);
  expect(journal.recovered.runs).toEqual([run(1n)]);
  journal.startRuns([run(3n)]);
  expect(open(stateDir).recovered.runs).toEqual([run(1n), run(3n)]);
});

test.each([
  ['a line that is no JSON', 'nonsense\n', /line \d+: .*JSON/],
  ['a missing field', '{"kind":"acknowledged"}\n', /field token is missing/],
  ['a number that lost digits', '{"kind":"acknowledged","token":18446744073709552000}\n', /field token/],
])('%s is an error, and the file is moved aside rather than lost', (_, line, message) => {
  const stateDir = newFolder();
  open(stateDir).startRuns([run(1n)]);
  appendFileSync(fileOf(stateDir), line);
  const damaged = readFileSync(fileOf(stateDir), 'utf8');
  expect(() => open(stateDir)).toThrow(message);
  const [aside = ''] = readdirSync(stateDir).filter((name) => name.includes('damaged'));
  expect(readFileSync(join(stateDir, aside), 'utf8')).toBe(damaged);
  expect(existsSync(fileOf(stateDir))).toBe(false);
  expect(open(stateDir).recovered.runs).toEqual([]);
});

test.each([
  ['a later version', '{"kind":"journal","version":2}\n', /its version is 2, and this agent knows 1/],
  ['a kind of a later version', '{"kind":"dream"}\n', /no lines of kind "dream"/],
])('%s is refused, and the file left to the version that can read it', (_, line, message) => {
  const stateDir = newFolder();
  open(stateDir).startRuns([run(1n)]);
  appendFileSync(fileOf(stateDir), line);
  const before = readFileSync(fileOf(stateDir), 'utf8');
  expect(() => open(stateDir)).toThrow(message);
  expect(() => open(stateDir)).toThrow(/written by a newer agent: .*drain it/);
  expect(readFileSync(fileOf(stateDir), 'utf8')).toBe(before);
});

test('opening leaves out what is settled', () => {
  const stateDir = newFolder();
  const journal = open(stateDir);
  for (let token = 1n; token <= 100n; token++) {
    journal.startRuns([run(token)]);
    journal.endRun(token, 'x'.repeat(1_000));
    journal.acknowledge(token);
  }
  journal.flush();
  const before = statSync(fileOf(stateDir)).size;
  expect(open(stateDir).recovered.highestToken).toBe(100n);
  expect(statSync(fileOf(stateDir)).size).toBeLessThan(before / 100);
});

test('a journal that grows is written anew, without losing a line', () => {
  const stateDir = newFolder();
  const journal = open(stateDir);
  const result = 'x'.repeat(300_000);
  let largest = 0;
  journal.startRuns([run(1n)]);
  for (let token = 2n; token <= 80n; token++) {
    journal.startRuns([run(token)]);
    journal.endRun(token, result);
    if (token % 2n === 0n) journal.acknowledge(token);
    journal.flush();
    largest = Math.max(largest, statSync(fileOf(stateDir)).size);
  }
  expect(largest).toBeGreaterThan(COMPACT_AFTER_BYTES);
  expect(largest).toBeLessThan(80 * result.length);
  const { recovered } = open(stateDir);
  expect(recovered.runs).toEqual([run(1n)]);
  expect(recovered.reports.map(({ token }) => token)).toEqual(
    Array.from({ length: 39 }, (_, i) => BigInt(2 * i + 3)),
  );
});

test('limits refuse in words, and refuse only what may be refused', () => {
  const journal = open(newFolder());
  for (let token = 1n; token <= BigInt(MAX_HELD); token++) journal.startRuns([run(token)]);
  expect(journal.startRuns([run(9_999n)])).toMatchObject({ count: 0, refusal: { code: 'full' } });
  expect(journal.endRun(1n, 'done')).toEqual({ kind: 'written' });
  journal.acknowledge(1n);
  expect(journal.startRuns([run(9_999n), run(10_000n)])).toMatchObject({
    count: 1,
    refusal: { code: 'full' },
  });
  expect(journal.endRun(2n, 'x'.repeat(MAX_LINE_BYTES))).toMatchObject({ kind: 'refused', code: 'tooLong' });
});

test('a write that fails changes nothing, and the next one finds a whole file', () => {
  const stateDir = newFolder();
  const journal = open(stateDir);
  journal.startRuns([run(1n)]);
  const whole = readFileSync(fileOf(stateDir), 'utf8');
  journal.close();
  expect(journal.startRuns([run(2n)])).toMatchObject({ count: 0, refusal: { code: 'io' } });
  expect(readFileSync(fileOf(stateDir), 'utf8')).toBe(whole);
  writeFileSync(`${fileOf(stateDir)}.new`, 'left by a writer that died while it wrote anew');
  expect(open(stateDir).recovered.runs).toEqual([run(1n)]);
});
