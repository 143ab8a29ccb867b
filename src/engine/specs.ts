import type { TaskSpecRow } from '../core/rows.js';
import type { TaskId } from '../kit/ids.js';

/** Specs kept in memory, so that most permits need no read. */
const MOST_SPECS = 4_096;
/** And their bytes: with a large environment each, that many would take hundreds of megabytes. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * The specs that were submitted last, within bounds, in two generations: when the younger one has half of the bounds, it
 * becomes the older one, and what was that is let go. What is not here is read from the store.
 */
export class SpecCache {
  #young = new Map<TaskId, TaskSpecRow>();
  #old = new Map<TaskId, TaskSpecRow>();
  #youngBytes = 0;
  #oldBytes = 0;
  readonly #mostSpecs: number;
  readonly #mostBytes: number;

  constructor(mostSpecs: number = MOST_SPECS, mostBytes: number = MOST_BYTES) {
    this.#mostSpecs = mostSpecs / 2;
    this.#mostBytes = mostBytes / 2;
  }

  /** What is held, about, at most: what was removed or replaced since counts until its generation goes. */
  get bytes(): number {
    return this.#youngBytes + this.#oldBytes;
  }

  get(taskId: TaskId): TaskSpecRow | undefined {
    return this.#young.get(taskId) ?? this.#old.get(taskId);
  }

  keep(spec: TaskSpecRow): void {
    const bytes = bytesOf(spec);
    if (bytes > this.#mostBytes) return this.remove(spec.taskId);
    if (this.#young.size >= this.#mostSpecs || this.#youngBytes + bytes > this.#mostBytes) this.#age();
    this.#young.set(spec.taskId, spec);
    this.#youngBytes += bytes;
  }

  remove(taskId: TaskId): void {
    this.#young.delete(taskId);
    this.#old.delete(taskId);
  }

  #age(): void {
    this.#old = this.#young;
    this.#oldBytes = this.#youngBytes;
    this.#young = new Map();
    this.#youngBytes = 0;
  }
}

/** Lengths alone: what an object costs beside its text is bounded by the number of specs. */
function bytesOf({ work }: TaskSpecRow): number {
  switch (work.kind) {
    case 'command': {
      let bytes = work.workingDirectory.length;
      for (const word of work.argv) bytes += word.length;
      for (const name in work.env) bytes += name.length + (work.env[name] ?? '').length;
      return bytes;
    }
    case 'handler':
      return work.input.length + work.inputType.length;
  }
}
