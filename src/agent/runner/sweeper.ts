import { type AgentClock, pause } from '../clock.js';
import { findMarked, type Mark, signal } from './procfs.js';

const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 50;

interface Waiting {
  readonly mark: Mark;
  readonly done: () => void;
}

/**
 * Kills what a run left behind outside its process group, where no namespace does it. One look through /proc serves all
 * runs that ended in the meantime: its cost grows with the processes of the host, not with the runs.
 */
export class Sweeper {
  private readonly clock: AgentClock;
  private waiting: Waiting[] = [];
  private sweeping = false;

  constructor(clock: AgentClock) {
    this.clock = clock;
  }

  /** Settles once no process carries the mark. */
  gone(mark: Mark): Promise<void> {
    return new Promise((done) => {
      this.waiting.push({ mark, done });
      if (!this.sweeping) void this.sweep();
    });
  }

  private async sweep(): Promise<void> {
    this.sweeping = true;
    for (let waitMs = FIRST_WAIT_MS; this.waiting.length > 0; ) {
      await pause(this.clock, waitMs);
      const found = findMarked(this.waiting.map(({ mark }) => mark));
      for (const { pid } of found) signal(pid, 'SIGKILL');
      const alive = new Set(found.map(({ mark }) => mark));
      const ended = this.waiting.filter(({ mark }) => !alive.has(mark));
      this.waiting = this.waiting.filter(({ mark }) => alive.has(mark));
      for (const { done } of ended) done();
      waitMs = ended.length > 0 ? FIRST_WAIT_MS : Math.min(waitMs * 2, LONGEST_WAIT_MS);
    }
    this.sweeping = false;
  }
}
