import type { Writable } from 'node:stream';
import { invariant } from '../../kit/invariant.js';
import type { AgentClock } from '../clock.js';
import {
  type AgentMessage,
  type ChildOrder,
  type ChildWord,
  type HandlerOutcome,
  MAX_FRAME_BYTES,
  type RunnerMessage,
} from './protocol.js';

/*
 * Frames on a socket of our own instead of Node's IPC channel: the end of the stream is the death of the other side and
 * is seen at once, whoever died and however; and writes tell how much waits unsent.
 */

const HEADER_BYTES = 4;
/** In the JSON, where the bytes that follow it belong; null says that there are none. */
const ELSEWHERE = [] as unknown as Uint8Array;

type Message = AgentMessage | RunnerMessage | ChildOrder | ChildWord;

/**
 * A message as sent: the length of all that follows, the length of its JSON (four bytes each), the JSON, and the bytes
 * that it carries as they are. A structured clone takes any value, at several times the cost of each of the six messages
 * of a run.
 */
export function encodeFrame(message: Message): Buffer {
  const bytes = carriedBy(message);
  const text = JSON.stringify(bytes === null ? message : withBytes(message, ELSEWHERE));
  const textLength = Buffer.byteLength(text);
  const length = HEADER_BYTES + textLength + (bytes?.length ?? 0);
  invariant(length <= MAX_FRAME_BYTES, `frame of ${length} bytes: ${message.kind}`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.writeUInt32LE(length);
  frame.writeUInt32LE(textLength, HEADER_BYTES);
  frame.write(text, 2 * HEADER_BYTES);
  if (bytes !== null) frame.set(bytes, 2 * HEADER_BYTES + textLength);
  return frame;
}

function decodeFrame(body: Buffer): Message {
  const end = HEADER_BYTES + body.readUInt32LE();
  const message = JSON.parse(body.toString('utf8', HEADER_BYTES, end)) as Message;
  return carriedBy(message) === null ? message : withBytes(message, body.subarray(end));
}

/** The input of a call, a piece of output, the result of a handler: what JSON would only make longer. */
function carriedBy(message: Message): Uint8Array | null {
  if (message.kind === 'call') return message.call.input;
  if (message.kind === 'output') return message.data;
  if (message.kind !== 'done' && message.kind !== 'ended') return null;
  return message.outcome?.kind === 'success' ? message.outcome.result : null;
}

function withBytes(message: Message, bytes: Uint8Array): Message {
  if (message.kind === 'call') return { ...message, call: { ...message.call, input: bytes } };
  if (message.kind === 'output') return { ...message, data: bytes };
  if (message.kind !== 'done' && message.kind !== 'ended') return message;
  return { ...message, outcome: { ...message.outcome, result: bytes } as HandlerOutcome };
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
    let rest = joined(pieces);
    for (;;) {
      need = HEADER_BYTES + (rest.length < HEADER_BYTES ? 0 : rest.readUInt32LE());
      invariant(need <= HEADER_BYTES + MAX_FRAME_BYTES, `frame of ${need} bytes announced`);
      if (rest.length < need) break;
      const body = rest.subarray(HEADER_BYTES, need);
      rest = rest.subarray(need);
      take(decodeFrame(body) as M);
    }
    pieces = rest.length === 0 ? [] : [rest];
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
    if (frames.length > 0 && this.socket.writable) this.socket.write(joined(frames));
  }
}

/** Most often there is just one, and a flood of output is not to be copied for nothing. */
function joined(pieces: readonly Buffer[]): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}
