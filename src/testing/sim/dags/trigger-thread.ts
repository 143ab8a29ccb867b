import type { AgentEvent } from '../../../agent/core/events.js';
import type { TriggerOutcome, TriggerStart } from '../../../agent/core/messages.js';
import type { AgentId } from '../../../kit/ids.js';
import type { MonoMs } from '../../../kit/time.js';
import type { Auditor } from '../auditor.js';
import type { Scheduled } from '../events.js';
import { Guardian } from '../guardian.js';
import type { Process } from '../host.js';
import type { Gate } from '../runner.js';
import type { Duty, DutyEffect } from './duty.js';

/** What the input of a simulated trigger says. */
export interface TriggerScript {
  /** When it comes to something, from the deferral on, in milliseconds; null means never. */
  readonly afterMs: number | null;
  readonly fails: boolean;
}

/** What the thread of a triggerer needs of its agent. */
export interface ThreadPorts {
  readonly agentId: AgentId;
  readonly auditor: Auditor;
  /** Its own gate, by the messages that have passed. */
  gate(): Gate;
  happened(event: AgentEvent): void;
  /** For the judge: what the machine itself has seen. */
  fired(payload: string, fails: boolean): void;
}

/** The payload of an event: by it each firing can be told from every other. */
export function firingOf({ triggerId, token }: Pick<TriggerStart, 'triggerId' | 'token'>): string {
  return JSON.stringify({ triggerId, token: String(token) });
}

/** Between two looks of a trigger at what it waits for. */
const POLL_MS = 5_000;
/** The real thread ends itself at its closed gate, and its agent makes another one after this. */
const CLOSED_MS = 100;

/**
 * The thread in which a triggerer's triggers wait: stops with its process, and looks at the gate before each step of any
 * of them, as the real one does.
 */
export class TriggerThread implements Duty {
  readonly #process: Process;
  readonly #ports: ThreadPorts;
  readonly #guardian: Guardian;
  /** The agent has lost its stream, and was told of no trigger since. */
  #isCutOff = false;
  readonly #held = new Map<string, { readonly trigger: TriggerStart; timer: Scheduled }>();

  constructor(process: Process, ports: ThreadPorts) {
    this.#process = process;
    this.#ports = ports;
    this.#guardian = new Guardian(process, () => {});
  }

  /** Whether the trigger waits here, and the gate of its machine lets it go on. */
  holds(triggerId: string): boolean {
    const { sinceMs, limitMs } = this.#ports.gate();
    return this.#process.alive && this.#held.has(triggerId) && sinceMs < limitMs;
  }

  perform(effect: DutyEffect): void {
    switch (effect.kind) {
      case 'start_trigger':
        return this.#start(effect.trigger);
      case 'stop_trigger':
        return this.#stop(effect.triggerId);
      case 'stop_triggers':
        for (const triggerId of [...this.#held.keys()]) this.#stop(triggerId);
        return;
      case 'renew_guardian':
        return this.#renew(effect.deadline);
    }
  }

  #renew(deadline: MonoMs): void {
    const { mono, wall, boot } = this.#process.host.instant();
    const left = deadline - mono;
    this.#guardian.renew({ mono: deadline, wall: wall + left, boot: boot + left });
  }

  #start(trigger: TriggerStart): void {
    this.#stop(trigger.triggerId);
    this.#isCutOff = false;
    const { afterMs, fails } = JSON.parse(trigger.input) as TriggerScript;
    const readyAt = afterMs === null ? null : this.#mono + Math.max(1, afterMs - trigger.waitedMs);
    const outcome = this.#outcome(trigger, fails);
    const held = { trigger, timer: this.#process.timer(1, () => step()) };
    const wait = (ms: number) => {
      held.timer = this.#process.timer(ms, () => step());
    };
    const step = (): void => {
      if (this.#held.get(trigger.triggerId) !== held) return;
      if (!this.#guardian.allows(true)) return wait(CLOSED_MS);
      const { agentId, auditor } = this.#ports;
      auditor.triggers.stepped(agentId, trigger, this.#ports.gate(), this.#isCutOff);
      if (readyAt === null || this.#mono < readyAt)
        return wait(Math.min(POLL_MS, (readyAt ?? Number.POSITIVE_INFINITY) - this.#mono));
      this.#held.delete(trigger.triggerId);
      this.#ports.fired(outcome.payload, fails);
      auditor.triggers.fired(agentId, outcome);
      this.#ports.happened({ kind: 'trigger_fired', event: outcome });
    };
    this.#held.set(trigger.triggerId, held);
  }

  #outcome(trigger: TriggerStart, fails: boolean): TriggerOutcome {
    const { triggerId, token } = trigger;
    const failure = fails ? { reason: 'trigger_failed', message: 'as its script says' } : null;
    return { triggerId, token, payload: firingOf(trigger), failure };
  }

  #stop(triggerId: string): void {
    this.#held.get(triggerId)?.timer.cancel();
    this.#held.delete(triggerId);
  }

  get #mono(): number {
    return this.#process.host.mono();
  }

  disconnected(): void {
    this.#isCutOff = true;
  }

  told(): void {}
}
