import type { Epoch, Token } from '../../kit/ids.js';
import { between, type MonoMs } from '../../kit/time.js';
import type { Effect } from './events.js';
import type { Ack, TriggerEvent, TriggerOutcome, TriggerStart } from './messages.js';

interface Waiting {
  readonly event: TriggerEvent;
  sentAt: MonoMs | null;
}

/** Payloads in one heartbeat, in characters, and events in all; the rest follows in the next one at once. */
const EVENT_CHARACTERS = 256 * 1024;
const EVENT_COUNT = 500;

/**
 * A triggerer's triggers (P16): valid only on the stream that told them and while the gate is open. What has fired is
 * said until it is acknowledged, over reconnects too; what was stopped before it was heard has not fired.
 */
export class Triggers {
  /** Told on this stream and not stopped. */
  readonly #told = new Map<string, { readonly start: TriggerStart; readonly at: MonoMs }>();
  readonly #running = new Set<string>();
  readonly #events = new Map<string, Waiting>();
  /** Of those events: the trigger, and the token under which it has fired last. */
  readonly #fired = new Map<string, Token>();
  #nextEvent = 1;

  /** Whether everything that has fired was acknowledged. */
  get isSettled(): boolean {
    return this.#events.size === 0;
  }

  /** The parts of an acknowledgement that are about triggers. */
  hear(ack: Ack, epoch: Epoch, gateOpen: boolean, now: MonoMs, effects: Effect[]): void {
    for (const start of ack.triggerStarts)
      if (start.epoch === epoch) this.#tell(start, gateOpen, now, effects);
    for (const triggerId of ack.triggerStops) {
      this.#told.delete(triggerId);
      if (this.#running.delete(triggerId)) effects.push({ kind: 'stop_trigger', triggerId });
    }
    for (const { triggerId, eventId, taken } of ack.triggerAcks) {
      const token = this.#events.get(eventId)?.event.token;
      if (!this.#events.delete(eventId)) continue;
      if (this.#fired.get(triggerId) === token) this.#fired.delete(triggerId);
      if (!taken) effects.push({ kind: 'note', note: { kind: 'event_refused', triggerId } });
    }
  }

  #tell(start: TriggerStart, gateOpen: boolean, now: MonoMs, effects: Effect[]): void {
    const { triggerId, token } = start;
    const known = this.#told.get(triggerId);
    if (known?.start.token === token) return;
    if (known !== undefined && this.#running.delete(triggerId))
      effects.push({ kind: 'stop_trigger', triggerId });
    this.#told.set(triggerId, { start, at: now });
    if (gateOpen) this.#start(start, effects);
  }

  #start(trigger: TriggerStart, effects: Effect[]): void {
    // It has fired already, and waits to be acknowledged.
    if (this.#fired.get(trigger.triggerId) === trigger.token) return;
    this.#running.add(trigger.triggerId);
    effects.push({ kind: 'start_trigger', trigger });
  }

  /** The gate is open: those that it had stopped run again. */
  startAgain(now: MonoMs, effects: Effect[]): void {
    for (const { start, at } of this.#told.values()) {
      const waitedMs = start.waitedMs + between(at, now);
      if (!this.#running.has(start.triggerId)) this.#start({ ...start, waitedMs }, effects);
    }
  }

  /** The gate is closed: nothing of them goes on. They are valid again once it is open. */
  stopAll(effects: Effect[]): void {
    if (this.#running.size === 0) return;
    effects.push({ kind: 'note', note: { kind: 'triggers_stopped', count: this.#running.size } });
    effects.push({ kind: 'stop_triggers' });
    this.#running.clear();
  }

  /** The stream is gone: nothing of them goes on, and the next stream will tell which are valid. */
  dropAll(effects: Effect[]): void {
    this.stopAll(effects);
    this.#told.clear();
  }

  /** A trigger has come to something. One that is not running, or under another token, has been stopped before. */
  fired(outcome: TriggerOutcome): void {
    const { triggerId, token } = outcome;
    if (this.#told.get(triggerId)?.start.token !== token || !this.#running.delete(triggerId)) return;
    const eventId = `e${this.#nextEvent++}`;
    this.#fired.set(triggerId, token);
    this.#events.set(eventId, { event: { ...outcome, eventId }, sentAt: null });
  }

  /** Those that are new, or were not acknowledged for an interval; as many as fit into a message. */
  take(now: MonoMs, heartbeatMs: number): TriggerEvent[] {
    const taken: TriggerEvent[] = [];
    let characters = 0;
    for (const waiting of this.#events.values()) {
      if (!isDue(waiting, now, heartbeatMs)) continue;
      characters += waiting.event.payload.length;
      if (taken.length >= EVENT_COUNT || (taken.length > 0 && characters > EVENT_CHARACTERS)) break;
      waiting.sentAt = now;
      taken.push(waiting.event);
    }
    return taken;
  }

  hasMore(now: MonoMs, heartbeatMs: number): boolean {
    for (const waiting of this.#events.values()) if (isDue(waiting, now, heartbeatMs)) return true;
    return false;
  }
}

function isDue({ sentAt }: Waiting, now: MonoMs, heartbeatMs: number): boolean {
  return sentAt === null || (now as number) - (sentAt as number) >= heartbeatMs;
}
