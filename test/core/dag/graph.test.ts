import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  allDownstream,
  allUpstream,
  ancestry,
  type GraphTask,
  graphOf,
  inOrder,
} from '../../../src/core/dag/graph.js';

const tasks = (text: string): GraphTask[] =>
  text
    .split(';')
    .map((line) => line.trim().split('<'))
    .map(([taskId = '', needs = '']) => ({
      taskId: taskId.trim(),
      needs: needs.trim() === '' ? [] : needs.trim().split(' '),
    }));
const orderOf = (text: string) => inOrder(graphOf(tasks(text)));

/** Tasks whose needs are earlier ones, in an order of their own. */
const acyclic = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 40 })
  .map((lists) =>
    lists.map((picks, n) => ({
      taskId: `t${n}`,
      needs: n === 0 ? [] : [...new Set(picks.map((pick) => `t${pick % n}`))],
    })),
  )
  .chain((list) => fc.shuffledSubarray(list, { minLength: list.length }));

describe('the graph of a DAG', () => {
  test('is put in order: each task behind its needs, else as written', () => {
    expect(orderOf('report < left right; left < in; right < in; in; alone')).toEqual({
      ok: true,
      order: ['in', 'alone', 'left', 'right', 'report'],
    });
  });

  test.each([
    ['a < a', ['a']],
    ['a < b; b < a', ['a', 'b']],
    ['in; a < in c; b < a; c < b; out < c', ['a', 'c', 'b']],
    ['out < a; a < b; b < a', ['a', 'b']],
  ])('%s is a cycle, named task by task', (text, cycle) => {
    expect(orderOf(text)).toEqual({ ok: false, cycles: [cycle] });
  });

  test('tells every cycle that has no task of another one, those of a single task too', () => {
    const text = 'a < c; b < a; c < b; d < a d; e < f; f < e; g < e';
    expect(orderOf(text)).toEqual({ ok: false, cycles: [['a', 'c', 'b'], ['d'], ['e', 'f']] });
  });

  test('says what comes before a task and what waits for it', () => {
    const graph = graphOf(tasks('in; left < in; right < in; report < left; alone'));
    expect(graph.downstream.get('in')).toEqual(['left', 'right']);
    expect([...allUpstream(graph, 'report')].sort()).toEqual(['in', 'left']);
    expect([...allDownstream(graph, 'left', 'right')]).toEqual(['report']);
    expect([...allDownstream(graph, 'in')].sort()).toEqual(['left', 'report', 'right']);
    expect([...allDownstream(graph, 'alone')]).toEqual([]);
  });

  test('of any shape: the order holds every task behind its needs, and ancestry agrees with walking', () => {
    fc.assert(
      fc.property(acyclic, (list) => {
        const graph = graphOf(list);
        const sorted = inOrder(graph);
        if (!sorted.ok) throw new Error(`a cycle: ${sorted.cycles.join('; ')}`);
        const { order } = sorted;
        expect([...order].sort()).toEqual(list.map(({ taskId }) => taskId).sort());
        const isUpstream = ancestry(graph, order);
        for (const { taskId, needs } of list) {
          for (const need of needs) expect(order.indexOf(need)).toBeLessThan(order.indexOf(taskId));
          const walked = allUpstream(graph, taskId);
          for (const { taskId: other } of list) expect(isUpstream(other, taskId)).toBe(walked.has(other));
        }
      }),
    );
  });

  test('of any shape: one edge back makes a cycle whose every task needs the next', () => {
    fc.assert(
      fc.property(acyclic, fc.nat(), (list, pick) => {
        const graph = graphOf(list);
        const chosen = list[pick % list.length] as GraphTask;
        const last = [...allUpstream(graph, chosen.taskId), chosen.taskId][0] as string;
        const bent = list.map((task) =>
          task.taskId === last ? { ...task, needs: [...task.needs, chosen.taskId] } : task,
        );
        const sorted = inOrder(graphOf(bent));
        if (sorted.ok) throw new Error('no cycle found');
        for (const cycle of sorted.cycles) {
          for (const [n, task] of cycle.entries()) {
            const needs = bent.find(({ taskId }) => taskId === task)?.needs;
            expect(needs).toContain(cycle[(n + 1) % cycle.length]);
          }
        }
      }),
    );
  });

  test('of 10,000 tasks in one chain is walked without recursion, and its whole ancestry fits into 13 MB', () => {
    const list = Array.from({ length: 10_000 }, (_, n) => ({
      taskId: `t${n}`,
      needs: n === 0 ? [] : [`t${n - 1}`],
    })).reverse();
    const graph = graphOf(list);
    const sorted = inOrder(graph);
    if (!sorted.ok) throw new Error('no cycle is there');
    expect(sorted.order[9_999]).toBe('t9999');
    expect(allUpstream(graph, 't9999').size).toBe(9_999);
    const isUpstream = ancestry(graph, sorted.order);
    expect(list.every(({ taskId }) => taskId === 't0' || isUpstream('t0', taskId))).toBe(true);
    expect(isUpstream('t9999', 't0')).toBe(false);
  });
});
