import type { Epoch } from '../../kit/ids.js';
import { between } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import type { TriggerStart } from '../frames.js';
import type { Presence } from '../presence.js';
import type { State } from '../state.js';
import type { DagDraft } from './draft.js';

/** Starts told in one message: the next portion follows once it was applied, so that no triggerer is flooded. */
const TELL_COUNT = 500;
/** About how many bytes of inputs are told in one message. */
const TELL_BYTES = 256 * 1024;

/** A trigger that a committed draft has given to a session, or taken from it. */
export interface TriggerChange {
  readonly kind: 'start' | 'stop';
  readonly epoch: Epoch;
  readonly triggerId: string;
}

/** What a draft changes for triggerers; asked before it is settled, because the state has what it was before. */
export function triggerChanges(state: State, dags: DagDraft): TriggerChange[] {
  const { triggers } = state.dags;
  const changes: TriggerChange[] = [];
  const leave = (triggerId: string) => {
    const before = triggers.get(triggerId);
    if (before !== undefined && before.epoch !== 0n && triggers.of(before.epoch).has(triggerId))
      changes.push({ kind: 'stop', epoch: before.epoch, triggerId });
  };
  for (const triggerId of dags.triggerRemovals.keys()) leave(triggerId);
  for (const { triggerId, epoch } of dags.triggers.values()) {
    if (triggers.get(triggerId)?.epoch !== epoch) leave(triggerId);
    if (epoch !== 0n) changes.push({ kind: 'start', epoch, triggerId });
  }
  return changes;
}

/** After the commit: notes what triggerers have to be told. One that has just attached is told all of its triggers anyway. */
export function noteTriggerChanges(draft: Draft, changes: readonly TriggerChange[]): void {
  for (const { kind, epoch, triggerId } of changes) {
    const presence = draft.state.presences.get(epoch);
    if (presence === undefined) continue;
    if (kind === 'start') presence.untold.add(triggerId);
    else if (!presence.untold.delete(triggerId) && presence.streamId !== null)
      draft.say(presence.streamId).triggerStops.push(triggerId);
  }
}

/** A new stream is told all of its session's triggers, whatever the one before was told. */
export function tellAgain(draft: Draft, presence: Presence): void {
  presence.untold = new Set(draft.state.dags.triggers.of(presence.epoch));
  presence.toldIn = 0;
}

/** Tells each triggerer the next portion of what it does not know yet. */
export function tellTriggers(draft: Draft): void {
  for (const epoch of draft.state.triggerers) {
    const presence = draft.state.presences.get(epoch);
    if (presence === undefined || presence.untold.size === 0 || presence.streamId === null) continue;
    if (presence.applied < presence.toldIn) continue;
    const starts = draft.say(presence.streamId).triggerStarts;
    let bytes = 0;
    for (const triggerId of presence.untold) {
      if (starts.length >= TELL_COUNT || bytes >= TELL_BYTES) break;
      presence.untold.delete(triggerId);
      const start = startOf(draft, epoch, triggerId);
      if (start === null) continue;
      bytes += start.input.length;
      starts.push(start);
    }
    // The number that the message will have.
    presence.toldIn = presence.sent + 1;
  }
}

function startOf({ state, ctx }: Draft, epoch: Epoch, triggerId: string): TriggerStart | null {
  const trigger = state.dags.triggers.get(triggerId);
  if (trigger === undefined || trigger.epoch !== epoch) return null;
  const { token, kind, input, taskId, createdAt } = trigger;
  const waitedMs = Math.max(0, between(createdAt, ctx.wall));
  return { triggerId, token, epoch, kind, input, taskId, waitedMs };
}
