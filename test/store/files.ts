import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TaskId } from '../../src/kit/ids.js';
import { task } from './rows.js';

const running = new Set<Committer>();

/** Kills the committers that a failed test left behind. */
export async function killCommitters(): Promise<void> {
  await Promise.all([...running].map((committer) => committer.kill()));
}

/** A folder for database files, removed by `end`. */
export function folder(): { file(name: string): string; end(): void } {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-store-'));
  return {
    file: (name) => join(path, name),
    end: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A child process that commits in a loop, as test/store/committer.mjs does (from dist: needs a build). */
export class Committer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(file: string, first = 1) {
    const { lastToken: _, ...template } = task(0, { taskId: 'kill-' as TaskId });
    const program = join(import.meta.dirname, 'committer.mjs');
    this.#child = spawn(process.execPath, [program, file, String(first), JSON.stringify(template)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (this.#child.stdout === null) throw new Error('the child has no output');
    running.add(this);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Its next line; null when it has ended. */
  async line(): Promise<string | null> {
    const { value, done } = await this.#lines.next();
    return done ? null : (value as string);
  }

  /** Kills it at once, and gives the lines that it had printed until then. */
  async kill(): Promise<string[]> {
    running.delete(this);
    this.#child.kill('SIGKILL');
    const rest: string[] = [];
    for (let line = await this.line(); line !== null; line = await this.line()) rest.push(line);
    return rest;
  }
}
