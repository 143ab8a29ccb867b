/** Something that will happen at a true instant, unless cancelled. */
export interface Scheduled {
  cancel(): void;
}

class Event implements Scheduled {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null;

  constructor(at: number, order: number, run: () => void) {
    this.at = at;
    this.order = order;
    this.run = run;
  }

  cancel(): void {
    this.run = null;
  }
}

/**
 * The world's own time and what is to happen in it: a heap by true time, then by the order of scheduling. Nothing else
 * moves time, so one seed gives one history.
 */
export class EventQueue {
  /** True time in milliseconds; no process can read it. */
  now = 0;
  readonly #heap: Event[] = [];
  /** Half of all events happen at the instant that they follow from: these need no heap, they come in order. */
  #soon: Event[] = [];
  #taken = 0;
  #order = 0;

  at(time: number, run: () => void): Scheduled {
    const event = new Event(Math.max(time, this.now), this.#order++, run);
    if (event.at === this.now) this.#soon.push(event);
    else this.#push(event);
    return event;
  }

  after(ms: number, run: () => void): Scheduled {
    return this.at(this.now + ms, run);
  }

  /** Runs the next event at or before `end`; false when there is none. */
  step(end: number): boolean {
    for (;;) {
      const first = this.#next(end);
      if (first === null) return false;
      if (first.run === null) continue;
      this.now = first.at;
      first.run();
      return true;
    }
  }

  #next(end: number): Event | null {
    const soon = this.#soon[this.#taken];
    const first = this.#heap[0];
    if (soon !== undefined && (first === undefined || before(soon, first))) {
      this.#taken++;
      if (this.#taken === this.#soon.length) {
        this.#soon = [];
        this.#taken = 0;
      }
      return soon;
    }
    if (first === undefined || first.at > end) return null;
    this.#pop();
    return first;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!before(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
