import type { AgentId, Epoch, Nonce, StreamId, TaskId, Token } from '../kit/ids.js';
import { Inventory } from '../kit/inventory.js';
import type { MonoMs } from '../kit/time.js';
import type { Health, Heartbeat } from './inputs.js';

/**
 * The volatile half of a live session: what the coordinator was told and has not written down. All of it is fact, not
 * decision, so a failed commit takes none of it back; all of it is gone after a restart, and comes again with a Hello.
 */
export interface Presence {
  readonly epoch: Epoch;
  readonly agentId: AgentId;
  /** P1: when the lease ends. */
  leaseEnds: MonoMs;
  /** Receipt of the last valid heartbeat; null when this coordinator has not heard one yet. */
  lastBeat: MonoMs | null;
  /** Receipt of the last message of the stream (P4's silence). */
  lastHeard: MonoMs;
  /** The stream it speaks on; null makes the agent SUSPECT (P4). */
  streamId: StreamId | null;
  /** Streams of its process whose Hello has arrived and is not decided yet. */
  readonly greetings: Set<StreamId>;
  /** Highest heartbeat seq received on the stream; the Hello is 1. */
  received: number;
  /** Highest message number that the agent has applied on the stream. */
  applied: number;
  /** Number of the last message sent on the stream; the Welcome is 1. */
  sent: number;
  readonly inventory: Inventory;
  /** Effects on the inventory of messages that the agent has not applied yet, oldest first. */
  effects: Effect[];
  /** A full inventory is awaited: no offers, no permits, and absence proves nothing. */
  unresolved: boolean;
  /** Open offers. */
  readonly offers: Map<TaskId, OpenOffer>;
  /** How many of the offers are beyond the free slots. */
  extras: number;
  /** Offers dropped when the stream was lost: noted as failed assignments if the agent is failed. */
  lapsed: TaskId[];
  /** How many runs it can hold now, by its own word: what it holds plus its free slots. */
  capacity: number;
  /**
   * It has asked with a slot that counts as taken, by a run whose end could not be recorded yet. Until a slot is free no
   * offer goes beyond them: it would ask for that at once, and be refused, over and over.
   */
  overasked: boolean;
  /** How many ends the last of its messages with reports told, and when it came. */
  ended: { readonly count: number; readonly at: MonoMs } | null;
  /** P13: permits told and not yet seen as held. */
  readonly unshown: Map<Token, UnshownPermit>;
  /** Tokens that the agent has shown as running: losing them counts (P14), missing them later is a loss (P13). */
  readonly shown: Set<Token>;
  health: Health | null;
  /** Of a triggerer: triggers assigned to it and not told on this stream yet. */
  untold: Set<string>;
  /** Number of the message that told the last portion of them; the next one waits until it was applied. */
  toldIn: number;
}

export interface OpenOffer {
  readonly at: MonoMs;
  /** Beyond the free slots: waits for one instead of ending after 2 H. */
  readonly extra: boolean;
}

export interface UnshownPermit {
  /** When it was first told; null until it has been sent. */
  toldAt: MonoMs;
  /** Number of the message that told it last. */
  number: number;
  /** When `void token` was sent; null before that. */
  voidedAt: MonoMs | null;
}

export type Effect =
  | {
      readonly number: number;
      readonly kind: 'permit';
      readonly nonce: Nonce;
      readonly token: Token;
      readonly taskId: TaskId;
    }
  | { readonly number: number; readonly kind: 'refusal'; readonly nonce: Nonce }
  | { readonly number: number; readonly kind: 'acknowledgement'; readonly token: Token };

export function newPresence(epoch: Epoch, agentId: AgentId, leaseEnds: MonoMs, now: MonoMs): Presence {
  return {
    epoch,
    agentId,
    leaseEnds,
    lastBeat: null,
    lastHeard: now,
    streamId: null,
    greetings: new Set(),
    received: 0,
    applied: 0,
    sent: 0,
    inventory: new Inventory(),
    effects: [],
    unresolved: true,
    offers: new Map(),
    extras: 0,
    lapsed: [],
    capacity: 0,
    overasked: false,
    ended: null,
    unshown: new Map(),
    shown: new Set(),
    health: null,
    untold: new Set(),
    toldIn: 0,
  };
}

/** Takes in what a heartbeat says of the agent. True when it may have another room for work now: most say nothing new. */
export function observeBeat(presence: Presence, beat: Heartbeat, at: MonoMs): boolean {
  const { capacity, unresolved } = presence;
  presence.received = beat.seq;
  presence.applied = Math.max(presence.applied, Math.min(beat.applied, presence.sent));
  if (beat.health !== null) presence.health = beat.health;
  const holdsOther = applyEffects(presence) || changesInventory(beat);
  const { inventory } = presence;
  if (beat.reports.length > 0) presence.ended = { count: beat.reports.length, at };
  if (beat.fullInventory !== null) inventory.replace(beat.fullInventory);
  for (const report of beat.reports) {
    const phase = report.kind === 'never_started' ? 'void' : report.kind === 'lost' ? 'lost' : 'finished';
    inventory.put({ phase, token: report.token, taskId: report.taskId });
  }
  for (const change of beat.inventoryChanges) inventory.put(change);
  for (const request of beat.startRequests) {
    inventory.put({ phase: 'asked', nonce: request.nonce, taskId: request.taskId });
  }
  // A full one must be asked for.
  presence.unresolved = inventory.count !== beat.inventoryCount || inventory.hash !== beat.inventoryHash;
  presence.capacity = inventory.occupied() + beat.freeSlots;
  return holdsOther || presence.capacity !== capacity || presence.unresolved !== unresolved;
}

/** Whether a heartbeat speaks of anything but its agent's health. */
export function changesInventory({
  reports,
  inventoryChanges,
  startRequests,
  fullInventory,
}: Heartbeat): boolean {
  return reports.length + inventoryChanges.length + startRequests.length > 0 || fullInventory !== null;
}

/**
 * Whether the agent may hold nothing by now, as its Goodbye says: no heartbeat has told how far it has applied what was
 * sent, so its inventory is empty if it is so after any of the messages on their way.
 */
export function mayHoldNothing(presence: Presence): boolean {
  const inventory = new Inventory();
  inventory.replace(presence.inventory.entries());
  if (inventory.count === 0) return true;
  return presence.effects.some((effect) => {
    applyEffect(inventory, effect);
    return inventory.count === 0;
  });
}

/** Takes the effects of messages that the agent has applied, in order (see the proto's comment on Heartbeat). True for any. */
function applyEffects(presence: Presence): boolean {
  let taken = 0;
  for (const effect of presence.effects) {
    if (effect.number > presence.applied) break;
    taken++;
    applyEffect(presence.inventory, effect);
    if (effect.kind === 'acknowledgement') presence.shown.delete(effect.token);
  }
  if (taken > 0) presence.effects.splice(0, taken);
  return taken > 0;
}

function applyEffect(inventory: Inventory, effect: Effect): void {
  switch (effect.kind) {
    case 'permit':
      return inventory.permit(effect.nonce, effect.token, effect.taskId);
    case 'refusal':
      return inventory.dropNonce(effect.nonce);
    case 'acknowledgement':
      return inventory.dropToken(effect.token);
  }
}
