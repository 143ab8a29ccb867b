import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Nonce, TaskId, Token } from '../../src/kit/ids.js';
import { type Entry, entryHash, Inventory } from '../../src/kit/inventory.js';

const taskId = 't' as TaskId;
const phases = ['running', 'stopping', 'finished', 'void', 'lost'] as const;
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({
    phase: fc.constant('asked' as const),
    nonce: fc.bigInt(1n, 9n) as fc.Arbitrary<Nonce>,
    taskId: fc.constant(taskId),
  }),
  fc.record({
    phase: fc.constantFrom(...phases),
    token: fc.bigInt(1n, 9n) as fc.Arbitrary<Token>,
    taskId: fc.constant(taskId),
  }),
);

/** FNV-1a over 17 bytes, written as the proto's comment says it. */
function reference(e: Entry): number {
  const bytes: number[] = [];
  const numbers = { asked: 1, running: 2, stopping: 3, finished: 4, void: 5, lost: 6 };
  for (const value of [e.phase === 'asked' ? 0n : e.token, e.phase === 'asked' ? e.nonce : 0n]) {
    for (let i = 0n; i < 8n; i++) bytes.push(Number((value >> (8n * i)) & 255n));
  }
  bytes.push(numbers[e.phase]);
  let hash = 2_166_136_261n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 16_777_619n) % 2n ** 32n;
  return Number(hash);
}

describe('the inventory hash', () => {
  test('is the FNV-1a of the proto, for 64-bit tokens and nonces too', () => {
    const wide = fc.bigInt(0n, 2n ** 64n - 1n);
    fc.assert(
      fc.property(wide, fc.constantFrom(...phases), (value, phase) => {
        const run: Entry = { phase, token: value as Token, taskId };
        const asked: Entry = { phase: 'asked', nonce: value as Nonce, taskId };
        expect(entryHash(run)).toBe(reference(run));
        expect(entryHash(asked)).toBe(reference(asked));
      }),
    );
  });

  test('has known values, so that other languages can check theirs', () => {
    const run = (token: bigint): Entry => ({ phase: 'running', token: token as Token, taskId });
    expect([entryHash(run(1n)), entryHash(run(2n ** 63n + 5n))]).toEqual([1_248_090_546, 3_658_181_862]);
    expect(new Inventory().hash).toBe(0);
  });
});

describe('an inventory', () => {
  test('has the count and hash of what it holds, whatever led there', () => {
    const change = fc.oneof(
      fc.record({ do: fc.constant('put' as const), entry }),
      fc.record({ do: fc.constant('dropToken' as const), n: fc.bigInt(1n, 9n) }),
      fc.record({ do: fc.constant('dropNonce' as const), n: fc.bigInt(1n, 9n) }),
      fc.record({ do: fc.constant('permit' as const), n: fc.bigInt(1n, 9n) }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const inventory = new Inventory();
        for (const each of changes) {
          if (each.do === 'put') inventory.put(each.entry);
          else if (each.do === 'permit') inventory.permit(each.n as Nonce, each.n as Token, taskId);
          else if (each.do === 'dropToken') inventory.dropToken(each.n as Token);
          else inventory.dropNonce(each.n as Nonce);
        }
        const fresh = new Inventory();
        fresh.replace(inventory.entries());
        expect([inventory.count, inventory.hash]).toEqual([fresh.count, fresh.hash]);
        const sum = inventory.entries().reduce((total, e) => (total + entryHash(e)) % 2 ** 32, 0);
        expect(inventory.hash).toBe(sum);
      }),
    );
  });

  test('does not let a permit undo what became of its token', () => {
    const inventory = new Inventory();
    inventory.put({ phase: 'finished', token: 1n as Token, taskId });
    inventory.permit(5n as Nonce, 1n as Token, taskId);
    expect(inventory.phase(1n as Token)).toBe('finished');
  });

  test('counts as occupied what is asked, running or stopping', () => {
    const inventory = new Inventory();
    inventory.put({ phase: 'asked', nonce: 1n as Nonce, taskId });
    for (const [n, phase] of phases.entries())
      inventory.put({ phase, token: BigInt(n + 1) as Token, taskId });
    expect([inventory.count, inventory.occupied()]).toEqual([6, 3]);
    expect(inventory.asks(1n as Nonce)).toBe(true);
  });

  test('counts what is occupied over every change, as if it counted anew', () => {
    const inventory = new Inventory();
    const recount = (): number =>
      inventory.entries().filter(({ phase }) => ['asked', 'running', 'stopping'].includes(phase)).length;
    for (let step = 0; step < 300; step++) {
      const token = BigInt(1 + (step % 7)) as Token;
      const phase = phases[(step * 5) % phases.length] as (typeof phases)[number];
      if (step % 11 === 0) inventory.dropToken(token);
      else if (step % 13 === 0) inventory.permit(BigInt(step) as Nonce, token, taskId);
      else inventory.put({ phase, token, taskId });
      if (step % 17 === 0) inventory.put({ phase: 'asked', nonce: BigInt(step + 1) as Nonce, taskId });
      if (step % 97 === 0) inventory.replace(inventory.entries().slice(1));
      expect(inventory.occupied()).toBe(recount());
    }
  });
});
