import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
    if (living.size === 0) process.once('exit', endAll);
    living.add(this);
  }

  #ended(exit: Exit): void {
    this.#exit ??= exit;
    living.delete(this);
    if (living.size === 0) process.off('exit', endAll);
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

/** In groups of their own, agents would outlive a kit that is ended in the middle of a case. */
const living = new Set<AgentProcess>();

function endAll(): void {
  for (const agent of living) agent.signal('SIGKILL');
}

export function exitWords({ code, signal }: Exit): string {
  if (signal !== null) return `killed by ${signal}`;
  return code === null ? 'could not be started' : `exit code ${code}`;
}

/**
 * Living processes whose environment at exec began a variable with `mark`: /proc tells it of every pid namespace below
 * ours. Without /proc the environments come from ps.
 */
export function markedProcesses(mark: string): number[] {
  return existsSync('/proc/self/environ') ? inProc(mark) : inPs(mark);
}

function inProc(mark: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const variables = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0');
      return variables.some((variable) => variable.startsWith(mark)) ? [Number(name)] : [];
    } catch {
      // Gone, or not ours to read.
      return [];
    }
  });
}

function inPs(mark: string): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-E', '-ww', '-o', 'pid=,command='], { encoding: 'utf8' });
  return (stdout ?? '')
    .split('\n')
    .flatMap((line) => (line.includes(` ${mark}`) ? [Number.parseInt(line, 10)] : []));
}
