import type { Writable } from 'node:stream';
import { deserialize, serialize } from 'node:v8';
import { invariant } from '../../kit/invariant.js';
import type { AgentClock } from '../clock.js';
import {
  type AgentMessage,
  type ChildOrder,
  type ChildWord,
  MAX_FRAME_BYTES,
  type RunnerMessage,
} from './protocol.js';

/*
 * Frames on a socket of our own instead of Node's IPC channel: the end of the stream is the death of the other side and
 * is seen at once, whoever died and however; and writes tell how much waits unsent.
 */

const HEADER_BYTES = 4;

type Message = AgentMessage | RunnerMessage | ChildOrder | ChildWord;

/** A message as sent: its length in four bytes, then its structured clone. */
function encodeFrame(message: Message): Buffer {
  const body = serialize(message);
  invariant(body.length <= MAX_FRAME_BYTES, `frame of ${body.length} bytes: ${message.kind}`);
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(body.length);
  return Buffer.concat([header, body]);
}

/** Takes the stream's chunks as they come and gives `take` one message after the other. */
export function frameReader<M extends Message>(take: (message: M) => void): (chunk: Buffer) => void {
  let pieces: Buffer[] = [];
  let have = 0;
  let need = HEADER_BYTES;
  return (chunk) => {
    pieces.push(chunk);
    have += chunk.length;
    // Joined only when a whole frame is there: a long frame in many chunks is copied once.
    if (have < need) return;
    let rest = Buffer.concat(pieces);
    for (;;) {
      need = HEADER_BYTES + (rest.length < HEADER_BYTES ? 0 : rest.readUInt32LE());
      invariant(need <= HEADER_BYTES + MAX_FRAME_BYTES, `frame of ${need} bytes announced`);
      if (rest.length < need) break;
      const body = rest.subarray(HEADER_BYTES, need);
      rest = rest.subarray(need);
      take(deserialize(body) as M);
    }
    pieces = [rest];
    have = rest.length;
  };
}

/** Sends what is said in one turn of the event loop as one write; nothing once the other side is gone. */
export class FrameWriter<M extends Message> {
  private readonly socket: Writable;
  private readonly clock: AgentClock;
  private waiting: Buffer[] = [];

  constructor(socket: Writable, clock: AgentClock) {
    this.socket = socket;
    this.clock = clock;
  }

  send(message: M): void {
    if (this.waiting.push(encodeFrame(message)) === 1) this.clock.soon(() => this.flush());
  }

  /** What is waiting goes out now. */
  flush(): void {
    const frames = this.waiting;
    this.waiting = [];
    if (frames.length > 0 && this.socket.writable) this.socket.write(Buffer.concat(frames));
  }
}
