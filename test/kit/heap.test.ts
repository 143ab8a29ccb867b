import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Heap } from '../../src/kit/heap.js';

interface Item {
  n: number;
  place: number;
}

test('a heap knows the first of its items, whatever is put, changed and removed', () => {
  const step = fc.record({ at: fc.nat(9), n: fc.nat(20), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const items: Item[] = Array.from({ length: 10 }, () => ({ n: 0, place: -1 }));
      const heap = new Heap<Item>((a, b) => a.n < b.n);
      for (const { at, n, remove } of steps) {
        const item = items[at] as Item;
        if (remove) heap.remove(item);
        else {
          item.n = n;
          heap.put(item);
        }
        const held = items.filter(({ place }) => place >= 0);
        expect(heap.size).toBe(held.length);
        expect(heap.first()?.n).toBe(held.length === 0 ? undefined : Math.min(...held.map((each) => each.n)));
      }
    }),
  );
});
