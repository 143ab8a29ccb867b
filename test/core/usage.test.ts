import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Usage } from '../../src/core/usage.js';

describe('the places under a name', () => {
  test('allow one more while fewer are held than the limit', () => {
    const usage = new Usage();
    expect(usage.allows('k', 1)).toBe(true);
    usage.add('k', 2, 1);
    expect([usage.allows('k', 2), usage.allows('k', 1), usage.allows('other', 1)]).toEqual([
      true,
      false,
      true,
    ]);
    usage.add('k', 2, 1);
    expect(usage.allows('k', 2)).toBe(false);
  });

  test('follow the smallest limit where limits differ, whoever came first', () => {
    const usage = new Usage();
    usage.add('k', 1, 1);
    expect(usage.allows('k', 5)).toBe(false);
    usage.add('k', 1, -1);
    usage.add('k', 5, 1);
    expect([usage.allows('k', 5), usage.allows('k', 1)]).toEqual([true, false]);
  });

  test('over other ones count as if both were one', () => {
    const step = fc.record({ limit: fc.integer({ min: 1, max: 3 }), over: fc.boolean(), drop: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const under = new Usage();
        const over = new Usage(under);
        const held: number[] = [];
        for (const { limit, over: isOver, drop } of steps) {
          const at = held.indexOf(limit);
          if (drop && at < 0) continue;
          (isOver ? over : under).add('k', limit, drop ? -1 : 1);
          if (drop) held.splice(at, 1);
          else held.push(limit);
          expect(over.count('k')).toBe(held.length);
          for (const own of [1, 2, 3])
            expect(over.allows('k', own)).toBe(held.length < Math.min(own, ...held));
        }
      }),
    );
  });
});
