import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Deviation } from './case.js';
import type { Watched } from './watch.js';

/** How a process has ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Bytes of what an agent prints that are kept to be shown. */
const OUTPUT_BYTES = 16 * 1024;

/** One life of the agent's process, with whatever its command has started in the same process group. */
export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #watched: Watched;
  #exit: Exit | null = null;
  #output = '';

  constructor(argv: readonly string[], env: NodeJS.ProcessEnv, cwd: string, watched: Watched) {
    this.#watched = watched;
    const [program = '', ...args] = argv;
    // A group of its own: signals reach the agent behind whatever starts it, and never the kit.
    this.#child = spawn(program, args, { env, cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#output = `${this.#output}${bytes.toString()}`.slice(-OUTPUT_BYTES);
      });
    }
    this.#child.on('error', (error) => {
      this.#output += error.message;
      this.#ended({ code: null, signal: null });
    });
    this.#child.on('exit', (code, signal) => this.#ended({ code, signal }));
  }

  #ended(exit: Exit): void {
    this.#exit ??= exit;
    this.#watched.changed();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Null while it lives. */
  get exit(): Exit | null {
    return this.#exit;
  }

  /** The end of what it has printed. */
  get output(): string {
    return this.#output;
  }

  /** Throws when it has ended although nobody asked it to. */
  mustLive(): void {
    if (this.#exit === null) return;
    const said = this.#output.trim().split('\n').at(-1) ?? '';
    throw new Deviation(
      `the agent's process ended: ${exitWords(this.#exit)}${said === '' ? '' : `; its last line: ${said}`}`,
    );
  }

  /** To the whole process group; nothing happens when it is gone. */
  signal(signal: NodeJS.Signals): void {
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // Gone already.
    }
  }

  /** Its end, which must come within `withinMs`. */
  ended(withinMs: number): Promise<Exit> {
    return this.#watched.until("the end of the agent's process", withinMs, () => this.#exit ?? undefined);
  }

  /** Ends it, without a word to it, and waits until it is gone; whatever it has started in its group goes with it. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    if (this.#exit === null) await new Promise((resolve) => this.#child.once('exit', resolve));
  }
}

function exitWords({ code, signal }: Exit): string {
  if (signal !== null) return `killed by ${signal}`;
  return code === null ? 'could not be started' : `exit code ${code}`;
}

/** Whether a process runs: one that is dead and waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return !isDefunct(pid);
}

function isDefunct(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return /^[ZX]/.test(text.slice(text.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
