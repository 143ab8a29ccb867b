import type { Readable } from 'node:stream';
import type { AgentClock } from '../clock.js';
import { Gatherer } from './gather.js';
import {
  OUTPUT_TAIL_BYTES,
  OUTPUT_TAIL_MS,
  OUTPUT_WINDOW_BYTES,
  type OutputStream,
  type RunnerMessage,
} from './protocol.js';

/**
 * The output of one run on its way to the agent. At most OUTPUT_WINDOW_BYTES are under way: then the pipes are not read
 * until the agent has taken some, so a flood blocks its own writer, and neither this process's memory nor other runs.
 */
export class RunOutput {
  private readonly clock: AgentClock;
  private readonly gatherer: Gatherer;
  private readonly open = new Set<Readable>();
  private underWayBytes = 0;
  /** Null while the run is alive; then what may still be read of its tail. */
  private tailLeftBytes: number | null = null;
  private truncated = false;
  private drained: () => void = () => {};

  constructor(runId: string, clock: AgentClock, send: (message: RunnerMessage) => void) {
    this.clock = clock;
    this.gatherer = new Gatherer(clock, (stream, data) => send({ kind: 'output', runId, stream, data }));
  }

  attach(stream: OutputStream, pipe: Readable): void {
    this.open.add(pipe);
    pipe.on('data', (data: Buffer) => this.pass(stream, data));
    // An unreadable pipe has no more to say; `close` follows.
    pipe.on('error', () => {});
    pipe.on('close', () => {
      this.open.delete(pipe);
      if (this.open.size === 0) this.drained();
    });
  }

  /** The agent has consumed so many bytes. */
  taken(bytes: number): void {
    this.underWayBytes -= bytes;
    if (this.underWayBytes < OUTPUT_WINDOW_BYTES) for (const pipe of this.open) pipe.resume();
  }

  /**
   * The run's processes are dead: what is left in its pipes is little, and is told without regard to the window, so that
   * an agent that consumes nothing still learns the end. True if some had to be given up, because a process that got
   * away still holds a pipe.
   */
  async drain(): Promise<boolean> {
    this.tailLeftBytes = OUTPUT_TAIL_BYTES;
    if (this.open.size > 0) await this.readToEnd();
    this.gatherer.end();
    return this.truncated;
  }

  private async readToEnd(): Promise<void> {
    const limit = this.clock.setTimer(OUTPUT_TAIL_MS, () => this.giveUp());
    const end = new Promise<void>((resolve) => {
      this.drained = resolve;
    });
    for (const pipe of this.open) pipe.resume();
    await end;
    limit.cancel();
  }

  private pass(stream: OutputStream, data: Buffer): void {
    this.gatherer.add(stream, data);
    this.underWayBytes += data.length;
    if (this.tailLeftBytes === null) {
      if (this.underWayBytes >= OUTPUT_WINDOW_BYTES) for (const pipe of this.open) pipe.pause();
      return;
    }
    this.tailLeftBytes -= data.length;
    if (this.tailLeftBytes <= 0) this.giveUp();
  }

  private giveUp(): void {
    this.truncated = true;
    for (const pipe of this.open) pipe.destroy();
  }
}
