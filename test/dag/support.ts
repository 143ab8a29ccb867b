import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DagClock } from '../../src/dag/clock.js';

/** The program of the reading process, as built. */
export const ENTRY = pathToFileURL(resolve(import.meta.dirname, '../../dist/dag/isolate/child.js'));

/** A folder of its own, gone at the end of the block. */
export class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'holdfast-dag-'));

  write(file: string, text: string): string {
    const path = join(this.path, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  remove(file: string): void {
    rmSync(join(this.path, file));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Time that goes on by hand. */
export class HandClock implements DagClock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly fn: () => void }>();

  monoMs(): number {
    return this.#now;
  }

  setTimer(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + ms, fn };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.fn();
    }
    this.#now = end;
  }
}

/** A DAG file with one task. */
export const dagText = (dagId: string, more = ''): string => `dag_id: ${dagId}\n${more}tasks: {t: {}}\n`;
