import type { TaskId, Token } from '../kit/ids.js';
import type { LogChunk } from '../wire/gen/holdfast/v1/agent_service.js';
import { LogStream } from '../wire/gen/holdfast/v1/types.js';
import { LIMITS } from '../wire/limits.js';
import { SendWindow } from './send-window.js';

/** Output of one run, waiting to be acknowledged. */
interface RunOutput {
  readonly taskId: TaskId;
  readonly pieces: Piece[];
  /** Bytes that wait, sent or not. */
  bytes: number;
  /** Offset of the first waiting byte, and of the next one to send. */
  start: number;
  next: number;
  /** Where the next output goes. */
  end: number;
  ended: boolean;
  paused: boolean;
  /** Bytes given up since the last that were kept. */
  dropped: number;
}

interface Piece {
  readonly offset: number;
  readonly data: Uint8Array;
  readonly stream: LogStream;
  readonly atMs: number;
  /** When it was last sent, monotonic. */
  sentAtMs: number;
}

export interface OutputPort {
  send(chunk: LogChunk): void;
  /** Monotonic milliseconds. */
  now(): number;
  later(ms: number, task: () => void): void;
  pause(token: Token): void;
  resume(token: Token): void;
}

/** Wait before output that could not be written is sent again. */
const RESEND_MS = 1_000;
/** Waiting bytes of one run at which it is paused while connected, and below which it goes on. */
const PAUSE_BYTES = 256 * 1024;
const RESUME_BYTES = 128 * 1024;
/** Waiting bytes of one run kept while disconnected: beyond, output is dropped, so that the run itself goes on. */
const KEEP_BYTES = 8 * 1024 * 1024;

/**
 * Ships task output over the stream: in chunks, within the coordinator's window, runs taking turns, acknowledged by
 * offset. While connected a flood waits for itself; while cut off the run goes on and its oldest output is kept.
 */
export class OutputShipper {
  readonly #port: OutputPort;
  readonly #runs = new Map<Token, RunOutput>();
  readonly #window = new SendWindow(LIMITS.logWindowBytes);
  #waitingBytes = 0;
  #connected = false;
  /** The coordinator cannot write just now; runs must not wait for that. */
  #held = false;

  constructor(port: OutputPort) {
    this.#port = port;
  }

  /** Output that is not acknowledged yet, in bytes. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  begin(token: Token, taskId: TaskId): void {
    const empty = {
      pieces: [],
      bytes: 0,
      start: 0,
      next: 0,
      end: 0,
      ended: false,
      paused: false,
      dropped: 0,
    };
    this.#runs.set(token, { taskId, ...empty });
  }

  add(token: Token, stream: 'stdout' | 'stderr' | 'system', data: Uint8Array, atMs: number): void {
    const run = this.#runs.get(token);
    if (run === undefined || data.length === 0) return;
    if (run.bytes >= KEEP_BYTES) {
      run.dropped += data.length;
      return;
    }
    if (run.dropped > 0) this.#noteDropped(run, atMs);
    this.#keep(run, STREAMS[stream], data, atMs);
    if (this.#connected && !this.#held && run.bytes >= PAUSE_BYTES && !run.paused) {
      run.paused = true;
      this.#port.pause(token);
    }
    this.#ship();
  }

  #keep(run: RunOutput, stream: LogStream, data: Uint8Array, atMs: number): void {
    for (let at = 0; at < data.length; at += LIMITS.logChunkBytes) {
      const part = data.subarray(at, at + LIMITS.logChunkBytes);
      run.pieces.push({ offset: run.end, data: part, stream, atMs, sentAtMs: 0 });
      run.end += part.length;
      run.bytes += part.length;
      this.#waitingBytes += part.length;
    }
  }

  #noteDropped(run: RunOutput, atMs: number): void {
    const text = `[holdfast: ${run.dropped} bytes of output were dropped while the agent was cut off]\n`;
    run.dropped = 0;
    this.#keep(run, LogStream.SYSTEM, new TextEncoder().encode(text), atMs);
  }

  /** The run is over; its last output is still shipped. */
  end(token: Token): void {
    const run = this.#runs.get(token);
    if (run === undefined) return;
    run.ended = true;
    if (run.bytes === 0) this.#runs.delete(token);
  }

  /** A new stream: everything that was not acknowledged is sent again. */
  connected(): void {
    this.#connected = true;
    this.#window.reset();
    for (const run of this.#runs.values()) run.next = run.start;
    this.#ship();
  }

  /** The stream is gone: runs must not wait for it. */
  disconnected(): void {
    this.#connected = false;
    this.#resumeAll();
  }

  /** The coordinator could not write it: all that is not acknowledged is sent again, after a while. */
  #hold(): void {
    this.#window.reset();
    for (const run of this.#runs.values()) run.next = run.start;
    if (this.#held) return;
    this.#held = true;
    this.#resumeAll();
    this.#port.later(RESEND_MS, () => {
      this.#held = false;
      this.#ship();
    });
  }

  #resumeAll(): void {
    for (const [token, run] of this.#runs) this.#resume(token, run);
  }

  acknowledged(token: Token, nextOffset: number, closed: boolean, resend = false): void {
    const run = this.#runs.get(token);
    if (run === undefined) return;
    while (
      run.pieces[0] !== undefined &&
      (closed || run.pieces[0].offset + run.pieces[0].data.length <= nextOffset)
    ) {
      const piece = run.pieces.shift() as Piece;
      run.bytes -= piece.data.length;
      this.#waitingBytes -= piece.data.length;
      run.start = piece.offset + piece.data.length;
      this.#window.acknowledged(piece.data.length, this.#port.now() - piece.sentAtMs);
    }
    run.next = Math.max(run.next, run.start);
    if (run.bytes <= RESUME_BYTES) this.#resume(token, run);
    if (run.ended && run.bytes === 0) this.#runs.delete(token);
    if (resend) this.#hold();
    this.#ship();
  }

  #resume(token: Token, run: RunOutput): void {
    if (!run.paused) return;
    run.paused = false;
    this.#port.resume(token);
  }

  /** Sends what the window allows, one chunk a run in turn. */
  #ship(): void {
    let sent = this.#connected && !this.#held;
    while (sent && this.#window.open) {
      sent = false;
      for (const [token, run] of this.#runs) {
        if (!this.#window.open) return;
        const piece = this.#nextPiece(run);
        if (piece === null) continue;
        run.next = piece.offset + piece.data.length;
        this.#window.sent(piece.data.length);
        piece.sentAtMs = this.#port.now();
        sent = true;
        const { taskId } = run;
        const { offset, data, stream, atMs } = piece;
        this.#port.send({
          token,
          taskId,
          offset: BigInt(offset),
          data: Buffer.from(data.buffer, data.byteOffset, data.length),
          stream,
          at: new Date(atMs),
        });
      }
    }
  }

  /** What is to be sent next of a run, cut to what goes at once; null when there is nothing. */
  #nextPiece(run: RunOutput): Piece | null {
    const at = run.pieces.findIndex(({ offset }) => offset >= run.next);
    const piece = run.pieces[at];
    if (piece === undefined) return null;
    const most = this.#window.chunkBytes;
    if (piece.data.length <= most) return piece;
    const first = { ...piece, data: piece.data.subarray(0, most) };
    run.pieces.splice(at, 1, first, {
      ...piece,
      offset: piece.offset + most,
      data: piece.data.subarray(most),
    });
    return first;
  }
}

const STREAMS = { stdout: LogStream.STDOUT, stderr: LogStream.STDERR, system: LogStream.SYSTEM } as const;
