import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../kit/invariant.js';
import { faultOfTriggerInput } from '../../kit/trigger-forms.js';
import { LIMITS } from '../../wire/limits.js';
import { realClock, type Timer } from '../clock.js';
import type { TriggerOutcome, TriggerStart } from '../core/messages.js';
import type { Json } from '../handlers/define.js';
import { BUILT_IN } from './built-in.js';
import type { TriggerFunction } from './define.js';
import { loadTriggers } from './load.js';
import { type ThreadArguments, type ThreadOrder, ThreadState, type ThreadWord } from './protocol.js';
import { Watch } from './watch.js';

/*
 * The thread in which all triggers of an agent wait, in one event loop. Nothing of it can hold up the heartbeats, and the
 * agent can end it whatever it does.
 */

interface Running {
  readonly n: number;
  readonly trigger: TriggerStart;
  controller: AbortController | null;
  timer: Timer | null;
}

/** The waits of this thread. */
class Waits {
  readonly #triggers: ReadonlyMap<string, TriggerFunction>;
  readonly #watch: Watch;
  readonly #say: (word: ThreadWord) => void;
  readonly #running = new Map<string, Running>();
  readonly #byNumber = new Map<number, Running>();

  constructor(triggers: ReadonlyMap<string, TriggerFunction>, watch: Watch, say: (word: ThreadWord) => void) {
    this.#triggers = triggers;
    this.#watch = watch;
    this.#say = say;
  }

  take(order: ThreadOrder): void {
    switch (order.kind) {
      case 'start': {
        const { n, trigger } = order;
        const running: Running = { n, trigger, controller: null, timer: null };
        this.#running.set(trigger.triggerId, running);
        this.#byNumber.set(n, running);
        return this.#watch.run(n, () => void this.#wait(running));
      }
      case 'stop': {
        const running = this.#running.get(order.triggerId);
        if (running !== undefined) this.#forget(running);
        return;
      }
    }
  }

  /** Something of this trigger was thrown where nobody could catch it: it cannot go on, all others can. */
  blame(n: number, error: unknown): boolean {
    const running = this.#byNumber.get(n);
    if (running !== undefined) this.#fail(running, 'trigger_failed', describe(error));
    return running !== undefined;
  }

  async #wait(running: Running): Promise<void> {
    const { kind, input } = running.trigger;
    const value = JSON.parse(input) as Json;
    const fault = faultOfTriggerInput(kind, value);
    if (fault !== null) return this.#fail(running, 'invalid_input', fault);
    try {
      this.#fire(running, await this.#eventOf(running, value));
    } catch (error) {
      this.#fail(running, 'trigger_failed', describe(error));
    }
  }

  async #eventOf(running: Running, input: Json): Promise<unknown> {
    const { kind, waitedMs } = running.trigger;
    const builtIn = Object.hasOwn(BUILT_IN, kind) ? BUILT_IN[kind] : undefined;
    const context = {
      input: input as Readonly<Record<string, Json>>,
      waitedMs,
      // Made when it is asked for: most triggers wait for time, and there are thousands of them.
      get signal() {
        running.controller ??= new AbortController();
        return running.controller.signal;
      },
    };
    if (builtIn !== undefined) {
      const sleep = (ms: number) => this.#sleep(running, ms);
      return builtIn(Object.assign(context, { sleep, wallMs: () => realClock.wallMs() }));
    }
    const run = this.#triggers.get(kind);
    invariant(run !== undefined, `this triggerer has named the kind ${kind}`);
    const given = run(context);
    if (!(Symbol.asyncIterator in given)) return given;
    // Its first value is the event; returning from the loop lets it tidy up.
    for await (const event of given) return event;
    throw new Error('it ended without an event');
  }

  #sleep(running: Running, ms: number): Promise<void> {
    return new Promise((resolve) => {
      // Of one that was stopped meanwhile nothing follows.
      if (this.#running.get(running.trigger.triggerId) === running)
        running.timer = realClock.setTimer(ms, resolve);
    });
  }

  #fire(running: Running, event: unknown): void {
    let payload: unknown;
    try {
      payload = JSON.stringify(event ?? null);
    } catch (error) {
      return this.#fail(running, 'invalid_event', `JSON cannot hold its event: ${describe(error)}`);
    }
    if (typeof payload !== 'string')
      return this.#fail(running, 'invalid_event', `JSON cannot hold a ${typeof event}`);
    const bytes = Buffer.byteLength(payload);
    if (bytes > LIMITS.triggerBytes) {
      const most = `at most ${LIMITS.triggerBytes} travel: store it elsewhere and hand on its address`;
      return this.#fail(running, 'payload_too_large', `the event has ${bytes} bytes; ${most}`);
    }
    this.#tell(running, { payload, failure: null });
  }

  #fail(running: Running, reason: string, message: string): void {
    const cut = message.slice(0, LIMITS.messageLength);
    this.#tell(running, { payload: 'null', failure: { reason, message: cut } });
  }

  #tell(running: Running, what: Pick<TriggerOutcome, 'payload' | 'failure'>): void {
    const { triggerId, token } = running.trigger;
    // Stopped, or started again under another token: what it came to is of no use.
    if (this.#running.get(triggerId) !== running) return;
    this.#forget(running);
    this.#say({ kind: 'fired', outcome: { triggerId, token, ...what } });
  }

  #forget(running: Running): void {
    this.#running.delete(running.trigger.triggerId);
    this.#byNumber.delete(running.n);
    running.timer?.cancel();
    running.controller?.abort(new Error('nobody waits for this trigger any more'));
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : `it threw ${String(error)}`;
}

async function main(): Promise<void> {
  const port = parentPort;
  invariant(port !== null, 'this is the program of a thread');
  const { module, state } = workerData as ThreadArguments;
  const say = (word: ThreadWord) => port.postMessage(word);
  const watch = new Watch(new ThreadState(state), realClock);
  const loaded = module === null ? { found: new Map<string, TriggerFunction>() } : await loadTriggers(module);
  if ('fault' in loaded) return say({ kind: 'unusable', text: loaded.fault });
  const waits = new Waits(loaded.found, watch, say);
  process.on('uncaughtException', (error) => {
    // Of nobody: then nobody knows what is left, and a new thread is made.
    if (!waits.blame(watch.owner, error)) throw error;
  });
  process.on('unhandledRejection', (reason, promise) => {
    if (!waits.blame(watch.ownerOf(promise), reason)) throw reason;
  });
  say({ kind: 'loaded', kinds: [...Object.keys(BUILT_IN), ...loaded.found.keys()] });
  port.on('message', (order: ThreadOrder) => waits.take(order));
}

await main();
