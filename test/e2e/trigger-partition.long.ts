import { writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { custom, defer, deferringSite, resultOf } from './support/deferral.js';
import { PausingProxy } from './support/proxy.js';
import { linesOf, type Program, type Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

/** Pid and instant of each trace. */
const traces = (file: string) =>
  linesOf(file).map((line) => {
    const [pid = 0, at = 0] = line.split(' ').map(Number);
    return { pid, at };
  });

describe('a triggerer that is cut off has stopped before another runs its triggers (I8)', () => {
  async function tracing() {
    site = await deferringSite('1s');
    const [file, go] = [site.path('traces'), site.path('go')];
    const proxy = await PausingProxy.start(site.address);
    site.atClose(() => proxy.close());
    const first = await site.triggerer('t1', { coordinator: proxy.address, flags: custom(site) });
    const taskId = await defer(site, 'traces', { file, go });
    await eventually('a trace', () => traces(file).length > 3);
    const second = await site.triggerer('t2', { flags: custom(site) });
    return { file, go, proxy, first, second, taskId };
  }

  async function expectNoOverlap(file: string, first: Program, second: Program): Promise<void> {
    await eventually('traces of the second', () => traces(file).some(({ pid }) => pid === second.pid));
    const start = traces(file).find(({ pid }) => pid === second.pid)?.at ?? 0;
    const late = traces(file).filter(({ pid, at }) => pid === first.pid && at >= start);
    expect(late).toEqual([]);
  }

  test('by the network: it stops at once, and its return changes nothing', async () => {
    const { file, go, proxy, first, second, taskId } = await tracing();
    proxy.pause();
    await first.says('all triggers are stopped');
    await expectNoOverlap(file, first, second);
    proxy.resume();
    await eventually('a second session', () => first.stderr.split('connected: a new session').length === 3);
    await expectNoOverlap(file, first, second);
    writeFileSync(go, '');
    expect(await resultOf(site, taskId)).toMatchObject({ event: { pid: second.pid } });
    const { history } = await site.task(taskId);
    expect(history.filter(({ event }) => event === 'resumed')).toHaveLength(1);
  });

  test('by SIGSTOP: it does nothing more when it goes on', async () => {
    const { file, go, first, second, taskId } = await tracing();
    first.signal('SIGSTOP');
    await expectNoOverlap(file, first, second);
    first.signal('SIGCONT');
    await eventually('a second session', () => first.stderr.split('connected: a new session').length === 3);
    await expectNoOverlap(file, first, second);
    writeFileSync(go, '');
    expect(await resultOf(site, taskId)).toMatchObject({ event: { pid: second.pid } });
  });

  test('by a drain it hands them over before it ends', async () => {
    const { file, go, first, second, taskId } = await tracing();
    first.signal('SIGTERM');
    expect(await first.exited).toMatchObject({ code: 0 });
    await expectNoOverlap(file, first, second);
    writeFileSync(go, '');
    await site.reaches(taskId, 'SUCCESS');
  });
});
