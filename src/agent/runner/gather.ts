import type { AgentClock, Timer } from '../clock.js';
import type { OutputStream } from './protocol.js';

/** What follows a piece of output within so many milliseconds waits for more. */
const GATHER_MS = 10;
/** So much is told without waiting, in bytes: as much as a pipe holds. */
const GATHER_BYTES = 64 * 1024;

/**
 * Output on its way into messages. The first piece goes at once, what comes close behind goes together: a message costs
 * runner, agent and coordinator as much as tens of kilobytes in it, and a flood comes in pieces as small as its writer's.
 */
export class Gatherer {
  private readonly clock: AgentClock;
  private readonly tell: (stream: OutputStream, data: Uint8Array) => void;
  private timer: Timer | null = null;
  private stream: OutputStream = 'stdout';
  private pieces: Uint8Array[] = [];
  private bytes = 0;

  constructor(clock: AgentClock, tell: (stream: OutputStream, data: Uint8Array) => void) {
    this.clock = clock;
    this.tell = tell;
  }

  add(stream: OutputStream, data: Uint8Array): void {
    if (this.timer === null) {
      this.tell(stream, data);
      return this.wait();
    }
    // The order of both streams is kept, as far as the pipes showed it.
    if (stream !== this.stream || this.bytes + data.length > GATHER_BYTES) this.flush();
    this.stream = stream;
    this.pieces.push(data);
    this.bytes += data.length;
    if (this.bytes >= GATHER_BYTES) this.flush();
  }

  /** Tells all that waits. */
  end(): void {
    this.timer?.cancel();
    this.timer = null;
    this.flush();
  }

  private wait(): void {
    this.timer = this.clock.setTimer(GATHER_MS, () => {
      this.timer = null;
      if (this.bytes === 0) return;
      this.flush();
      this.wait();
    });
  }

  private flush(): void {
    const [first] = this.pieces;
    if (first === undefined) return;
    const data = this.pieces.length === 1 ? first : Buffer.concat(this.pieces, this.bytes);
    this.pieces = [];
    this.bytes = 0;
    this.tell(this.stream, data);
  }
}
