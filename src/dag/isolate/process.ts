import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { DagClock } from '../clock.js';
import { type Parsed, readAnswer } from './protocol.js';

export interface IsolationOptions {
  /** A file that takes longer is stopped and is an import error. Default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Of the process that reads it; one that needs more is stopped and is an import error. Default 512 MiB. */
  readonly memoryMiB?: number | undefined;
  /** The program of the process. Default the one beside this file; tests name the built one. */
  readonly entry?: URL | undefined;
}

/** Beside what was read: whether the process was ended for it, so that another attempt may fare better. */
export interface Outcome {
  readonly parsed: Parsed;
  readonly stopped: boolean;
}

const DEFAULTS = { timeoutMs: 30_000, memoryMiB: 512 };
const MIB = 1024 * 1024;
/** Between two looks at how much memory the process has. */
const MEMORY_LOOK_MS = 200;
/** What a process has besides the heap that its files fill. */
const OVERHEAD_MIB = 256;
/** Seconds of CPU: a process that nobody watches any more, and that hears nothing, ends by itself. */
const CPU_LIMIT_S = 600;
const PAGE_BYTES = 4_096;

interface Waiting {
  readonly n: number;
  readonly name: string;
  readonly settle: (outcome: Outcome) => void;
}

/** One process that reads files, one at a time. It is over after its first file that it did not survive. */
export class ParserProcess {
  readonly #child: ChildProcess;
  readonly #clock: DagClock;
  readonly #timeoutMs: number;
  readonly #memoryMiB: number;
  #waiting: Waiting | null = null;
  #asked = 0;
  #alive = true;
  #failure: Error | null = null;
  #cancel: (() => void)[] = [];

  constructor(clock: DagClock, options: IsolationOptions) {
    this.#clock = clock;
    this.#timeoutMs = options.timeoutMs ?? DEFAULTS.timeoutMs;
    this.#memoryMiB = options.memoryMiB ?? DEFAULTS.memoryMiB;
    this.#child = start(options.entry ?? new URL('./child.js', import.meta.url), this.#memoryMiB);
    this.#child.on('message', (message) => this.#take(message));
    this.#child.on('error', (error) => {
      this.#failure = error;
      this.#over('could not be started');
    });
    this.#child.on('exit', (code, signal) =>
      this.#over(signal === null ? `ended with code ${code}` : `died of ${signal}`),
    );
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Files that it was asked for. */
  get asked(): number {
    return this.#asked;
  }

  /** Rejects only when no process could be started, which says nothing about the file. */
  parse(path: string, name: string): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const n = ++this.#asked;
      const settle = (outcome: Outcome): void => {
        for (const cancel of this.#cancel.splice(0)) cancel();
        this.#waiting = null;
        if (this.#failure === null) resolve(outcome);
        else reject(this.#failure);
      };
      this.#waiting = { n, name, settle };
      this.#cancel.push(
        this.#clock.setTimer(this.#timeoutMs, () =>
          this.#stop(`took longer than ${this.#timeoutMs / 1_000} s`),
        ),
      );
      this.#watchMemory();
      // A failed send is followed by the end of the process, which settles.
      this.#child.send({ n, path, name }, () => {});
    });
  }

  /** Ends the process and all that it has started; once, since its id may be another's by now. */
  end(): void {
    if (this.#alive) killGroup(this.#child);
    this.#alive = false;
  }

  #take(message: unknown): void {
    const answer = readAnswer(message);
    if (answer === null || answer.n !== this.#waiting?.n) return;
    this.#waiting.settle({ parsed: answer.parsed, stopped: false });
  }

  #stop(because: string): void {
    this.#waiting?.settle(stopped(this.#waiting.name, `it ${because} and was stopped`));
    this.end();
  }

  #over(how: string): void {
    this.end();
    const { name = '' } = this.#waiting ?? {};
    this.#waiting?.settle(
      stopped(name, `the process that read it ${how}; ${this.#memoryMiB} MiB is all that it may have`),
    );
  }

  #watchMemory(): void {
    const look = (): void => {
      if (this.#waiting === null) return;
      const bytes = residentBytes(this.#child.pid);
      if (bytes > (this.#memoryMiB + OVERHEAD_MIB) * MIB)
        this.#stop(`needed more than ${this.#memoryMiB} MiB of memory`);
      else this.#cancel.push(this.#clock.setTimer(MEMORY_LOOK_MS, look));
    };
    this.#cancel.push(this.#clock.setTimer(MEMORY_LOOK_MS, look));
  }
}

const stopped = (name: string, because: string): Outcome => ({
  parsed: {
    kind: 'errors',
    errors: [`${name}: ${because}: read less, or earlier, than while DAGs are made`],
  },
  stopped: true,
});

function start(entry: URL, memoryMiB: number): ChildProcess {
  const args = [`--max-old-space-size=${memoryMiB}`, ...typeScriptFlags(), fileURLToPath(entry)];
  // The shell sets the limit and is gone; a process group of its own can be ended with all that a module starts.
  const [program, all] =
    process.platform === 'win32'
      ? [process.execPath, args]
      : ['/bin/sh', ['-c', 'ulimit -t "$0" && exec "$@"', String(CPU_LIMIT_S), process.execPath, ...args]];
  return spawn(program, all, {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    detached: process.platform !== 'win32',
    env: environment(),
  });
}

/** Nothing of ours, where secrets may be, and no options that were meant for this process. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(HOLDFAST_|NODE_OPTIONS$)/.test(name)),
  );

const typeScriptFlags = (): readonly string[] =>
  process.features.typescript === false ? ['--experimental-strip-types'] : [];

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}

/** 0 where it cannot be seen. */
function residentBytes(pid: number | undefined): number {
  if (process.platform !== 'linux' || pid === undefined) return 0;
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1] ?? 0) * PAGE_BYTES;
  } catch {
    return 0;
  }
}
