import { Worker } from 'node:worker_threads';

/** A DAG to check, as JSON text. */
export interface Asked {
  readonly n: number;
  readonly text: string;
}

/** What became of it: its definition as JSON text, or null and what is wrong. */
export interface Told {
  readonly n: number;
  readonly text: string | null;
  readonly errors: readonly string[];
}

type Verdict = Omit<Told, 'n'>;

/** Of the thread. The largest DAG that is taken needs some 200 MiB. */
const HEAP_MIB = 512;

/**
 * Checks DAGs in a thread, started when it is first asked and ended when nobody needs it: one of 10,000 tasks takes
 * up to a second, and no heartbeat should wait for that.
 */
export class CheckerApart {
  readonly #entry: URL;
  readonly #waiting = new Map<number, (verdict: Verdict) => void>();
  #worker: Worker | null = null;
  #asked = 0;

  /** `entry` is the program of the thread; default the one beside this file. */
  constructor(entry: URL = new URL('./thread.js', import.meta.url)) {
    this.#entry = entry;
  }

  /** Never rejects: a check that fails is an error of the DAG. */
  check(text: string): Promise<Verdict> {
    this.#worker ??= this.#start();
    const asked: Asked = { n: ++this.#asked, text };
    return new Promise((resolve) => {
      this.#waiting.set(asked.n, resolve);
      this.#worker?.postMessage(asked);
    });
  }

  /** Ends the thread; what is under way comes to nothing. The next check starts another one. */
  close(): void {
    const worker = this.#worker;
    this.#over('the check was given up');
    void worker?.terminate();
  }

  #start(): Worker {
    // What this process was started with, such as an inspector, is not for the thread.
    const worker = new Worker(this.#entry, {
      ...{ execArgv: [], resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB } },
    });
    // Nobody waits for a thread that has nothing to do.
    worker.unref();
    worker.on('message', ({ n, ...verdict }: Told) => {
      this.#waiting.get(n)?.(verdict);
      this.#waiting.delete(n);
    });
    worker.on('error', (error) => this.#over(error.message, worker));
    worker.on('exit', (code) => this.#over(`its thread has ended with code ${code}`, worker));
    return worker;
  }

  #over(why: string, worker = this.#worker): void {
    if (worker !== this.#worker) return;
    this.#worker = null;
    for (const resolve of this.#waiting.values())
      resolve({ text: null, errors: [`the DAG cannot be checked: ${why}`] });
    this.#waiting.clear();
  }
}
