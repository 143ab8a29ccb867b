import { NOTHING_MORE } from './acks.js';
import type { Frame } from './frames.js';
import type { BeatInput } from './heartbeat.js';
import type { Heartbeat } from './inputs.js';
import { changesInventory, observeBeat, type Presence } from './presence.js';
import type { State } from './state.js';

/**
 * Acknowledges a heartbeat that says nothing new and asks for nothing, as nearly all do: there is nothing to decide, so it needs
 * no batch. Its lease has been renewed by `hear`. Null for every other, and for a session that is over. Only while no decision
 * waits for its commit, which might be that the session has failed (P1).
 */
export function ackQuiet(state: State, { streamId, at, beat }: BeatInput): Frame | null {
  const presence = state.presenceOfStream(streamId);
  if (presence === undefined || !isQuiet(presence, beat)) return null;
  if (state.sessions.get(presence.epoch)?.state !== 'live') return null;
  observeBeat(presence, beat, at);
  presence.sent++;
  return { kind: 'ack', streamId, ack: { ...NOTHING_MORE, number: presence.sent, received: beat.seq } };
}

/** Whether all that it says is known, and nothing waits to be said or to be seen in it. */
function isQuiet(presence: Presence, beat: Heartbeat): boolean {
  const { inventory } = presence;
  const follows = beat.seq === presence.received + 1;
  const saysNothing = !changesInventory(beat) && (beat.triggerEvents?.length ?? 0) === 0;
  const awaitsNothing =
    presence.effects.length === 0 && presence.unshown.size === 0 && presence.untold.size === 0;
  const agrees =
    !presence.unresolved &&
    inventory.count === beat.inventoryCount &&
    inventory.hash === beat.inventoryHash &&
    inventory.occupied() + beat.freeSlots === presence.capacity;
  return follows && saysNothing && awaitsNothing && agrees;
}
