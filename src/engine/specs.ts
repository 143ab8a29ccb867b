import type { TaskSpecRow } from '../core/rows.js';
import type { TaskId } from '../kit/ids.js';

/** Specs kept in memory, so that most permits need no read. */
const MOST_SPECS = 4_096;
/** And their bytes: with a large environment each, that many would take hundreds of megabytes. */
const MOST_BYTES = 16 * 1024 * 1024;

/** The specs that were submitted last, within bounds; the oldest leave first. What is not here is read from the store. */
export class SpecCache {
  readonly #specs = new Map<TaskId, TaskSpecRow>();
  readonly #mostSpecs: number;
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostSpecs: number = MOST_SPECS, mostBytes: number = MOST_BYTES) {
    this.#mostSpecs = mostSpecs;
    this.#mostBytes = mostBytes;
  }

  /** What is held, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get(taskId: TaskId): TaskSpecRow | undefined {
    return this.#specs.get(taskId);
  }

  keep(spec: TaskSpecRow): void {
    this.remove(spec.taskId);
    const bytes = bytesOf(spec);
    if (bytes > this.#mostBytes) return;
    this.#specs.set(spec.taskId, spec);
    this.#bytes += bytes;
    for (const taskId of this.#specs.keys()) {
      if (this.#specs.size <= this.#mostSpecs && this.#bytes <= this.#mostBytes) return;
      this.remove(taskId);
    }
  }

  remove(taskId: TaskId): void {
    const spec = this.#specs.get(taskId);
    if (spec === undefined) return;
    this.#specs.delete(taskId);
    this.#bytes -= bytesOf(spec);
  }
}

/** Lengths alone: what an object costs beside its text is bounded by the number of specs. */
function bytesOf({ work }: TaskSpecRow): number {
  switch (work.kind) {
    case 'command': {
      const texts = [...work.argv, ...Object.entries(work.env).flat(), work.workingDirectory];
      return texts.reduce((sum, text) => sum + text.length, 0);
    }
    case 'handler':
      return work.input.length + work.inputType.length;
  }
}
