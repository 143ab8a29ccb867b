import type { Input } from '../core/inputs.js';

/**
 * Everything that waits to be decided, in order of arrival. Bounded: streams keep at most a window of heartbeats in it
 * and are paused beyond (so its size is bounded by the number of agents); calls are refused when it is full.
 */
export class Inbox {
  #inputs: Input[] = [];
  #tick = false;
  #advance = false;
  readonly #callLimit: number;

  constructor(callLimit: number) {
    this.#callLimit = callLimit;
  }

  get length(): number {
    return this.#inputs.length;
  }

  /** Whether another call may join. */
  get acceptsCalls(): boolean {
    return this.#inputs.length < this.#callLimit;
  }

  /** Adds an input; of ticks one is enough, and of advances. */
  put(input: Input): void {
    if (input.kind === 'tick') {
      if (this.#tick) return;
      this.#tick = true;
    }
    if (input.kind === 'advance') {
      if (this.#advance) return;
      this.#advance = true;
    }
    this.#inputs.push(input);
  }

  /** The next batch: as many inputs as together weigh at most `weight`, at least one. */
  take(weight: number): Input[] {
    let taken = 0;
    let sum = 0;
    while (taken < this.#inputs.length) {
      sum += weightOf(this.#inputs[taken] as Input);
      if (taken > 0 && sum > weight) break;
      taken++;
    }
    const batch = this.#inputs.slice(0, taken);
    this.#inputs = this.#inputs.slice(taken);
    if (batch.some((input) => input.kind === 'tick')) this.#tick = false;
    if (batch.some((input) => input.kind === 'advance')) this.#advance = false;
    return batch;
  }
}

/** About how many rows an input writes. */
function weightOf(input: Input): number {
  switch (input.kind) {
    case 'heartbeat':
      return 1 + input.beat.reports.length + input.beat.startRequests.length;
    case 'submit':
      return 1 + input.tasks.length;
    case 'steer':
      return 1 + input.taskIds.length;
    case 'hello':
      return 4 + input.hello.inventory.length;
    case 'snapshot':
      return 1 + input.dags.length;
    case 'tick':
      return 16;
    case 'advance':
      return 4 * input.runs.length;
    case 'prune':
      // Its rows are few enough to share a commit, and many enough to make it longer.
      return 128;
    case 'goodbye':
    case 'stream_closed':
    case 'stall':
    case 'cancel':
    case 'resolve':
    case 'retry':
    case 'limit_queue':
    case 'dag':
    case 'cordon':
    case 'uncordon':
    case 'drain':
      return 1;
  }
}
