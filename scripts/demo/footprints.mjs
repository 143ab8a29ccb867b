// What ran, seen from outside: the lines that the commands themselves append to one shared file.
import { closeSync, openSync, readSync } from 'node:fs';

/** How often a running command leaves a sign of life; the error of every "until" that is read from them. */
export const STEP_MS = 100;

/** Runs by token: who, from when, until its last sign of life, and how it ended ('' while nothing says so). */
export class Footprints {
  runs = new Map();
  #file;
  #offset = 0;
  #rest = '';

  constructor(file) {
    this.#file = file;
  }

  /** Reads what was appended since the last time. */
  refresh() {
    const descriptor = openSync(this.#file, 'a+');
    try {
      const chunk = Buffer.alloc(64 * 1024);
      for (;;) {
        const length = readSync(descriptor, chunk, 0, chunk.length, this.#offset);
        if (length === 0) break;
        this.#offset += length;
        this.#rest += chunk.toString('utf8', 0, length);
      }
    } finally {
      closeSync(descriptor);
    }
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop();
    for (const line of lines) takeMark(this.runs, JSON.parse(line));
    return this;
  }

  /** Runs of an agent that have started and, as far as can be seen, not ended. */
  openOn(agentId) {
    return [...this.runs.values()].filter((run) => run.agentId === agentId && run.end === '');
  }
}

/** Adds one line to the runs. */
function takeMark(runs, { what, at, taskId, token, agentId }) {
  const run = runs.get(token) ?? { token, taskId, agentId, from: at, until: at, end: '' };
  run.until = Math.max(run.until, at);
  if (what === 'end' || what === 'stopped') run.end = what;
  runs.set(token, run);
}

/**
 * Pairs of runs of one task that were alive at the same time. A run without a last line (killed with its agent) may have
 * lived up to one step longer than its last sign of life: it is given that step.
 */
export function overlapsOf(runs) {
  const ended = (run) => (run.end === '' ? run.until + STEP_MS : run.until);
  const pairs = [];
  for (const ofTask of Map.groupBy(runs, ({ taskId }) => taskId).values()) {
    const inOrder = ofTask.toSorted((a, b) => a.from - b.from);
    inOrder.forEach((run, index) => {
      for (const later of inOrder.slice(index + 1)) if (later.from < ended(run)) pairs.push([run, later]);
    });
  }
  return pairs;
}
