import type { Effect } from '../../../src/agent/core/events.js';
import type { TriggerStart } from '../../../src/agent/core/messages.js';
import { parseDuration } from '../../../src/kit/duration.js';
import type { Scheduled } from '../../../src/testing/sim/events.js';
import type { Agent, Stage, Trade } from './agent.js';
import type { Seen } from './seen.js';

interface Wait {
  readonly trigger: TriggerStart;
  readonly seen: Seen;
  readonly fires: Scheduled;
}

/** Waits for what the core of its agent lets it wait for. It knows one kind: `delta`, a span of time. */
export class TriggererTrade implements Trade {
  readonly #agent: Agent;
  readonly #stage: Stage;
  readonly #seen: Seen[];
  readonly #waits = new Map<string, Wait>();

  constructor(agent: Agent, stage: Stage, seen: Seen[]) {
    this.#agent = agent;
    this.#stage = stage;
    this.#seen = seen;
  }

  perform(effect: Effect): void {
    if (effect.kind === 'start_trigger') this.#start(effect.trigger);
    if (effect.kind === 'stop_trigger') this.#stop(effect.triggerId);
    if (effect.kind === 'stop_triggers')
      for (const triggerId of [...this.#waits.keys()]) this.#stop(triggerId);
  }

  #start(trigger: TriggerStart): void {
    const { triggerId, token, taskId, input, waitedMs } = trigger;
    const task = this.#stage.words.nameOf(taskId);
    this.#agent.tell(`waits for ${task}`);
    const from = this.#stage.events.now;
    const seen: Seen = { task, agentId: this.#agent.agentId, token, from, to: null };
    this.#seen.push(seen);
    const span = parseDuration((JSON.parse(input) as { readonly for: string }).for) ?? 0;
    const fires = this.#stage.events.after(Math.max(0, span - waitedMs), () => this.#fire(triggerId));
    this.#waits.set(triggerId, { trigger, seen, fires });
  }

  #fire(triggerId: string): void {
    const trigger = this.#over(triggerId)?.trigger;
    if (trigger === undefined) return;
    this.#agent.tell(`fires for ${this.#stage.words.nameOf(trigger.taskId)}`);
    const event = { triggerId, token: trigger.token, payload: '{}', failure: null };
    this.#agent.happened({ kind: 'trigger_fired', event });
  }

  #stop(triggerId: string): void {
    const wait = this.#over(triggerId);
    if (wait !== undefined) this.#agent.tell(`waits no longer for ${wait.seen.task}`);
  }

  #over(triggerId: string): Wait | undefined {
    const wait = this.#waits.get(triggerId);
    this.#waits.delete(triggerId);
    wait?.fires.cancel();
    if (wait !== undefined) wait.seen.to = this.#stage.events.now;
    return wait;
  }

  disconnected(): void {}
  bundleTold(): void {}

  die(): void {
    for (const triggerId of [...this.#waits.keys()]) this.#over(triggerId);
  }
}
