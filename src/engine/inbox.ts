import type { CallInput, Input } from '../core/inputs.js';

/** Rows of one commit, about, on an ordinary disk: more than that gains nothing and delays what waits. */
const BATCH_WEIGHT = 256;
/** On a slow disk: deciding and writing these still takes less than a sync that allows them. */
const MOST_WEIGHT = 2_048;
/** From 21 ms a commit on, the sync is what is waited for: the next one takes more along in the same time. */
const WEIGHT_PER_MS = 12;

/** How many rows, about, the next batch may write, by how long the last commit took, in milliseconds. */
export function batchWeight(commitMs: number): number {
  return Math.min(MOST_WEIGHT, Math.max(BATCH_WEIGHT, Math.floor(WEIGHT_PER_MS * commitMs)));
}

/**
 * Everything that waits to be decided: what streams and clocks say, and calls, each in order of arrival. Half of a batch
 * is for each of the two, so that however many calls wait on a slow disk, heartbeats are acknowledged before their agents
 * close the gate, and however busy the agents are, calls are answered. Bounded: streams keep at most a window of
 * heartbeats in it and are paused beyond (so its size is bounded by the number of agents); calls are refused when it is full.
 */
export class Inbox {
  #inputs: Input[] = [];
  #calls: CallInput[] = [];
  #tick = false;
  #advance = false;
  readonly #callLimit: number;

  constructor(callLimit: number) {
    this.#callLimit = callLimit;
  }

  get length(): number {
    return this.#inputs.length + this.#calls.length;
  }

  /** What streams and clocks have said and no batch has taken. */
  get waiting(): readonly Input[] {
    return this.#inputs;
  }

  /** Whether another call may join. */
  get acceptsCalls(): boolean {
    return this.#calls.length < this.#callLimit;
  }

  /** Adds an input; of ticks one is enough, and of advances. */
  put(input: Input): void {
    if ('callId' in input) {
      this.#calls.push(input);
      return;
    }
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

  /** The next batch: as many inputs as together weigh about `weight`, at least one of each sort that waits. */
  take(weight: number): Input[] {
    const share = this.#calls.length > 0 ? weight / 2 : weight;
    const inputs = fitting(this.#inputs, share);
    const calls = fitting(this.#calls, weight - inputs.weight);
    this.#inputs = this.#inputs.slice(inputs.count);
    this.#calls = this.#calls.slice(calls.count);
    const batch: Input[] = [...inputs.first, ...calls.first];
    if (inputs.first.some((input) => input.kind === 'tick')) this.#tick = false;
    if (inputs.first.some((input) => input.kind === 'advance')) this.#advance = false;
    return batch;
  }
}

/** The first inputs that together weigh at most `most`, at least one. */
function fitting<I extends Input>(inputs: readonly I[], most: number) {
  let count = 0;
  let weight = 0;
  for (const input of inputs) {
    const more = weight + weightOf(input);
    if (count > 0 && more > most) break;
    weight = more;
    count++;
  }
  return { first: inputs.slice(0, count), count, weight };
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
