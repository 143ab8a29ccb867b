import { realClock } from './clock.js';
import { AgentLoop, identityOf, type KindEffect, type LoopHost, type TakenState, takeState } from './loop.js';
import type { AgentEnd, RunningAgent, TriggererOptions } from './options.js';
import { TriggerHost } from './triggers/host.js';

/** Starts a triggerer agent: takes its state directory over, loads its triggers, dials. Throws when either is of no use. */
export async function startTriggerer(options: TriggererOptions): Promise<RunningAgent> {
  const triggerer = new TriggererAgent(options, await takeState(options));
  await triggerer.start();
  return triggerer;
}

/** A callback of a trigger that takes longer fails its task's try. */
const BLOCK_LIMIT_MS = 5_000;

/** A triggerer agent's process: the thread in which its triggers wait, around the loop that all agents have. */
class TriggererAgent implements RunningAgent, LoopHost {
  readonly #loop: AgentLoop;
  readonly #triggers: TriggerHost;
  /** Filled before the first Hello names them. */
  readonly #kinds: string[] = [];
  /** Of triggers nothing is sent beside the heartbeats. */
  readonly waitingBytes = 0;

  constructor(options: TriggererOptions, taken: TakenState) {
    const { agentId, slots, labels, module, log, blockLimitMs = BLOCK_LIMIT_MS } = options;
    const identity = identityOf(agentId, taken, {
      ...{
        kind: 'triggerer',
        queues: [],
        slots,
        labels,
        handlers: [],
        bundles: [],
        triggerKinds: this.#kinds,
      },
    });
    this.#loop = new AgentLoop(options, identity, taken, this);
    this.#triggers = new TriggerHost({
      ...{ clock: realClock, log, module, blockLimitMs },
      fired: (event) => this.#loop.happened({ kind: 'trigger_fired', event }),
    });
  }

  get ended(): Promise<AgentEnd> {
    return this.#loop.ended;
  }

  async start(): Promise<void> {
    try {
      this.#kinds.push(...(await this.#triggers.open()));
    } catch (error) {
      this.#loop.finish({ kind: 'fault', error: error as Error });
      await this.ended;
      throw error;
    }
    this.#loop.begin();
  }

  drain(timeoutMs: number | null): void {
    this.#loop.happened({ kind: 'drain', timeoutMs });
  }

  stop(): void {
    this.#loop.finish({ kind: 'stopped' });
  }

  perform(effect: KindEffect): void {
    switch (effect.kind) {
      case 'start_trigger':
        return this.#triggers.start(effect.trigger);
      case 'stop_trigger':
        return this.#triggers.stop(effect.triggerId);
      case 'stop_triggers':
        return this.#triggers.stopAll();
      case 'renew_guardian':
        return this.#triggers.renewGate(effect.deadline);
      case 'start':
      case 'stop_run':
        // Told to workers only.
        return;
    }
  }

  connected(): void {}

  /** It starts nothing that would wait. */
  draining(): void {}

  disconnected(): void {}

  logAcknowledged(): void {}

  bundleTold(): void {}

  close(): Promise<void> {
    return this.#triggers.close();
  }
}
