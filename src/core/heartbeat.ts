import { judgeEvent } from './dag/trigger-events.js';
import type { Draft } from './draft.js';
import { closeVanished } from './failure.js';
import type { StreamInput } from './inputs.js';
import type { Presence } from './presence.js';
import { stopReasonOf } from './requests.js';
import type { SessionRow } from './rows.js';
import { decideStart, permitFrame, type StartCase } from './start.js';
import { judgeReport } from './token.js';

export type BeatInput = Extract<StreamInput, { kind: 'heartbeat' }>;

/**
 * What a heartbeat leads to, in the order of its parts: reports are judged, the inventory is compared with the permits
 * (P13), start requests are answered. The heartbeat is acknowledged by the same message that carries the answers.
 */
export function decideHeartbeat(draft: Draft, presence: Presence, input: BeatInput): void {
  const session = draft.session(presence.epoch);
  // P1: from the decision to fail on, no heartbeat of that epoch is acknowledged.
  if (session?.state !== 'live') return;
  const { beat, streamId } = input;
  draft.acks.acknowledge(streamId);
  for (const report of beat.reports)
    draft.say(streamId).acknowledgements.push(judgeReport(draft, session.agentId, report));
  for (const event of beat.triggerEvents ?? [])
    draft.say(streamId).triggerAcks.push(judgeEvent(draft, event));
  if (presence.unresolved) {
    const ack = draft.say(streamId);
    if (!ack.sendFullInventory)
      draft.notes.push({ kind: 'inventory_mismatch', agentId: session.agentId, epoch: session.epoch });
    ack.sendFullInventory = true;
  } else {
    tellUnshownPermits(draft, presence, input);
    if (beat.fullInventory !== null) reconcile(draft, session, presence, input);
  }
  answerStartRequests(draft, session, presence, input);
}

function answerStartRequests(draft: Draft, session: SessionRow, presence: Presence, input: BeatInput): void {
  const { startRequests } = input.beat;
  if (startRequests.length === 0) return;
  const ack = draft.say(input.streamId);
  const agent = draft.agent(session.agentId);
  const { epoch } = session;
  // Runs that only its inventory shows: what this draft changes is permits.
  const others = draft.state.occupied(presence) - (draft.state.permits.get(epoch)?.size ?? 0);
  for (const request of startRequests) {
    const task = draft.task(request.taskId);
    const occupied = others + draft.permits(epoch);
    const c: StartCase = { draft, request, session, presence, agent, task, occupied };
    const answer = decideStart(c);
    if (typeof answer !== 'string') ack.permits.push(answer);
    else {
      ack.refusals.push({ nonce: request.nonce, reason: answer });
      draft.spent.push({ epoch: session.epoch, taskId: request.taskId, reason: answer });
    }
  }
}

/** P13: a permit that an inventory which has applied its message does not show is told again. */
function tellUnshownPermits(draft: Draft, presence: Presence, input: BeatInput): void {
  for (const [token, unshown] of presence.unshown) {
    if (presence.inventory.phase(token) !== null) {
      presence.unshown.delete(token);
      presence.shown.add(token);
      continue;
    }
    const task = draft.openTask(token);
    if (!task?.open) presence.unshown.delete(token);
    else if (unshown.voidedAt === null && presence.applied >= unshown.number)
      draft.say(input.streamId).permits.push(permitFrame(task, task.open));
  }
}

/** A full inventory in a living session: runs without an open token are stopped, runs that vanished are lost (P13). */
function reconcile(draft: Draft, session: SessionRow, presence: Presence, input: BeatInput): void {
  const ack = draft.say(input.streamId);
  for (const entry of presence.inventory.runs()) {
    if (entry.phase !== 'running' && entry.phase !== 'stopping') continue;
    if (draft.openTask(entry.token)?.open?.agentId === session.agentId) continue;
    ack.stops.push({
      token: entry.token,
      reason: entry.token > draft.counters.token ? 'unknown' : 'superseded',
    });
  }
  for (const task of draft.openTasksOf(session.agentId)) {
    const { open } = task;
    if (open?.epoch !== session.epoch || presence.inventory.phase(open.token) !== null) continue;
    if (presence.shown.has(open.token)) closeVanished(draft, task.taskId, true);
  }
}

/** P15 under a live lease: asked-for stops are asked again with every tick. */
export function repeatStops(draft: Draft): void {
  for (const token of draft.state.stopRequests) {
    const task = draft.openTask(token);
    const { open, stopRequest } = task ?? {};
    if (!open || !stopRequest || open.lost !== null) continue;
    if (draft.state.presences.get(open.epoch)?.inventory.phase(token) !== 'running') continue;
    draft.sayTo(open.epoch)?.cancellations.push({ token, reason: stopReasonOf(stopRequest) });
  }
}

/** P13 under a live lease: permits that stay unseen are voided, and silence on that closes the stream. */
export function voidUnshown(draft: Draft): void {
  const { now } = draft.ctx;
  for (const presence of draft.state.presences.values()) {
    if (presence.unshown.size === 0 || presence.streamId === null || draft.attaches(presence.epoch)) continue;
    const heartbeatMs = draft.session(presence.epoch)?.heartbeatMs ?? 0;
    for (const [token, unshown] of presence.unshown) {
      if (draft.openTask(token) === undefined) continue;
      if (unshown.voidedAt === null && (now as number) - (unshown.toldAt as number) >= 2 * heartbeatMs) {
        draft.say(presence.streamId).voidTokens.push(token);
      } else if (unshown.voidedAt !== null && (now as number) - (unshown.voidedAt as number) >= heartbeatMs) {
        draft.closings.push({ streamId: presence.streamId, reason: 'permit_unanswered' });
        break;
      }
    }
  }
}
