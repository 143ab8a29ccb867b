import type { MonoMs } from '../../kit/time.js';
import { StoreError } from '../store.js';

/** Time and waiting, from outside. */
export interface Outside {
  /** Monotonic. */
  mono(): MonoMs;
  /** Runs `task` once after `ms`, unless cancelled. */
  after(ms: number, task: () => void): { cancel(): void };
}

export const pause = (outside: Outside, ms: number): Promise<void> =>
  new Promise((resolve) => void outside.after(ms, resolve));

/** Whether the store may still be used; the first reason against it stays. */
export class Life {
  #ended: StoreError | null = null;
  #closed = false;

  /** Throws StoreError once it was closed, or given up. */
  check(): void {
    if (this.#closed)
      throw new StoreError('other', 'the store was used after it was closed; this is a bug, report it');
    if (this.#ended === null) return;
    const { fault, message } = this.#ended;
    throw new StoreError(fault, `the store was given up earlier, because ${message}`, { cause: this.#ended });
  }

  get isOver(): boolean {
    return this.#closed || this.#ended !== null;
  }

  close(): void {
    this.#closed = true;
  }

  /** What may have been written is known to the database alone from here on. Returns the error to throw. */
  end(error: StoreError): StoreError {
    this.#ended ??= error;
    return error;
  }

  /** Ends it if the fault is one after which nothing may be believed. */
  note(error: StoreError): StoreError {
    const isFinal = error.fault === 'io' || error.fault === 'corrupt' || error.fault === 'locked';
    return isFinal || error.fault === 'unknown' ? this.end(error) : error;
  }
}
