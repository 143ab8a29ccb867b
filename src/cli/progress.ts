import { hasEnded, type TaskState } from '../client/index.js';
import type { Terminal } from './terminal.js';
import { coloursFor, spanWords, stateColour } from './words.js';

const REDRAW_MS = 100;

/** One line on a terminal that says how far the tasks are; silent everywhere else. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #total: number | null;
  readonly #states = new Map<string, TaskState | 'lost'>();
  readonly #startedAt: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #note = '';

  /** `total` tasks; null when nobody knows yet how many they will be. */
  constructor(terminal: Terminal, total: number | null) {
    this.#terminal = terminal;
    this.#total = total;
    this.#startedAt = terminal.now();
    if (terminal.err.isTTY) this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
  }

  see(taskId: string, state: TaskState, isLost: boolean): void {
    this.#note = '';
    this.#states.set(taskId, isLost ? 'lost' : state);
  }

  /** Said at the end of the line until the next task changes. */
  note(text: string): void {
    this.#note = text;
  }

  /** Takes the line away, so that what follows starts on a clean one. */
  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#terminal.err.print('\r\u001b[K');
  }

  #draw(): void {
    const { err, env, now } = this.#terminal;
    const colours = coloursFor(err, env);
    const counts = new Map<string, number>();
    for (const state of this.#states.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    const ended = [...this.#states.values()].filter((state) => state !== 'lost' && hasEnded(state)).length;
    const parts = [...counts].map(([state, count]) => stateColour(state, colours)(`${count} ${state}`));
    const spent = spanWords(now() - this.#startedAt);
    const all = this.#total === null ? '' : `/${this.#total}`;
    const text = [`${ended}${all} ended`, ...parts, spent, this.#note].filter((part) => part !== '');
    err.print(`\r\u001b[K${text.join(' · ')}`);
  }
}
