import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { HandlerCall, RunEnd } from '../../src/agent/runner/index.js';
import { closeRunners, type Heard, listen, newFolder, removeFolders } from './support.js';

const BUILT = resolve(import.meta.dirname, '../../dist/agent');
const MODULE = `
import { writeSync } from 'node:fs';
import { defineHandlers } from ${JSON.stringify(pathToFileURL(join(BUILT, 'index.js')).href)};
export default defineHandlers({
  quick: (n) => n,
  at: () => Date.now(),
  // As loggers do.
  writesAside: (n) => void writeSync(1, n + ';'),
  spins: (ms) => { for (const end = performance.now() + ms; performance.now() < end; ); return Date.now(); },
  exits: (late) => { if (late !== null) process.exit(3); },
});
`;

let heard: Heard;
let file: string;
let last = 0;

type Called = readonly [string, unknown, Partial<HandlerCall>?];

/** Calls that are sent together, in their order. */
function sent(...calls: readonly Called[]): readonly HandlerCall[] {
  const all = calls.map(([handler, input, more]) => ({
    ...{ runId: String(++last), killGraceMs: 200, singleRun: false, exclusive: false, handler },
    ...{ input: Buffer.from(JSON.stringify(input)), inputType: 'application/json' },
    ...{ taskId: 't', tryNumber: 1, agentId: 'a', queue: 'q', traceparent: '', resumption: null },
    ...more,
  }));
  heard.runner.call(all);
  return all;
}

const ends = (...calls: readonly Called[]): Promise<RunEnd[]> =>
  Promise.all(sent(...calls).map(({ runId }) => heard.end(runId)));

const resultOf = ({ outcome }: RunEnd): unknown =>
  outcome?.kind === 'success' ? JSON.parse(Buffer.from(outcome.result ?? []).toString()) : outcome;
/** Quick handlers are sent behind one another once they were seen to be quick. */
const warm = (handler: string, input: unknown) => ends([handler, input], [handler, input], [handler, input]);

/** Calls of write of a process until now. */
const writesOf = (pid: number): number =>
  Number(/syscw: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);

beforeAll(async () => {
  file = join(newFolder(), 'handlers.mjs');
  writeFileSync(file, MODULE);
  heard = await listen('auto', newFolder(), pathToFileURL(join(BUILT, 'runner/main.js')));
  const pool = { isolation: 'process', module: pathToFileURL(file).href, env: {} } as const;
  await heard.runner.openPool({ ...pool, warm: 1, most: 1, runsPerChild: 1_000, memoryBytes: 512 * 2 ** 20 });
});
afterAll(async () => {
  await closeRunners();
  removeFolders();
});

describe('calls of handlers in one process', () => {
  test('a hundred at once come to a hundred ends, each with its own result', async () => {
    const told = await ends(...Array.from({ length: 100 }, (_, n) => ['quick', n] as const));
    expect(told.map(resultOf)).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(told.every(({ executed, startedAtMs }) => executed && startedAtMs !== null)).toBe(true);
  });

  test('a thousand of a quick handler take their runner less than one and a half thousand writes, to it and to the agent', async () => {
    await warm('quick', 0);
    const before = writesOf(heard.runner.pid);
    await ends(...Array.from({ length: 1_000 }, (_, n) => ['quick', n] as const));
    expect(writesOf(heard.runner.pid) - before).toBeLessThan(1_500);
  });

  test('what a run writes is told as its own, although others are sent behind it', async () => {
    await warm('writesAside', '');
    const first = last + 1;
    const inputs = Array.from({ length: 50 }, (_, n) => `run ${first + n}`);
    await ends(...inputs.map((input) => ['writesAside', input] as const));
    const texts = inputs.map((_, n) => heard.text(String(first + n)));
    expect(texts).toEqual(inputs.map((input) => `${input};`));
  });

  test('those behind one that is slow this time are taken back, and begin when it has ended', async () => {
    await warm('at', null);
    await warm('spins', 0);
    const [slow, ...behind] = await ends(['spins', 200], ['at', null], ['at', null]);
    expect(behind.map(({ stopReason, executed }) => [stopReason, executed])).toEqual([
      [null, true],
      [null, true],
    ]);
    for (const end of behind)
      expect(resultOf(end)).toBeGreaterThanOrEqual(resultOf(slow as RunEnd) as number);
  });

  test('those behind one that ends its process are called in another', async () => {
    await warm('quick', 0);
    await warm('exits', null);
    const [gone, ...behind] = await ends(['exits', 'now'], ['quick', 1], ['quick', 2]);
    expect(gone?.outcome).toMatchObject({ kind: 'failed', reason: 'handler_exited' });
    expect(behind.map(resultOf)).toEqual([1, 2]);
  });

  test('one that is cancelled behind another is never called', async () => {
    await warm('quick', 0);
    await warm('spins', 0);
    const all = ends(['spins', 200], ['quick', 1]);
    heard.runner.stop(String(last), 'cancelled', 100);
    const [, cancelled] = await all;
    expect(cancelled).toMatchObject({ executed: false, stopReason: 'cancelled', startedAtMs: null });
  });

  test('one whose time is over is stopped, and its time begins when it does', async () => {
    await warm('spins', 0);
    const [, late] = await ends(['spins', 100], ['spins', 60_000, { timeoutMs: 50 }]);
    expect(late).toMatchObject({ executed: true, timedOut: true, stopReason: 'timeout' });
  });

  test('behind a closed gate nothing begins, and nothing is lost of what ran', async () => {
    await warm('quick', 0);
    heard.runner.renewGuardian(0);
    sent(['quick', 1], ['quick', 2]);
    const failures = await Promise.all([heard.failure(String(last)), heard.failure(String(last - 1))]);
    expect(failures.map(({ code }) => code)).toEqual(['GATE_CLOSED', 'GATE_CLOSED']);
  });
});
