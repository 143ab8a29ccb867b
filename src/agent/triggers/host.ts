import { Worker } from 'node:worker_threads';
import type { Log } from '../../kit/log.js';
import { MINUTE, type MonoMs, SECOND } from '../../kit/time.js';
import type { AgentClock, Timer } from '../clock.js';
import type { TriggerOutcome, TriggerStart } from '../core/messages.js';
import { type GateEnd, gateEndOf } from '../runner/guardian.js';
import {
  GATE_CLOSED_CODE,
  type ThreadArguments,
  type ThreadOrder,
  ThreadState,
  type ThreadWord,
} from './protocol.js';

/** The triggers module is of no use. */
class TriggersError extends Error {
  override readonly name = 'TriggersError';
}

/** What the host needs of the agent. */
export interface TriggerPorts {
  readonly clock: AgentClock;
  readonly log: Log;
  /** URL of the module with the user's own triggers; null for the built-in ones only. */
  readonly module: string | null;
  /** A callback of a trigger that takes longer fails its task's try and ends the thread, in milliseconds. */
  readonly blockLimitMs: number;
  fired(outcome: TriggerOutcome): void;
}

interface Held {
  readonly trigger: TriggerStart;
  /** When it was told. */
  readonly at: MonoMs;
}

/** Between two looks at what the thread is doing. */
const LOOK_MS = 100;
/** A thread that dies by itself is made again after this, doubling up to the other. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = MINUTE;
/** Of the thread, in MiB: 100,000 triggers of a few KiB each fit; what takes more ends the thread, and nothing else. */
const HEAP_MIB = 1_024;
/** A module that has not loaded by then never will. */
const LOAD_LIMIT_MS = 30 * SECOND;

/**
 * The agent's hold on the thread of its triggers. To stop all of them is to end the thread: whatever they do, nothing of
 * them goes on (P16, I8). A new one is ready for those that are told next.
 */
export class TriggerHost {
  readonly #ports: TriggerPorts;
  readonly #held = new Map<string, Held>();
  #thread: Thread | null = null;
  #gate: GateEnd | null = null;
  #pauseMs = FIRST_PAUSE_MS;
  #again: Timer | null = null;
  #isClosed = false;

  constructor(ports: TriggerPorts) {
    this.#ports = ports;
  }

  /** Loads the module; gives the kinds that there are. Throws when it is of no use. */
  async open(): Promise<readonly string[]> {
    const thread = this.#spawn();
    let limit: Timer | null = null;
    const late = new Promise<never>((_, reject) => {
      const why = new Error(
        `the triggers module ${this.#ports.module} has not loaded in ${LOAD_LIMIT_MS} ms`,
      );
      limit = this.#ports.clock.setTimer(LOAD_LIMIT_MS, () => reject(why));
    });
    try {
      return await Promise.race([thread.loaded, late]);
    } finally {
      (limit as Timer | null)?.cancel();
    }
  }

  start(trigger: TriggerStart): void {
    const held = { trigger, at: this.#ports.clock.monoMs() };
    this.#held.set(trigger.triggerId, held);
    this.#thread?.start(trigger);
  }

  stop(triggerId: string): void {
    if (this.#held.delete(triggerId)) this.#thread?.stop(triggerId);
  }

  /** All of them, whatever they do, before this returns or at the thread's next step. */
  stopAll(): void {
    this.#held.clear();
    this.#gate = null;
    this.#replace();
  }

  /** Until when triggers are valid, on the monotonic clock. */
  renewGate(deadline: MonoMs): void {
    this.#gate = gateEndOf(this.#ports.clock, deadline);
    this.#thread?.openUntil(this.#gate);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#again?.cancel();
    this.#held.clear();
    await this.#thread?.end();
  }

  #spawn(): Thread {
    const thread: Thread = new Thread(this.#ports, {
      fired: (outcome) => this.#fired(outcome),
      blocked: (triggerId, ms) => this.#blocked(thread, triggerId, ms),
      died: (triggerId, why) => this.#died(thread, triggerId, why),
    });
    this.#thread = thread;
    if (this.#gate !== null) thread.openUntil(this.#gate);
    return thread;
  }

  /** A new thread with everything that is still held; the old one ends at once. */
  #replace(): void {
    const old = this.#thread;
    this.#thread = null;
    void old?.end();
    if (this.#isClosed) return;
    const thread = this.#spawn();
    thread.loaded.catch((error: Error) => this.#ports.log.error({}, error.message));
    const now = this.#ports.clock.monoMs() as number;
    for (const { trigger, at } of this.#held.values())
      thread.start({ ...trigger, waitedMs: trigger.waitedMs + now - (at as number) });
  }

  #fired(outcome: TriggerOutcome): void {
    const held = this.#held.get(outcome.triggerId);
    if (held?.trigger.token !== outcome.token) return;
    this.#held.delete(outcome.triggerId);
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#ports.fired(outcome);
  }

  /** It holds up all others: its task's try fails, and they go on in a new thread. */
  #blocked(thread: Thread, triggerId: string, ms: number): void {
    if (thread !== this.#thread) return;
    const { log, blockLimitMs } = this.#ports;
    const kind = this.#held.get(triggerId)?.trigger.kind ?? '';
    if (ms < blockLimitMs) {
      log.warn({ triggerId, kind, ms }, `trigger ${triggerId} (${kind}) blocks all other triggers`);
      return;
    }
    const message = `a trigger of kind ${kind} kept all others waiting for ${ms} ms, and its thread was ended; let it wait with await`;
    log.error({ triggerId, kind, ms }, message);
    this.#fail(triggerId, 'trigger_blocked', message);
    this.#replace();
  }

  /** It ended by itself: whoever was at work then is to blame, all others go on in a new thread. */
  #died(thread: Thread, triggerId: string | null, why: string): void {
    if (thread !== this.#thread || this.#isClosed) return;
    this.#thread = null;
    this.#ports.log.error({ triggerId, why }, 'the thread of the triggers has died; another one is made');
    if (triggerId !== null)
      this.#fail(triggerId, 'trigger_crashed', `it ended the thread of the triggers: ${why}`);
    this.#again = this.#ports.clock.setTimer(this.#pauseMs, () => this.#replace());
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  #fail(triggerId: string, reason: string, message: string): void {
    const held = this.#held.get(triggerId);
    if (held === undefined) return;
    const { token } = held.trigger;
    this.#fired({ triggerId, token, payload: 'null', failure: { reason, message } });
  }
}

interface ThreadListener {
  fired(outcome: TriggerOutcome): void;
  /** Told each time that it has been looked for so long. */
  blocked(triggerId: string, ms: number): void;
  /** It has ended without having been asked to; the trigger that was at work, if any. */
  died(triggerId: string | null, why: string): void;
}

/** One thread, from its making to its end. */
class Thread {
  /** The kinds that it knows; rejects when the module is of no use. */
  readonly loaded: Promise<readonly string[]>;
  readonly #ports: TriggerPorts;
  readonly #listener: ThreadListener;
  readonly #state = new ThreadState();
  readonly #worker: Worker;
  /** By their numbers in the shared state. */
  readonly #numbered = new Map<number, string>();
  readonly #numbers = new Map<string, number>();
  #next = 1;
  #isEnding = false;
  #look: Timer | null = null;
  /** The callback that was at work when last looked, and for how many looks it has been. */
  #seen: { readonly turn: bigint; looks: number } = { turn: 0n, looks: 0 };

  constructor(ports: TriggerPorts, listener: ThreadListener) {
    this.#ports = ports;
    this.#listener = listener;
    const workerData: ThreadArguments = { module: ports.module, state: this.#state.buffer };
    this.#worker = new Worker(new URL('./thread.js', import.meta.url), {
      ...{ workerData, env: ownEnvironment(), resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB } },
    });
    this.loaded = new Promise((resolve, reject) => {
      const unusable = (text: string) => {
        this.#isEnding = true;
        reject(new TriggersError(`the triggers module ${ports.module} is of no use: ${text}`));
        void this.end();
      };
      this.#worker.on('message', (word: ThreadWord) => {
        if (word.kind === 'loaded') resolve(word.kinds);
        else if (word.kind === 'unusable') unusable(word.text);
        else this.#fired(word.outcome);
      });
      let why = '';
      this.#worker.on('error', (error: Error) => {
        why = `${error.name}: ${error.message}`;
      });
      this.#worker.on('exit', (code) => {
        reject(
          new TriggersError(`the thread of the triggers has ended while it loaded: ${why || `code ${code}`}`),
        );
        this.#ended(code, why);
      });
    });
    // Whoever wants to know asks for it.
    this.loaded.catch(() => {});
  }

  start(trigger: TriggerStart): void {
    this.#forget(trigger.triggerId);
    const n = this.#next++;
    this.#numbered.set(n, trigger.triggerId);
    this.#numbers.set(trigger.triggerId, n);
    this.#tell({ kind: 'start', n, trigger });
    this.#look ??= this.#ports.clock.setTimer(LOOK_MS, () => this.#lookAt());
  }

  stop(triggerId: string): void {
    this.#forget(triggerId);
    this.#tell({ kind: 'stop', triggerId });
  }

  openUntil(end: GateEnd): void {
    this.#state.openUntil(end);
  }

  /** Closed for it from now on, whatever it does: the thread ends at its next callback, or is ended. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#look?.cancel();
    this.#state.close();
    await this.#worker.terminate();
  }

  #tell(order: ThreadOrder): void {
    this.#worker.postMessage(order);
  }

  #fired(outcome: TriggerOutcome): void {
    if (this.#isEnding) return;
    this.#forget(outcome.triggerId);
    this.#listener.fired(outcome);
  }

  #forget(triggerId: string): void {
    const n = this.#numbers.get(triggerId);
    if (n === undefined) return;
    this.#numbers.delete(triggerId);
    this.#numbered.delete(n);
  }

  /** Counted in looks of this thread's own, so that a process that was stopped for a while blames nobody for it. */
  #lookAt(): void {
    this.#look = null;
    if (this.#isEnding || this.#numbered.size === 0) return;
    this.#look = this.#ports.clock.setTimer(LOOK_MS, () => this.#lookAt());
    const { busy } = this.#state;
    if (busy === null) return;
    if (this.#seen.turn === busy.turn) this.#seen.looks++;
    else this.#seen = { turn: busy.turn, looks: 0 };
    const ms = this.#seen.looks * LOOK_MS;
    const triggerId = this.#numbered.get(busy.n);
    const isNews = this.#seen.looks === WARN_LOOKS || ms >= this.#ports.blockLimitMs;
    if (triggerId !== undefined && isNews) this.#listener.blocked(triggerId, ms);
  }

  #ended(code: number, why: string): void {
    this.#look?.cancel();
    if (this.#isEnding) return;
    this.#isEnding = true;
    const n = this.#state.busy?.n ?? 0;
    // At the closed gate nobody is to blame: the agent sees it as well, and starts again what is told again.
    if (code === GATE_CLOSED_CODE) return this.#listener.died(null, 'the gate is closed');
    this.#listener.died(this.#numbered.get(n) ?? null, why || `exit code ${code}`);
  }
}

/** Looks after which a trigger at work is worth a line in the log. */
const WARN_LOOKS = 10;

/** Triggers are the operator's own code and need his settings; our own, credentials among them, stay with the agent. */
function ownEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith('HOLDFAST_')) env[name] = value;
  }
  return env;
}
