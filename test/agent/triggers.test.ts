import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BUILT_IN, type BuiltInContext } from '../../src/agent/triggers/built-in.js';
import { defineTriggers, trigger, triggersIn } from '../../src/agent/triggers/define.js';
import { filesAt } from '../../src/agent/triggers/files.js';
import { poll } from '../../src/agent/triggers/http.js';
import { ThreadState } from '../../src/agent/triggers/protocol.js';
import type { BootMs, MonoMs, WallMs } from '../../src/kit/time.js';
import { faultOfTriggerInput } from '../../src/kit/trigger-forms.js';
import { TRIGGER_KINDS } from '../../src/kit/trigger-kinds.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-triggers-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A context whose time passes as fast as it is slept. */
function contextOf(input: BuiltInContext['input'], waitedMs = 0) {
  const slept: number[] = [];
  let now = Date.UTC(2026, 0, 1);
  const context: BuiltInContext = {
    input,
    waitedMs,
    wallMs: () => now,
    signal: new AbortController().signal,
    sleep: async (ms) => {
      slept.push(ms);
      now += ms;
    },
  };
  return { context, slept };
}

const total = (slept: readonly number[]) => slept.reduce((sum, ms) => sum + ms, 0);

describe('a built-in trigger', () => {
  test('of every kind that needs a triggerer is there', () => {
    const kinds = Object.keys(TRIGGER_KINDS).filter((kind) => kind !== 'asset' && kind !== 'external');
    expect(Object.keys(BUILT_IN)).toEqual(kinds);
  });

  test('waits for an instant of the wall clock, and looks at it every minute, because it may be set', async () => {
    const { context, slept } = contextOf({ at: '2026-01-01T00:02:30Z' });
    expect(await BUILT_IN.date_time?.(context)).toEqual({ at: '2026-01-01T00:02:30.000Z' });
    expect(slept).toEqual([60_000, 60_000, 30_000]);
    const past = contextOf({ at: '2025-01-01T00:00:00+01:00' });
    await BUILT_IN.date_time?.(past.context);
    expect(past.slept).toEqual([]);
  });

  test('waits for what is left of a delay', async () => {
    const { context, slept } = contextOf({ for: '1m' }, 45_000);
    await BUILT_IN.delta?.(context);
    expect(total(slept)).toBe(15_000);
    const over = contextOf({ for: '1m' }, 90_000);
    await BUILT_IN.delta?.(over.context);
    expect(over.slept).toEqual([]);
  });

  test('looks for a file until it is there', async () => {
    const path = join(folder, 'late.csv');
    const { context, slept } = contextOf({ path, poll_interval: '1m' });
    const looking = {
      ...context,
      sleep: async (ms: number) => {
        slept.push(ms);
        writeFileSync(path, 'abc');
      },
    };
    expect(await BUILT_IN.file?.(looking)).toEqual({ path, paths: [path], bytes: 3 });
    expect(slept).toEqual([60_000]);
  });

  test.each([
    ['date_time', { at: 'tomorrow' }],
    ['date_time', {}],
    ['delta', { for: 60 }],
    ['delta', 'soon'],
    ['file', { path: '/tmp/x', every: '1s' }],
    ['http', { url: 'http://a', status: [42] }],
  ])('of kind %s refuses %j', (kind, input) => {
    expect(faultOfTriggerInput(kind, input)).toContain(kind);
  });

  test('takes what a DAG file may say', () => {
    const http = { url: 'http://a', status: [200, 204], condition: { path: 'a.b', equals: 1 } };
    expect(faultOfTriggerInput('http', http)).toBeNull();
    expect(faultOfTriggerInput('own', 'anything')).toBeNull();
  });
});

describe('a pattern of files', () => {
  const at = (...names: string[]) => join(folder, 'tree', ...names);
  beforeAll(() => {
    for (const path of ['a', 'a/b', '.hidden']) mkdirSync(at(path), { recursive: true });
    for (const file of ['x.csv', 'y.csv', 'z.txt', '.dot.csv', 'a/x.csv', 'a/b/q1.csv', '.hidden/h.csv'])
      writeFileSync(at(file), '');
  });

  test.each([
    ['*.csv', ['x.csv', 'y.csv']],
    ['?.txt', ['z.txt']],
    ['**/*.csv', ['a/b/q1.csv', 'a/x.csv', 'x.csv', 'y.csv']],
    ['a/**/q?.csv', ['a/b/q1.csv']],
    ['*/x.csv', ['a/x.csv']],
    ['.*.csv', ['.dot.csv']],
    ['none/*.csv', []],
    ['[x].csv', []],
  ])('%s finds %j', async (pattern, names) => {
    expect(await filesAt(at(pattern))).toEqual(names.map((name) => at(name)));
  });

  test('may lead nowhere, and then to something', async () => {
    expect(await filesAt(at('later', '*.csv'))).toEqual([]);
    mkdirSync(at('later'));
    writeFileSync(at('later', 'x.csv'), '');
    expect(await filesAt(at('later', '*.csv'))).toEqual([at('later', 'x.csv')]);
  });
});

describe('a poll of a URL', () => {
  const answers: Record<string, { status: number; body: string }> = {
    '/ok': { status: 200, body: '{"job":{"state":"done","parts":[{"n":3}]}}' },
    '/missing': { status: 404, body: '' },
    '/text': { status: 200, body: 'done' },
    '/large': { status: 200, body: `"${'x'.repeat(2 * 1024 * 1024)}"` },
  };
  const server = createServer((request, response) => {
    const { status, body } = answers[request.url ?? ''] ?? { status: 500, body: '' };
    response.writeHead(status).end(body);
  });
  let base = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const ask = (path: string, more: object = {}) =>
    poll({ url: `${base}${path}`, ...more }, new AbortController().signal);

  test('is over at any 2xx, or at the status that is wanted', async () => {
    expect(await ask('/ok')).toEqual({ status: 200, url: `${base}/ok` });
    expect(await ask('/missing')).toBeNull();
    expect(await ask('/missing', { status: [404, 410] })).toMatchObject({ status: 404 });
  });

  test('asks for a value within the JSON of the answer', async () => {
    const condition = (path: string, equals?: unknown) => ({ condition: { path, equals } });
    expect(await ask('/ok', condition('job.state', 'done'))).toMatchObject({ value: 'done' });
    expect(await ask('/ok', condition('$.job.parts.0', { n: 3 }))).toMatchObject({ value: { n: 3 } });
    expect(await ask('/ok', condition('job.parts'))).toMatchObject({ status: 200 });
    expect(await ask('/ok', condition('job.state', 'failed'))).toBeNull();
    expect(await ask('/ok', condition('job.nothing'))).toBeNull();
    expect(await ask('/ok', condition('job.constructor'))).toBeNull();
    expect(await ask('/text', condition('job'))).toBeNull();
    expect(await ask('/large', condition('$', 'x'))).toBeNull();
  });

  test('of a server that is not there is asked again, of a URL that is none never', async () => {
    expect(await poll({ url: 'http://127.0.0.1:9/x' }, new AbortController().signal)).toBeNull();
    await expect(poll({ url: 'no url' }, new AbortController().signal)).rejects.toThrow('no url');
    await expect(ask('/ok', { method: 'NO METHOD' })).rejects.toThrow('METHOD');
  });
});

describe('triggers of a module', () => {
  const run = async () => 1;
  test('are known by their names', () => {
    const triggers = triggersIn(defineTriggers([trigger({ name: 'a', run }), trigger({ name: 'b', run })]));
    expect([...(triggers?.keys() ?? [])]).toEqual(['a', 'b']);
    expect(triggersIn({ a: run })).toBeNull();
  });

  test.each([
    ['of no name', [{ name: 'a b', run }], 'use 1 to 128'],
    ['of the name of a built-in one', [{ name: 'delta', run }], 'a built-in one has it'],
    [
      'of a name that comes twice',
      [
        { name: 'a', run },
        { name: 'a', run },
      ],
      'another one has it',
    ],
    ['with nothing to run', [{ name: 'a', run: 1 as never }], 'nothing to run'],
  ])('%s are refused', (_name, triggers, why) => {
    expect(() => defineTriggers(triggers)).toThrow(why);
  });
});

describe('what agent and thread share', () => {
  const clock = { monoMs: () => 100 as MonoMs, wallMs: () => 100 as WallMs, bootMs: () => 100 as BootMs };

  test('is closed at first, open until the gate ends by any clock, and closed for good in between', () => {
    const state = new ThreadState();
    const thread = new ThreadState(state.buffer);
    expect(thread.isOpen(clock)).toBe(false);
    state.openUntil({ monoMs: 101, wallMs: 101, bootMs: 101 });
    expect(thread.isOpen(clock)).toBe(true);
    for (const over of ['monoMs', 'wallMs', 'bootMs'])
      expect(thread.isOpen({ ...clock, [over]: () => 101 })).toBe(false);
    state.close();
    expect(thread.isOpen(clock)).toBe(false);
  });

  test('says which trigger is at work, and that two of its callbacks are two', () => {
    const state = new ThreadState();
    expect(state.busy).toBeNull();
    state.enter(7);
    const first = state.busy;
    expect(first).toMatchObject({ n: 7 });
    state.leave();
    expect(state.busy).toBeNull();
    state.enter(7);
    expect(state.busy?.turn).not.toBe(first?.turn);
  });
});
