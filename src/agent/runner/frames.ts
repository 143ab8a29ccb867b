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

type Message = AgentMessage | RunnerMessage | ChildOrder | ChildWord;

/**
 * Messages as sent: the length of all that follows, the length of their JSON (four bytes each), the JSON, and the bytes that
 * they carry as they are; in the JSON stand their lengths. Messages of one turn go together, which costs as much as one. A
 * structured clone takes any value, at several times the cost.
 */
export function encodeFrame(messages: readonly Message[]): Buffer {
  const carried: Uint8Array[] = [];
  const shown = messages.map((message) => {
    const bytes = carriedBy(message);
    if (bytes === null) return message;
    carried.push(bytes);
    return withBytes(message, bytes.length as never);
  });
  const text = JSON.stringify(shown);
  const textLength = Buffer.byteLength(text);
  const bytesLength = carried.reduce((sum, bytes) => sum + bytes.length, 0);
  const length = HEADER_BYTES + textLength + bytesLength;
  invariant(length <= MAX_FRAME_BYTES, `frame of ${length} bytes: ${messages[0]?.kind}`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.writeUInt32LE(length);
  frame.writeUInt32LE(textLength, HEADER_BYTES);
  frame.write(text, 2 * HEADER_BYTES);
  let at = 2 * HEADER_BYTES + textLength;
  for (const bytes of carried) {
    frame.set(bytes, at);
    at += bytes.length;
  }
  return frame;
}

function decodeFrame(body: Buffer): readonly Message[] {
  let at = HEADER_BYTES + body.readUInt32LE();
  const shown = JSON.parse(body.toString('utf8', HEADER_BYTES, at)) as readonly Message[];
  return shown.map((message) => {
    const length = carriedBy(message) as unknown as number | null;
    if (length === null) return message;
    at += length;
    return withBytes(message, body.subarray(at - length, at));
  });
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
      for (const message of decodeFrame(body)) take(message as M);
    }
    pieces = rest.length === 0 ? [] : [rest];
    have = rest.length;
  };
}

/** Of the bytes that messages carry, so many go in one frame, and one message more. */
const FRAME_BYTES = 1024 * 1024;
/** So many messages go in one frame: what one says as text is a few hundred bytes, and may be a hundred times that. */
const FRAME_MESSAGES = 32;

/** Sends what is said in one turn of the event loop as one frame; nothing once the other side is gone. */
export class FrameWriter<M extends Message> {
  private readonly socket: Writable;
  private readonly clock: AgentClock;
  private waiting: M[] = [];
  private bytes = 0;

  constructor(socket: Writable, clock: AgentClock) {
    this.socket = socket;
    this.clock = clock;
  }

  send(message: M): void {
    const count = this.waiting.push(message);
    if (count === 1) this.clock.soon(() => this.flush());
    this.bytes += carriedBy(message)?.length ?? 0;
    // A command is as long as it likes.
    if (this.bytes > FRAME_BYTES || count === FRAME_MESSAGES || message.kind === 'start') this.flush();
  }

  /** What is waiting goes out now. */
  flush(): void {
    const messages = this.waiting;
    this.waiting = [];
    this.bytes = 0;
    if (messages.length > 0 && this.socket.writable) this.socket.write(encodeFrame(messages));
  }
}

/** Most often there is just one, and a flood of output is not to be copied for nothing. */
function joined(pieces: readonly Buffer[]): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}
