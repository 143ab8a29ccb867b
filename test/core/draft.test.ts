import { describe, expect, test } from '@jest/globals';
import { NOTHING_OF_DAGS } from '../../src/core/dag/inputs.js';
import { Draft } from '../../src/core/draft.js';
import type { Epoch, Token } from '../../src/kit/ids.js';
import { ready } from './agent-model.js';
import { world } from './support.js';

const NOTHING = {
  tasks: new Map(),
  histories: new Map(),
  byKey: new Map(),
  due: [],
  finished: null,
  dags: NOTHING_OF_DAGS,
};

function draftOn() {
  const w = world();
  const a = ready(w, 'a');
  const taskId = w.submit();
  a.talk();
  return { w, taskId, token: a.only, draft: new Draft(w.state, w.context(), NOTHING) };
}

describe('a draft', () => {
  test('is one version ahead of the committed row, however often a task is put', () => {
    const { w, taskId, draft } = draftOn();
    const { version, historyCount } = w.task(taskId);
    const once = draft.put(w.task(taskId), { event: 'cancel_requested' });
    const twice = draft.put({ ...once, message: 'x' }, { event: 'cancel_requested' }, { event: 'cancelled' });
    expect(twice.version).toBe(version + 1);
    expect(twice.historyCount).toBe(historyCount + 3);
    expect(draft.history.map((row) => row.n)).toEqual([historyCount, historyCount + 1, historyCount + 2]);
    expect(draft.base(taskId)).toBe(w.task(taskId));
  });

  test('finds its own rows before those of memory', () => {
    const { w, taskId, token, draft } = draftOn();
    expect(draft.openTask(token)).toBe(w.task(taskId));
    const put = draft.put({ ...w.task(taskId), message: 'x' });
    expect(draft.openTask(token)).toBe(put);
    expect(draft.task(taskId)).toBe(put);
    expect(draft.openTasksOf('a' as never)).toEqual([put]);
  });

  test('knows a token that it has closed as closed, and counts the permits that are left', () => {
    const { w, taskId, token, draft } = draftOn();
    expect(draft.permits(1n as Epoch)).toBe(1);
    draft.put({ ...w.task(taskId), state: 'queued', open: null });
    expect(draft.openTask(token)).toBeUndefined();
    expect(draft.openTasksOf('a' as never)).toEqual([]);
    expect(draft.permits(1n as Epoch)).toBe(0);
  });

  test('draws tokens and epochs that only increase, and writes their counters (I1)', () => {
    const { w, draft } = draftOn();
    expect(draft.writes).toBe(false);
    expect([draft.drawToken(), draft.drawToken()]).toEqual([2n, 3n]);
    expect(draft.drawEpoch()).toBe(2n);
    expect(draft.writes).toBe(true);
    expect(w.state.counters.token).toBe(1n as Token);
  });

  test('leaves memory untouched until it is settled', () => {
    const { w, taskId, token, draft } = draftOn();
    draft.put({ ...w.task(taskId), state: 'queued', open: null });
    expect(w.state.open.get(token)).toBe(w.task(taskId));
  });
});
