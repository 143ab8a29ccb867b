import { Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { FrameWriter, frameReader } from '../../src/agent/runner/frames.js';
import type { RunnerMessage } from '../../src/agent/runner/protocol.js';
import { HandClock } from './hand-clock.js';

/** What one end sends and the other takes; the end of a turn is the test's. */
class Wire {
  readonly frames: Buffer[] = [];
  readonly taken: RunnerMessage[] = [];
  readonly #turn: (() => void)[] = [];
  readonly #writer: FrameWriter<RunnerMessage>;

  constructor() {
    const socket = new Writable({
      write: (chunk: Buffer, _encoding, written) => {
        this.frames.push(chunk);
        written();
      },
    });
    const clock = Object.assign(new HandClock(), { soon: (fn: () => void) => void this.#turn.push(fn) });
    this.#writer = new FrameWriter(socket, clock);
  }

  turn(...messages: readonly RunnerMessage[]): void {
    for (const message of messages) this.#writer.send(message);
    for (const end of this.#turn.splice(0)) end();
  }

  /** In pieces of that many bytes. */
  takeAll(pieceBytes: number): void {
    const read = frameReader<RunnerMessage>((message) => void this.taken.push(message));
    const all = Buffer.concat(this.frames);
    for (let at = 0; at < all.length; at += pieceBytes) read(all.subarray(at, at + pieceBytes));
  }
}

const note = (text: string): RunnerMessage => ({ kind: 'note', text });
const output = (runId: string, data: Uint8Array): RunnerMessage => ({
  ...{ kind: 'output', runId, data },
  stream: 'stdout',
});

describe('messages between agent, runner and handlers', () => {
  test('come as they were sent, in their order, with the bytes that they carry, however they are cut up', () => {
    const messages = [
      note('one ✓'),
      output('1', Buffer.from([0, 255, 10])),
      output('2', new Uint8Array()),
      note('two'),
    ];
    for (const pieceBytes of [1, 7, 1_000_000]) {
      const wire = new Wire();
      wire.turn(...messages);
      wire.turn(note('three'));
      wire.takeAll(pieceBytes);
      const plain = wire.taken.map((message) =>
        message.kind === 'output' ? { ...message, data: [...message.data] } : message,
      );
      expect(plain).toEqual([
        messages[0],
        { ...messages[1], data: [0, 255, 10] },
        { ...messages[2], data: [] },
        ...[messages[3], note('three')],
      ]);
    }
  });

  test('of one turn are one write', () => {
    const wire = new Wire();
    wire.turn(note('a'), note('b'), output('1', Buffer.from('c')));
    wire.turn(note('d'));
    expect(wire.frames).toHaveLength(2);
  });

  test('that are many, or carry much, are several frames, so that no turn makes one that is too long', () => {
    const wire = new Wire();
    wire.turn(...Array.from({ length: 100 }, (_, i) => note(String(i))));
    expect(wire.frames).toHaveLength(4);
    const large = new Wire();
    large.turn(...Array.from({ length: 40 }, (_, i) => output(String(i), Buffer.alloc(1_000_000))));
    expect(Math.max(...large.frames.map(({ length }) => length))).toBeLessThan(2_100_000);
    large.takeAll(65_536);
    expect(large.taken).toHaveLength(40);
  });
});
