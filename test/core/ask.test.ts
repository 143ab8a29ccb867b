import { describe, expect, test } from '@jest/globals';
import type { DagCall } from '../../src/core/dag/calls.js';
import { ready } from './agent-model.js';
import { DagWorld, dag, task } from './dag/support.js';
import { L, world } from './support.js';

describe('a request', () => {
  test('is final at once when no agent holds the task, and else waits for its agent (P15)', () => {
    const w = world();
    const waiting = w.submit();
    w.cancel(waiting);
    expect(w.task(waiting).state).toBe('cancelled');
    const a = ready(w, 'a');
    const running = w.submit();
    a.talk();
    w.cancel(running);
    expect(w.task(running)).toMatchObject({ state: 'running', stopRequest: { kind: 'cancel' } });
  });

  test('of a lost try that P11 holds back waits for its release', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ partitionPolicy: 'hold' });
    a.talk().vanish();
    w.pass(L);
    w.cancel(taskId);
    expect(w.task(taskId)).toMatchObject({ state: 'running', stopRequest: { kind: 'cancel' } });
  });

  test('that is made again changes nothing; another kind takes its place, because the last word counts', async () => {
    const w = await DagWorld.with([dag('d', [task('a')])]);
    await w.worker();
    const run = await w.trigger('d');
    const mark = (as: 'success' | 'failed'): DagCall => ({
      ...{ action: 'mark', run: run.run, tasks: [{ task: 'a', mapIndex: null }], as, reason: '' },
    });
    const asked = async () => {
      const row = (await w.instances(run)).get('a');
      return [row?.stopRequest?.kind, row?.historyCount];
    };
    await w.call(mark('failed'));
    const first = await asked();
    await w.call(mark('failed'));
    expect(await asked()).toEqual(first);
    await w.call(mark('success'));
    expect((await asked())[0]).toBe('mark_success');
    await w.finish({ a: { kind: 'killed' } });
    expect(await w.states(run)).toEqual({ a: 'success' });
  });
});
