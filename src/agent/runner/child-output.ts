import { readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { AgentClock } from '../clock.js';
import { Gatherer } from './gather.js';
import { OUTPUT_TAIL_BYTES, OUTPUT_WINDOW_BYTES, type OutputStream, type RunnerMessage } from './protocol.js';

/** What is kept of the last words of a child, in bytes: they say how it died. */
const LAST_WORDS_BYTES = 8 * 1024;
const READ_BYTES = 64 * 1024;

interface Source {
  readonly stream: OutputStream;
  readonly pipe: Readable;
  readonly fd: number | null;
}

/**
 * The output of a handler's child: of the run that it has just now. As with commands, at most OUTPUT_WINDOW_BYTES of one
 * run are under way; then the pipes are not read, and a flood blocks the handler that makes it.
 */
export class ChildOutput {
  private readonly gatherer: Gatherer;
  private readonly sources: Source[] = [];
  private readonly open = new Set<Readable>();
  private runId: string | null = null;
  private underWayBytes = 0;
  private paused = false;
  private isEnding = false;
  private words = Buffer.alloc(0);
  private closed: () => void = () => {};
  private readonly catchUp: () => void;
  /** Read, and not yet known whose it is. */
  private held: { readonly stream: OutputStream; readonly data: Buffer } | null = null;

  /** `catchUp` hears what the child has said until now: a run may have ended, and the next one have begun to write. */
  constructor(clock: AgentClock, send: (message: RunnerMessage) => void, catchUp: () => void) {
    this.catchUp = catchUp;
    this.gatherer = new Gatherer(clock, (stream, data) => {
      if (this.runId !== null) send({ kind: 'output', runId: this.runId, stream, data });
    });
  }

  attach(stream: OutputStream, pipe: Readable, fd: number | null): void {
    this.sources.push({ stream, pipe, fd });
    this.open.add(pipe);
    pipe.on('data', (data: Buffer) => this.pass(stream, data));
    pipe.on('error', () => {});
    pipe.on('close', () => {
      this.open.delete(pipe);
      if (this.open.size === 0) this.closed();
    });
  }

  /** From now on what is read belongs to this run. */
  begin(runId: string): void {
    this.runId = runId;
    this.words = Buffer.alloc(0);
    this.underWayBytes = 0;
    this.resume();
  }

  taken(bytes: number): void {
    this.underWayBytes -= bytes;
    if (this.underWayBytes < OUTPUT_WINDOW_BYTES) this.resume();
  }

  /** The run is over and has written: what it wrote is in the pipes by now, and is told before its end. */
  endWritten(): void {
    // Whoever has written was the only one until its end was told.
    this.tellHeld();
    this.isEnding = true;
    for (const { stream, pipe, fd } of this.sources) {
      // What was read and held back while it was paused comes first, as `data`.
      while (pipe.read() !== null);
      if (fd !== null && this.open.has(pipe)) this.drain(stream, fd);
    }
    this.isEnding = false;
    this.end();
  }

  end(): void {
    this.gatherer.end();
    this.runId = null;
    this.resume();
  }

  /** Every process that could write is dead. Settles when all of it has been read, or given up. */
  async drained(limit: (giveUp: () => void) => { cancel(): void }): Promise<void> {
    if (this.open.size > 0) await this.readToEnd(limit);
    this.gatherer.end();
  }

  private async readToEnd(limit: (giveUp: () => void) => { cancel(): void }): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.closed = resolve;
    });
    this.underWayBytes = Number.NEGATIVE_INFINITY;
    this.resume();
    const timer = limit(() => {
      for (const pipe of this.open) pipe.destroy();
    });
    await closed;
    timer.cancel();
  }

  /** The end of what the child wrote to its standard error. */
  lastWords(): string {
    return this.words.toString('utf8');
  }

  /** Without waiting: the descriptor says EAGAIN when there is no more. */
  private drain(stream: OutputStream, fd: number): void {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let left = OUTPUT_TAIL_BYTES; left > 0; ) {
      let bytes = 0;
      try {
        bytes = readSync(fd, buffer);
      } catch {
        return;
      }
      if (bytes === 0) return;
      left -= bytes;
      this.tell(stream, Buffer.from(buffer.subarray(0, bytes)));
    }
  }

  private pass(stream: OutputStream, data: Buffer): void {
    if (this.isEnding) this.tell(stream, data);
    else {
      this.held = { stream, data };
      this.catchUp();
      this.tellHeld();
    }
    if (this.paused || this.underWayBytes < OUTPUT_WINDOW_BYTES) return;
    this.paused = true;
    for (const pipe of this.open) pipe.pause();
  }

  private tellHeld(): void {
    const { held } = this;
    this.held = null;
    if (held !== null) this.tell(held.stream, held.data);
  }

  private tell(stream: OutputStream, data: Buffer): void {
    if (stream === 'stderr') this.words = Buffer.concat([this.words, data]).subarray(-LAST_WORDS_BYTES);
    if (this.runId === null) return;
    this.underWayBytes += data.length;
    this.gatherer.add(stream, data);
  }

  private resume(): void {
    if (!this.paused) return;
    this.paused = false;
    for (const pipe of this.open) pipe.resume();
  }
}
