import { type DagClock, dagClock } from '../clock.js';
import { languageOf } from '../read.js';
import { type IsolationOptions, type Outcome, ParserProcess } from './process.js';

export interface ParserOptions extends IsolationOptions {
  /** Files read at once, each by a process. Default 2. */
  readonly concurrency?: number | undefined;
  readonly clock?: DagClock | undefined;
}

const CONCURRENCY = 2;
/** Files that one process reads before another takes its place, so that nothing grows for ever. */
const FILES_EACH = 200;

/**
 * Reads DAG files in processes apart, so that a file which hangs, explodes or is enormous harms nobody else. Texts share
 * processes; a module gets one of its own, since whatever it leaves behind would meet the next.
 */
export class FileParser {
  readonly #options: ParserOptions;
  readonly #clock: DagClock;
  readonly #idle: ParserProcess[] = [];
  readonly #busy = new Set<ParserProcess>();
  readonly #queue: (() => void)[] = [];
  #free: number;
  #closed = false;

  constructor(options: ParserOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? dagClock;
    this.#free = options.concurrency ?? CONCURRENCY;
  }

  /** Rejects when no process could be started, or once it is closed; whatever the file does is an outcome. */
  async parse(path: string, name: string): Promise<Outcome> {
    await this.#turn();
    try {
      return await this.#read(path, name);
    } finally {
      this.#free += 1;
      this.#queue.shift()?.();
    }
  }

  /** Ends every process. What is still being read is told as stopped. */
  close(): void {
    this.#closed = true;
    for (const one of [...this.#idle.splice(0), ...this.#busy]) one.end();
  }

  async #turn(): Promise<void> {
    while (this.#free === 0) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#free -= 1;
  }

  async #read(path: string, name: string): Promise<Outcome> {
    if (this.#closed) throw new Error('the parser is closed');
    const isModule = languageOf(path) === 'module';
    const reader =
      (isModule ? undefined : this.#anIdleOne()) ?? new ParserProcess(this.#clock, this.#options);
    this.#busy.add(reader);
    try {
      return await reader.parse(path, name);
    } finally {
      this.#busy.delete(reader);
      if (isModule || this.#closed || reader.asked >= FILES_EACH) reader.end();
      else if (reader.alive) this.#idle.push(reader);
    }
  }

  #anIdleOne(): ParserProcess | undefined {
    let found = this.#idle.pop();
    while (found !== undefined && !found.alive) found = this.#idle.pop();
    return found;
  }
}
