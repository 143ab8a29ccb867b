import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { OutputShipper } from '../../src/agent/output.js';
import type { TaskId, Token } from '../../src/kit/ids.js';
import type { LogChunk } from '../../src/wire/gen/holdfast/v1/agent_service.js';

const KIB = 1_024;
const MIB = 1_024 * KIB;
const A = 1n as Token;
const B = 2n as Token;
const TASK = 'task' as TaskId;

/** A shipper, and a coordinator that writes down what comes, by offset. */
class Wharf {
  readonly sent: LogChunk[] = [];
  readonly paused = new Set<Token>();
  readonly waiting: { readonly ms: number; readonly task: () => void }[] = [];
  nowMs = 0;
  readonly shipper = new OutputShipper({
    send: (chunk) => this.sent.push(chunk),
    now: () => this.nowMs,
    later: (ms, task) => this.waiting.push({ ms, task }),
    pause: (token) => this.paused.add(token),
    resume: (token) => this.paused.delete(token),
  });
  readonly #kept = new Map<Token, Buffer>();
  #read = 0;

  constructor(...tokens: Token[]) {
    for (const token of tokens) this.shipper.begin(token, TASK);
  }

  add(token: Token, data: string | Uint8Array): void {
    this.shipper.add(token, 'stdout', Buffer.from(data), 0);
  }

  /** Takes in up to `count` chunks and acknowledges them. */
  receive(count = Number.POSITIVE_INFINITY): void {
    for (const chunk of this.sent.slice(this.#read, this.#read + count)) {
      this.#read++;
      const token = chunk.token as Token;
      const kept = this.#kept.get(token) ?? Buffer.alloc(0);
      const known = Math.max(0, kept.length - Number(chunk.offset));
      const next = Buffer.concat([kept, chunk.data.subarray(known)]);
      this.#kept.set(token, next);
      this.shipper.acknowledged(token, next.length, false);
    }
  }

  receiveAll(): void {
    while (this.#read < this.sent.length) this.receive();
  }

  /** The stream is gone with all that was on its way. */
  lose(): void {
    this.#read = this.sent.length;
    this.shipper.disconnected();
  }

  kept(token: Token): string {
    return this.#kept.get(token)?.toString() ?? '';
  }
}

describe('task output on its way', () => {
  test('waits for a stream, then goes out in order and is let go once acknowledged', () => {
    const wharf = new Wharf(A);
    wharf.add(A, 'one ');
    expect(wharf.sent).toEqual([]);
    wharf.shipper.connected();
    wharf.add(A, 'two');
    expect(wharf.sent.map(({ offset }) => offset)).toEqual([0n, 4n]);
    expect(wharf.shipper.waitingBytes).toBe('one two'.length);
    wharf.receiveAll();
    expect([wharf.kept(A), wharf.shipper.waitingBytes]).toEqual(['one two', 0]);
  });

  test('goes in chunks of at most 16 KiB: a heartbeat never waits behind much', () => {
    const wharf = new Wharf(A);
    wharf.shipper.connected();
    wharf.add(A, new Uint8Array(150 * KIB));
    expect(wharf.sent.map(({ data }) => data.length / KIB)).toEqual([16, 16, 16, 16]);
  });

  test('stays within the window, and goes on as it is acknowledged', () => {
    const wharf = new Wharf(A);
    wharf.add(A, new Uint8Array(3 * MIB));
    wharf.shipper.connected();
    // 64 KiB at first; what is acknowledged in time lets as much more go, up to the coordinator's window.
    expect(wharf.sent).toHaveLength(4);
    wharf.receive(1);
    expect(wharf.sent).toHaveLength(6);
    wharf.receiveAll();
    expect(wharf.kept(A)).toHaveLength(3 * MIB);
  });

  test('is little on a slow link, so that heartbeats do not wait behind it', () => {
    const wharf = new Wharf(A);
    wharf.add(A, new Uint8Array(3 * MIB));
    wharf.shipper.connected();
    for (let i = 0; i < 20; i++) {
      wharf.nowMs += 500;
      wharf.receive(1);
    }
    const underWay = wharf.sent.length - 20;
    expect(underWay).toBe(1);
  });

  test('that could not be written is sent again after a while, and holds up no run meanwhile', () => {
    const wharf = new Wharf(A);
    wharf.add(A, new Uint8Array(600 * KIB));
    wharf.shipper.connected();
    wharf.shipper.acknowledged(A, 0, false, true);
    expect(wharf.sent).toHaveLength(4);
    wharf.add(A, new Uint8Array(KIB));
    expect(wharf.paused).toEqual(new Set());
    expect(wharf.waiting).toMatchObject([{ ms: 1_000 }]);
    wharf.waiting[0]?.task();
    expect(wharf.sent[4]?.offset).toBe(0n);
  });
});

describe('task output of several runs and streams', () => {
  test('takes turns: a chatty run does not hold up another', () => {
    const wharf = new Wharf(A, B);
    wharf.add(A, new Uint8Array(3 * MIB));
    wharf.add(B, 'short');
    wharf.shipper.connected();
    expect(wharf.sent.slice(0, 2).map(({ token }) => token)).toEqual([A, B]);
  });

  test('is sent again from the last acknowledgement on a new stream', () => {
    const wharf = new Wharf(A);
    wharf.shipper.connected();
    wharf.add(A, 'one ');
    wharf.receiveAll();
    wharf.add(A, 'two ');
    wharf.lose();
    wharf.add(A, 'three');
    wharf.shipper.connected();
    expect(wharf.sent.map(({ offset }) => offset)).toEqual([0n, 4n, 4n, 8n]);
    wharf.receiveAll();
    expect(wharf.kept(A)).toBe('one two three');
  });

  test('of a run that is over is still shipped, then forgotten', () => {
    const wharf = new Wharf(A);
    wharf.add(A, 'last words');
    wharf.shipper.end(A);
    expect(wharf.shipper.waitingBytes).toBeGreaterThan(0);
    wharf.shipper.connected();
    wharf.receiveAll();
    expect(wharf.shipper.waitingBytes).toBe(0);
    wharf.add(A, 'from the grave');
    expect(wharf.sent).toHaveLength(1);
  });

  test('that the coordinator does not take any more is let go', () => {
    const wharf = new Wharf(A);
    wharf.shipper.connected();
    wharf.add(A, 'unwanted');
    wharf.shipper.acknowledged(A, 0, true);
    expect(wharf.shipper.waitingBytes).toBe(0);
  });
});

describe('a flood of output', () => {
  test('pauses its run while connected, until enough of it is acknowledged', () => {
    const wharf = new Wharf(A);
    wharf.shipper.connected();
    wharf.add(A, new Uint8Array(255 * KIB));
    expect(wharf.paused.has(A)).toBe(false);
    wharf.add(A, new Uint8Array(64 * KIB));
    expect(wharf.paused.has(A)).toBe(true);
    wharf.receiveAll();
    expect(wharf.paused.has(A)).toBe(false);
  });

  test('never holds up a run that is cut off: what is beyond 8 MiB is dropped, and said to be', () => {
    const wharf = new Wharf(A);
    for (let i = 0; i < 9; i++) wharf.add(A, new Uint8Array(MIB));
    expect(wharf.paused.has(A)).toBe(false);
    wharf.shipper.connected();
    wharf.receiveAll();
    wharf.add(A, 'after');
    wharf.receiveAll();
    const kept = wharf.kept(A);
    expect(kept.slice(8 * MIB)).toBe(
      '[holdfast: 1048576 bytes of output were dropped while the agent was cut off]\nafter',
    );
  });

  test('resumes its run when the stream is lost', () => {
    const wharf = new Wharf(A);
    wharf.shipper.connected();
    wharf.add(A, new Uint8Array(300 * KIB));
    expect(wharf.paused.has(A)).toBe(true);
    wharf.lose();
    expect(wharf.paused.has(A)).toBe(false);
  });
});

test('whatever the losses and delays, all output arrives once and in order', () => {
  const step = fc.oneof(
    fc.record({
      what: fc.constantFrom('add' as const),
      of: fc.constantFrom(A, B),
      size: fc.nat({ max: 200_000 }),
    }),
    fc.record({
      what: fc.constantFrom('receive' as const, 'lose' as const, 'connect' as const),
      of: fc.constant(A),
      size: fc.nat({ max: 5 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const wharf = new Wharf(A, B);
      const written = new Map<Token, string>([
        [A, ''],
        [B, ''],
      ]);
      let isUp = false;
      for (const { what, of, size } of steps) {
        if (what === 'add' && (written.get(of)?.length ?? 0) < 7 * MIB) {
          const text = String.fromCharCode(97 + (size % 26)).repeat(size);
          written.set(of, written.get(of) + text);
          wharf.add(of, text);
        } else if (what === 'receive' && isUp) wharf.receive(size);
        else if (what === 'lose') {
          isUp = false;
          wharf.lose();
        } else if (what === 'connect' && !isUp) {
          isUp = true;
          wharf.shipper.connected();
        }
      }
      wharf.lose();
      wharf.shipper.connected();
      wharf.receiveAll();
      expect(wharf.kept(A) === written.get(A) && wharf.kept(B) === written.get(B)).toBe(true);
      expect(wharf.shipper.waitingBytes).toBe(0);
    }),
    { numRuns: 100 },
  );
});
