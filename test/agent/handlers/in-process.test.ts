import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from '@jest/globals';
import { realClock, type Timer } from '../../../src/agent/clock.js';
import { InProcessHandlers } from '../../../src/agent/handlers/in-process.js';
import type { HandlerCall, RunEnd, StartFailure } from '../../../src/agent/runner/protocol.js';
import { SILENT } from '../../../src/kit/log.js';
import { newFolder, removeFolders, until } from '../support.js';

afterAll(removeFolders);

const SDK = pathToFileURL(resolve(import.meta.dirname, '../../../src/agent/handlers/define.ts')).href;

function moduleFile(): string {
  const file = join(newFolder(), 'handlers.mjs');
  const text = `
import { defineHandlers } from ${JSON.stringify(SDK)};
export default defineHandlers({
  pid: (_, { log, token }) => { log.info('here'); return { pid: process.pid, token: String(token) }; },
  waits: (_, { signal }) => new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason))),
  deaf: (_, { progress }) => { progress('deaf'); return new Promise((done) => { globalThis.release = done; }); },
});
`;
  writeFileSync(file, text);
  return pathToFileURL(file).href;
}

class Heard {
  /** Timers that still keep the process alive. */
  readonly timers = new Set<Timer>();
  readonly failures: StartFailure[] = [];
  readonly ends: RunEnd[] = [];
  readonly warnings: string[] = [];
  output = '';

  async open(nodeEnvironment?: string): Promise<InProcessHandlers> {
    return InProcessHandlers.open(moduleFile(), nodeEnvironment, {
      clock: { ...realClock, setTimer: (ms, task) => this.#timer(ms, task) },
      log: { ...SILENT, warn: (_: unknown, text?: string) => void this.warnings.push(String(text)) },
      listener: {
        startFailed: (failure) => void this.failures.push(failure),
        output: (_run, _stream, data) => {
          this.output += Buffer.from(data).toString();
        },
        ended: (end) => void this.ends.push(end),
        progress: () => {},
      },
    });
  }

  #timer(ms: number, task: () => void): Timer {
    const timer = realClock.setTimer(ms, () => {
      this.timers.delete(counted);
      task();
    });
    const counted = {
      cancel: () => {
        this.timers.delete(counted);
        timer.cancel();
      },
    };
    this.timers.add(counted);
    return counted;
  }

  end = (): Promise<RunEnd> => until('the end of a run', () => this.ends[0]);
}

const callOf = (handler: string, more: Partial<HandlerCall> = {}): HandlerCall => ({
  ...{ runId: '7', killGraceMs: 10_000, singleRun: false, exclusive: false, handler },
  ...{ input: new Uint8Array(), inputType: '', taskId: 't', tryNumber: 1, agentId: 'a', queue: 'q' },
  traceparent: '',
  resumption: null,
  ...more,
});

describe('without isolation', () => {
  test.each([undefined, 'production', 'test'])('handlers are refused where NODE_ENV is %s', async (env) => {
    await expect(new Heard().open(env)).rejects.toThrow(/refused unless NODE_ENV is "development"/);
  });

  test('a handler runs in this very process, and is told its token', async () => {
    const heard = new Heard();
    const handlers = await heard.open('development');
    expect(handlers.names).toEqual(['pid', 'waits', 'deaf']);
    handlers.call([callOf('pid')]);
    const { outcome, executed } = await heard.end();
    expect([executed, outcome?.kind]).toEqual([true, 'success']);
    const result = outcome?.kind === 'success' ? Buffer.from(outcome.result ?? []).toString() : '';
    expect(JSON.parse(result)).toEqual({ pid: process.pid, token: '7' });
    expect(heard.output).toContain('"message":"here"');
  });

  test('a task that must not run twice is refused: nothing could end its handler', async () => {
    const heard = new Heard();
    (await heard.open('development')).call([callOf('pid', { exclusive: true, singleRun: true })]);
    const failure = await until('a refusal', () => heard.failures[0]);
    expect(failure).toMatchObject({ code: 'EINVAL', text: expect.stringMatching(/--isolation process/) });
    expect(heard.ends).toEqual([]);
  });

  test('a handler hears of a cancel and of its timeout by its signal', async () => {
    const cancelled = new Heard();
    const handlers = await cancelled.open('development');
    handlers.call([callOf('waits')]);
    await turn();
    handlers.stop('7', 'cancelled', 10_000);
    expect(await cancelled.end()).toMatchObject({ stopReason: 'cancelled', timedOut: false });
    expect(cancelled.timers.size).toBe(0);

    const late = new Heard();
    (await late.open('development')).call([callOf('waits', { timeoutMs: 5 })]);
    expect(await late.end()).toMatchObject({ stopReason: 'timeout', timedOut: true });
    expect(late.timers.size).toBe(0);
  });

  test('a handler that does not hear its signal goes on, and the log says so', async () => {
    const heard = new Heard();
    const handlers = await heard.open('development');
    handlers.call([callOf('deaf')]);
    handlers.stop('7', 'cancelled', 5);
    await until('the warning', () =>
      heard.warnings.find((text) => /deaf has not ended on cancelled/.test(text)),
    );
    expect(heard.ends).toEqual([]);
    (globalThis as unknown as { release: () => void }).release();
    expect(await heard.end()).toMatchObject({ stopReason: 'cancelled' });
  });
});
